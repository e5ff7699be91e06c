"""Figure 8: instances that were not trained on, far beyond the trained horizon."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, measured
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.step_size_training import TrainingPlan, train_step_size_network
from l2o_theory.ntk import unroll
from l2o_theory.optimizers.baselines import CONSTANT_STEP, GRADIENT_DESCENT, baseline_losses
from l2o_theory.optimizers.constant_step import best_constant_step

lines = load_plugin(Path(__file__).with_name("lines.py"))
_NETWORK = "step-size network"
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
    return {_NETWORK: losses, **{name: [loss / count for loss in curve] for name, curve in curves.items()}}


def _draw(config: Configuration, out: Path, found: dict[str, Any]) -> tuple[Path, ...]:
    steps = config["large.unseen_steps"]
    caption = [
        f"{config['large.unseen']} instances that were not trained on, {config['large.unknowns']} x "
        f"{config['large.equations']}; mean loss. Trained on {config['large.instances']} others at T = "
        f"{max(config['large.horizons'])}: the network (width",
        f"{config['large.width']}, e = {config['large.expansion']:g}) and the constant factor. Float32: losses "
        "below 1e-12 of the first are rounding.",
    ]
    with Canvas(1, 1, height=2.8, caption=caption, seed=config["seed"]) as canvas:
        axes = canvas.axes[0][0]
        t = range(steps + 1)
        lines.draw_curves(axes, t, {name: found[name] for name in lines.METHODS})
        measured(axes, t, found[_NETWORK], _NETWORK, label="trained network")
        axes.axvline(max(config["large.horizons"]), color="#BBBBBB", linewidth=0.8)
        axes.set_yscale("log")
        least = min(min(curve) for curve in found.values())
        axes.set_ylim(bottom=max(least / 2, 1e-13 * found[_NETWORK][0]))
        axes.set_xlabel("inner step t (grey: trained up to here)")
        axes.set_ylabel("mean loss")
        axes.legend(loc="upper right")
        return canvas.save(out, "unseen", {"step": list(t), **found})
