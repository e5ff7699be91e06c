"""The page a figure is drawn on: one style, one colour per method, the same three files for every figure.

Theory is dashed, a measurement solid, the spread over seeds a band.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from l2o_theory import __version__
from l2o_theory.figures.table import write_file, write_table

FULL_WIDTH = 7.0
"""Inches: the text width of a two-column page."""

COLOURS: Mapping[str, str] = {
    "exact": "#000000",
    "bracket": "#8C8C8C",
    "meta-descent": "#0072B2",
    "meta-descent, near start": "#6DB3DE",
    "meta-descent, far start": "#003A5C",
    "running gradient descent": "#E0A100",
    "reverse float32": "#D55E00",
    "reverse float64": "#A3338B",
    "renormalised float32": "#5DBE9B",
    "renormalised float64": "#00734D",
    "train-by-train": "#C8443C",
    "train-by-validation": "#2F9090",
    "gradient descent": "#5A5A5A",
    "best constant step": "#E0218A",
    "Nesterov": "#6B4A1B",
    "step-size network": "#4B2FD0",
    "LODO": "#1F8A00",
    "Adam": "#F5A070",
    "Yogi": "#F28CF2",
    "RMSprop": "#B000F0",
    "Momentum": "#12C4F0",
    "L-BFGS": "#8A1500",
    "full gradient": "#54549C",
    "truncated": "#A86C24",
    "shorter horizon": "#306CCC",
    "wrong sign": "#CC5478",
    "final loss": "#789C30",
    "divergent": "#E48430",
    "divergent, longer": "#C02A00",
    "chaotic": "#8448B4",
    "untrained LSTM": "#90B460",
    "trained LSTM": "#245430",
    "plain": "#0000FF",
    "aug": "#FF52E0",
    "cl": "#003314",
    "clsame": "#00BF33",
    "il": "#B8D600",
    "clil": "#00FFB8",
    "rnnprop": "#B00024",
    "rnnprop-clil": "#FF3040",
    "scale": "#480070",
    "scale-clil": "#9B80FF",
}
"""One colour per method, distinguishable with colour-vision deficiency; black is the theory's exact value."""

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so that every machine draws the same letters
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "axes.linewidth": 0.7,
    "svg.hashsalt": "l2o_theory",
}
_CAPTION_LINE = 0.115  # inches per line of the caption


class Canvas:
    """A grid of axes with a caption that carries seed and version; use it as a context, inside which the style holds.

    Args:
        rows: rows of the grid.
        columns: columns of the grid; `axes` has shape (rows, columns).
        height: inches, caption excluded.
        caption: one string per line.
        seed: the seed of the run, None when nothing was drawn at random.
        key: what the kinds of lines mean.
        grid: options of `matplotlib.figure.Figure.subplots`.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        height: float,
        caption: Sequence[str],
        seed: int | None,
        key: str = "Dashed: theory. Solid: measured.",
        **grid: Any,
    ) -> None:
        origin = "no randomness" if seed is None else f"seed {seed}"
        lines = [*caption, f"l2o_theory {__version__}, {origin}. {key}".rstrip()]
        margin = _CAPTION_LINE * len(lines) + 0.08
        total = height + margin
        with self:
            layout = ConstrainedLayoutEngine(rect=(0, margin / total, 1, 1 - margin / total))
            self.figure = Figure(figsize=(FULL_WIDTH, total), layout=layout)
            self.axes: np.ndarray[Any, np.dtype[np.object_]] = self.figure.subplots(
                rows, columns, squeeze=False, **grid
            )
            self.figure.text(0.01, 0.04 / total, "\n".join(lines), fontsize=6.5, va="bottom", color="#444444")

    def __enter__(self) -> Self:
        self._style = rc_context(_STYLE)
        self._style.__enter__()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._style.__exit__(*reason)

    def save(self, out: Path, name: str, columns: Mapping[str, Sequence[Any]]) -> tuple[Path, ...]:
        """Write name.pdf, name.png and, with the numbers behind the curves, name.csv; return their paths.

        Raises:
            InputError: columns of unequal length.
            StoreError: the folder cannot be written.
        """
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")  # one layout for both formats, computed once
        paths = []
        for kind, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
            page = io.BytesIO()
            self.figure.savefig(page, format=kind, dpi=200, metadata=metadata)
            paths.append(write_file(out / f"{name}.{kind}", page.getvalue()))
        return (*paths, write_table(out / f"{name}.csv", columns))


def measured(axes: Axes, x: Any, y: Any, method: str, **options: Any) -> None:
    """Draw a measurement: solid, in the colour of its method."""
    axes.plot(x, y, **{"color": COLOURS[method], "linestyle": "-", **options})


def theory(axes: Axes, x: Any, y: Any, method: str = "exact", **options: Any) -> None:
    """Draw a prediction: dashed, in the colour of its method."""
    axes.plot(x, y, **{"color": COLOURS[method], "linestyle": (0, (4, 2)), "linewidth": 1.0, **options})


def spread(axes: Axes, x: Any, rows: Any, method: str, **options: Any) -> None:
    """Draw rows (shape (seeds, len(x))) as a band from the least to the greatest, and their median solid."""
    rows = np.asarray(rows, dtype=np.float64)
    axes.fill_between(x, rows.min(axis=0), rows.max(axis=0), color=COLOURS[method], alpha=0.18, linewidth=0)
    measured(axes, x, np.median(rows, axis=0), method, **options)
