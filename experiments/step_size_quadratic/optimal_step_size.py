"""Figure 2: the best step size against the horizon, by running gradient descent and by theory [paper: section 5]."""

from __future__ import annotations

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
_CANDIDATES = 64  # step sizes tried at once
_ROUNDS = 6  # each round shrinks the interval about 30-fold


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Find the best step size of every draw and horizon, draw optimal_step_size.{pdf,png,csv}."""
    horizons, draws = config["optimal_step_size.horizons"], config["problem.draws"]
    results = []
    for index in range(draws):
        results.append(_problem(config, pieces, index))
        progress("Figure 2, best step size", index + 1, draws)
    columns = {name: np.array([result[name] for result in results]) for name in results[0]}
    table: dict[str, list[Any]] = {
        "draw": np.repeat(np.arange(draws), len(horizons)).tolist(),
        "steps": list(horizons) * draws,
        **{name: column.ravel().tolist() for name, column in columns.items()},
    }
    return Measurements(_numbers(horizons, columns), _draw(config, out, horizons, columns, table))


def best_by_running(hessian: NDArray[np.float64], start: NDArray[np.float64], steps: int) -> float:
    """Run gradient descent with many step sizes at once and narrow down on the one with the least final loss.

    Uses H itself and the loss alone: no spectrum beyond the two ends of the search, no formula for F, no derivative.
    Iterates are divided by their length at every step, with its logarithm added up, so that no step size overflows.
    """
    extremes = np.linalg.eigvalsh(hessian)[[0, -1]]
    low, high = 1 / extremes[1], 1 / extremes[0]
    for _ in range(_ROUNDS):
        candidates = np.geomspace(low, high, _CANDIDATES)
        log_loss = _log_losses(hessian, start, candidates, steps)
        least = int(np.argmin(log_loss))
        low, high = candidates[max(least - 1, 0)], candidates[min(least + 1, _CANDIDATES - 1)]
    return float(np.sqrt(low * high))


def _log_losses(
    hessian: NDArray[np.float64], start: NDArray[np.float64], step_sizes: NDArray[np.float64], steps: int
) -> NDArray[np.float64]:
    w: NDArray[np.float64] = np.repeat(start[:, None], len(step_sizes), axis=1)
    log_length = np.zeros(len(step_sizes))
    for _ in range(steps):
        w = w - step_sizes * (hessian @ w)
        length = np.sqrt(np.einsum("ij,ij->j", w, w))
        w /= length
        log_length += np.log(length)
    log_loss: NDArray[np.float64] = 2 * log_length + np.log(np.einsum("ij,ij->j", w, hessian @ w) / 2)
    return log_loss


def _problem(config: Configuration, pieces: Pieces, index: int) -> Any:
    horizons = config["optimal_step_size.horizons"]
    parameters = {
        "seed": config["seed"],
        "index": index,
        "dimension": config["problem.dimension"],
        "draws": config["problem.draws"],
    }

    def compute() -> dict[str, list[float]]:
        problem = _problems.draw(**parameters)
        quadratic = problem.quadratic
        low, high = quadratic.optimal_step_size_bracket(list(horizons))
        smoothness, strong_convexity = quadratic.smoothness, quadratic.strong_convexity
        return {
            "measured": [best_by_running(problem.hessian, problem.start, steps) for steps in horizons],
            "exact": quadratic.optimal_step_size(list(horizons)).tolist(),
            "bracket_low": low.tolist(),
            "bracket_high": high.tolist(),
            "limit": [2 / (smoothness + strong_convexity)] * len(horizons),
            "inverse_smoothness": [1 / smoothness] * len(horizons),
        }

    return pieces.get("optimal_step_size", {**parameters, "horizons": list(horizons)}, compute)


def _numbers(horizons: tuple[int, ...], columns: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    """Gaps in percent of 2/(L+alpha), the greatest over the draws; agreement of the two routes."""
    best, exact = columns["measured"], columns["exact"]
    gaps = 100 * np.abs(1 - best / columns["limit"])
    slack = 1e-6  # the search by running stops within 1e-6 of its minimiser
    outside = (best < columns["bracket_low"] * (1 - slack)) | (best > columns["bracket_high"] * (1 + slack))
    numbers = {
        "optimal_step_size.difference_of_routes": float(np.max(np.abs(best / exact - 1))),
        "optimal_step_size.outside_bracket": float(np.sum(outside)),
        "optimal_step_size.shortest_over_inverse_smoothness_least": float(
            (best / columns["inverse_smoothness"])[:, 0].min()
        ),
        "optimal_step_size.shortest_over_inverse_smoothness_greatest": float(
            (best / columns["inverse_smoothness"])[:, 0].max()
        ),
    }
    for position, steps in enumerate(horizons):
        numbers[f"optimal_step_size.gap_percent.t={steps}"] = float(gaps[:, position].max())
        numbers[f"optimal_step_size.draw_0.t={steps}"] = float(best[0, position])
    return numbers


def _draw(
    config: Configuration,
    out: Path,
    horizons: tuple[int, ...],
    columns: dict[str, NDArray[np.float64]],
    table: dict[str, list[Any]],
) -> tuple[Path, ...]:
    caption = [
        f"Best constant step size against the number of steps t; H = X'X, d = {config['problem.dimension']}, "
        f"{config['problem.draws']} random draws. Measured by running",
        "gradient descent. Grey: range proved to hold the best step size. (b) median and range of the draws.",
    ]
    bracket = {"color": COLOURS["bracket"], "alpha": 0.25, "linewidth": 0}
    with Canvas(1, 2, height=2.5, seed=config["seed"], caption=caption) as canvas:
        one, every = canvas.axes[0]
        unit = columns["inverse_smoothness"][0, 0]
        one.fill_between(horizons, columns["bracket_low"][0], columns["bracket_high"][0], **bracket)
        measured(one, horizons, columns["measured"][0], "running gradient descent", label="measured", linewidth=2.2)
        theory(one, horizons, columns["exact"][0], label=r"exact $\eta^*_t$")
        for factor, name in ((1, "$1/L$"), (2, "$2/L$")):
            one.axhline(factor * unit, color=COLOURS["bracket"], linewidth=0.8, linestyle=":")
            one.annotate(
                name, (horizons[-1], factor * unit), (0, 2), textcoords="offset points", ha="right", fontsize=7
            )
        one.set(title="(a) first draw", ylabel="best step size", ylim=(0.85 * unit, 2.6 * unit))
        limit = columns["limit"]
        low, high = (np.median(columns[end] / limit, axis=0) for end in ("bracket_low", "bracket_high"))
        every.fill_between(horizons, low, high, **bracket, label="proved range (median)")
        spread(every, horizons, columns["measured"] / limit, "running gradient descent", label="measured")
        theory(every, horizons, np.ones(len(horizons)), label=r"limit $2/(L+\alpha)$")
        every.set(title="(b) all draws", ylabel=r"best step size $\times\,(L+\alpha)/2$", ylim=(0.42, 1.3))
        for axes in canvas.axes[0]:
            axes.set(xlabel="steps $t$", xscale="log")
            axes.legend(loc="lower right" if axes is every else (0.55, 0.12))
        return canvas.save(out, "optimal_step_size", table)
