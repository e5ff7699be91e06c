"""The dilemma of the window on a learned optimizer: L2O-DM, untrained and trained here, on digits averaged to 4 x 4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from l2o_theory.figures.canvas import Canvas, measured, spread
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metagradients import truncated, unroll
from l2o_theory.metagradients.online import Episode
from l2o_theory.optimizers import LSTMRule
from l2o_theory.problems import MLP, Batch, Classification, load_digits
from l2o_theory.problems.trees import detached, mapped, tensors

_STAGE = "learned optimizer"
Weights = dict[str, Tensor]


def optimizee(dtype: torch.dtype) -> Classification:
    """The perceptron 16-10-10 with sigmoid units on the pooled digits; weights N(0, 1/fan_in)."""
    return Classification(MLP((16, 10, 10)), load_digits(pool=2, dtype=dtype))


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Train the optimizer, differentiate with every window before and after, draw learned.{pdf,png,csv}."""
    key = {name: _plain(config[name]) for name in config if name == "seed" or name.startswith("learned.")}
    trained = pieces.get("learned_training", key, lambda: _train(config, progress))
    untrained = LSTMRule().meta(_generator(config, 1))
    weights = {
        name: torch.tensor(values, dtype=torch.float64).reshape(untrained[name].shape)
        for name, values in trained["weights"].items()
    }
    results = {}
    for name, phi in (("untrained", untrained), ("trained", weights)):
        results[name] = pieces.get(
            f"learned_{name}", key, lambda phi=phi, name=name: _measure(config, phi, name, progress)
        )
    return Measurements(_numbers(config, results), _draw(config, out, results, trained["losses"]))


def _train(config: Configuration, progress: Progress) -> dict[str, Any]:
    """Adam on phi after every window, inner gradients as constants, float32: the way such optimizers are trained."""
    problem, rule = optimizee(torch.float32), LSTMRule()
    phi = LSTMRule().meta(_generator(config, 1))
    phi = {name: value.float().requires_grad_() for name, value in phi.items()}
    optimizer = torch.optim.Adam(phi.values(), lr=config["learned.rate"])
    generator = _generator(config, 2)
    losses = []
    for episode in range(config["learned.episodes"]):
        batches = _batches(problem, config, generator)
        windows = Episode(
            rule, problem, steps=config["learned.horizon"], window=config["learned.training_window"], batches=batches,
            order=1,
        )  # fmt: skip
        carry = windows.begin(detached(phi), problem.init(generator))
        while not windows.is_finished(carry):
            estimate, carry = windows.advance(detached(phi), carry)
            for value, slope in zip(phi.values(), tensors(estimate.gradient), strict=True):
                value.grad = slope
            optimizer.step()
            last = float(estimate.diagnostics.losses[-1])
        losses.append(last)
        progress(f"{_STAGE}, training", episode + 1, config["learned.episodes"])
    return {
        "weights": {name: value.detach().double().flatten().tolist() for name, value in phi.items()},
        "losses": losses,
    }


def _measure(config: Configuration, phi: Weights, name: str, progress: Progress) -> dict[str, Any]:
    """Norm and bias for every start and window, the relative variance over starts, and the losses of the runs."""
    problem, rule = optimizee(torch.float64), LSTMRule()
    horizon, windows = config["learned.horizon"], config["learned.windows"]
    batches = _batches(problem, config, _generator(config, 3))
    starts = [problem.init(_generator(config, 100 + place)) for place in range(config["learned.starts"])]
    gradients = []
    for done, start in enumerate(starts, start=1):
        found = [truncated(rule, problem, phi, horizon, window=k, start=start, batches=batches) for k in windows]
        gradients.append(torch.stack([torch.cat([leaf.flatten() for leaf in tensors(g.gradient)]) for g in found]))
        progress(f"{_STAGE}, {name}", done, len(starts))
    table = torch.stack(gradients)  # (starts, windows, meta-parameters)
    full = table[:, -1:]
    mean = table.mean(0)
    variance = ((table - mean) ** 2).sum(2).sum(0) / (len(starts) - 1) / (mean**2).sum(1)
    with torch.no_grad():
        runs = [unroll(rule, problem, phi, horizon, start=start, batches=batches).losses.tolist() for start in starts]
    return {
        "norm": table.norm(dim=2).tolist(),
        "bias": ((table - full).norm(dim=2) / full.norm(dim=2)).tolist(),
        "relative_variance": variance.tolist(),
        "losses": runs,
    }


