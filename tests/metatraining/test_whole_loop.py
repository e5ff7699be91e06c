"""The loop of meta-training against one written down step by step, with the faults that are easily made in it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.imitation import Imitation, Teacher, begin_lesson, imitate
from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.metatraining.meta_optimizer import MetaOptimizer
from l2o_theory.metatraining.meta_training import meta_train, stream
from l2o_theory.metatraining.observer import MetaUpdate
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.tasks import QuadraticTasks
from l2o_theory.metatraining.window import advance, begin
from l2o_theory.optimizers import Adam, HeavyBall, LSTMRule
from l2o_theory.problems import RandomQuadratics

RULE, FAMILY = LSTMRule(hidden=3), QuadraticTasks(RandomQuadratics(3, start_std=0.01))
WEIGHTS = RULE.meta(torch.Generator().manual_seed(0))
HORIZONS, WINDOW, PERIOD, LEAST, UPDATES, TASKS, RUNS = (6, 12, 24), 3, 2, 2, 90, 2, 3
SHARES = (0.2, 0.5)
TEACHERS = (Teacher(Adam(), Adam().meta(0.1)), Teacher(HeavyBall(), HeavyBall().meta(0.01, momentum=0.9)))
META = MetaOptimizer(rate=1e-2)


def by_the_book(fault: str = "") -> tuple[dict[str, Tensor], list[tuple[int, float, str]]]:
    """The procedure of the released code of Chen et al. in one function: best weights, and (stage, loss, decision)."""
    weights = best = WEIGHTS
    memories = {True: META.begin(weights), False: META.begin(weights)}  # imitating, descending
    stage = evaluations = epoch = updates = draws = 0
    improved, beat, told = False, math.inf, []

    def judged(steps: int) -> float:
        nonlocal draws
        draw = FAMILY.draw(RUNS, steps, stream(0, "evaluation", draws))
        draws += 1
        return float(run_rule(RULE, FAMILY.problem, weights, draw, steps, at=(steps,)).mean())

    while updates < UPDATES:
        steps = HORIZONS[stage]
        draw = FAMILY.draw(TASKS, steps, stream(0, "episode", epoch))
        imitates = bool(torch.rand((), generator=stream(0, "kind", epoch)) < SHARES[min(stage, 1)])
        teacher = TEACHERS[0 if fault == "one teacher" else epoch % 2]
        lesson = begin_lesson(RULE, teacher, draw.starts)
        standing = begin(RULE, FAMILY.problem, draw.starts, draw.batches(0))
        for last in range(WINDOW, steps + 1, WINDOW):
            if updates == UPDATES:
                break
            if imitates:
                _, gradient, lesson = imitate(RULE, FAMILY.problem, weights, teacher, lesson, last, draw.batches)
            else:
                found = advance(
                    RULE, FAMILY.problem, weights, standing, last, draw.batches, steps=steps, loss=MetaLoss()
                )
                gradient, standing = found.gradient, found.standing
            own = imitates and fault != "one memory for both"
            weights, memories[own] = META.step(weights, gradient, memories[own])
            updates += 1
        epoch += 1
        if epoch % PERIOD:
            continue
        evaluations += 1
        value, following = judged(HORIZONS[min(stage + 1, 2)]), stage
        if value < beat:
            decision, beat, improved, best = "keep", value, True, weights
        elif evaluations < LEAST:
            decision = "go on"
        elif improved and stage < 2:
            decision, following, evaluations, improved = "advance", stage + 1, 0, False
            weights = weights if fault == "no rollback" else best
            memories[False] = META.begin(weights) if fault == "moments begin anew" else memories[False]
            anew = judged(HORIZONS[min(following + 1, 2)])
            beat = {"anything beats": math.inf, "the old best": beat}.get(fault, anew)
        else:
            decision = "stop"
        told.append((stage, value, decision))
        stage = following
        if decision == "stop":
            break
    return best, told


def by_the_library() -> tuple[dict[str, Tensor], list[tuple[int, float, str]]]:
    recipe = Recipe(
        Curriculum(HORIZONS, PERIOD, LEAST), updates=UPDATES, tasks=TASKS, window=WINDOW, runs=RUNS, rate=1e-2,
        imitation=Imitation(TEACHERS, SHARES),
    )  # fmt: skip
    found = meta_train(RULE, FAMILY, WEIGHTS, recipe)
    return found.weights, [(judgement.stage, judgement.loss, judgement.decision) for judgement in found.judgements]


def test_every_step_is_that_of_the_book_and_every_fault_shows() -> None:
    weights, told = by_the_library()
    wanted, expected = by_the_book()
    assert told == expected
    assert all(torch.equal(weights[name], wanted[name]) for name in WEIGHTS)
    assert {decision for _, _, decision in told} >= {"keep", "go on", "advance"}
    for fault in (
        "one teacher",
        "one memory for both",
        "no rollback",
        "moments begin anew",
        "anything beats",
        "the old best",
    ):
        assert by_the_book(fault)[1] != expected, fault


class Leaping:
    """x - a g."""

    def init(self, params: Any) -> tuple[()]:
        return ()

    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> tuple[Any, tuple[()]]:
        return params - meta["a"] * grads, ()


class Epochs:
    """An observer that notes the epoch of every meta-update."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def begin(self, updates: int, judgements: Any) -> None: ...

    def updated(self, update: MetaUpdate) -> None:
        self.seen.append(update.epoch)

    def judged(self, judgement: Any, steps: int) -> None: ...

    def flush(self) -> None: ...


@pytest.mark.parametrize(("step", "epochs"), [(1e150, [1, 2, 3]), (1e-3, [1, 1, 1])])
def test_an_episode_that_left_the_float_range_ends(step: float, epochs: list[int]) -> None:
    observer = Epochs()
    recipe = Recipe(Curriculum((20,)), updates=3, tasks=2, window=5)
    weights = {"a": torch.full((), step, dtype=torch.float64)}
    trained = meta_train(Leaping(), FAMILY, weights, recipe, observers=[observer])
    assert observer.seen == epochs
    assert trained.skipped == (3 if step > 1 else 0)
