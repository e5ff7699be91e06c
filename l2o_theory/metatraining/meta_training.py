"""Meta-training of a learned optimizer: episodes cut into windows, one meta-update per window, best weights kept.

    epoch e = 1, 2, ...: a fresh episode of N_i steps on fresh tasks; per window of K steps one meta-update of phi, with
    iterate and state carried on, detached. Every `period` epochs the loss after N_{i+1} steps judges the weights.

Source of the procedure: the released code of Chen et al., NeurIPS 2020, arXiv 2010.09089.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metatraining.checkpoint import digest, load_checkpoint, save_checkpoint
from l2o_theory.metatraining.curriculum import Decision, Position
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.imitation import Imitation, begin_lesson, imitate
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.tasks import Draw, TaskFamily
from l2o_theory.metatraining.window import advance, begin
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.trees import detached, squared_norm, tensors

Progress = Callable[[int, int], None]
"""Called with (meta-updates done, meta-updates in all)."""

_PURPOSES = ("kind", "episode", "evaluation", "lengths")  # streams of random numbers, one per purpose and index


@dataclass(frozen=True)
class Judgement:
    """One evaluation: after which epoch and meta-update, in which stage, the loss, and what followed."""

    epoch: int
    updates: int
    stage: int
    loss: float
    decision: Decision


@dataclass(frozen=True, eq=False)
class MetaTrained:
    """What came out.

    Attributes:
        weights: the best by evaluation; the last ones if there was no evaluation.
        judgements: all evaluations.
        updates: meta-updates made.
        stage: the last one entered.
        skipped: meta-gradients that were not finite.
    """

    weights: dict[str, Tensor]
    judgements: tuple[Judgement, ...]
    updates: int
    stage: int
    skipped: int


@dataclass
class _State:
    weights: dict[str, Tensor]
    best: dict[str, Tensor]
    memory: Any
    imitation_memory: Any
    position: Position = field(default_factory=Position)
    epoch: int = 0
    updates: int = 0
    evaluations: int = 0
    skipped: int = 0
    is_over: bool = False
    judgements: list[Judgement] = field(default_factory=list)


def stream(seed: int, purpose: str, index: int) -> Generator:
    """Random numbers of one purpose and index: a resumed run draws what an undisturbed one does."""
    words = np.random.SeedSequence([seed, _PURPOSES.index(purpose), index]).generate_state(2)
    return Generator().manual_seed(int(words[0]) + (int(words[1]) << 31))


def meta_train(
    rule: UpdateRule,
    family: TaskFamily,
    weights: dict[str, Tensor],
    recipe: Recipe,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
    checkpoint_every: int = 10,
    progress: Progress | None = None,
) -> MetaTrained:
    """Train from `weights`; with `checkpoint`, continue what that file holds, to the same numbers.

    Args:
        rule: the learned optimizer.
        family: tasks to train on.
        weights: phi to start from, such as rule.meta(generator).
        recipe: how.
        seed: of everything random.
        checkpoint: a file, written every `checkpoint_every` epochs, whole or not at all.
        checkpoint_every: epochs between two writes.
        progress: told after each epoch.

    Raises:
        InputError: too many meta-gradients that are not finite, a teacher that diverges, a loss on data that the
            family lacks, or a checkpoint of another run.
        StoreError: a checkpoint that cannot be read or written.
    """
    key = digest(weights, repr(rule), recipe.description, repr(family), seed)
    state = _fresh(weights, recipe)
    if checkpoint is not None and (saved := load_checkpoint(checkpoint, key)) is not None:
        state = _restored(saved)
    while not state.is_over and state.updates < recipe.updates:
        _epoch(state, rule, family, recipe, seed)
        if checkpoint is not None and (state.epoch % checkpoint_every == 0 or _finished(state, recipe)):
            save_checkpoint(checkpoint, key, _saved(state))
        if progress is not None:
            progress(state.updates, recipe.updates)
    result = state.best if any(j.decision == "keep" for j in state.judgements) else state.weights
    return MetaTrained(result, tuple(state.judgements), state.updates, state.position.stage, state.skipped)


def _epoch(state: _State, rule: UpdateRule, family: TaskFamily, recipe: Recipe, seed: int) -> None:
    """One episode, then perhaps an evaluation."""
    ends = recipe.window_ends(state.position.stage, stream(seed, "lengths", state.epoch))
    draw = family.draw(recipe.tasks, ends[-1], stream(seed, "episode", state.epoch))
    imitation = recipe.imitation
    chance = float(torch.rand((), generator=stream(seed, "kind", state.epoch)))
    if imitation is not None and chance < imitation.share(state.position.stage):
        _imitate(state, rule, family, recipe, imitation, draw, ends)
    else:
        _descend(state, rule, family, recipe, draw, ends)
    state.epoch += 1
    if state.epoch % recipe.curriculum.period == 0 and state.updates > 0:
        _judge(state, rule, family, recipe, seed)


def _descend(
    state: _State, rule: UpdateRule, family: TaskFamily, recipe: Recipe, draw: Draw, ends: tuple[int, ...]
) -> None:
    """Windows of descent on the meta-loss."""
    judging = draw.judging(recipe.loss.data)
    standing = begin(rule, family.problem, draw.starts, draw.batches(0))
    for last in ends:
        if state.updates >= recipe.updates:
            return
        found = advance(
            rule, family.problem, state.weights, standing, last, draw.batches,
            steps=ends[-1], loss=recipe.loss, judging=judging, order=recipe.order,
        )  # fmt: skip
        standing = found.standing
        state.memory = _update(state, found.gradient, state.memory, recipe)
        if not all(bool(leaf.isfinite().all()) for leaf in tensors(standing.params)):
            return  # the tasks have left the float range; nothing is to be learned from the rest of the episode


def _imitate(
    state: _State,
    rule: UpdateRule,
    family: TaskFamily,
    recipe: Recipe,
    imitation: Imitation,
    draw: Draw,
    ends: tuple[int, ...],
) -> None:
    """Windows of imitation, with a meta-optimizer of their own."""
    teacher = imitation.teachers[state.epoch % len(imitation.teachers)]
    lesson = begin_lesson(rule, teacher, draw.starts)
    for last in ends:
        if state.updates >= recipe.updates:
            return
        _, gradient, lesson = imitate(rule, family.problem, state.weights, teacher, lesson, last, draw.batches)
        state.imitation_memory = _update(state, gradient, state.imitation_memory, recipe)


def _update(state: _State, gradient: dict[str, Tensor], memory: Any, recipe: Recipe) -> Any:
    """One step of the meta-optimizer, unless the gradient is to be skipped; the new memory."""
    state.updates += 1
    admitted = recipe.meta_optimizer.admitted(gradient)
    if admitted is None:
        state.skipped += 1
        if state.skipped > recipe.skips:
            norm = float(squared_norm(gradient)) ** 0.5
            raise InputError(
                f"{state.skipped} meta-gradients were not finite, the last at meta-update {state.updates}, of norm "
                f"{norm}; shorten horizon or window, lower the rate, or take such entries as zero; the last checkpoint "
                "is intact"
            )
        return memory
    state.weights, memory = recipe.meta_optimizer.step(state.weights, admitted, memory)
    return memory


def _judge(state: _State, rule: UpdateRule, family: TaskFamily, recipe: Recipe, seed: int) -> None:
    """Evaluate, and do what the curriculum decides."""
    curriculum, stage = recipe.curriculum, state.position.stage
    loss = _loss_after(state, rule, family, recipe, curriculum.judging_horizon(stage), seed)
    state.position, decision = curriculum.observe(state.position, loss)
    state.judgements.append(Judgement(state.epoch, state.updates, stage, loss, decision))
    if decision == "keep":
        state.best = detached(state.weights)
    elif decision == "stop":
        state.is_over = True
    elif decision == "advance":
        state.weights = detached(state.best)
        anew = _loss_after(state, rule, family, recipe, curriculum.judging_horizon(state.position.stage), seed)
        state.position = curriculum.rebased(state.position, anew)


def _loss_after(state: _State, rule: UpdateRule, family: TaskFamily, recipe: Recipe, steps: int, seed: int) -> float:
    """Mean loss after `steps` on fresh tasks, or always the same, on training data."""
    place = 0 if recipe.same_tasks else state.evaluations
    draw = family.draw(recipe.runs, steps, stream(seed, "evaluation", place))
    state.evaluations += 1
    return float(run_rule(rule, family.problem, state.weights, draw, steps, at=(steps,))[0].mean())


def _finished(state: _State, recipe: Recipe) -> bool:
    return state.is_over or state.updates >= recipe.updates


def _fresh(weights: dict[str, Tensor], recipe: Recipe) -> _State:
    start, optimizer = detached(weights), recipe.meta_optimizer
    return _State(start, start, optimizer.begin(start), optimizer.begin(start))


def _saved(state: _State) -> dict[str, Any]:
    return {
        **{name: getattr(state, name) for name in _PLAIN},
        "position": asdict(state.position),
        "judgements": [asdict(judgement) for judgement in state.judgements],
    }


_PLAIN = (
    "weights", "best", "memory", "imitation_memory", "epoch", "updates", "evaluations", "skipped", "is_over"
)  # fmt: skip


def _restored(saved: dict[str, Any]) -> _State:
    return _State(
        **{name: saved[name] for name in _PLAIN},
        position=Position(**saved["position"]),
        judgements=[Judgement(**judgement) for judgement in saved["judgements"]],
    )
