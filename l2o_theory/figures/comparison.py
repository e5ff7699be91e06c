"""Train-by-train against train-by-validation: errors and step sizes along one parameter, or the two meta-objectives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from l2o_theory.figures.canvas import COLOURS, Canvas, measured, theory
from l2o_theory.least_squares.outcome import Choice, Compared, Outcome, Protocol

OBJECTIVES = ("train-by-train", "train-by-validation")
_MARKERS = {"train-by-train": "o", "train-by-validation": "s"}
_LABELS = {"noise": r"noise $\sigma$", "samples": "samples $n$", "steps": "steps $t$"}
_MOST_TICKS = 9
_DEEP = 3  # a minimum this many times below the start is drawn on a logarithmic axis


def columns(cells: Sequence[Compared]) -> dict[str, list[Any]]:
    """The table behind a comparison: one row per cell, predicted and measured, standard errors beside the latter."""
    table: dict[str, list[Any]] = {}
    for cell in cells:
        protocol = cell.protocol
        row: dict[str, Any] = {name: getattr(protocol, name) for name in ("dimension", "samples", "noise", "steps")}
        row |= {"n1": protocol.split[0], "n2": protocol.split[1]}
        for kind, outcome in (("predicted", cell.predicted), ("measured", cell.measured)):
            for objective, choice in choices(outcome):
                name = f"{kind}_{objective.replace('-', '_')}"
                row |= {f"{name}_step_size": choice.step_size, f"{name}_train": choice.train}
                row[f"{name}_test"] = choice.test
                if kind == "measured":
                    row |= {f"{name}_train_error": choice.train_error, f"{name}_test_error": choice.test_error}
            row |= {f"{kind}_winner": outcome.winner or "none", f"{kind}_factor": outcome.factor}
        row["measured_factor_error"] = cell.measured.factor_error
        for name, value in row.items():
            table.setdefault(name, []).append(value)
    return table


def choices(outcome: Outcome) -> tuple[tuple[str, Choice], tuple[str, Choice]]:
    """Both choices with the name of their objective."""
    return (OBJECTIVES[0], outcome.by_train), (OBJECTIVES[1], outcome.by_validation)


def draw_along(
    out: Path,
    name: str,
    cells: Sequence[Compared],
    axis: Literal["noise", "samples", "steps"],
    *,
    caption: Sequence[str],
    seed: int,
    between: Sequence[tuple[Protocol, Outcome]] = (),
    crossing: float | None = None,
) -> tuple[Path, ...]:
    """Draw test error, training error and chosen step size against one parameter; write name.{pdf,png,csv}.

    Args:
        out: folder.
        name: of the files.
        cells: measured points, rising along the axis; the band is two standard errors.
        axis: the parameter.
        caption: see `Canvas`.
        seed: of the run.
        between: further predictions, so that the dashed curves do not only join the measured points.
        crossing: where both objectives predict the same test error, if it lies on the axis.

    Raises:
        StoreError: the folder cannot be written.
    """
    points = [(cell.protocol, cell.predicted) for cell in cells]
    smooth = sorted([*points, *between], key=lambda pair: float(getattr(pair[0], axis)))
    x = np.array([getattr(cell.protocol, axis) for cell in cells], dtype=np.float64)
    fine = np.array([getattr(protocol, axis) for protocol, _ in smooth], dtype=np.float64)
    with Canvas(1, 3, height=2.35, seed=seed, caption=caption) as canvas:
        panels = dict(zip(("test", "train", "step_size"), canvas.axes[0], strict=True))
        for quantity, axes in panels.items():
            for place, objective in enumerate(OBJECTIVES):
                predicted = _values([choices(outcome)[place][1] for _, outcome in smooth], quantity)
                theory(axes, fine, predicted, objective, zorder=3)
                _points(axes, x, [choices(cell.measured)[place][1] for cell in cells], quantity, objective)
            _scales(axes, x, axis)
        panels["test"].set(title="(a) test error", ylabel="RMSE on new samples")
        panels["train"].set(title="(b) training error", ylabel="RMSE on training samples")
        panels["step_size"].set(title="(c) chosen step size", ylabel=r"step size $\eta$")
        if crossing is not None and x[0] < crossing < x[-1]:
            _mark_crossing(panels["test"], crossing)
        panels["test"].legend(loc="best")
        return canvas.save(out, name, columns(cells))


def draw_objectives(
    out: Path, name: str, cell: Compared, grid: Sequence[float], *, caption: Sequence[str], seed: int
) -> tuple[Path, ...]:
    """Draw both meta-objectives of one cell against the step size; write name.{pdf,png,csv}.

    Raises:
        StoreError: the folder cannot be written.
    """
    pairs = (
        (cell.predicted.train_curve, cell.measured.train_curve),
        (cell.predicted.validation_curve, cell.measured.validation_curve),
    )
    titles = ("(a) train-by-train: loss it trains on", "(b) train-by-validation: held-out loss")
    table: dict[str, list[float]] = {"step_size": list(grid)}
    with Canvas(1, 2, height=2.5, seed=seed, caption=caption) as canvas:
        for axes, objective, title, (expected, seen) in zip(canvas.axes[0], OBJECTIVES, titles, pairs, strict=True):
            shown, dashed = (np.where(np.isfinite(curve), curve, np.nan) for curve in (seen, expected))
            marker = {"marker": _MARKERS[objective], "markersize": 3}
            measured(axes, grid, shown, objective, label="measured", **marker)
            theory(axes, grid, dashed, label="predicted", zorder=3)
            for outcome, face in ((cell.measured, COLOURS[objective]), (cell.predicted, "none")):
                choice = dict(choices(outcome))[objective]
                axes.axvline(choice.step_size, color=COLOURS[objective], linewidth=0.6, alpha=0.6, linestyle=":")
                height = (shown if face != "none" else dashed)[list(grid).index(choice.step_size)]
                axes.plot(choice.step_size, height, "D", color=COLOURS[objective], markerfacecolor=face, markersize=6)
            low, start = min(np.nanmin(shown), np.nanmin(dashed)), max(shown[0], dashed[0])
            axes.set(title=title, xscale="log", xlabel=r"step size $\eta$", ylabel="meta-objective")
            if start > _DEEP * low:
                axes.set(yscale="log", ylim=(low / 2, 3 * start))
            else:
                axes.set_ylim(low - (start - low), start + 2 * (start - low))
            axes.legend(loc="lower left")
            table |= {f"{objective}_predicted": expected.tolist(), f"{objective}_measured": seen.tolist()}
        return canvas.save(out, name, table)


def _values(found: Sequence[Choice], quantity: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    values = np.array([getattr(choice, quantity) for choice in found], dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _points(axes: Axes, x: Any, found: Sequence[Choice], quantity: str, objective: str) -> None:
    y = _values(found, quantity)
    if quantity != "step_size":
        error = 2 * np.array([getattr(choice, f"{quantity}_error") for choice in found])
        axes.fill_between(x, y - error, y + error, color=COLOURS[objective], alpha=0.22, linewidth=0)
    if quantity != "step_size":
        measured(axes, x, y, objective, linewidth=2.6, alpha=0.45)  # pale, so that the dashed theory on it shows
    style = {"marker": _MARKERS[objective], "markersize": 3.5, "linestyle": "none"}
    measured(axes, x, y, objective, label=objective if quantity == "test" else None, **style)


def _scales(axes: Axes, x: Any, axis: str) -> None:
    axes.set(xscale="log" if x[0] > 0 else "linear", xlabel=_LABELS[axis])
    if len(x) <= _MOST_TICKS:
        shown = x if len(x) <= 5 else x[::2]
        axes.xaxis.set_major_locator(FixedLocator(list(shown)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{value:.3g}" if value < 1000 else f"{value:g}" for value in shown])
    if not any(np.isfinite(line.get_ydata()).any() for line in axes.get_lines()):
        axes.text(0.5, 0.5, "diverges", transform=axes.transAxes, ha="center", color=COLOURS["bracket"])
        axes.yaxis.set_major_locator(NullLocator())
        return
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 100 * low:  # less than two decades: label 1, 2, 5 and not only the powers of ten
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _mark_crossing(axes: Axes, crossing: float) -> None:
    axes.axvline(crossing, color=COLOURS["bracket"], linewidth=0.8, linestyle=":")
    text = rf"tie at $\sigma$ = {crossing:.3g}"
    axes.annotate(
        text, (crossing, 0.03), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=6.5
    )
