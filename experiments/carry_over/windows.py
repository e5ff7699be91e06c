"""The share of a meta-gradient that a window keeps: measured, beside the three predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, spread, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements

_predictions = load_plugin(Path(__file__).with_name("predictions.py"))
METHODS = {"untrained": "untrained LSTM", "trained": "trained LSTM"}
"""Colours, here of all three optimizers alike."""
NAMES = {"lstm": "L2O-DM", "rnnprop": "RNNprop", "mlp": "MLP optimizer"}


def draw(config: Configuration, out: Path, probes: dict[Any, Any], effects: dict[Any, Any]) -> Measurements:
    """Draw windows.{pdf,png,csv}."""
    windows, optimizees, optimizers = config["probe.windows"], config["arms.optimizees"], config["arms.optimizers"]
    frozen = [_predictions.frozen(windows[-1], window) for window in windows]
    caption = [
        f"<G_K, G>/|G|$^2$ for the sum of {windows[-1]} losses: 0 nothing kept, 1 everything; medians over tasks.",
        f"Lines and bands: median and range over meta-seeds ({seeds(config)}). Exact second-order chain rule, float64.",
        "Dashed: directions that do not move (K+1)/(N+1); Model A along the run of the trained optimizer, from its "
        "inner gradients;",
        "Model 0 along it, from the stretch of its state.",
    ]
    columns: dict[str, list[Any]] = {
        name: [] for name in ("optimizee", "optimizer", "status", "meta_seed", "window", "kept", "model_a", "model_0")
    }
    grid: dict[str, Any] = {"sharex": True, "sharey": True}
    with Canvas(
        len(optimizees),
        len(optimizers),
        height=2.2 * len(optimizees) + 0.3,
        seed=config["seed"],
        caption=caption,
        **grid,
    ) as canvas:
        for (optimizee, optimizer, status), found in probes.items():
            axes = canvas.axes[optimizees.index(optimizee), optimizers.index(optimizer)]
            share = np.array(
                [[one[f"kept.K={window}"] for window in windows] for one in effects[optimizee, optimizer, status]]
            )
            told = {name: _told(found, windows, getattr(_predictions, name)) for name in ("model_a", "model_0")}
            spread(axes, windows, share, METHODS[status], label=status)
            if status == "trained":
                theory(axes, windows, frozen, label="frozen directions")
                theory(axes, windows, np.median(told["model_a"], 0), "full gradient", label="Model A, own run")
                theory(axes, windows, np.median(told["model_0"], 0), "divergent", label="Model 0, own run")
                axes.set(title=f"{NAMES[optimizer]} on {optimizee}", ylim=(-0.05, 1.05), xscale="log")
                axes.set(xticks=windows, xticklabels=windows)
                axes.tick_params(axis="x", which="minor", bottom=False)
            for seed, row in enumerate(share):
                for place, window in enumerate(windows):
                    entries = (optimizee, optimizer, status, seed, window, row[place])
                    entries = (*entries, *(float(told[name][seed, place]) for name in ("model_a", "model_0")))
                    for column, entry in zip(columns.values(), entries, strict=True):
                        column.append(entry)
        for axes in canvas.axes[-1]:
            axes.set_xlabel("window $K$")
        for axes in canvas.axes[:, 0]:
            axes.set_ylabel("share of $G$ kept")
        canvas.axes[0, 0].legend(loc="upper left", fontsize=6)
        return Measurements({}, canvas.save(out, "windows", columns))


def seeds(config: Configuration) -> str:
    """How many meta-seeds there are, for captions."""
    return ", ".join(f"{config[f'arms.{name}_seeds']} on {name}" for name in config["arms.optimizees"])


def _told(found: list[Any], windows: tuple[int, ...], model: Any) -> NDArray[np.float64]:
    """Median over tasks of a predicted share, by meta-seed and window."""
    return np.array([[float(np.median(model(probe, window))) for window in windows] for probe in found])
