"""SubsetTasks: every task has few samples of its own, noisy labels if asked for, and a split of its own.

Train-by-train judges by all training samples of a task, train-by-validation by the others. Setting of the step-size
paper's neural experiments (Wang et al., ICML 2021, released program).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.objective import Batches
from l2o_theory.metatraining.tasks import Draw, stacked_starts
from l2o_theory.problems.classification import Classification
from l2o_theory.problems.label_noise import with_label_noise
from l2o_theory.problems.problem import Batch


@dataclass(frozen=True, eq=False)
class SubsetTasks:
    """Fresh weights and a fresh subset per task; minibatches run through its training samples in reshuffled epochs.

    Attributes:
        problem: network, and the data that subsets are drawn from.
        training: training samples per task.
        validation: further samples per task, held out; 0 for none.
        size: samples per minibatch; the last few of an epoch that fill none are left out of it.
        noise: rate of label noise, over training and validation samples together, before they are split; drawn for
            every task. The program draws it once, over all data, so that the count in a subset is that in the mean.

    Raises:
        InputError: more samples than there are, or a minibatch larger than the training set.
    """

    problem: Classification
    training: int
    validation: int = 0
    size: int = 32
    noise: float = 0.0

    def __post_init__(self) -> None:
        wanted, present = self.training + self.validation, len(self.problem.data)
        if not 1 <= self.size <= self.training or self.validation < 0 or wanted > present:
            raise InputError(
                f"wanted 1 <= size <= training and training + validation <= {present} samples, got size {self.size}, "
                f"{self.training} and {self.validation}"
            )
        if not 0 <= self.noise <= 1:
            raise InputError(f"the rate of label noise must lie in [0, 1], got {self.noise}")

    def draw(self, tasks: int, steps: int, generator: Generator) -> Draw:
        """See `TaskFamily`; subsets, noise, splits and the order of all minibatches are drawn here."""
        starts = stacked_starts(self.problem, tasks, generator)
        chosen = [self._subset(generator) for _ in range(tasks)]
        rows, labels = (torch.stack(part) for part in zip(*chosen, strict=True))
        order = torch.stack([self._order(steps + 1, generator) for _ in range(tasks)])
        data = self.problem.data
        features = data.features[rows.to(data.labels.device)]
        labels, order = labels.to(data.labels.device), order.to(data.labels.device)
        which = torch.arange(tasks, device=order.device).unsqueeze(1)

        def minibatch(step: int) -> Batch:
            place = order[:, step]
            return {"features": features[which, place], "labels": labels[which, place]}

        def always(part: slice) -> Batches:
            batch = {"features": features[:, part], "labels": labels[:, part]}
            return lambda step: batch

        held_out = always(slice(self.training, None)) if self.validation else None
        return Draw(starts, minibatch, held_out, always(slice(0, self.training)))

    def _subset(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """Rows of the data, training samples first, and their labels."""
        data = self.problem.data
        rows = torch.randperm(len(data), generator=generator)[: self.training + self.validation]
        labels = data.labels.cpu()[rows]
        return rows, with_label_noise(labels, self.noise, data.classes, generator)

    def _order(self, steps: int, generator: Generator) -> Tensor:
        """Training samples of each step's minibatch, shape (steps, size)."""
        each = self.training // self.size
        epochs = [torch.randperm(self.training, generator=generator) for _ in range(-(-steps // each))]
        return torch.cat([epoch[: each * self.size].reshape(each, self.size) for epoch in epochs])[:steps]
