"""Meta-training of a learned optimizer: episodes cut into windows, one meta-update per window, best weights kept.

    epoch e = 1, 2, ...: a fresh episode of N_i steps on fresh tasks; per window of K steps one meta-update of phi, with
    iterate and state carried on, detached. Every `period` epochs the loss after N_{i+1} steps judges the weights.

Source of the procedure: the released code of Chen et al., NeurIPS 2020, arXiv 2010.09089.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metatraining.checkpoint import digest, load_checkpoint, printed, prints_nothing, save_checkpoint
from l2o_theory.metatraining.episodes import Episode, Lessons, begin_descent
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.observer import Judgement, MetaUpdate, Observer, WindowKind
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.tasks import TaskFamily
from l2o_theory.metatraining.training_state import TrainingState
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.trees import detached, squared_norm

Progress = Callable[[int, int], None]
"""Called with (meta-updates done, meta-updates in all)."""

_PURPOSES = ("kind", "episode", "evaluation", "lengths", "perturbations", "test", "tuning")  # one stream per index
_PATIENCE = 30.0  # seconds of work that a kill may cost, where epochs are long


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
    observers: Sequence[Observer] = (),
) -> MetaTrained:
    """Train from `weights`; with `checkpoint`, continue what that file holds, to the same numbers.

    Args:
        rule: the learned optimizer.
        family: tasks to train on.
        weights: phi to start from, such as rule.meta(generator).
        recipe: how.
        seed: of everything random.
        checkpoint: a file, written whole or not at all, every `checkpoint_every` epochs and at least twice a minute
            unless a single epoch takes longer.
        checkpoint_every: epochs between two writes, at most.
        progress: told after each epoch.
        observers: told of every meta-update and evaluation.

    Raises:
        InputError: too many meta-gradients that are not finite, a teacher that diverges, a loss on data that the
            family lacks, or a checkpoint of another run.
        StoreError: a checkpoint that cannot be read or written.
    """
    identity = _identity(rule, family, weights, recipe, seed)
    state = TrainingState.fresh(weights, recipe)
    if checkpoint is not None and (saved := load_checkpoint(checkpoint, identity)) is not None:
        state = TrainingState.restored(saved, next(iter(weights.values())).device)
    run = _Run(rule, family, recipe, seed, state, observers)
    for observer in observers:
        observer.begin(state.updates, tuple(state.judgements))
    written = time.monotonic()
    while not run.is_finished:
        run.epoch()
        is_due = state.epoch % checkpoint_every == 0 or time.monotonic() - written > _PATIENCE
        if checkpoint is not None and (is_due or run.is_finished):
            for observer in observers:
                observer.flush()
            save_checkpoint(checkpoint, identity, state.saved())
            written = time.monotonic()
        if progress is not None:
            progress(state.updates, recipe.updates)
    return MetaTrained(state.result, tuple(state.judgements), state.updates, state.position.stage, state.skipped)


@dataclass(frozen=True, eq=False)
class _Run:
    """What an epoch needs, and the state that it changes."""

    rule: UpdateRule
    family: TaskFamily
    recipe: Recipe
    seed: int
    state: TrainingState
    observers: Sequence[Observer]

    @property
    def is_finished(self) -> bool:
        return self.state.is_over or self.state.updates >= self.recipe.updates

    def epoch(self) -> None:
        """One episode, then perhaps an evaluation."""
        state, recipe = self.state, self.recipe
        ends = recipe.window_ends(state.position.stage, stream(self.seed, "lengths", state.epoch))
        kind, episode = self._begun(ends[-1])
        for last in ends:
            if state.updates >= recipe.updates:
                break
            value, gradient = episode.window(state.weights, last)
            self._update(kind, last, value, gradient)
            if episode.is_lost:
                break
        state.epoch += 1
        if state.epoch % recipe.curriculum.period == 0:
            self._judge()

    def _begun(self, steps: int) -> tuple[WindowKind, Episode]:
        """An episode of `steps` on fresh tasks, of imitation by chance."""
        state, recipe, problem = self.state, self.recipe, self.family.problem
        draw = self.family.draw(recipe.tasks, steps, stream(self.seed, "episode", state.epoch))
        imitation = recipe.imitation
        chance = float(torch.rand((), generator=stream(self.seed, "kind", state.epoch)))
        if imitation is not None and chance < imitation.share(state.position.stage):
            teacher = imitation.teachers[state.epoch % len(imitation.teachers)]
            return "imitate", Lessons(self.rule, problem, teacher, draw)
        noise = stream(self.seed, "perturbations", state.epoch)
        return "descend", begin_descent(self.rule, problem, state.weights, recipe, draw, steps, noise)

    def _update(self, kind: WindowKind, step: int, value: Tensor, gradient: dict[str, Tensor]) -> None:
        """One step of the meta-optimizer, unless the gradient is to be skipped."""
        state, optimizer = self.state, self.recipe.meta_optimizer
        state.updates += 1
        admitted = optimizer.admitted(gradient)
        if admitted is None:
            state.skipped += 1
            if state.skipped > self.recipe.skips:
                norm = float(squared_norm(gradient)) ** 0.5
                raise InputError(
                    f"{state.skipped} meta-gradients were not finite, the last at meta-update {state.updates}, of norm "
                    f"{norm}; shorten horizon or window, lower the rate, or take such entries as zero; what was "
                    "checkpointed is intact"
                )
        elif kind == "imitate":
            state.weights, state.imitation_memory = optimizer.step(state.weights, admitted, state.imitation_memory)
        else:
            state.weights, state.memory = optimizer.step(state.weights, admitted, state.memory)
        if self.observers:
            norm, stage = float(squared_norm(gradient)) ** 0.5, state.position.stage
            is_skipped = admitted is None
            update = MetaUpdate(state.updates, state.epoch + 1, stage, step, kind, float(value), norm, is_skipped)
            for observer in self.observers:
                observer.updated(update)

    def _judge(self) -> None:
        """Evaluate, and do what the curriculum decides."""
        state, curriculum = self.state, self.recipe.curriculum
        stage, steps = state.position.stage, curriculum.judging_horizon(state.position.stage)
        loss = self._loss_after(steps)
        state.position, decision = curriculum.observe(state.position, loss)
        judgement = Judgement(state.epoch, state.updates, stage, loss, decision)
        state.judgements.append(judgement)
        for observer in self.observers:
            observer.judged(judgement, steps)
        if decision == "keep":
            state.best = detached(state.weights)
        elif decision == "stop":
            state.is_over = True
        elif decision == "advance":
            state.weights = detached(state.best)
            anew = self._loss_after(curriculum.judging_horizon(state.position.stage))
            state.position = curriculum.rebased(state.position, anew)

    def _loss_after(self, steps: int) -> float:
        """Mean loss after `steps` on fresh tasks, or always the same, on training data."""
        state = self.state
        place = 0 if self.recipe.same_tasks else state.evaluations
        draw = self.family.draw(self.recipe.runs, steps, stream(self.seed, "evaluation", place))
        state.evaluations += 1
        return float(run_rule(self.rule, self.family.problem, state.weights, draw, steps, at=(steps,))[0].mean())


def _identity(
    rule: UpdateRule, family: TaskFamily, weights: dict[str, Tensor], recipe: Recipe, seed: int
) -> Mapping[str, str]:
    """Everything that decides the numbers, part by part, so that a checkpoint can say in what it differs."""
    first = next(iter(weights.values()))
    parts: dict[str, Any] = {
        "rule": printed(rule),
        "dtype": first.dtype,
        "device": first.device,
        "seed": seed,
        "first weights": digest(weights),
        "tasks": digest(family),
    }
    for name, value in getattr(rule, "__dict__", {}).items():
        if prints_nothing(rule) or isinstance(value, Tensor):  # of a tensor four digits are printed
            parts[f"rule's {name}"] = digest(value)
    return {**{name: str(part) for name, part in parts.items()}, **recipe.description}
