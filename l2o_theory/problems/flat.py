"""Flat: a problem with its parameters in one vector, where a coordinatewise rule runs one kernel per operation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from l2o_theory.problems.problem import Batch, Constants, Params, Problem
from l2o_theory.problems.trees import mapped, tensors


@dataclass(frozen=True)
class Flat:
    """f(unravel(v)) for a vector v. Shape (p,), p the number of parameters.

    Rules that treat all coordinates alike take the same steps on both; rules that look at whole tensors do not.

    Attributes:
        problem: the problem with parameters in any structure.
        like: parameters of that structure; only shapes matter.

    Example:
        >>> class Sum:
        ...     def loss(self, params, batch=None):
        ...         return params["a"].sum() + params["b"]
        >>> flat = Flat(Sum(), {"a": torch.zeros(2), "b": torch.zeros(())})
        >>> flat.loss(flat.ravel({"a": torch.ones(2), "b": torch.tensor(3.0)}))
        tensor(5.)
    """

    problem: Problem
    like: Params

    @property
    def constants(self) -> Constants:
        """Those of the problem, the minimiser as a vector."""
        known = self.problem.constants
        minimiser = None if known.minimiser is None else self.ravel(known.minimiser)
        return Constants(known.smoothness, known.strong_convexity, minimiser, known.optimum)

    def ravel(self, params: Params) -> Tensor:
        """All entries in the order of the structure. Shape (p,)."""
        return torch.cat([leaf.reshape(-1) for leaf in tensors(params)])

    def unravel(self, vector: Tensor) -> Params:
        """The vector in the structure of `like`, as views."""
        parts = torch.split(vector, [shape.numel() for shape in self._shapes])
        views = iter([part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)])
        params: Params = mapped(lambda leaf: next(views), self.like)
        return params

    @cached_property
    def _shapes(self) -> list[torch.Size]:
        return [leaf.shape for leaf in tensors(self.like)]

    def init(self, generator: Generator | None = None) -> Tensor:
        """A starting point of the problem, as a vector."""
        return self.ravel(self.problem.init(generator))

    def loss(self, params: Params, batch: Batch = None) -> Tensor:
        """f(unravel(v); batch), a scalar."""
        assert isinstance(params, Tensor)
        return self.problem.loss(self.unravel(params), batch)
