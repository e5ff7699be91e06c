"""Rosenbrock in two variables, without noise: nothing for LODO to gain [paper: learning-curve figure].

f(x, y) = 0.01 (1-x)^2 + (y - x^2)^2 from (-0.5, 2), 200 steps. Baselines by the published tuning protocol; LODO at the
library defaults, over random blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, measured
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

_rules, _tuning, _joined = (
    load_plugin(Path(__file__).with_name(f"{name}.py")) for name in ("elementwise", "tuning", "joined")
)
Array = NDArray[np.float64]
START = (-0.5, 2.0)
SPREADS = (3.0, 3.0, 3.0, 2.5, 2.0, 1.5, 1.0, 0.75, 0.5, 0.3)  # the published schedule, all generations of full length


def loss(points: Array) -> Array:
    """f at points of shape (runs, 2)."""
    x, y = points.T
    return np.asarray(0.01 * (1 - x) ** 2 + (y - x**2) ** 2)


def gradient(points: Array) -> Array:
    """Its gradient, shape (runs, 2)."""
    x, y = points.T
    return np.stack([-0.02 * (1 - x) - 4 * x * (y - x**2), 2 * (y - x**2)], axis=1)


def descend(runs: int, steps: int, step: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Losses, shape (runs, steps), and points, shape (steps + 1, runs, 2)."""
    points, path, losses = np.tile(START, (runs, 1)).astype(np.float64), [], []
    with np.errstate(over="ignore", invalid="ignore"):
        path.append(points)
        for _ in range(steps):
            losses.append(loss(points))
            points = points + step(gradient(points))
            path.append(points)
    return np.array(losses).T, np.array(path)


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Tune, run, draw rosenbrock.{pdf,png,csv}."""
    setting = {"seed": config["seed"], "steps": config["rosenbrock.steps"], "runs": config["rosenbrock.runs"]}
    found = pieces.get("rosenbrock", setting, lambda: _runs(config))
    progress("Rosenbrock", 1, 1)
    finals = {name: np.array(entry["losses"])[:, -1] for name, entry in found.items()}
    numbers = {f"rosenbrock.{name}.final": float(np.median(values)) for name, values in finals.items()}
    numbers["rosenbrock.LODO_rank"] = 1.0 + sum(
        numbers[f"rosenbrock.{name}.final"] < numbers["rosenbrock.LODO.final"] for name in finals if name != "LODO"
    )
    return Measurements(numbers, _draw(config, out, found))


def _runs(config: Configuration) -> dict[str, Any]:
    steps, found = config["rosenbrock.steps"], {}
    for index, (name, (rule, start, decays)) in enumerate(_rules.RULES.items()):

        def score(candidates: Array, length: int, generation: int, rule: Any = rule) -> Array:
            columns = (candidates[:, [k]] for k in range(candidates.shape[1]))
            losses, _ = descend(len(candidates), length, rule(*columns))
            tail = losses[:, -max(1, length // 10) :].mean(axis=1)
            return np.where(np.isfinite(tail), tail, np.inf)

        generator = np.random.default_rng([config["seed"], index, 11])
        values = _tuning.tune(start, decays, [(sd, steps) for sd in SPREADS], score, generator)
        losses, path = descend(1, steps, rule(*values))
        found[name] = {"losses": losses.tolist(), "path": path[:, 0].tolist(), "values": values}
    runs = config["rosenbrock.runs"]
    learners = _joined.Learners((runs, 2), config["seed"], alpha0=1.0, meta_lr=0.001, beta=0.9)
    losses, path = descend(runs, steps, learners)
    found["LODO"] = {"losses": losses.tolist(), "path": path[:, 0].tolist(), "values": [1.0, 0.001, 0.9]}
    return found


def _draw(config: Configuration, out: Path, found: dict[str, Any]) -> tuple[Path, ...]:
    caption = [
        "f = 0.01 (1-x)^2 + (y-x^2)^2 from (-0.5, 2), no noise. Baselines at their tuned hyper-parameters; LODO at the",
        f"library defaults, {config['rosenbrock.runs']} random preconditioners (thin lines; the first one in b).",
    ]
    columns: dict[str, list[Any]] = {"method": [], "run": [], "step": [], "loss": []}
    with Canvas(1, 2, height=2.6, seed=config["seed"], caption=caption) as canvas:
        curves, plane = canvas.axes[0]
        x, y = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1, 3, 200))
        heights = loss(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(x.shape)
        plane.contour(x, y, heights, levels=10.0 ** np.arange(-3, 1.5, 0.5), colors="#BBBBBB", linewidths=0.5)
        for name, entry in found.items():
            for index, row in enumerate(entry["losses"]):
                thin = {"linewidth": 0.5, "alpha": 0.6} if len(entry["losses"]) > 1 else {}
                measured(curves, np.arange(len(row)), row, name, label=name if index == 0 else None, **thin)
                columns["method"] += [name] * len(row)
                columns["run"] += [index] * len(row)
                columns["step"] += list(range(len(row)))
                columns["loss"] += row
            measured(plane, *np.array(entry["path"]).T, name, linewidth=0.8)
        curves.set(yscale="log", xlabel="step", ylabel="loss", title="(a) loss", ylim=(1e-6, 10))
        curves.legend(ncols=2, loc="lower left")
        plane.plot(1, 1, "*", color="black", markersize=7)
        plane.set(xlim=(-2, 2), ylim=(-1, 3), xlabel="x", ylabel="y", title="(b) trajectories")
        return canvas.save(out, "rosenbrock", columns)
