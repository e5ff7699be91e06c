"""What LODO's parts are worth on the bowl: depth, block size, momentum, meta-optimizer, and simpler preconditioners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.quasi_newton import TrackedQuadratic

_moving, _joined = (load_plugin(Path(__file__).with_name(f"{name}.py")) for name in ("moving_bowl", "joined"))
Array = NDArray[np.float64]
_LABELS = {"depth": "layers N", "block size": "block size k", "variant": "other", "meta-SGD": "SGD learns G"}
_LABELS |= {"diagonal": "G diagonal", "global": "G a scalar"}


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Run every variant on the same bowls, draw ablations.{pdf,png,csv}."""
    variants = _variants(config)
    losses: dict[tuple[str, str], list[float]] = {}
    for place, ((group, name), options) in enumerate(variants.items(), start=1):
        setting = {"steps": config["ablations.steps"], "runs": config["ablations.runs"], "seed": config["seed"]}
        setting |= {"n": config["bowl.dimension"], **options}
        losses[group, name] = pieces.get("ablation", setting, lambda o=options: _losses(config, dict(o)))
        progress("ablations", place, len(variants))
    numbers = {f"ablations.{group}.{name}": float(np.mean(values)) for (group, name), values in losses.items()}
    numbers["ablations.depth_1_over_16"] = numbers["ablations.depth.1"] / numbers["ablations.depth.16"]
    return Measurements(numbers, _draw(config, out, losses))


def _variants(config: Configuration) -> dict[tuple[str, str], dict[str, Any]]:
    alpha0, meta_lr, beta = config["lodo.triple"]
    base = {"kind": "LODO", "alpha0": alpha0, "meta_lr": meta_lr, "beta": beta, "depth": 16, "block_size": 4}
    found = {("depth", str(depth)): {**base, "depth": depth} for depth in config["ablations.depths"]}
    for size in config["ablations.block_sizes"]:
        found["block size", str(size)] = {**base, "block_size": size, "depth": 64 // size}
    for other in config["ablations.betas"]:
        found["beta", f"{other:g}"] = {**base, "beta": other}
    rate = config["ablations.meta_sgd"]
    found["variant", "meta-SGD"] = {**base, "meta_optimizer": "sgd", "meta_lr": rate}
    for kind, values in (("diagonal", config["ablations.diagonal"]), ("global", config["ablations.global"])):
        found["variant", kind] = {"kind": kind, "alpha0": values[0], "meta_lr": values[1], "beta": values[2]}
    return found


def _losses(config: Configuration, options: dict[str, Any]) -> list[float]:
    """Mean loss over the last tenth, per run."""
    bowls = _moving.Bowls(config["ablations.runs"], _moving.eigenvalues(config["bowl.dimension"]), config["seed"])
    kind = options.pop("kind")
    made = {"LODO": lambda: _joined.Learners(bowls.shape, config["seed"], **options)}
    step = made.get(kind, lambda: Signed(kind, **options))()
    values: list[float] = _moving.last_tenth(bowls.follow(config["ablations.steps"], step)).tolist()
    return values


class Signed:
    """LODO-Diagonal, G = alpha0 diag(w), or LODO-Global, G = alpha0 w I, w_0 = 1, with meta-Adam; every run a row.

    d loss/d w = -alpha0 g m entry by entry, or summed.
    """

    def __init__(self, kind: str, alpha0: float, meta_lr: float, beta: float) -> None:
        self.whole, self.alpha0, self.meta_lr, self.beta = kind == "global", alpha0, meta_lr, beta
        self.w, self.m, self.first, self.second, self.steps = np.ones(1), np.zeros(1), np.zeros(1), np.zeros(1), 0

    def __call__(self, g: Array) -> Array:
        """One step: learn from the move just made, then move."""
        slope = -self.alpha0 * g * self.m
        if self.whole:
            slope = slope.sum(axis=1, keepdims=True)
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * slope
        self.second = 0.999 * self.second + 0.001 * slope**2
        corrected = self.meta_lr * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        self.w = self.w - corrected * self.first / (np.sqrt(self.second) + 1e-7)
        self.m = self.beta * self.m + (1 - self.beta) * g
        return np.asarray(-self.alpha0 * self.w * self.m)


def _draw(config: Configuration, out: Path, losses: dict[tuple[str, str], list[float]]) -> tuple[Path, ...]:
    task = TrackedQuadratic(_moving.eigenvalues(config["bowl.dimension"]))
    caption = [
        f"Mean loss over the last tenth of {config['ablations.steps']} evaluations, every run a dot "
        f"({config['ablations.runs']} runs on the same bowls); otherwise the published triple, N = 16, k = 4.",
        "Block sizes keep N k = 64. Grey: Newton bound; black: the loss of a perfect learner at its beta.",
        f"SGD in place of Adam learns G at rate {config['ablations.meta_sgd']:g}; G diagonal or a scalar: at tuned "
        "settings of their own.",
    ]
    groups = list(dict.fromkeys(group for group, _ in losses))
    with Canvas(1, len(groups), height=2.3, seed=config["seed"], caption=caption, sharey=True) as canvas:
        for axes, group in zip(canvas.axes[0], groups, strict=True):
            names = [name for g, name in losses if g == group]
            for place, name in enumerate(names):
                values = losses[group, name]
                axes.plot([place] * len(values), values, "o", color=COLOURS["LODO"], markersize=3)
                axes.plot(place, np.mean(values), "_", color=COLOURS["LODO"], markersize=14)
                if group == "beta":
                    level = float(task.learned_loss(float(name)))
                    theory(axes, [place - 0.4, place + 0.4], [level, level])
            theory(axes, [-0.5, len(names) - 0.5], [float(task.lower_bound())] * 2, "bracket")
            axes.set(
                xticks=range(len(names)), xlim=(-0.6, len(names) - 0.4), xlabel=_LABELS.get(group, group), yscale="log"
            )
            axes.set_xticklabels([_LABELS.get(name, name) for name in names], rotation=30 if group == "variant" else 0)
            axes.set_yticks([8, 10, 15, 20, 30, 40], ["8", "10", "15", "20", "30", "40"])
            axes.minorticks_off()
        canvas.axes[0, 0].set_ylabel("loss")
        flat = [(group, name, run, loss) for (group, name), values in losses.items() for run, loss in enumerate(values)]
        columns = dict(zip(("group", "value", "run", "loss"), map(list, zip(*flat, strict=True)), strict=True))
        return canvas.save(out, "ablations", columns)
