"""Where a biased meta-gradient tunes the step size to, and what it costs: windows K against shorter horizons N'."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, measured, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.problems import Quadratic
from l2o_theory.quadratic.truncation import TruncatedDescent

_windows = load_plugin(Path(__file__).with_name("windows.py"))
_BRACKET = (0.9, 1.98)  # times 1/L: every root here lies between 1/L and 2/L


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Find the roots of estimated and exact meta-gradients, draw tuned_step.{pdf,png,csv}."""
    results = []
    horizons = config["tuned_step.horizons"]
    for place, (slow, horizon) in enumerate(zip(config["tuned_step.slow_starts"], horizons, strict=True), start=1):
        results.append(_problem(config, pieces, slow, horizon))
        progress("tuned step size", place, len(horizons))
    return Measurements(_numbers(results), _draw(out, results))


def root_of_estimate(problem: Quadratic, horizon: int, window: int) -> float:
    """The step size at which descent along the estimated meta-gradient stops, by bracketing."""
    unit = 1 / float(problem.eigenvalues[-1])
    root: float = optimize.brentq(
        lambda step_size: _windows.estimate(problem, step_size, horizon, window, "sum"),
        _BRACKET[0] * unit, _BRACKET[1] * unit, xtol=1e-11,
    )  # fmt: skip
    return root


def _problem(config: Configuration, pieces: Pieces, slow: Fraction, horizon: int) -> Any:
    eigenvalues, lengths = config["tuned_step.eigenvalues"], config["tuned_step.lengths"]

    def compute() -> dict[str, Any]:
        problem = Quadratic([float(v) for v in eigenvalues], start=[1.0, float(slow)])
        exact = TruncatedDescent(eigenvalues, [Fraction(1), slow * slow])
        found: dict[str, list[float]] = {"window": [], "horizon": [], "exact_window": [], "exact_horizon": []}
        for length in lengths:
            found["window"].append(root_of_estimate(problem, horizon, length))
            found["horizon"].append(root_of_estimate(problem, length, length))
            found["exact_window"].append(exact.optimal_step_size(horizon, length))
            found["exact_horizon"].append(exact.optimal_step_size(length))
        regrets = {f"regret_{name}": exact.regret(found[name], horizon).tolist() for name in ("window", "horizon")}
        return {
            **found, **regrets, "first_order": exact.optimal_step_size(horizon, first_order=True),
            "best": exact.optimal_step_size(horizon),
        }  # fmt: skip

    key = {
        "eigenvalues": [str(v) for v in eigenvalues], "slow": str(slow), "horizon": horizon, "lengths": list(lengths)
    }  # fmt: skip
    return {"steps": horizon, "slow": str(slow), "length": list(lengths), **pieces.get("tuned_step", key, compute)}


def _numbers(results: list[Any]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    distances, falls, rises = [], 0, 0
    for result in results:
        for name in ("window", "horizon"):
            roots, regrets = np.array(result[name]), np.array(result[f"regret_{name}"])
            distances.append(float(np.abs(roots / np.array(result[f"exact_{name}"]) - 1).max()))
            falls += int(np.sum(np.diff(roots) <= 0))
            rises += int(np.sum(np.diff(regrets) >= 0))
            for length, step_size, regret in zip(result["length"], roots, regrets, strict=True):
                numbers[f"tuned_step.N={result['steps']}.{name}={length}"] = float(step_size)
                numbers[f"tuned_step.N={result['steps']}.{name}={length}.regret"] = float(regret)
        numbers[f"tuned_step.N={result['steps']}.first_order"] = result["first_order"]
    numbers["tuned_step.distance_to_exact"] = max(distances)
    numbers["tuned_step.steps_that_fall"] = float(falls)
    numbers["tuned_step.regrets_that_rise"] = float(rises)
    return numbers


def _draw(out: Path, results: list[Any]) -> tuple[Path, ...]:
    caption = [
        "Left: step size at which descent along the truncated meta-gradient (window K), or the full one of a shorter "
        "run (horizon N'), stops;",
        "quadratic with eigenvalues (1, 1/50). Right: its loss over N steps relative to the best. Solid: roots found "
        "by automatic",
        "differentiation. Dashed: exact roots. Both make the step too small, a short horizon more so; "
        "both errors vanish as the length grows.",
    ]
    names = {"window": ("truncated", "window $K$"), "horizon": ("shorter horizon", "horizon $N'$")}
    with Canvas(len(results), 2, height=2.2 * len(results), seed=None, caption=caption, sharex=True) as canvas:
        for (left, right), result in zip(canvas.axes, results, strict=True):
            for name, (method, label) in names.items():
                style = {"label": label, "linewidth": 2.2, "marker": "o", "markersize": 3}
                measured(left, result["length"], result[name], method, **style)
                theory(left, result["length"], result[f"exact_{name}"])
                excess = np.array(result[f"regret_{name}"]) - 1
                measured(right, result["length"], np.where(excess > 1e-12, excess, np.nan), method, **style)
            theory(left, result["length"], np.full(len(result["length"]), result["best"]), "bracket", label="best")
            left.set(ylabel="tuned step size", title=f"start (1, {result['slow']}), $N = {result['steps']}$")
            right.set(yscale="log", ylabel="loss / best loss $-$ 1", title="cost")
            left.legend(loc="lower right")
            right.legend(loc="lower left")
        for axes in canvas.axes[-1]:
            axes.set(xscale="log", xlabel="length $K$ or $N'$")
        return canvas.save(out, "tuned_step", _table(results))


def _table(results: list[Any]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"steps": [], "slow_start": []}
    parts = ("length", "window", "exact_window", "regret_window", "horizon", "exact_horizon", "regret_horizon")
    columns |= {part: [] for part in parts}
    for result in results:
        columns["steps"] += [result["steps"]] * len(result["length"])
        columns["slow_start"] += [result["slow"]] * len(result["length"])
        for part in parts:
            columns[part] += result[part]
    return columns
