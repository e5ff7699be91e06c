"""Which meta-objective has the smaller test error over (d/n, sigma), and by what factor: limit formulas alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from l2o_theory.errors import InputError
from l2o_theory.figures.canvas import COLOURS, Canvas
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.least_squares.phase_diagram import crossing, phase_diagram

_PROTOCOLS = {"published": "(a) both train on all n samples", "own": "(b) validation keeps to its n/2 samples"}
_MOST = 2.0  # the colours saturate where one objective is 2^2 = 4 times better
_FACTORS = (1 / 3, 1 / 2, 1 / 1.5, 1 / 1.2, 1 / 1.1, 1.05, 1.1, 1.2, 1.5, 2, 3)
_LABELLED = {False: 0.09, True: 5.0}  # the noise at which contours get their labels: where training, validation wins
_APART = 0.06  # least distance of two labels in a row, in decades of d/n
_MAP = LinearSegmentedColormap.from_list(
    "objectives", [COLOURS["train-by-train"], "#F7F4F0", COLOURS["train-by-validation"]]
)


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Compute both diagrams, draw phase_diagram.{pdf,png,csv}; no measurement."""
    (low, high), (least, most) = _ends(config, "phase_diagram.ratio"), _ends(config, "phase_diagram.noise")
    points, steps = config["phase_diagram.points"], config["task.steps"]
    ratios, noises = np.geomspace(low, high, points), np.geomspace(least, most, points)
    factors = {}
    for place, protocol in enumerate(_PROTOCOLS, start=1):
        parameters = {"ratio": [low, high], "noise": [least, most], "points": points, "steps": steps}
        factors[protocol] = np.array(
            pieces.get(
                f"phase_{protocol}",
                parameters,
                lambda name=protocol: phase_diagram(ratios, noises, steps, protocol=name).rmse_factor.tolist(),
            )
        )
        progress("phase diagram", place, len(_PROTOCOLS))
    ratio = config["task.dimension"] / config["noise.samples"]
    numbers = {f"phase_diagram.tie.{name}": float(crossing(ratio, steps, protocol=name)) for name in _PROTOCOLS}
    for name, factor in factors.items():
        numbers[f"phase_diagram.share_of_train_by_train.{name}"] = float(np.mean(factor < 1))
        numbers[f"phase_diagram.largest_factor.{name}"] = float(factor.max())
    return Measurements(numbers, _draw(config, out, ratios, noises, factors))


def _ends(config: Configuration, name: str) -> tuple[float, float]:
    ends = config[name]
    if len(ends) != 2 or not 0 < ends[0] < ends[1]:
        raise InputError(f"{name} must be two numbers, 0 < low < high, got {list(ends)}; change it in config.toml")
    return ends


def _draw(config: Configuration, out: Path, ratios: Any, noises: Any, factors: dict[str, Any]) -> tuple[Path, ...]:
    caption = [
        f"Ratio of test errors (RMSE on new samples), train-by-train over train-by-validation, after t = "
        f"{config['task.steps']} steps, for large d at fixed d/n.",
        "Green: tune on validation loss. Red: tune on training loss. Black: a tie. Dots: the measured settings. "
        "Half of the samples train.",
    ]
    table: dict[str, Any] = {
        "ratio": np.tile(ratios, len(noises)).tolist(),
        "noise": np.repeat(noises, len(ratios)).tolist(),
    }
    with Canvas(1, 2, height=3.0, seed=None, key="", caption=caption, sharey=True) as canvas:
        for axes, (name, title) in zip(canvas.axes[0], _PROTOCOLS.items(), strict=True):
            mesh = _panel(axes, ratios, noises, factors[name])
            _settings(axes, config)
            axes.set(title=title, xlabel=r"$d/n$")
            table[f"{name}_factor"] = factors[name].ravel().tolist()
        canvas.axes[0][0].set_ylabel(r"noise $\sigma$")
        bar = canvas.figure.colorbar(mesh, ax=list(canvas.axes[0]), pad=0.015, aspect=28, extend="both")
        bar.set_ticks([-2, -1, 0, 1, 2], labels=["4", "2", "1", "2", "4"])
        bar.ax.set_title("error\nratio", fontsize=7)
        bar.outline.set_visible(False)
        bar.ax.text(3.6, 0.25, "training wins", transform=bar.ax.transAxes, rotation=90, va="center", fontsize=7)
        bar.ax.text(3.6, 0.75, "validation wins", transform=bar.ax.transAxes, rotation=90, va="center", fontsize=7)
        return canvas.save(out, "phase_diagram", table)


def _panel(axes: Axes, ratios: Any, noises: Any, factor: Any) -> Any:
    mesh = axes.pcolormesh(
        ratios, noises, np.log2(factor), cmap=_MAP, norm=Normalize(-_MOST, _MOST), shading="gouraud", rasterized=True
    )
    lines = axes.contour(ratios, noises, factor, levels=_FACTORS, colors="#333333", linewidths=0.45, alpha=0.8)
    places: list[tuple[float, float]] = []
    for level in _FACTORS:
        for ratio, noise in _label_places(ratios, noises, factor, level):
            if all(noise != y or abs(np.log10(ratio / x)) > _APART for x, y in places):
                places.append((ratio, noise))
    axes.set(xscale="log", yscale="log", xlim=(ratios[0], ratios[-1]), ylim=(noises[0], noises[-1]))
    style = {"fontsize": 6, "inline_spacing": 2, "rightside_up": True}
    axes.clabel(lines, fmt=lambda value: f"{max(value, 1 / value):.3g}", manual=places, **style)
    axes.contour(ratios, noises, factor, levels=[1.0], colors="black", linewidths=1.6)
    for which, ticks in (
        (axes.xaxis, (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)),
        (axes.yaxis, (0.1, 0.2, 0.5, 1, 2, 5, 10)),
    ):
        which.set_major_locator(FixedLocator(ticks))
        which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        which.set_minor_formatter(NullFormatter())
    axes.grid(visible=False)
    return mesh


def _label_places(ratios: Any, noises: Any, factor: Any, level: float) -> list[tuple[float, float]]:
    """Where the contour of a level meets the row of its labels, the leftmost place if several."""
    row = int(np.argmin(np.abs(np.log(noises / _LABELLED[level > 1]))))
    above = factor[row] > level
    crossed = np.flatnonzero(above[1:] != above[:-1])
    return [(float(ratios[crossed[0]]), float(noises[row]))] if crossed.size else []


def _settings(axes: Axes, config: Configuration) -> None:
    d, n, sigma = config["task.dimension"], config["noise.samples"], config["samples.noise"]
    x = [d / n for _ in config["noise.values"]] + [d / size for size in config["samples.values"]]
    y = [*config["noise.values"], *(sigma for _ in config["samples.values"])]
    axes.plot(x, y, "o", markersize=3, markerfacecolor="white", markeredgecolor="black", markeredgewidth=0.6)
