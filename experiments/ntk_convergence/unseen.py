"""Figure 8: instances that were not trained on, far beyond the trained horizon."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, measured
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.step_size_training import TrainingPlan, train_step_size_network
from l2o_theory.ntk import unroll
from l2o_theory.optimizers.adam import Adam
from l2o_theory.optimizers.baselines import CONSTANT_STEP, GRADIENT_DESCENT, baseline_losses
from l2o_theory.optimizers.constant_step import best_constant_step
from l2o_theory.problems.quadratic_programs import QuadraticPrograms

lines = load_plugin(Path(__file__).with_name("lines.py"))
_NETWORK = "step-size network"
_ADAM, _BEST_ADAM = "Adam, mean over pairs", "Adam, best pair"
_BETAS = (0.1, 0.3, 0.5, 0.7, 0.9)  # both; the paper averages 145 pairs from .1-.9 and .1-1, which are not listed
_LATER = 5  # times the trained horizon: where the methods are compared
_ROUNDING = 1e-9  # of the first loss; from there on float32 rounding shows in single steps
_PIECE = 100  # inner steps
_TRAINING = 5  # training steps; the first one saturates the network


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Draw unseen.{pdf,png,csv}."""
    size = {name: config[f"large.{name}"] for name in ("instances", "equations", "unknowns", "width", "expansion")}
    own = {"fresh": config["large.unseen"], "steps": config["large.unseen_steps"], "T": max(config["large.horizons"])}
    parameters = {**size, **own, "rate": max(config["large.rates"]), "seed": config["seed"], "device": config["device"]}
    found = pieces.get("unseen", parameters, lambda: _compute(config))
    progress("unseen instances", 1, 1)
    at = min(_LATER * own["T"], own["steps"])
    later = {name: curve[at] for name, curve in found.items()}
    faster = next((t for t, loss in enumerate(found[_NETWORK]) if loss <= later[GRADIENT_DESCENT]), at)
    network = [loss for loss in found[_NETWORK] if loss > _ROUNDING * found[_NETWORK][0]]
    numbers = {
        "unseen.network_over_gradient_descent": later[_NETWORK] / later[GRADIENT_DESCENT],
        "unseen.constant_over_gradient_descent": later[CONSTANT_STEP] / later[GRADIENT_DESCENT],
        "unseen.steps_saved_factor": at / max(faster, 1),
        "unseen.adam_mean_over_gradient_descent": later[_ADAM] / later[GRADIENT_DESCENT],
        "unseen.adam_best_over_gradient_descent": later[_BEST_ADAM] / later[GRADIENT_DESCENT],
        "unseen.largest_rise": max(after / before - 1 for before, after in pairwise(network)),
    }
    return Measurements(numbers, _draw(config, out, found))


def _compute(config: Configuration) -> dict[str, Any]:
    """Mean loss per step on fresh instances; network and constant factor come from the training instances."""
    training, horizon = lines.programs_of(config, "large"), max(config["large.horizons"])
    start = lines.network_of(config, "large", training, config["large.expansion"])
    plan = TrainingPlan(horizon, _TRAINING, max(config["large.rates"]), record_every=_TRAINING)
    network = train_step_size_network(start, training, plan).network
    fresh = lines.programs_of(config, "large", fresh=config["large.unseen"])
    steps, count = config["large.unseen_steps"], config["large.unseen"]
    rule, x, losses = network.on(fresh), fresh.init(), [float(fresh.loss(fresh.init())) / count]
    while len(losses) <= steps:  # in pieces: a trajectory holds all its iterates
        piece = unroll(rule, replace(fresh, start=x), min(_PIECE, steps + 1 - len(losses))).run()
        losses += [float(loss) / count for loss in piece.losses[1:]]
        x = piece.iterates[-1]
    factor = best_constant_step(training, horizon).factor
    curves = baseline_losses(fresh, steps, factor=factor)
    found = {name: [loss / count for loss in curve] for name, curve in curves.items()}
    return {_NETWORK: losses, **found, **adam_losses(fresh, steps)}


def adam_losses(programs: QuadraticPrograms, steps: int) -> dict[str, list[float]]:
    """Mean loss per step of Adam with the step tau: mean over all pairs of `_BETAS`, and the pair that ends lowest.

    All pairs run side by side along a last axis of the iterate, so that every matrix is read once per step.
    """
    count, unknowns = programs.start.shape
    pairs = programs.start.new_tensor(list(product(_BETAS, _BETAS)))
    meta = {"step_size": programs.step_sizes.unsqueeze(-1), "beta1": pairs[:, 0], "beta2": pairs[:, 1]}
    rule, x = Adam(), programs.start.unsqueeze(-1).expand(count, unknowns, len(pairs)).contiguous()
    state, losses = rule.init(x), []
    for step in range(steps + 1):
        r = programs.matrices @ x - programs.targets.unsqueeze(-1)
        losses.append(r.square().sum((0, 1)) / (2 * count))
        if step < steps:
            moved, state = rule.update(x, programs.matrices.mT @ r, state, meta)
            assert isinstance(moved, torch.Tensor)  # of the structure of the iterate
            x = moved
    table = torch.stack(losses).double()
    return {_ADAM: table.mean(1).tolist(), _BEST_ADAM: table[:, int(table[-1].argmin())].tolist()}


def _draw(config: Configuration, out: Path, found: dict[str, Any]) -> tuple[Path, ...]:
    steps = config["large.unseen_steps"]
    caption = [
        f"{config['large.unseen']} instances that were not trained on, {config['large.unknowns']} x "
        f"{config['large.equations']}; mean loss. Trained on {config['large.instances']} others at T = "
        f"{max(config['large.horizons'])}: the network (width",
        f"{config['large.width']}, e = {config['large.expansion']:g}) and the constant factor. Adam: step tau, "
        f"{len(_BETAS) ** 2} pairs of betas from {min(_BETAS)} to {max(_BETAS)} (best: lowest at the end).",
        "Float32: losses below 1e-12 of the first are rounding and not shown.",
    ]
    with Canvas(1, 1, height=2.8, caption=caption, seed=config["seed"], key=lines.KEY) as canvas:
        axes = canvas.axes[0][0]
        t = range(steps + 1)
        lines.draw_curves(axes, t, {name: found[name] for name in lines.METHODS})
        for name, dash in ((_ADAM, (0, (4, 2))), (_BEST_ADAM, (0, (1, 1)))):
            measured(axes, t, found[name], "Adam", linestyle=dash, label=name)
        measured(axes, t, found[_NETWORK], _NETWORK, label="trained network")
        axes.axvline(max(config["large.horizons"]), color="#BBBBBB", linewidth=0.8)
        axes.set_yscale("log")
        least = min(min(curve) for curve in found.values())
        axes.set_ylim(bottom=max(least / 2, 1e-12 * found[_NETWORK][0]))
        axes.set_xlabel("inner step t (grey: trained up to here)")
        axes.set_ylabel("mean loss")
        canvas.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
        return canvas.save(out, "unseen", {"step": list(t), **found})
