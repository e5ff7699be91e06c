"""MetaObjective: which number of a trajectory the meta-parameters are to make small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.problems.problem import Batch, Problem

Batches: TypeAlias = Callable[[int], Batch]
"""t -> the batch on which f(x_t) and the gradient at x_t are evaluated, t = 0, 1, ..., N."""

Kind: TypeAlias = Literal["sum", "mean", "final", "log_final"]


def batch_at(batches: Batches | None, step: int) -> Batch:
    """The batch of x_t, None where there are none."""
    return None if batches is None else batches(step)


@dataclass(frozen=True)
class MetaObjective:
    """A number of the losses f(x_1), ..., f(x_N) of an unroll.

    Attributes:
        kind: "sum": sum_t w_t f(x_t); "mean": the same divided by N; "final": f(x_N); "log_final": log f(x_N).
        weights: w_1, ..., w_N, one each where None; only for "sum" and "mean". Losses of weight 0 are not read.
        problem: judge the iterates by this problem instead of the one that is descended (a validation loss).
        batches: batches to judge them by, instead of those of the descent.

    Raises:
        InputError: an unknown kind, or weights for a kind that has none.

    Example:
        >>> losses = [torch.tensor(4.0), torch.tensor(1.0)]
        >>> MetaObjective().value(losses), MetaObjective("final").value(losses)
        (tensor(5.), tensor(1.))
    """

    kind: Kind = "sum"
    weights: Sequence[float] | None = None
    problem: Problem | None = None
    batches: Batches | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("sum", "mean", "final", "log_final"):
            raise InputError(f"kind must be sum, mean, final or log_final, got {self.kind!r}")
        if self.weights is not None and self.kind not in ("sum", "mean"):
            raise InputError(f"weights belong to the kinds sum and mean; leave them out for {self.kind!r}")

    @property
    def is_validation(self) -> bool:
        """Whether other losses than those of the descent are read."""
        return self.problem is not None or self.batches is not None

    def reads(self, step: int, steps: int) -> bool:
        """Whether f(x_step) matters, 1 <= step <= steps."""
        if self.kind in ("final", "log_final"):
            return step == steps
        return self.weights is None or self.weights[step - 1] != 0

    def check(self, steps: int) -> None:
        """Raise InputError unless there is one weight per step and one of them is not 0."""
        if self.weights is None:
            return
        if len(self.weights) != steps:
            raise InputError(f"weights must hold one number for each of the {steps} steps, got {len(self.weights)}")
        if not any(self.weights):
            raise InputError("all weights are 0, so nothing is minimised; give at least one other number")

    def value(self, losses: Sequence[Tensor]) -> Tensor:
        """The number itself, differentiable in the losses that it reads; losses[t - 1] = f(x_t), t = 1..N."""
        return self.share(losses, 0, len(losses))

    def share(self, losses: Sequence[Tensor], before: int, steps: int) -> Tensor:
        """What f(x_s+1), ..., f(x_s+k), s = before, contribute to the number for N = steps; 0 if nothing is read.

        The shares of the windows of an episode add up to `value`.
        """
        read = [(t, loss) for t, loss in enumerate(losses, before + 1) if self.reads(t, steps)]
        if not read:
            return torch.zeros_like(losses[0].detach())
        if self.kind in ("final", "log_final"):
            return read[0][1] if self.kind == "final" else read[0][1].log()
        terms = (loss if self.weights is None else self.weights[t - 1] * loss for t, loss in read)
        # one after the other: autograd then needs no graph node that waits for all losses, which is faster
        total = reduce(torch.add, terms)
        return total if self.kind == "sum" else total / steps


SUM = MetaObjective()
"""f(x_1) + ... + f(x_N), the default."""
