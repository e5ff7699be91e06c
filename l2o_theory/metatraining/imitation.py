"""Imitation: the optimizer learns to repeat the steps of a teacher along the teacher's own trajectory (off-policy).

    input_t = grad f(x_t),  label_t = x_{t+1} - x_t  of the teacher;  d_t = the student's step on that input
    loss of a window = sum_t 1/2 |d_t - label_t|^2 / p,   p = number of optimizee coordinates

The student keeps a state of its own, the iterate never moves by its steps. Source: the released code of Chen et al.,
NeurIPS 2020, arXiv 2010.09089, which imitates in a share of the epochs in place of descending.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.objective import Batches
from l2o_theory.metagradients.reverse import collected
from l2o_theory.metagradients.trajectory import as_leaves
from l2o_theory.metatraining.window import losses_and_gradients, started, stepped
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import detached, mapped, squared_norm, tensors


@dataclass(frozen=True, eq=False)
class Teacher:
    """A rule to be imitated, with its hyper-parameters (`rule.meta(...)`)."""

    rule: UpdateRule
    meta: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Imitation:
    """When to imitate, and whom.

    Attributes:
        teachers: epoch e = 0, 1, ..., if it imitates, has teacher e mod their number.
        probability: that an epoch imitates, for stage 0, 1, ...; the last holds for all later stages.

    Raises:
        InputError: no teacher, no probability, or one outside [0, 1].
    """

    teachers: tuple[Teacher, ...]
    probability: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.teachers or not self.probability or not all(0 <= p <= 1 for p in self.probability):
            raise InputError(
                f"wanted teachers and probabilities in [0, 1], one per stage, got {len(self.teachers)} teachers and "
                f"{self.probability}"
            )

    def share(self, stage: int) -> float:
        """The probability in this stage."""
        return self.probability[min(stage, len(self.probability) - 1)]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Where teacher and student stand; every tensor has the tasks along its first axis."""

    params: Params
    teacher_state: State
    student_state: State
    step: int


def begin_lesson(rule: UpdateRule, teacher: Teacher, starts: Params) -> Lesson:
    """x_0 with a fresh teacher and a fresh student."""
    params = detached(starts)
    return Lesson(params, started(teacher.rule, params), started(rule, params), 0)


def imitate(
    rule: UpdateRule,
    problem: Problem,
    meta: dict[str, Tensor],
    teacher: Teacher,
    lesson: Lesson,
    last: int,
    batches: Batches,
) -> tuple[Tensor, dict[str, Tensor], Lesson]:
    """One window: its loss (mean over tasks), the derivative in the student's weights, and where both stand now.

    Raises:
        InputError: the teacher left the float range, with the step.
    """
    phi = as_leaves(meta)
    params, told, state = lesson.params, lesson.teacher_state, lesson.student_state
    count = sum(leaf[0].numel() for leaf in tensors(params))
    terms = []
    for step in range(lesson.step, last):
        _, gradients = losses_and_gradients(problem, params, batches(step), connected=False)
        with torch.no_grad():
            after, told = stepped(teacher.rule, params, gradients, told, teacher.meta)
        if not all(bool(leaf.isfinite().all()) for leaf in tensors(after)):
            name = type(teacher.rule).__name__
            raise InputError(f"the teacher {name} left the float range at step {step + 1}; lower its step size")
        with torch.enable_grad():
            moved, state = stepped(rule, params, gradients, state, phi)
            terms.append(squared_norm(mapped(torch.sub, moved, after)) / (2 * count))
        params = after
    tasks = len(tensors(params)[0])
    total = torch.stack(terms).sum() / tasks
    gradient, _ = collected(phi, torch.autograd.grad(total, tensors(phi), allow_unused=True))
    assert isinstance(gradient, dict)
    return total.detach(), detached(gradient), Lesson(params, told, detached(state), last)
