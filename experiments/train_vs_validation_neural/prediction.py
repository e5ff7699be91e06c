r"""What least squares predicts for the same n/d and label noise, beside what the network does: an analogy, no theorem.

Mapping [derived here]. Least squares: y = <w*, x> + sigma xi, |w*| = 1, gradient descent on n samples for t steps, its
step size tuned on the training loss (tbt) or on the risk (tbv, the limit of many validation tasks).

    t       the horizon
    sigma   the label of a class, an indicator, keeps the share s = (1 - rate)^2 of its variance when a share `rate` of
            labels is drawn anew uniformly (balanced classes: the law of a single label does not change), so that
            noise over signal is sigma^2 = 1/s - 1: 0 for clean labels, 0.5625 for 0.2
    d       not fixed by the analogy. Two readings are marked: the inputs of the network, and its weights.

tbv picks its step size in (0, 1/b], tbt up to 2/(a + b): without noise and near d = n the larger one is the better one.
What the step size is to least squares, a whole optimizer is to the network; nothing here bounds the latter. tbt2 has no
counterpart: the step size tuned on 2 n samples, near 2/(a + b) at d/(2 n), lies beyond 2/b at d/n and diverges on n.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements
from l2o_theory.least_squares import limit
from l2o_theory.metatraining.comparison import student_interval

_differences = load_plugin(Path(__file__).with_name("differences.py"))
Array = NDArray[np.float64]
_METHODS = ("meta-descent", "divergent", "untrained LSTM", "chaotic")  # whose colours the rates of noise have
_TIE = 0.01  # in RMSE, where the signal is 1: less is called a tie


def noise_to_signal(rate: float) -> float:
    """sigma for this rate of label noise; infinite where no signal is left."""
    return float((1 / (1 - rate) ** 2 - 1) ** 0.5) if rate < 1 else float("inf")


def predicted(ratio: Any, sigma: float, steps: int) -> Array:
    """RMSE of tbt on fresh noisy samples minus that of tbv, at d/n = ratio."""
    own = limit(np.asarray(ratio, dtype=np.float64), sigma, steps)
    risks = own.risk(own.best_train_step_size()), own.best_risk().risk
    ours, best = (np.sqrt(np.asarray(risk) + sigma**2) for risk in risks)
    difference: Array = ours - best
    return difference


def readings(config: Configuration) -> dict[str, float]:
    """d/n by the two readings of d."""
    inputs = 784 if config["data.folder"] else 64
    sizes = (inputs, *config["network.hidden"], 10)
    weights = sum((a + 1) * b for a, b in pairwise(sizes))
    return {"inputs": inputs / config["tasks.samples"], "weights": weights / config["tasks.samples"]}


def draw(config: Configuration, out: Path, found: dict[Any, Any], rivals: dict[Any, Any]) -> Measurements:
    """Draw prediction.{pdf,png,csv}; predictions by reading, and whether the predicted winner won."""
    numbers: dict[str, float] = {}
    for first, second, noise, ours, theirs in _differences.pairs(found, rivals):
        if (first, second) != ("tbv", "tbt"):
            continue
        sigma = noise_to_signal(noise)
        gains = _differences.at_horizon(config, ours, "test_accuracy")
        gains = (gains - _differences.at_horizon(config, theirs, "test_accuracy")).mean(axis=1)
        for reading, ratio in readings(config).items():
            value = float(predicted(ratio, sigma, config["test.horizon"]))
            name = f"tbt.noise={noise:g}.{reading}"
            numbers[f"predicted.{name}"] = value
            interval = student_interval(gains)
            wins = interval.low > 0 if value > _TIE else interval.contains_zero
            numbers[f"agrees.{name}"] = int(wins)
    return Measurements(numbers, _draw(config, out, found, rivals))


def _draw(config: Configuration, out: Path, found: dict[Any, Any], rivals: dict[Any, Any]) -> tuple[Path, ...]:
    ratios, noises = np.geomspace(0.05, 20, 200), config["tasks.noise"]
    marks = readings(config)
    caption = [
        "(a) Least squares, d and n large: RMSE on fresh samples (signal: 1) with the step size tuned on the training "
        "loss, minus that with the step size",
        "tuned on the risk. Circles: d read as the number of inputs, squares: as the number of weights. sigma from the "
        "label noise, see prediction.py.",
        "(b) The network and the perceptron optimizer: test error rate of train-by-train minus that of "
        "train-by-validation; dots: meta-seeds,",
        "bars: mean and 95 percent interval of Student's t. Above 0: validation wins. An analogy, no theorem.",
    ]
    columns: dict[str, list[Any]] = {"noise": [], "ratio": [], "rmse_difference": []}
    with Canvas(1, 2, height=2.6, seed=config["seed"], caption=caption) as canvas:
        told, seen = canvas.axes[0]
        for place, noise in enumerate(noises):
            sigma, method = noise_to_signal(noise), _METHODS[place % len(_METHODS)]
            curve = predicted(ratios, sigma, config["test.horizon"])
            theory(told, ratios, curve, method, label=rf"noise {noise:g}: $\sigma$ = {sigma:.2g}")
            for ratio, marker in zip(marks.values(), ("o", "s"), strict=True):
                value = float(predicted(ratio, sigma, config["test.horizon"]))
                told.plot([ratio], [value], marker, color=COLOURS[method], markersize=4)
            columns["noise"] += [noise] * len(ratios)
            columns["ratio"] += ratios.tolist()
            columns["rmse_difference"] += curve.tolist()
            _measured(config, seen, place, noise, found, rivals)
        told.set(xscale="log", xlabel="d/n", ylabel="difference of RMSE", title="(a) predicted for least squares")
        told.legend()
        seen.set(title="(b) measured, network", ylabel="difference of error rates", xlim=(-0.6, len(noises) - 0.4))
        seen.set(xticks=range(len(noises)), xticklabels=[f"noise {noise:g}" for noise in noises])
        for axes in (told, seen):
            axes.axhline(0, color="#8C8C8C", linewidth=0.6)
        _differences.within_range(seen)
        return canvas.save(out, "prediction", columns)


def _measured(
    config: Configuration, axes: Any, place: int, noise: float, found: dict[Any, Any], rivals: dict[Any, Any]
) -> None:
    """Error rate of tbt minus that of tbv, by meta-seed, with its interval."""
    for first, second, at, ours, theirs in _differences.pairs(found, rivals):
        if (first, second, at) != ("tbv", "tbt", noise):
            continue
        colour = COLOURS[_METHODS[place % len(_METHODS)]]
        ends = [_differences.at_horizon(config, runs, "test_accuracy").mean(axis=1) for runs in (ours, theirs)]
        interval = student_interval(ends[0] - ends[1])
        axes.plot([place - 0.08] * len(ours), ends[0] - ends[1], ".", color=colour)
        reach = [[interval.value - interval.low], [interval.high - interval.value]]
        axes.errorbar([place + 0.08], [interval.value], reach, fmt="_", color=colour, capsize=2)
