"""Every figure: theory dashed, measurement solid, band over seeds, seed and version in the caption, three files."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from l2o_theory import __version__
from l2o_theory.figures.canvas import COLOURS, Canvas, spread, theory
from l2o_theory.figures.table import read_table


def _canvas(seed: int | None = 5) -> Canvas:
    canvas = Canvas(1, 1, height=2, caption=["About this figure."], seed=seed)
    with canvas:
        spread(canvas.axes[0, 0], [1, 2], [[1.0, 2.0], [3.0, 9.0], [2.0, 4.0]], "reverse float32")
        theory(canvas.axes[0, 0], [1, 2], [2.0, 4.0])
    return canvas


def test_theory_is_dashed_and_the_measurement_solid_in_the_colour_of_its_method() -> None:
    solid, dashed = _canvas().axes[0, 0].lines
    assert solid.get_linestyle() == "-"
    assert solid.get_color() == COLOURS["reverse float32"]
    assert dashed.get_linestyle() == "--"
    assert dashed.get_color() == COLOURS["exact"]


def test_the_band_reaches_from_the_least_to_the_greatest_around_the_median() -> None:
    axes = _canvas().axes[0, 0]
    assert axes.lines[0].get_ydata().tolist() == [2.0, 4.0]
    corners = axes.collections[0].get_paths()[0].vertices
    assert {tuple(corner) for corner in corners} == {(1, 1), (2, 2), (2, 9), (1, 3)}


@pytest.mark.parametrize(("seed", "origin"), [(5, "seed 5"), (None, "no randomness")])
def test_the_caption_names_version_and_seed(seed: int | None, origin: str) -> None:
    (caption,) = (text.get_text() for text in _canvas(seed).figure.texts)
    assert caption.startswith("About this figure.\n")
    assert f"l2o_theory {__version__}, {origin}." in caption


def test_a_figure_is_three_files_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    columns = {"x": [1, 2], "y": [0.1 + 0.2, 1.0]}
    runs = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        with _canvas() as canvas:
            runs.append(canvas.save(folder, "figure", columns))
    assert [path.name for path in runs[0]] == ["figure.pdf", "figure.png", "figure.csv"]
    assert [path.read_bytes()[:4] for path in runs[0]] == [b"%PDF", b"\x89PNG", b"x,y\n"]
    assert [path.read_bytes() for path in runs[0]] == [path.read_bytes() for path in runs[1]]
    assert [float(text) for text in read_table(runs[0][2])["y"]] == columns["y"]


def _settings() -> dict[str, object]:
    # The backend is left out: matplotlib itself fills it in when somebody first asks for it.
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def test_the_style_is_left_behind_on_the_way_out() -> None:
    before = _settings()
    inside = []

    def fail() -> None:
        with _canvas():
            inside.append(matplotlib.rcParams["font.size"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside == [8]
    assert _settings() == before


def test_no_two_methods_share_a_colour_or_look_alike() -> None:
    colours = np.array([to_rgb(colour) for colour in COLOURS.values()])
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=-1)[~np.eye(len(colours), dtype=bool)]
    # In RGB with sides 1; two colours closer than this were hard to tell apart as thin lines on the page.
    assert distance.min() > 0.2


def test_the_key_says_what_lines_mean_or_nothing() -> None:
    captions = []
    for options in ({}, {"key": ""}):
        canvas = Canvas(1, 1, height=2, caption=["About."], seed=None, **options)
        captions.append(canvas.figure.texts[0].get_text())
    assert captions[0].endswith("no randomness. Dashed: theory. Solid: measured.")
    assert captions[1].endswith("no randomness.")
