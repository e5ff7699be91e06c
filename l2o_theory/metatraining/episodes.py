"""Episodes of meta-training, window by window: descent by back-propagation, descent by sampling, imitation."""

from __future__ import annotations

from typing import Protocol

from torch import Generator, Tensor

from l2o_theory.metatraining.imitation import Teacher, begin_lesson, imitate
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.sampled_windows import SampledWindows
from l2o_theory.metatraining.tasks import Draw
from l2o_theory.metatraining.window import advance, begin
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Problem
from l2o_theory.problems.trees import tensors


class Episode(Protocol):
    """Windows of one episode, in turn."""

    def window(self, weights: dict[str, Tensor], last: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Value and meta-gradient of the window that ends at step `last`."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether the tasks have left the float range, so that nothing is to be learned from the rest."""
        ...


class Descent:
    """The meta-loss of the optimizer's own run, by back-propagation."""

    def __init__(self, rule: UpdateRule, problem: Problem, recipe: Recipe, draw: Draw, steps: int) -> None:
        self._rule, self._problem, self._recipe, self._draw, self._steps = rule, problem, recipe, draw, steps
        self._judging = draw.judging(recipe.loss.data)
        self._standing = begin(rule, problem, draw.starts, draw.batches(0))

    def window(self, weights: dict[str, Tensor], last: int) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Episode`."""
        found = advance(
            self._rule, self._problem, weights, self._standing, last, self._draw.batches,
            steps=self._steps, loss=self._recipe.loss, judging=self._judging, order=self._recipe.order,
        )  # fmt: skip
        self._standing = found.standing
        return found.value, found.gradient

    @property
    def is_lost(self) -> bool:
        """See `Episode`."""
        return not all(bool(leaf.isfinite().all()) for leaf in tensors(self._standing.params))


class Lessons:
    """The distance to a teacher's steps."""

    is_lost = False  # a teacher that leaves the float range is an error

    def __init__(self, rule: UpdateRule, problem: Problem, teacher: Teacher, draw: Draw) -> None:
        self._rule, self._problem, self._teacher, self._draw = rule, problem, teacher, draw
        self._lesson = begin_lesson(rule, teacher, draw.starts)

    def window(self, weights: dict[str, Tensor], last: int) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Episode`."""
        value, gradient, self._lesson = imitate(
            self._rule, self._problem, weights, self._teacher, self._lesson, last, self._draw.batches
        )
        return value, gradient


def begin_descent(
    rule: UpdateRule,
    problem: Problem,
    weights: dict[str, Tensor],
    recipe: Recipe,
    draw: Draw,
    steps: int,
    generator: Generator,
) -> Episode:
    """The episode of descent that a recipe asks for; `generator` perturbs the weights where it samples."""
    if recipe.evolution is None:
        return Descent(rule, problem, recipe, draw, steps)
    return SampledWindows(rule, problem, weights, recipe.evolution, recipe.loss, draw, steps, generator)
