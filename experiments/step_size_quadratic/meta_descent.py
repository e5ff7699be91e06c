"""Figure 1: the step size during meta-gradient descent [paper: section 5]."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas, measured, spread, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

_problems = load_plugin(Path(__file__).with_name("problems.py"))
_BAND = 0.05  # "settled": within 5 percent of the optimum for good
_SOON = 100  # meta-steps that divide the quick draws from the slow ones
_SMALLEST = 1e-4  # smaller distances are drawn here
_SHADES = ("meta-descent, near start", "meta-descent", "meta-descent, far start")


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Run meta-descent from every start and horizon, draw meta_descent.{pdf,png,csv}."""
    steps, larger_steps = config["meta_descent.horizon"], config["meta_descent.larger_horizon"]
    start, far = config["meta_descent.start"], config["meta_descent.larger_starts"]
    settings = list(dict.fromkeys([(steps, start), (larger_steps, start), *((steps, value) for value in far)]))
    draws = range(config["problem.draws"])
    runs: dict[tuple[int, float], list[dict[str, Any]]] = {setting: [] for setting in settings}
    for done, (setting, index) in enumerate(((s, i) for s in settings for i in draws), start=1):
        runs[setting].append(_descend(config, pieces, index, *setting))
        progress("Figure 1, meta-descent", done, len(settings) * len(draws))
    ratios = {setting: _ratios(results) for setting, results in runs.items()}
    files = _draw(config, out, runs, ratios)
    return Measurements(_numbers(config, runs, ratios), files)


def travel(start: float, meta_steps: int, rate_divisor: int) -> Any:
    """Step size far above the optimum, eta G' ~ 2: eta_k^2 = start^2 - (4/s) sum_{j <= k} 1/sqrt(j)  [derived here]."""
    travelled = 4 / rate_divisor * np.cumsum(1 / np.sqrt(np.arange(1, meta_steps + 1)))
    return np.sqrt(np.maximum(start**2 - np.concatenate([[0.0], travelled]), 0))


def _descend(config: Configuration, pieces: Pieces, index: int, steps: int, start: float) -> Any:
    parameters = {
        "seed": config["seed"],
        "index": index,
        "dimension": config["problem.dimension"],
        "draws": config["problem.draws"],
    }
    divisor, meta_steps = config["meta_descent.rate_divisor"], config["meta_descent.meta_steps"]

    def compute() -> dict[str, Any]:
        quadratic = _problems.draw(**parameters).quadratic
        trajectory = quadratic.meta_descent(start, steps, meta_steps, lambda k: 1 / (divisor * math.sqrt(k)))
        return {"trajectory": trajectory.tolist(), "optimum": quadratic.optimal_step_size(steps)}

    setting = {"steps": steps, "start": start, "meta_steps": meta_steps, "rate_divisor": divisor}
    return pieces.get("meta_descent", {**parameters, **setting}, compute)


def _ratios(results: list[dict[str, Any]]) -> NDArray[np.float64]:
    """eta_k / eta*_t, shape (draws, meta_steps + 1)."""
    return np.array([np.array(result["trajectory"]) / result["optimum"] for result in results])


