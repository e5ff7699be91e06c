r"""What 64 test problems decide: levels over test sets, and the level that ours predict for the earlier run's test set.

The mean loss of 64 random square quadratics is made by the few worst conditioned ones, so its ln moves by half a unit
from one test set to another. How hard a set is can be read off the levels a_r of Adam at several step sizes r on it,
which the earlier run told of its own set. Over random sets of 64 of our problems, least squares gives

    level = c_0 + SUM_r c_r a_r + rest,         prediction = c_0 + SUM_r c_r (the earlier run's a_r)

the level that our trained optimizers would have on a set as hard as that one. It is compared with the level that the
earlier run's optimizers had, by its own spread over meta-seeds; nothing is fitted to the levels compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements

_earlier = load_plugin(Path(__file__).with_name("earlier.py"))
Array = NDArray[np.float64]
_SETS = 2000


def draw(config: Configuration, out: Path, results: dict[str, Any]) -> Measurements:
    """Draw test_sets.{pdf,png,csv}; per arm and horizon the prediction, its rest, and the spread over test sets."""
    adams = {rate: run for rate, run in results["adams"].items() if rate in _earlier.ADAM}
    numbers: dict[str, float] = {}
    over_sets: dict[tuple[str, int], Array] = {}
    for horizon in config["quadratics.horizons"]:
        if horizon not in _earlier.HORIZONS or len(adams) < 2:
            continue
        chosen = sets(config)
        at = _earlier.HORIZONS.index(horizon)
        told = np.array([_earlier.ADAM[rate][at] for rate in adams])
        hardness = np.stack([levels(run, horizon, chosen) for run in adams.values()], axis=1)
        numbers[f"quadratics.farther_sets.N={horizon}"] = farther(hardness, told)
        for arm, runs in results["found"].items():
            level = np.mean([levels(run, horizon, chosen) for run in runs], axis=0)
            over_sets[arm, horizon] = level
            name = f"quadratics.{arm}.N={horizon}"
            value, rest = predicted(hardness, level, told)
            numbers |= {f"{name}.predicted": value, f"{name}.rest": rest, f"{name}.set_sd": float(level.std(ddof=1))}
            if arm in _earlier.TABLE:
                mean, spread = _earlier.TABLE[arm][at]
                numbers[f"{name}.sets_within_bar"] = float((np.abs(level - mean) <= 3 * spread).mean())
    return Measurements(numbers, _draw(config, out, numbers, over_sets) if over_sets else ())


def sets(config: Configuration) -> NDArray[np.int64]:
    """Random sets of `block` test problems, drawn without replacement. Shape (sets, block)."""
    random = np.random.default_rng(config["seed"])
    runs, block = config["quadratics.runs"], config["quadratics.block"]
    return np.array([random.permutation(runs)[:block] for _ in range(_SETS)])


def levels(run: Any, horizon: int, chosen: NDArray[np.int64]) -> Array:
    """ln of the mean loss over each set."""
    found: Array = np.log(np.array(run["single"][str(horizon)])[chosen].mean(axis=1))
    return found


def predicted(hardness: Array, level: Array, told: Array) -> tuple[float, float]:
    """Least squares of the level on the Adam levels, at `told`; and the standard deviation of the rest."""
    table = np.column_stack([np.ones(len(level)), hardness])
    weights = np.linalg.lstsq(table, level, rcond=None)[0]
    return float(np.concatenate([[1.0], told]) @ weights), float((level - table @ weights).std(ddof=table.shape[1]))


def farther(hardness: Array, told: Array) -> float:
    """Share of our sets whose Adam levels are farther from the mean than the earlier set's (Mahalanobis)."""
    centred = hardness - hardness.mean(axis=0)
    inverse = np.linalg.inv(np.cov(centred.T))
    away = told - hardness.mean(axis=0)
    return float((np.einsum("ij,jk,ik->i", centred, inverse, centred) > away @ inverse @ away).mean())


def _draw(
    config: Configuration, out: Path, numbers: dict[str, float], over_sets: dict[tuple[str, int], Array]
) -> tuple[Path, ...]:
    horizons = sorted({horizon for _, horizon in over_sets})
    arms = [arm for arm in _earlier.TABLE if (arm, horizons[0]) in over_sets]
    is_full = config["quadratics.updates"] == _earlier.UPDATES
    caption = [
        f"Violins: level over {_SETS} random sets of {config['quadratics.block']} of our {config['quadratics.runs']} "
        "test problems, mean of meta-seeds. Dot: the level predicted for the",
        "test set of an earlier run, from Adam's levels on it; bar: two standard deviations of the rest of the fit.",
        "Grey: what that run found, 3 of its standard deviations over meta-seeds either way." if is_full else "",
    ]
    columns: dict[str, list[Any]] = {"arm": [], "horizon": [], "predicted": [], "rest": [], "set_sd": [], "earlier": []}
    with Canvas(1, len(horizons), height=2.6, seed=config["seed"], caption=caption, key="", sharey=True) as canvas:
        for axes, horizon in zip(canvas.axes[0], horizons, strict=True):
            for place, arm in enumerate(arms):
                name = f"quadratics.{arm}.N={horizon}"
                value, rest = numbers[f"{name}.predicted"], numbers[f"{name}.rest"]
                body = axes.violinplot([over_sets[arm, horizon]], [place], widths=0.8, showextrema=False)["bodies"][0]
                body.set(facecolor=COLOURS[arm], alpha=0.25)
                mean, spread = _earlier.TABLE[arm][_earlier.HORIZONS.index(horizon)]
                if is_full:
                    axes.fill_between(
                        [place - 0.4, place + 0.4], mean - 3 * spread, mean + 3 * spread, color="#D2D2D2", zorder=0
                    )
                axes.errorbar([place], [value], [[2 * rest], [2 * rest]], fmt="o", color=COLOURS[arm], markersize=3)
                row = (arm, horizon, value, rest, numbers[f"{name}.set_sd"], mean)
                for column, entry in zip(columns, row, strict=True):
                    columns[column].append(entry)
            axes.set(title=f"after {horizon} steps", xticks=range(len(arms)), xticklabels=arms)
        canvas.axes[0, 0].set_ylabel("ln mean loss")
        return canvas.save(out, "test_sets", columns)
