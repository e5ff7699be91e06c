"""MetaGradient: what every estimator returns, with the numbers by which one judges whether to believe it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import registered, tensors


def sizes(trees: Sequence[object]) -> Tensor:
    """Largest absolute entry of each tree (detached, one structure), NaN if it holds one. Shape (len(trees),)."""
    columns = zip(*[tensors(tree) for tree in trees], strict=True)
    stacked = (torch.stack(column) for column in columns)
    rows = (leaf.reshape(leaf.shape[0], -1) for leaf in stacked)
    return torch.stack([torch.linalg.vector_norm(leaf, ord=math.inf, dim=1) for leaf in rows]).amax(0)


def first_exit(values: Tensor) -> Tensor:
    """Index along the last axis of the first entry that is infinite or NaN, -1 where all are finite."""
    outside = ~values.isfinite()
    return torch.where(outside.any(-1), outside.int().argmax(-1), -1)


@registered()
@dataclass(frozen=True)
class Diagnostics:
    """Numbers of the N inner steps; under vmap each has the axis of the tasks in front.

    Attributes:
        losses: f(x_1), ..., f(x_N) of the problem that is descended. Shape (N,).
        iterate_sizes: largest absolute entry of x_1, ..., x_N. Shape (N,).
        gradient_sizes: largest absolute entry of g_0, ..., g_{N-1}. Shape (N,).
    """

    losses: Tensor
    iterate_sizes: Tensor
    gradient_sizes: Tensor

    @property
    def finite(self) -> Tensor:
        """Whether step t = 1..N left loss, iterate and the gradient it used finite. Shape (N,), bool."""
        return self.losses.isfinite() & self.iterate_sizes.isfinite() & self.gradient_sizes.isfinite()

    @property
    def loss_left(self) -> Tensor:
        """The first t in 1..N with f(x_t) outside the float range, 0 where there is none."""
        return first_exit(self.losses) + 1

    @property
    def iterate_left(self) -> Tensor:
        """The first t in 1..N with x_t outside the float range, 0 where there is none."""
        return first_exit(self.iterate_sizes) + 1

    @property
    def gradient_left(self) -> Tensor:
        """The first t in 0..N-1 with g_t outside the float range, -1 where there is none."""
        return first_exit(self.gradient_sizes)


@registered("estimates", "unconnected")
@dataclass(frozen=True)
class MetaGradient:
    """An estimate of the derivative of a meta-objective in the meta-parameters.

    Attributes:
        value: the meta-objective, or what the estimator puts in its place.
        gradient: the estimate, with the structure of `meta`.
        diagnostics: numbers of the inner steps.
        standard_error: of each entry of `gradient`, for the estimators that draw samples; None for the others.
        estimates: in words, what `gradient` is.
        unconnected: names of meta-parameters that the value does not depend on; their entries are 0.
    """

    value: Tensor
    gradient: Params
    diagnostics: Diagnostics
    standard_error: Params | None = None
    estimates: str = ""
    unconnected: tuple[str, ...] = ()

    @property
    def norm(self) -> Tensor:
        """Euclidean norm of the gradient."""
        norms = torch.stack([torch.linalg.vector_norm(leaf) for leaf in tensors(self.gradient)])
        return torch.sqrt((norms**2).sum())

    def require_finite(self) -> MetaGradient:
        """Return self.

        Raises:
            InputError: the value or an entry of the gradient is infinite or NaN; the message says what left the
                float range first, and at which step.
        """
        if all(bool(leaf.isfinite().all()) for leaf in (self.value, *tensors(self.gradient))):
            return self
        raise InputError(f"the meta-gradient is not finite: {self.where_it_left()}")

    def where_it_left(self) -> str:
        """In words, what left the float range, and at which step (of one task; not under vmap)."""
        run = self.diagnostics
        found = [("loss", run.loss_left.item(), 0), ("iterate", run.iterate_left.item(), 0)]
        found.append(("inner gradient", run.gradient_left.item(), -1))
        left = [f"the {name} left the float range at x_{step}" for name, step, never in found if step != never]
        if left:
            return "; ".join(left) + "; shorten the horizon, lower the step size, or use log_renormalised"
        return (
            "all losses, iterates and inner gradients are finite, so the derivative itself left the float range; "
            "look for a sqrt or a division at 0, shorten the horizon, or use log_renormalised"
        )
