"""MetaLoss: how the losses along an episode add up to what meta-training makes small.

    sum:    sum_t f(x_t)                final:       f(x_N)
    log:    sum_t ln(f(x_t) + e)        normalised:  sum_t ln(f(x_t)/(f(x_0) + e) + e),   e = 1e-6

Only values and slopes dL/df(x_t) are needed: with inner gradients held constant the meta-gradient is
sum_t dL/df(x_t) <grad f(x_t), dx_t/dphi>.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from l2o_theory.errors import InputError

_EPS = 1e-6

LossKind = Literal["sum", "final", "log", "normalised"]


@dataclass(frozen=True)
class MetaLoss:
    """One of the four, on training or on held-out batches.

    Attributes:
        kind: see the module; "normalised" is that of L2O-Scale.
        on_validation: judge the iterates by the family's held-out batches.
    """

    kind: LossKind = "sum"
    on_validation: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("sum", "final", "log", "normalised"):
            raise InputError(f"kind must be sum, final, log or normalised, got {self.kind!r}")

    def reads(self, step: int, steps: int) -> bool:
        """Whether f(x_step) matters in an episode of `steps`."""
        return self.kind != "final" or step == steps

    def term(self, losses: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """Value and slope of one step's term for every task.

        Args:
            losses: f(x_t), shape (tasks,).
            first: f(x_0), shape (tasks,).
        """
        if self.kind in ("sum", "final"):
            return losses, torch.ones_like(losses)
        scale = first + _EPS if self.kind == "normalised" else torch.ones_like(first)
        shifted = losses / scale + _EPS
        return shifted.log(), 1 / (scale * shifted)