def _batches(problem: Classification, config: Configuration, generator: Generator) -> Any:
    drawn = problem.data.minibatches(config["learned.horizon"] + 1, config["learned.batch"], generator)

    def at(step: int) -> Batch:
        return mapped(lambda leaf: leaf[step], drawn)

    return at


def _generator(config: Configuration, stream: int) -> Generator:
    return torch.Generator().manual_seed(1_000_003 * config["seed"] + stream)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _numbers(config: Configuration, results: dict[str, Any]) -> dict[str, float]:
    numbers = {}
    windows = config["learned.windows"]
    for name, result in results.items():
        bias, norm = np.array(result["bias"]).mean(0), np.array(result["norm"]).mean(0)
        for place, window in enumerate(windows):
            numbers[f"learned.{name}.bias.K={window}"] = float(bias[place])
            numbers[f"learned.{name}.norm.K={window}"] = float(norm[place])
            numbers[f"learned.{name}.relative_variance.K={window}"] = result["relative_variance"][place]
        numbers[f"learned.{name}.norm_growth"] = float(norm[-1] / norm[0])
        numbers[f"learned.{name}.least_bias_up_to_20"] = float(bias[[k <= 20 for k in windows]].min())
        numbers[f"learned.{name}.final_loss"] = float(np.array(result["losses"])[:, -1].mean())
    for name in ("norm_growth", "final_loss", f"relative_variance.K={windows[-1]}"):
        short = name.partition(".")[0]
        numbers[f"learned.{short}.trained_over_untrained"] = (
            numbers[f"learned.trained.{name}"] / numbers[f"learned.untrained.{name}"]
        )
    return numbers


def _draw(config: Configuration, out: Path, results: dict[str, Any], training: list[float]) -> tuple[Path, ...]:
    windows, count = config["learned.windows"], config["learned.starts"]
    caption = [
        "Coordinatewise LSTM optimizer on a perceptron 16-10-10 over digits averaged to 4 x 4; "
        f"sum of {windows[-1]} losses, {count} starts, the same minibatches.",
        "(a) short windows miss most of the meta-gradient, (b) long ones make it large; lines: medians, bands: range "
        "over the starts.",
        "(c) variance over squared mean of the starts. (d) losses of the runs. "
        f"Trained for {len(training)} episodes with windows of {config['learned.training_window']}. No theory here.",
    ]
    with Canvas(2, 2, height=4.4, seed=config["seed"], caption=caption) as canvas:
        (bias, norm), (variance, losses) = canvas.axes
        steps = np.arange(1, config["learned.horizon"] + 1)
        for name, result in results.items():
            method = f"{name} LSTM"
            spread(bias, windows, result["bias"], method, label=name)
            spread(norm, windows, result["norm"], method, label=name)
            measured(variance, windows, result["relative_variance"], method, label=name)
            spread(losses, steps, result["losses"], method, label=name)
        bias.set(title="(a) relative bias", ylabel=r"$|G_{N,K}-G_N|/|G_N|$", ylim=(-0.05, 1.3))
        norm.set(title="(b) norm", ylabel=r"$|G_{N,K}|$", yscale="log")
        variance.set(title="(c) relative variance over starts", ylabel="variance / mean$^2$", yscale="log")
        losses.set(title="(d) loss of the optimizee", xlabel="step $t$", ylabel="cross-entropy", yscale="log")
        for axes in (bias, norm, variance):
            axes.set(xscale="log", xlabel="window $K$", xticks=windows, xticklabels=windows)
            axes.tick_params(axis="x", which="minor", bottom=False)
        for axes in canvas.axes.ravel():
            axes.legend()
        return canvas.save(out, "learned", _table(config, results))


def _table(config: Configuration, results: dict[str, Any]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"optimizer": [], "start": [], "window": [], "norm": [], "bias": []}
    for name, result in results.items():
        for start, (norms, biases) in enumerate(zip(result["norm"], result["bias"], strict=True)):
            columns["optimizer"] += [name] * len(norms)
            columns["start"] += [start] * len(norms)
            columns["window"] += list(config["learned.windows"])
            columns["norm"] += norms
            columns["bias"] += biases
    return columns
