"""Quadratic: f(x) = 1/2 (x - x*)^T A (x - x*), A given by its eigenvalues or as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.problems.arguments import parse_real
from l2o_theory.problems.draws import normal
from l2o_theory.problems.problem import Constants


@dataclass(frozen=True, eq=False)
class Quadratic:
    """f(x) = 1/2 (x - x*)^T A (x - x*) with A symmetric positive semidefinite.

    Args:
        curvature: the eigenvalues of a diagonal A, shape (d,), or A itself, shape (d, d).
        start: x_0, shape (d,); a standard normal draw if None.
        minimiser: x*, shape (d,); the origin if None.

    Raises:
        InputError: a shape that does not fit, entries that are not finite, A not symmetric, a negative eigenvalue.

    Example:
        >>> problem = Quadratic([1.0, 0.1], start=[1.0, 2.0])
        >>> problem.loss(problem.init())
        tensor(0.7000, dtype=torch.float64)
        >>> problem.constants.smoothness, problem.constants.strong_convexity
        (1.0, 0.1)
    """

    curvature: Tensor | Sequence[float]
    start: Tensor | Sequence[float] | None = None
    minimiser: Tensor | Sequence[float] | None = None

    def __post_init__(self) -> None:
        curvature = parse_real(self.curvature, "curvature")
        if curvature.ndim not in (1, 2) or curvature.shape[0] != curvature.shape[-1]:
            raise InputError(f"curvature must have shape (d,) or (d, d), got {tuple(curvature.shape)}; reshape it")
        if curvature.ndim == 2 and not torch.equal(curvature, curvature.mT):
            raise InputError("curvature must be symmetric; pass (A + A.T)/2, which gives the same loss")
        object.__setattr__(self, "curvature", curvature)
        size = curvature.shape[:1]
        for name in ("start", "minimiser"):
            value = getattr(self, name)
            if value is not None:
                vector = parse_real(value, name).to(curvature)
                if vector.shape != size:
                    raise InputError(f"{name} must have shape {tuple(size)}, got {tuple(vector.shape)}; reshape it")
                object.__setattr__(self, name, vector)
        if self.eigenvalues[0] < -1e-12 * self.eigenvalues[-1].abs():  # rounding of eigvalsh for a singular A
            raise InputError(f"curvature must be positive semidefinite, got eigenvalue {float(self.eigenvalues[0]):g}")

    @cached_property
    def eigenvalues(self) -> Tensor:
        """Eigenvalues of A in ascending order, shape (d,)."""
        curvature = parse_real(self.curvature, "curvature")
        return curvature.sort().values if curvature.ndim == 1 else torch.linalg.eigvalsh(curvature)

    @property
    def constants(self) -> Constants:
        """L and mu, the extreme eigenvalues; x*; f* = 0."""
        least = max(float(self.eigenvalues[0]), 0.0)
        return Constants(float(self.eigenvalues[-1]), least, self._minimiser(), 0.0)

    def init(self, generator: Generator | None = None) -> Tensor:
        """x_0: the given start, or a standard normal draw."""
        if isinstance(self.start, Tensor):
            return self.start.clone()
        like = self.eigenvalues
        return normal(like.shape, generator, like.dtype, like.device)

    def loss(self, params: Tensor, batch: Tensor | None = None) -> Tensor:
        """f(x), with the curvature `batch` (shape (d,) or (d, d)) in place of A where one is given.

        A curvature per step makes random quadratics of it, one per task under vmap a family of tasks.
        """
        curvature = self.curvature if batch is None else batch
        assert isinstance(curvature, Tensor)
        distance = params if self.minimiser is None else params - self._minimiser()
        image = curvature * distance if curvature.ndim == 1 else curvature @ distance
        return 0.5 * (distance * image).sum()

    def _minimiser(self) -> Tensor:
        return self.minimiser if isinstance(self.minimiser, Tensor) else torch.zeros_like(self.eigenvalues)
