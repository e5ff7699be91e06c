"""MetaLoss: how the losses along an episode add up to what meta-training makes small.

    sum:    sum_t f(x_t)                final:       f(x_N)
    log:    sum_t ln(f(x_t) + e)        normalised:  sum_t ln(f(x_t)/(f(x_0) + e) + e),   e = 1e-6
    mean:   the sum of every window divided by its number of steps, for windows of unequal length

A window from x_s to x_e has the terms t = s + 1 .. e. With "final" only the last window of an episode has any: the
gradients of all others are 0, and move the weights by the memory of the meta-optimizer alone; take a window as long as
the horizon.

Only values and slopes dL/df(x_t) are needed: with inner gradients held constant the meta-gradient is
sum_t dL/df(x_t) <grad f(x_t), dx_t/dphi>.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from l2o_theory.errors import InputError

_EPS = 1e-6

LossKind = Literal["sum", "mean", "final", "log", "normalised"]
JudgingData = Literal["batches", "training", "validation"]
"""What f is taken on: the minibatch of the step, all training data of the task, or its held-out data."""


@dataclass(frozen=True)
class MetaLoss:
    """One of the five, on one of three kinds of data.

    Attributes:
        kind: see the module; "normalised" is that of L2O-Scale but for its factor 1/K, "mean" that of the step-size
            paper's experiments, whose program has the terms t = s .. e - 1.
        data: see `JudgingData`.

    Raises:
        InputError: another kind, or other data.
    """

    kind: LossKind = "sum"
    data: JudgingData = "batches"

    def __post_init__(self) -> None:
        for name, values in (("kind", get_args(LossKind)), ("data", get_args(JudgingData))):
            if getattr(self, name) not in values:
                raise InputError(f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}")

    def share(self, window: int) -> float:
        """What the terms of a window of so many steps are multiplied by."""
        return 1 / window if self.kind == "mean" else 1.0

    def reads(self, step: int, steps: int) -> bool:
        """Whether f(x_step) matters in an episode of `steps`."""
        return self.kind != "final" or step == steps

    def term(self, losses: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """Value and slope of one step's term for every task.

        Args:
            losses: f(x_t), shape (tasks,).
            first: f(x_0), shape (tasks,).
        """
        if self.kind in ("sum", "mean", "final"):
            return losses, torch.ones_like(losses)
        scale = first + _EPS if self.kind == "normalised" else torch.ones_like(first)
        shifted = losses / scale + _EPS
        return shifted.log(), 1 / (scale * shifted)
