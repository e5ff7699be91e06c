"""Arms: which optimizer is trained by which techniques, and the recipe of each.

plain: one short horizon. aug: one longer horizon. cl: curriculum. clsame: curriculum whose evaluations are all on the
same problems. il: plain with imitation. clil: curriculum with imitation. These train L2O-DM; rnnprop and scale are
RNNprop and L2O-Scale, plain, and with "-clil" by curriculum and imitation. Schedules as in the released code of arXiv
2010.09089. Its L2O-Scale takes losses on 10000 images and starts networks at N(0, 1); here both are as for the others.
"""

from __future__ import annotations

from typing import Any

import torch

from l2o_theory.figures.configuration import Configuration
from l2o_theory.metatraining import Curriculum, Imitation, MetaLoss, Recipe, Teacher
from l2o_theory.optimizers import Adam, LSTMRule
from l2o_theory.optimizers.learned import L2OScale, RNNprop

_RULES: dict[str, Any] = {"lstm": LSTMRule(), "rnnprop": RNNprop(), "scale": L2OScale()}

ARMS: dict[str, tuple[str, str]] = {
    **{technique: ("lstm", technique) for technique in ("plain", "aug", "cl", "clsame", "il", "clil")},
    "rnnprop": ("rnnprop", "plain"),
    "rnnprop-clil": ("rnnprop", "clil"),
    "scale": ("scale", "plain"),
    "scale-clil": ("scale", "clil"),
}
"""Arm -> optimizer and technique."""


def rule(arm: str) -> Any:
    """The optimizer that the arm trains."""
    return _RULES[ARMS[arm][0]]


def horizons(config: Configuration, arm: str) -> tuple[int, ...]:
    """N_0, N_1, ... of the arm."""
    one = {"plain": config["plain.horizon"], "il": config["plain.horizon"], "aug": config["aug.horizon"]}
    technique = ARMS[arm][1]
    return (one[technique],) if technique in one else tuple(config["cl.horizons"])


def updates(config: Configuration, task: str, arm: str) -> int:
    """Meta-updates at most."""
    share = config["scale.share"] if ARMS[arm][0] == "scale" else 1
    return max(1, round(share * config[f"{task}.updates"]))


def recipe(config: Configuration, task: str, arm: str, device: torch.device) -> Recipe:
    """The recipe of an arm on a task."""
    optimizer, technique = ARMS[arm]
    shares = {"il": (config["il.share"],), "clil": config[f"{optimizer}.shares"]}.get(technique)
    teacher = Teacher(Adam(), Adam().meta(config["il.teacher"], dtype=torch.float32, device=device))
    is_scale = optimizer == "scale"
    return Recipe(
        Curriculum(horizons(config, arm), period=config["scale.period" if is_scale else "training.period"]),
        updates=updates(config, task, arm),
        tasks=config[f"{task}.problems"],
        window=config["training.window"],
        optimizer="rmsprop" if is_scale else "adam",
        rate=config[f"{optimizer}.rate"],
        clip=config["scale.clip"] if is_scale else None,
        loss=MetaLoss("normalised" if is_scale else "sum"),
        runs=config["scale.judged" if is_scale else f"{task}.judged"],
        same_tasks=technique == "clsame",
        imitation=None if shares is None else Imitation((teacher,), shares),
    )
