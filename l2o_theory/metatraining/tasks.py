"""Families of tasks: what one episode of meta-training is played on, several tasks side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.objective import Batches
from l2o_theory.metatraining.meta_loss import JudgingData
from l2o_theory.problems.classification import Classification
from l2o_theory.problems.dataset import Dataset
from l2o_theory.problems.problem import Batch, Constants, Params, Problem
from l2o_theory.problems.random_quadratics import RandomQuadratics
from l2o_theory.problems.trees import mapped


@dataclass(frozen=True, eq=False)
class Draw:
    """One episode of `tasks` tasks.

    Attributes:
        starts: x_0 of all tasks, along a first axis of every tensor.
        batches: t -> the batch at x_t of all tasks, along a first axis of every tensor.
        validation: the same on held-out data, where the family has them.
        training: the same on all training data of each task, where the family gives them.
    """

    starts: Params
    batches: Batches
    validation: Batches | None = None
    training: Batches | None = None

    def judging(self, data: JudgingData) -> Batches | None:
        """The data by which iterates are judged; None for the minibatches themselves.

        Raises:
            InputError: the family does not have them.
        """
        found = {"batches": None, "training": self.training, "validation": self.validation}[data]
        if found is None and data != "batches":
            key = {"training": "subset, all training samples of a task", "validation": "held_out"}[data]
            raise InputError(f"the meta-loss is on {data} data, but the family of tasks has none; give it some ({key})")
        return found


class TaskFamily(Protocol):
    """Draws episodes; the same generator state gives the same episode."""

    @property
    def problem(self) -> Problem:
        """The loss that all tasks share; what differs comes in its batch."""
        ...

    def draw(self, tasks: int, steps: int, generator: Generator) -> Draw:
        """Starts, and batches for t = 0..steps."""
        ...


def stacked_starts(problem: Problem, tasks: int, generator: Generator) -> Params:
    """x_0 of every task along a new first axis."""
    starts = [problem.init(generator) for _ in range(tasks)]
    first, *others = starts
    together: Params = mapped(lambda *leaves: torch.stack(leaves), first, *others)
    return together


@dataclass(frozen=True)
class QuadraticTasks:
    """f(x) = |W x - y|^2 with its own (W, y) per task, fixed during the episode.

    Attributes:
        problem: dimension, law of the start, dtype.
    """

    problem: RandomQuadratics

    def draw(self, tasks: int, steps: int, generator: Generator) -> Draw:
        """See `TaskFamily`."""
        task = self.problem.sample(generator, tasks)
        return Draw(stacked_starts(self.problem, tasks, generator), lambda t: task)


@dataclass(frozen=True, eq=False)
class MinibatchTasks:
    """A network on a dataset: fresh weights per task, a fresh minibatch per task and step.

    Attributes:
        problem: network and training data.
        size: samples per minibatch, drawn with replacement.
        held_out: data for a meta-objective on validation data; None if there are none.
    """

    problem: Classification
    size: int
    held_out: Dataset | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"a minibatch needs at least one sample, got size {self.size}")

    def draw(self, tasks: int, steps: int, generator: Generator) -> Draw:
        """See `TaskFamily`; the rows of all minibatches are drawn here, so the order of calls does not matter."""
        starts = stacked_starts(self.problem, tasks, generator)
        training = self._minibatches(self.problem.data, tasks, steps, generator)
        held_out = self.held_out
        validation = None if held_out is None else self._minibatches(held_out, tasks, steps, generator)
        return Draw(starts, training, validation)

    def _minibatches(self, data: Dataset, tasks: int, steps: int, generator: Generator) -> Batches:
        rows = torch.randint(len(data), (steps + 1, tasks, self.size), generator=generator)

        def at(step: int) -> Batch:
            chosen = rows[step].to(data.labels.device)
            return {"features": data.features[chosen], "labels": data.labels[chosen]}

        return at


@dataclass(frozen=True, eq=False)
class _Rescaled:
    """f(c x), the coordinates scaled by c = batch["scale"]."""

    problem: Problem

    @property
    def constants(self) -> Constants:
        return Constants()

    def init(self, generator: Generator | None = None) -> Params:
        return self.problem.init(generator)

    def loss(self, params: Params, batch: Batch = None) -> Tensor:
        return self.problem.loss(mapped(torch.mul, params, batch["scale"]), batch["batch"])


@dataclass(frozen=True, eq=False)
class RandomScaling:
    """Augmentation: f(c x) from x_0/c, with c = exp(U(-width, width)) per coordinate, drawn per episode.

    The loss at the start is unchanged, gradients are multiplied by c.

    Attributes:
        family: whose tasks are rescaled.
        width: 3 in the released code of L2O-Scale.
    """

    family: TaskFamily
    width: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.width < 50:  # exp(50) squared is near the end of the float32 range
            raise InputError(f"width must lie between 0 and 50, got {self.width}")

    @property
    def problem(self) -> Problem:
        """The rescaled loss."""
        return _Rescaled(self.family.problem)

    def draw(self, tasks: int, steps: int, generator: Generator) -> Draw:
        """See `TaskFamily`."""
        draw = self.family.draw(tasks, steps, generator)

        def scale(leaf: Tensor) -> Tensor:
            uniform = torch.rand(leaf.shape, generator=generator, dtype=leaf.dtype).to(leaf.device)
            return torch.exp(self.width * (2 * uniform - 1))

        scales = mapped(scale, draw.starts)

        def beside(batches: Batches) -> Batches:
            return lambda step: {"scale": scales, "batch": batches(step)}

        return Draw(
            mapped(torch.div, draw.starts, scales),
            beside(draw.batches),
            None if draw.validation is None else beside(draw.validation),
            None if draw.training is None else beside(draw.training),
        )
