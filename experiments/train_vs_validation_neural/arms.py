"""Arms: which samples a learned optimizer is meta-trained on and by which it is judged; training and test of each."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Generator

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.episode_lengths import RandomLengths
from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.metatraining.meta_training import Progress, meta_train
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.optimizers.learned import MLPOptimizer

_beside = Path(__file__)
_setting, _meta_test = (load_plugin(_beside.with_name(f"{name}.py")) for name in ("setting", "meta_test"))

ARMS = ("tbt", "tbt2", "tbv", "tbt_all", "tbv_all")
"""tbt: n training samples, judged by their loss; tbt2: the same with 2 n; tbv: n training samples, judged by n others;
_all: with all data there are."""


def is_all(arm: str) -> bool:
    """Whether the arm has all data."""
    return arm.endswith("_all")


def contests(config: Configuration) -> list[tuple[str, float]]:
    """(arm, label noise) that are run: all data only with clean labels, as in the original."""
    return [
        (arm, noise)
        for noise in config["tasks.noise"]
        for arm in config["arms.names"]
        if noise == min(config["tasks.noise"]) or not is_all(arm)
    ]


def recipe(config: Configuration, arm: str) -> Recipe:
    """One update of RMSprop per window of random length, on the mean loss over its steps, on a whole set of samples."""
    return Recipe(
        Curriculum((config["test.horizon"],), period=config["training.updates"] + 1),  # never judged: the last weights
        updates=config["training.updates"],
        tasks=config["training.tasks"],
        lengths=RandomLengths(*(config[f"training.{name}"] for name in _LENGTHS)),
        optimizer="rmsprop",
        rate=config["training.rate"],
        loss=MetaLoss("mean", "validation" if arm.startswith("tbv") else "training"),
        clip=config["training.clip"],
        non_finite="zero",
    )


_LENGTHS = ("least_windows", "more_windows", "least_steps", "more_steps")


def trained_and_tested(
    config: Configuration, pieces: Pieces, setting: Any, arm: str, noise: float, seed: int, progress: Progress
) -> dict[str, Any]:
    """Curves of the test tasks (see `meta_test.py`) under an optimizer meta-trained from this meta-seed."""
    own = {"arm": arm, "noise": noise, "meta_seed": seed}
    weights = _trained(config, pieces, setting, own, progress)
    rule = MLPOptimizer()

    def compute() -> dict[str, Any]:
        meta = {name: torch.tensor(values, dtype=torch.float32) for name, values in weights.items()}
        shapes = rule.meta(dtype=torch.float32)
        meta = {name: value.reshape(shapes[name].shape).to(setting.test.labels.device) for name, value in meta.items()}
        return dict(_meta_test.curves(config, setting, rule, meta, everything=is_all(arm), noise=noise))

    key = {**_setting.key(config, "tasks", "training", "test"), **own, "weights": weights}
    return dict(pieces.get(f"test_{arm}_{seed}", key, compute))


def _trained(
    config: Configuration, pieces: Pieces, setting: Any, own: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """The weights, as lists. A checkpoint beside the pieces lets a killed training go on."""
    arm, seed = own["arm"], 1_000_003 * config["seed"] + own["meta_seed"]
    key = {**_setting.key(config, "tasks", "training"), **own}
    digest = hashlib.sha256(json.dumps([pieces.identity, key], sort_keys=True).encode()).hexdigest()[:20]
    checkpoint = pieces.folder / f"training-{digest}.pt"

    def compute() -> dict[str, Any]:
        rule, place = MLPOptimizer(), setting.test.labels.device
        start = rule.meta(Generator().manual_seed(seed), dtype=torch.float32)
        family = setting.family(
            config,
            everything=is_all(arm),
            doubled=arm == "tbt2",
            held_out=arm.startswith("tbv"),
            noise=own["noise"],
        )
        found = meta_train(
            rule, family, {name: value.to(place) for name, value in start.items()}, recipe(config, arm),
            seed=seed, checkpoint=checkpoint, checkpoint_every=5, progress=progress,
        )  # fmt: skip
        return {name: value.double().flatten().tolist() for name, value in found.weights.items()}

    found = dict(pieces.get(f"training_{arm}_{own['meta_seed']}", key, compute))
    checkpoint.unlink(missing_ok=True)
    return found
