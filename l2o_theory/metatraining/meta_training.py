"""Meta-training of a learned optimizer: episodes cut into windows, one meta-update per window, best weights kept.

    epoch e = 1, 2, ...: a fresh episode of N_i steps on fresh tasks; per window of K steps one Adam step on phi, with
    iterate and state carried on, detached. Every `period` epochs the loss after N_{i+1} steps judges the weights.

Source of the procedure: the released code of Chen et al., NeurIPS 2020, arXiv 2010.09089.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metatraining.checkpoint import digest, load_checkpoint, save_checkpoint
from l2o_theory.metatraining.curriculum import Curriculum, Decision, Position
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.imitation import Imitation, begin_lesson, imitate
from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.metatraining.tasks import Draw, TaskFamily
from l2o_theory.metatraining.window import advance, begin
from l2o_theory.optimizers.adam import Adam
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.trees import detached, squared_norm, tensors

Progress = Callable[[int, int], None]
"""Called with (meta-updates done, meta-updates in all)."""

_PURPOSES = ("kind", "episode", "evaluation")  # streams of random numbers, one per purpose and index


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to meta-train.

    Attributes:
        curriculum: horizons and when to move on; one horizon is plain training.
        updates: meta-updates at most.
        tasks: tasks per episode, side by side.
        window: K, steps of back-propagation per meta-update.
        rate: of the meta-optimizer Adam.
        loss: what a window minimises.
        order: 1 holds inner gradients constant.
        runs: tasks per evaluation.
        same_tasks: whether every evaluation is on the same tasks, so that two differ by the weights alone. Fresh ones,
            as in the released code, make a stage end by chance where tasks differ much, as random quadratics do.
        imitation: epochs that imitate a teacher, if any; they have an Adam of their own.
        clip: largest absolute entry of a meta-gradient; None for no limit.
        skips: meta-gradients that may be infinite or NaN (and are skipped) before training gives up.

    Raises:
        InputError: a number below 1, or a rate or clip that is not positive.
    """

    curriculum: Curriculum
    updates: int
    tasks: int = 8
    window: int = 20
    rate: float = 1e-3
    loss: MetaLoss = field(default_factory=MetaLoss)
    order: Literal[1, 2] = 1
    runs: int = 20
    same_tasks: bool = False
    imitation: Imitation | None = None
    clip: float | None = None
    skips: int = 20

    def __post_init__(self) -> None:
        for name in ("updates", "tasks", "window", "runs", "skips"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not 0 < self.rate < float("inf") or (self.clip is not None and not self.clip > 0):
            raise InputError(f"rate and clip must be positive, got {self.rate} and {self.clip}")


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
        InputError: too many meta-gradients that are not finite, a teacher that diverges, a loss on held-out data that
            the family lacks, or a checkpoint of another run.
        StoreError: a checkpoint that cannot be read or written.
    """
    key = digest(weights, repr(rule), _described(recipe), repr(family), seed)
    state = _fresh(weights)
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
    steps = recipe.curriculum.horizons[state.position.stage]
    draw = family.draw(recipe.tasks, steps, stream(seed, "episode", state.epoch))
    imitation = recipe.imitation
    chance = float(torch.rand((), generator=stream(seed, "kind", state.epoch)))
    if imitation is not None and chance < imitation.share(state.position.stage):
        _imitate(state, rule, family, recipe, imitation, draw, steps)
    else:
        _descend(state, rule, family, recipe, draw, steps)
    state.epoch += 1
    if state.epoch % recipe.curriculum.period == 0 and state.updates > 0:
        _judge(state, rule, family, recipe, seed)


def _descend(state: _State, rule: UpdateRule, family: TaskFamily, recipe: Recipe, draw: Draw, steps: int) -> None:
    """Windows of descent on the meta-loss."""
    validation = draw.validation if recipe.loss.on_validation else None
    if recipe.loss.on_validation and validation is None:
        raise InputError("the meta-loss is on validation data, but the family has none; give it held_out data")
    standing = begin(rule, family.problem, draw.starts, draw.batches(0))
    while standing.step < steps and state.updates < recipe.updates:
        found = advance(
            rule, family.problem, state.weights, standing, min(standing.step + recipe.window, steps), draw.batches,
            steps=steps, loss=recipe.loss, validation=validation, order=recipe.order,
        )  # fmt: skip
        standing = found.standing
        state.memory = _update(state, found.gradient, state.memory, recipe)
        if not all(bool(leaf.isfinite().all()) for leaf in tensors(standing.params)):
            return  # the tasks have left the float range; nothing is to be learned from the rest of the episode


def _imitate(
    state: _State, rule: UpdateRule, family: TaskFamily, recipe: Recipe, imitation: Imitation, draw: Draw, steps: int
) -> None:
    """Windows of imitation, with a meta-optimizer of their own."""
    teacher = imitation.teachers[state.epoch % len(imitation.teachers)]
    lesson = begin_lesson(rule, teacher, draw.starts)
    while lesson.step < steps and state.updates < recipe.updates:
        last = min(lesson.step + recipe.window, steps)
        _, gradient, lesson = imitate(rule, family.problem, state.weights, teacher, lesson, last, draw.batches)
        state.imitation_memory = _update(state, gradient, state.imitation_memory, recipe)


def _update(state: _State, gradient: dict[str, Tensor], memory: Any, recipe: Recipe) -> Any:
    """One Adam step on the weights, unless the gradient is not finite; the new memory."""
    state.updates += 1
    norm = float(squared_norm(gradient)) ** 0.5
    if not norm < float("inf"):
        state.skipped += 1
        if state.skipped > recipe.skips:
            raise InputError(
                f"{state.skipped} meta-gradients were not finite, the last at meta-update {state.updates}, of norm "
                f"{norm}; shorten horizon or window, lower the rate, or set clip; the last checkpoint is intact"
            )
        return memory
    if recipe.clip is not None:
        limit = recipe.clip
        gradient = {name: part.clamp(-limit, limit) for name, part in gradient.items()}
    first = next(iter(state.weights.values()))
    meta = Adam().meta(recipe.rate, dtype=first.dtype, device=first.device)
    moved, memory = Adam().update(state.weights, gradient, memory, meta)
    assert isinstance(moved, dict)
    state.weights = moved
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


def _fresh(weights: dict[str, Tensor]) -> _State:
    start = detached(weights)
    return _State(start, start, Adam().init(start), Adam().init(start))


def _described(recipe: Recipe) -> str:
    """Everything of the recipe, with teachers by their rule and numbers."""
    teachers = [] if recipe.imitation is None else recipe.imitation.teachers
    shares = None if recipe.imitation is None else recipe.imitation.probability
    told = [(repr(t.rule), {n: v.tolist() for n, v in t.meta.items()}) for t in teachers]
    return repr((replace(recipe, imitation=None), told, shares))


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
