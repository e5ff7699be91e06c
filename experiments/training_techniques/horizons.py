"""Loss against the number of steps, every arm beside Adam; then the same relative to Adam on the same problems.

The mean loss of 64 random square quadratics depends on which 64: its ln has a standard deviation near 0.6 at 1000
steps, six times that over meta-seeds. Levels from two test sets can be compared only relative to a common reference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, measured, spread, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements

_earlier = load_plugin(Path(__file__).with_name("earlier.py"))
Array = NDArray[np.float64]
KEY = "Dashed: an earlier, independent run. Solid: measured."


def draw(config: Configuration, out: Path, results: dict[str, Any]) -> Measurements:
    """Draw horizons.{pdf,png,csv}; numbers of every arm and horizon."""
    found, adams = results["found"], results["adams"]
    reference = adams[config["adam.reference"]]
    numbers: dict[str, float] = {}
    for name, runs in {**found, **{f"adam{rate:g}": [run] for rate, run in adams.items()}}.items():
        for horizon in config["quadratics.horizons"]:
            numbers |= _levels(config, f"quadratics.{name}.N={horizon}", runs, reference, str(horizon))
    return Measurements(numbers, _draw(config, out, found, adams))


def _levels(config: Configuration, name: str, runs: list[Any], reference: Any, horizon: str) -> dict[str, float]:
    """ln of the mean loss: its level, the spread over meta-seeds, and over test sets of `quadratics.block` problems."""
    levels = np.array([np.log(np.mean(run["single"][horizon])) for run in runs])
    blocks = np.array([in_blocks(config, run, horizon) for run in runs])
    over = blocks - in_blocks(config, reference, horizon)
    numbers = {
        name: float(levels.mean()),
        f"{name}.first_block": float(blocks[:, 0].mean()),
        f"{name}.block_sd": float(blocks.std(axis=1, ddof=1).mean()),
        f"{name}.over_adam": float(levels.mean() - np.log(np.mean(reference["single"][horizon]))),
        f"{name}.over_adam.block_sd": float(over.std(axis=1, ddof=1).mean()),
    }
    numbers |= {f"{name}.meta_seed={seed}": float(level) for seed, level in enumerate(levels)}
    if len(levels) > 1:
        numbers[f"{name}.sd"] = float(levels.std(ddof=1))
    return numbers


def in_blocks(config: Configuration, run: Any, horizon: str) -> Array:
    """ln of the mean loss of each block of test problems."""
    losses = np.array(run["single"][horizon]).reshape(-1, config["quadratics.block"])
    levels: Array = np.log(losses.mean(axis=1))
    return levels


def _draw(config: Configuration, out: Path, found: dict[str, Any], adams: dict[float, Any]) -> tuple[Path, ...]:
    steps = np.array(config["quadratics.steps"])
    seen = steps > 0
    caption = [
        f"ln of the mean loss over {config['quadratics.runs']} fixed quadratics |Wx - y|$^2$, d = "
        f"{config['quadratics.dimension']}; LSTM optimizers after {config['quadratics.updates']} meta-updates at most; "
        f"band: {config['quadratics.seeds']} meta-seeds.",
        _earlier.ARMS,
        "Dashed: an earlier, independent program with 64 test problems of its own. (a) levels, which move with the "
        "test set;",
        f"(b) relative to Adam at {config['adam.reference']:g} on the same problems.",
    ]
    base = np.log(adams[config["adam.reference"]]["losses"])
    columns: dict[str, list[Any]] = {"optimizer": [], "meta_seed": [], "step": [], "ln_mean_loss": []}
    with Canvas(1, 2, height=3.0, seed=config["seed"], caption=caption, key=KEY) as canvas:
        level, relative = canvas.axes[0]
        for rate, run in adams.items():
            curve = np.log(run["losses"])
            measured(level, steps[seen], curve[seen], "Adam", linewidth=0.8, label="Adam" if rate == min(adams) else "")
            level.annotate(
                f"{rate:g}",
                (steps[-1], curve[-1]),
                fontsize=6,
                xytext=(2, -6 if rate == max(adams) else 0),
                textcoords="offset points",
            )
            _append(columns, f"adam{rate:g}", 0, steps, curve)
        for arm, runs in found.items():
            curves = np.log([run["losses"] for run in runs])
            spread(level, steps[seen], curves[:, seen], arm, label=arm)
            spread(relative, steps[seen], (curves - base)[:, seen], arm)
            for seed, curve in enumerate(curves):
                _append(columns, arm, seed, steps, curve)
            if arm in _earlier.TABLE and config["quadratics.updates"] == _earlier.UPDATES:
                told = np.array([mean for mean, _ in _earlier.TABLE[arm]])
                theory(level, _earlier.HORIZONS, told, arm, marker=".", markersize=3)
                if config["adam.reference"] in _earlier.ADAM:
                    told = told - np.array(_earlier.ADAM[config["adam.reference"]])
                    theory(relative, _earlier.HORIZONS, told, arm, marker=".", markersize=3)
        level.set(title="(a) level", ylabel="ln mean loss")
        relative.set(title=f"(b) minus Adam at {config['adam.reference']:g}", ylabel="difference of ln mean loss")
        relative.axhline(0, color="#8C8C8C", linewidth=0.6)
        for axes in (level, relative):
            axes.set(xscale="log", xlabel="steps of the optimizer")
        level.legend(loc="lower left")
        return canvas.save(out, "horizons", columns)


def _append(columns: dict[str, list[Any]], name: str, seed: int, steps: Array, curve: Array) -> None:
    columns["optimizer"] += [name] * len(steps)
    columns["meta_seed"] += [seed] * len(steps)
    columns["step"] += steps.tolist()
    columns["ln_mean_loss"] += curve.tolist()
