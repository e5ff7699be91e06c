"""Problem: an optimizee f(x; batch), what is known about it, and where a run on it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from torch import Generator, Tensor

Params: TypeAlias = Tensor | dict[str, Tensor]
"""An iterate x, or the meta-parameters of a rule: one tensor or a flat dict of named tensors."""

Batch: TypeAlias = Any
"""What a loss is evaluated on beside x: any tree of tensors (data, or the task itself under vmap), or None."""


@dataclass(frozen=True)
class Constants:
    """Constants of a problem, each None where it is not known.

    Attributes:
        smoothness: L, a Lipschitz constant of the gradient.
        strong_convexity: mu >= 0; 0 for a convex loss, None for one that is not convex.
        minimiser: x* with f(x*) = optimum.
        optimum: f* = inf f.
    """

    smoothness: float | None = None
    strong_convexity: float | None = None
    minimiser: Params | None = None
    optimum: float | None = None


class Problem(Protocol):
    """An optimizee. `loss` is pure, so that torch.func differentiates, vectorises and compiles it.

    Arguments are typed Any so that a problem of tensors alone, or of dicts alone, is one too.
    """

    @property
    def constants(self) -> Constants:
        """What is known about the loss."""
        ...

    def init(self, generator: Generator | None = None) -> Params:
        """A starting point x_0, drawn from `generator` where it is random."""
        ...

    def loss(self, params: Any, batch: Batch = None) -> Tensor:
        """f(x; batch), a scalar, for params like those of `init`."""
        ...