def settled(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """First meta-step after which the ratio stays within 5 percent of 1, infinity if it is outside at the end."""
    outside = np.abs(ratios - 1) > _BAND
    last = ratios.shape[1] - 1 - np.argmax(outside[:, ::-1], axis=1)
    first_good = np.where(outside.any(axis=1), last + 1, 0).astype(np.float64)
    return np.where(first_good == ratios.shape[1], np.inf, first_good)


def _numbers(config: Configuration, runs: Any, ratios: Any) -> dict[str, float]:
    steps, larger_steps = config["meta_descent.horizon"], config["meta_descent.larger_horizon"]
    start, far = config["meta_descent.start"], config["meta_descent.larger_starts"]
    after = settled(ratios[steps, start])
    numbers = {
        "meta_descent.settled_soon": float(np.sum(after <= _SOON)),
        "meta_descent.settled_late": float(np.sum((after > _SOON) & np.isfinite(after))),
        "meta_descent.unsettled": float(np.sum(np.isinf(after))),
        "meta_descent.median_final_error": float(np.median(np.abs(ratios[steps, start][:, -1] - 1))),
        "meta_descent.larger_horizon.median_final_error": float(
            np.median(np.abs(ratios[larger_steps, start][:, -1] - 1))
        ),
    }
    for value in far:
        trajectories = np.array([result["trajectory"] for result in runs[steps, value]])
        arrived = ratios[steps, value] <= 1 + _BAND
        numbers[f"meta_descent.start_{value:g}.final_ratio_least"] = float(ratios[steps, value][:, -1].min())
        numbers[f"meta_descent.start_{value:g}.final_ratio_greatest"] = float(ratios[steps, value][:, -1].max())
        numbers[f"meta_descent.start_{value:g}.median_arrival"] = float(
            np.median(np.where(arrived.any(axis=1), np.argmax(arrived, axis=1), np.inf))
        )
        predicted = travel(value, config["meta_descent.meta_steps"], config["meta_descent.rate_divisor"])
        travelling = predicted > value / 2
        error = np.abs(trajectories / np.where(travelling, predicted, 1) - 1)[:, travelling]
        numbers[f"meta_descent.start_{value:g}.travel_error"] = float(error.max(initial=0))
    return numbers


def _draw(config: Configuration, out: Path, runs: Any, ratios: Any) -> tuple[Path, ...]:
    steps, larger_steps = config["meta_descent.horizon"], config["meta_descent.larger_horizon"]
    start, far = config["meta_descent.start"], config["meta_descent.larger_starts"]
    k = np.arange(config["meta_descent.meta_steps"] + 1)
    caption = [
        f"eta_k = max(0, eta_(k-1) - G'(eta_(k-1))/({config['meta_descent.rate_divisor']} sqrt k)), H = X'X, "
        f"d = {config['problem.dimension']}, {config['problem.draws']} random draws.",
        "(a) the first draw and the draw that settles first. (b), (c) median and range of the draws.",
    ]
    with Canvas(1, 3, height=2.3, seed=config["seed"], caption=caption) as canvas:
        single, distance, starts = canvas.axes[0]
        quickest = int(np.argmin(settled(ratios[steps, start])))
        for index, shade in ((0, "meta-descent, near start"), (quickest, "meta-descent, far start")):
            result = runs[steps, start][index]
            measured(single, k, result["trajectory"], shade, label=f"draw {index}", linewidth=0.7)
        for result in (runs[steps, start][0], runs[steps, start][quickest]):
            theory(single, k[[0, -1]], [result["optimum"]] * 2, label=rf"$\eta^*_{{{steps}}}$")
        single.set(title=rf"(a) $t={steps}$, $\eta_0={start:g}$", ylabel=r"step size $\eta_k$", ylim=(-0.005, 0.2))
        errors = np.maximum(np.abs(ratios[steps, start] - 1), _SMALLEST)
        spread(distance, k[1:], errors[:, 1:], "meta-descent", label=f"$t={steps}$")
        errors = np.maximum(np.abs(ratios[larger_steps, start] - 1), _SMALLEST)
        measured(distance, k[1:], np.median(errors, axis=0)[1:], "meta-descent, far start", label=f"$t={larger_steps}$")
        distance.axhline(_BAND, color=COLOURS["bracket"], linestyle=":", linewidth=1, label="5 percent")
        distance.set(
            title=rf"(b) $\eta_0={start:g}$, all draws", ylabel=r"$|\eta_k/\eta^*_t-1|$", xscale="log", yscale="log"
        )
        for value, shade in zip((start, *far), itertools.cycle(_SHADES), strict=False):
            positive = np.maximum(ratios[steps, value], _SMALLEST)
            spread(starts, k[1:], positive[:, 1:], shade, label=rf"$\eta_0={value:g}$")
        for value in far:
            optimum = float(np.median([result["optimum"] for result in runs[steps, value]]))
            predicted = travel(value, len(k) - 1, config["meta_descent.rate_divisor"]) / optimum
            above = (predicted > 1) & (k > 0)
            theory(starts, k[above], predicted[above], label="travel law" if value == far[0] else None)
        starts.set(
            title=rf"(c) $t={steps}$, larger starts", ylabel=r"$\eta_k\,/\,\eta^*_t$", xscale="log", yscale="log"
        )
        starts.set_ylim(0.2, 20 * max(far) / 0.03)
        for axes in canvas.axes[0]:
            axes.set_xlabel("meta-step $k$")
        single.legend(*(entries[:-1] for entries in single.get_legend_handles_labels()))
        distance.legend(loc="lower left")
        starts.legend(ncols=2, loc="upper right", columnspacing=1, handlelength=1.6)
        return canvas.save(out, "meta_descent", _table(runs, k))


def _table(runs: Any, k: NDArray[np.int64]) -> dict[str, list[Any]]:
    """One row per setting, draw and meta-step."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("steps", "start", "draw", "meta_step", "step_size", "optimum")
    }
    for (steps, start), results in runs.items():
        for index, result in enumerate(results):
            columns["steps"] += [steps] * len(k)
            columns["start"] += [start] * len(k)
            columns["draw"] += [index] * len(k)
            columns["meta_step"] += k.tolist()
            columns["step_size"] += result["trajectory"]
            columns["optimum"] += [result["optimum"]] * len(k)
    return columns
