"""What a technique gains over plain training: ln of the mean loss, arm minus plain from the same start, by horizon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements

_earlier = load_plugin(Path(__file__).with_name("earlier.py"))
Array = NDArray[np.float64]


def interval(values: Array, level: float = 0.95) -> tuple[float, float, float]:
    """Mean and the two ends of Student's t interval for it."""
    mean, error = float(values.mean()), float(values.std(ddof=1)) / len(values) ** 0.5
    reach = float(student.ppf((1 + level) / 2, len(values) - 1)) * error
    return mean, mean - reach, mean + reach


def one_sided_p(values: Array) -> float:
    """P(T <= t) of Student's t test for a mean below 0, against a mean of 0 or more."""
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    if error == 0:  # all differences equal: t is infinite, or 0/0 where there is no difference at all
        return 0.0 if values[0] < 0 else 1.0
    return float(student.cdf(float(values.mean()) / error, len(values) - 1))


def paired(found: dict[str, Any], arm: str, other: str, horizon: int) -> Array:
    """Arm minus other by meta-seed: the same untrained weights, the same test problems."""
    levels = [np.log([np.mean(run["single"][str(horizon)]) for run in found[name]]) for name in (arm, other)]
    difference: Array = levels[0] - levels[1]
    return difference


def draw(config: Configuration, out: Path, found: dict[str, Any], adams: dict[float, Any]) -> Measurements:
    """Draw differences.{pdf,png,csv}; for every arm and horizon the mean difference and its interval."""
    numbers: dict[str, float] = {}
    for arm in found:
        if arm == "plain":
            continue
        for horizon in config["test.horizons"]:
            values, name = paired(found, arm, "plain", horizon), f"{arm}_minus_plain.N={horizon}"
            mean, low, high = interval(values)
            numbers |= {name: mean, f"{name}.low": low, f"{name}.high": high}
            numbers |= {f"{name}.p": one_sided_p(values), f"{name}.wins": int((values < 0).sum())}
    return Measurements(numbers, _draw(config, out, found))


def _draw(config: Configuration, out: Path, found: dict[str, Any]) -> tuple[Path, ...]:
    horizons = config["test.horizons"]
    arms = [arm for arm in found if arm != "plain"]
    caption = [
        "Below 0: better than plain training at this horizon. Dots: meta-seeds, paired with plain by their untrained "
        "weights and test problems;",
        f"bars: mean and 95 percent interval of Student's t over {config['arms.seeds']} meta-seeds. Dashed: "
        "differences in the table of an earlier, independent run.",
        _earlier.ARMS,
    ]
    columns: dict[str, list[Any]] = {"arm": [], "horizon": [], "meta_seed": [], "difference": []}
    with Canvas(1, len(horizons), height=2.6, seed=config["seed"], caption=caption, key="", sharey=True) as canvas:
        for axes, horizon in zip(canvas.axes[0], horizons, strict=True):
            axes.axhline(0, color="#8C8C8C", linewidth=0.6)
            for place, arm in enumerate(arms):
                values = paired(found, arm, "plain", horizon)
                mean, low, high = interval(values)
                axes.plot([place - 0.15] * len(values), values, ".", color=COLOURS[arm], markersize=5)
                axes.errorbar(
                    [place + 0.1], [mean], [[mean - low], [high - mean]], fmt="_", color=COLOURS[arm], capsize=2
                )
                is_known = config["training.updates"] == _earlier.UPDATES and horizon in _earlier.HORIZONS
                if is_known and arm in _earlier.TABLE:
                    told = _earlier.TABLE[arm][_earlier.HORIZONS.index(horizon)][0]
                    told -= _earlier.TABLE["plain"][_earlier.HORIZONS.index(horizon)][0]
                    theory(axes, [place - 0.35, place + 0.35], [told, told], arm)
                for seed, value in enumerate(values):
                    for name, entry in zip(columns, (arm, horizon, seed, float(value)), strict=True):
                        columns[name].append(entry)
            axes.set(title=f"after {horizon} steps", xticks=range(len(arms)), xticklabels=arms)
        canvas.axes[0, 0].set_ylabel("ln mean loss, minus plain")
        return canvas.save(out, "differences", columns)
