"""Relative variance over tasks of d f(x_n)/dphi against the horizon n, beside the growth that one-step factors tell."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, spread, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements

_windows = load_plugin(Path(__file__).with_name("windows.py"))


def draw(config: Configuration, out: Path, probes: dict[Any, Any], effects: dict[Any, Any]) -> Measurements:
    """Draw variance.{pdf,png,csv}."""
    horizons, optimizees, optimizers = config["probe.windows"], config["arms.optimizees"], config["arms.optimizers"]
    early = config["probe.early"]
    tasks = {optimizee: config[f"probe.{optimizee}_tasks"] for optimizee in optimizees}
    counts = ", ".join(f"{optimizee}: {count}" for optimizee, count in tasks.items())
    caption = [
        "Variance over tasks of the meta-gradient of the final loss by the squared norm of its mean; "
        f"bands: meta-seeds ({_windows.seeds(config)}).",
        f"Dashed: growth by kappa per step from n = {early} on, kappa from the one-step factors of the trained "
        "optimizer (random curvature,",
        f"independent steps). Grey: the number of tasks ({counts}), to which gradients without a common mean tend.",
    ]
    columns: dict[str, list[Any]] = {
        name: []
        for name in ("optimizee", "optimizer", "status", "meta_seed", "horizon", "relative_variance", "ln_kappa")
    }
    with Canvas(
        len(optimizees), len(optimizers), height=2.2 * len(optimizees) + 0.3, seed=config["seed"], caption=caption,
        sharex=True, sharey="row",
    ) as canvas:  # fmt: skip
        for (optimizee, optimizer, status), found in effects.items():
            axes = canvas.axes[optimizees.index(optimizee), optimizers.index(optimizer)]
            rows = np.array([[one[f"relative_variance.N={n}"] for n in horizons] for one in found])
            spread(axes, horizons, rows, _windows.METHODS[status], label=status)
            if status == "trained":
                at = horizons.index(early)
                rate = float(np.median([one["ln_kappa"] for one in found]))
                later = np.array(horizons[at:])
                start = 1 + float(np.median(rows[:, at]))
                told = np.array([start * math.exp(min(rate * (n - early), 50.0)) - 1 for n in later])
                inside = told <= 3 * tasks[optimizee]
                theory(axes, later[inside], told[inside], _windows.METHODS[status], label=r"$\kappa^n$")
                axes.axhline(tasks[optimizee], color="#BBBBBB", linewidth=0.8)
                axes.set(title=f"{_windows.NAMES[optimizer]} on {optimizee}", yscale="log", xscale="log")
                axes.set(xticks=horizons, xticklabels=horizons)
                axes.tick_params(axis="x", which="minor", bottom=False)
            for seed, (row, one) in enumerate(zip(rows, found, strict=True)):
                for n, value in zip(horizons, row, strict=True):
                    entries = (optimizee, optimizer, status, seed, n, float(value), one["ln_kappa"])
                    for column, entry in zip(columns.values(), entries, strict=True):
                        column.append(entry)
        for axes in canvas.axes[-1]:
            axes.set_xlabel("horizon $n$")
        for axes in canvas.axes[:, 0]:
            axes.set_ylabel("variance / mean$^2$")
        canvas.axes[0, 0].legend(loc="upper left")
        return Measurements({}, canvas.save(out, "variance", columns))
