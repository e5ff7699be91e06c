"""Arms of meta-training on random quadratics, and how each trained optimizer fares on problems it has not seen."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.imitation import Imitation, Teacher
from l2o_theory.metatraining.meta_training import Progress, meta_train
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.tasks import Draw, QuadraticTasks
from l2o_theory.optimizers import Adam, LSTMRule
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems import RandomQuadratics

ARMS = ("plain", "aug", "cl", "clsame", "il", "clil")
"""plain: one short horizon; aug: one longer horizon; cl: curriculum; clsame: curriculum whose evaluations are all on
the same problems; il: plain with imitation; clil: curriculum with imitation."""

_TEST_SEED = 20_100_9089  # of the test problems: the same for all arms and meta-seeds


def family(config: Configuration) -> QuadraticTasks:
    """|W x - y|^2 with standard normal W and y, fresh for every episode; x_0 close to 0."""
    std = config["tasks.start_std"]
    return QuadraticTasks(RandomQuadratics(config["tasks.dimension"], start_std=std, dtype=torch.float32))


def recipe(config: Configuration, arm: str) -> Recipe:
    """The recipe of an arm; all have the same number of meta-updates at most."""
    horizons = {
        "plain": (config["plain.horizon"],),
        "il": (config["plain.horizon"],),
        "aug": (config["aug.horizon"],),
        "cl": config["cl.horizons"],
        "clsame": config["cl.horizons"],
        "clil": config["cl.horizons"],
    }[arm]
    shares = {"il": (config["il.share"],), "clil": config["clil.shares"]}.get(arm)
    teacher = Teacher(Adam(), Adam().meta(config["il.teacher"], dtype=torch.float32))
    return Recipe(
        Curriculum(horizons, period=config["training.period"]),
        updates=config["training.updates"],
        tasks=config["tasks.problems"],
        window=config["training.window"],
        rate=config["training.rate"],
        runs=config["training.judged"],
        same_tasks=arm == "clsame",
        imitation=None if shares is None else Imitation((teacher,), shares),
    )


def trained(config: Configuration, pieces: Pieces, arm: str, seed: int, progress: Progress) -> dict[str, Any]:
    """One arm and meta-seed: its test losses, evaluations, and how far it came.

    Returns:
        losses: mean over the test problems at `test.steps`; single: of each test problem at `test.horizons`.
        judgements: [meta-updates, stage, loss, decision] of each evaluation; updates, stage, skipped: at the end.
    """

    def compute() -> dict[str, Any]:
        rule, own = LSTMRule(), 1_000_003 * config["seed"] + seed
        start = rule.meta(Generator().manual_seed(own), dtype=torch.float32)
        found = meta_train(rule, family(config), start, recipe(config, arm), seed=own, progress=progress)
        losses = tested(config, rule, found.weights)
        return {
            **_summary(config, losses),
            "judgements": [[j.updates, j.stage, j.loss, j.decision] for j in found.judgements],
            "updates": found.updates,
            "stage": found.stage,
            "skipped": found.skipped,
        }

    return dict(pieces.get(f"{arm}_{seed}", {**_key(config), "arm": arm, "meta_seed": seed}, compute))


def adam(config: Configuration, pieces: Pieces, rate: float) -> dict[str, Any]:
    """Adam with this step size on the same test problems."""

    def compute() -> dict[str, Any]:
        losses = tested(config, Adam(), Adam().meta(rate, dtype=torch.float32))
        return _summary(config, losses)

    return dict(pieces.get("adam", {**_key(config), "rate": rate}, compute))


def test_draw(config: Configuration, count: int) -> Draw:
    """The test problems; the first ones are the same for every count."""
    draws = [family(config).draw(1, 1, Generator().manual_seed(_TEST_SEED + place)) for place in range(count)]
    starts: Any = torch.cat([draw.starts for draw in draws])  # type: ignore[misc]
    batches = [draw.batches(0) for draw in draws]
    batch = {name: torch.cat([one[name] for one in batches]) for name in batches[0]}
    return Draw(starts, lambda step: batch)


def tested(config: Configuration, rule: UpdateRule, meta: dict[str, Tensor]) -> Tensor:
    """Losses at `test.steps` of every test problem, shape (steps, problems)."""
    steps, problem = config["test.steps"], family(config).problem
    return run_rule(rule, problem, meta, test_draw(config, config["test.problems"]), steps[-1], at=steps).double()


def _summary(config: Configuration, losses: Tensor) -> dict[str, Any]:
    steps = config["test.steps"]
    single = {str(horizon): losses[steps.index(horizon)].tolist() for horizon in config["test.horizons"]}
    return {"losses": losses.mean(1).tolist(), "single": single}


def _key(config: Configuration) -> dict[str, Any]:
    """All parameters but those that only say how many arms, seeds and Adams there are."""
    names = [name for name in config if name not in ("arms.names", "arms.seeds", "adam.rates", "adam.reference")]
    return {name: list(config[name]) if isinstance(config[name], tuple) else config[name] for name in names}
