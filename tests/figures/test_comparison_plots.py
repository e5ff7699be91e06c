"""Plots of a comparison: theory dashed, measured with markers, the band two standard errors, divergence in words."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from l2o_theory.figures.canvas import COLOURS, Canvas
from l2o_theory.figures.comparison import OBJECTIVES, columns, draw_along, draw_objectives
from l2o_theory.figures.table import read_table
from l2o_theory.least_squares.outcome import Choice, Compared, Outcome, Protocol

GRID = (0.1, 0.2, 0.4)
CURVES = (np.array([0.5, 0.2, np.inf]), np.array([0.9, 0.8, 1e9]))


def cell(noise: float, scale: float = 1.0) -> Compared:
    protocol = Protocol(10, 8, noise, 5, (4, 4))
    predicted = Outcome(Choice(0.2, noise, 3 * noise * scale), Choice(0.1, 2 * noise, 2 * noise * scale), *CURVES)
    seen = Outcome(
        Choice(0.2, 1.1 * noise, 3.3 * noise * scale, 0.1, 0.2),
        Choice(0.1, 2.2 * noise, 2.2 * noise * scale, 0.1, 0.05),
        *CURVES,
        factor_error=0.01,
    )
    return Compared(protocol, predicted, seen)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of what is drawn, kept before they are saved."""
    kept: list[Any] = []
    save = Canvas.save

    def keep(canvas: Canvas, *arguments: Any) -> tuple[Path, ...]:
        kept.append(canvas.axes)
        return save(canvas, *arguments)

    monkeypatch.setattr(Canvas, "save", keep)
    return kept


def test_theory_is_dashed_and_measured_has_markers_and_a_band(drawn: list[Any], tmp_path: Path) -> None:
    cells = [cell(noise) for noise in (1.0, 2.0, 4.0)]
    files = draw_along(tmp_path, "plot", cells, "noise", caption=["words"], seed=0, crossing=1.5)
    assert [path.name for path in files] == ["plot.pdf", "plot.png", "plot.csv"]
    panel = drawn[0][0][0]
    for objective, predicted, found in zip(OBJECTIVES, (3, 2), (3.3, 2.2), strict=True):
        lines = [line for line in panel.get_lines() if line.get_color() == COLOURS[objective]]
        dashed = [line for line in lines if line.is_dashed()]
        marked = [line for line in lines if line.get_marker() != "None"]
        assert [line.get_ydata().tolist() for line in dashed] == [[predicted, 2 * predicted, 4 * predicted]]
        assert [line.get_ydata().tolist() for line in marked] == [[found, 2 * found, 4 * found]]
    bands = [band for band in panel.collections if isinstance(band, PolyCollection)]
    heights = [band.get_paths()[0].get_extents().height for band in bands]
    # the measured curves span 3 * 3.3 and 3 * 2.2, the band adds two standard errors on either side
    assert heights == pytest.approx([9.9 + 4 * 0.2, 6.6 + 4 * 0.05])
    assert any("tie" in text.get_text() for text in panel.texts)


def test_a_crossing_beyond_the_axis_is_not_marked(drawn: list[Any], tmp_path: Path) -> None:
    draw_along(tmp_path, "plot", [cell(1.0), cell(2.0)], "noise", caption=["words"], seed=0, crossing=0.3)
    assert not drawn[0][0][0].texts


def test_divergence_is_written_where_nothing_can_be_drawn(drawn: list[Any], tmp_path: Path) -> None:
    draw_along(tmp_path, "plot", [cell(n, math.inf) for n in (1.0, 2.0)], "noise", caption=["words"], seed=0)
    test, train, _ = drawn[0][0]
    assert [text.get_text() for text in test.texts] == ["diverges"]
    assert not train.texts


def test_a_noiseless_cell_stands_on_a_linear_axis(drawn: list[Any], tmp_path: Path) -> None:
    draw_along(tmp_path, "plot", [cell(0.0), cell(2.0)], "noise", caption=["words"], seed=0)
    assert drawn[0][0][0].get_xscale() == "linear"


def test_meta_objectives_of_one_cell(drawn: list[Any], tmp_path: Path) -> None:
    files = draw_objectives(tmp_path, "curves", cell(1.0), GRID, caption=["words"], seed=0)
    table = read_table(files[-1])
    assert table["step_size"] == ["0.1", "0.2", "0.4"]
    assert table["train-by-train_measured"] == ["0.5", "0.2", "inf"]
    first, second = drawn[0][0]
    assert "train-by-train" in first.get_title()
    # what diverges is off the page, the minimum is on it
    assert second.get_ylim()[0] < 0.8 < second.get_ylim()[1] < 1e3


def test_the_table_has_a_row_for_each_cell() -> None:
    table = columns([cell(1.0), cell(2.0)])
    assert table["noise"] == [1.0, 2.0]
    assert table["predicted_train_by_train_test"] == [3.0, 6.0]
    assert table["measured_train_by_validation_test_error"] == [0.05, 0.05]
    assert table["measured_winner"] == ["train-by-validation"] * 2
    assert table["predicted_factor"] == [1.5, 1.5]
    assert len({len(column) for column in table.values()}) == 1
