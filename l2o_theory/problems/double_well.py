"""The double well x^4/2 - x^2/2, on which gradient descent with step size 2 is chaotic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.problems.problem import Constants


@dataclass(frozen=True)
class DoubleWell:
    """f(x) = sum_i x_i^4/2 - x_i^2/2; minimisers +-1/sqrt(2), f* = -d/8. No global L, not convex.

    Gradient descent with step size 2 is x' = 3 x - 4 x^3: from x_0 = cos(angle), x_t = (-1)^t cos(3^t angle), bounded,
    while derivatives grow like 3^t   [derived here].

    Attributes:
        angle: x_0 = cos(angle); drawn uniformly from (0, pi), its invariant law, if None.
        dimension: d >= 1.
        dtype, device: of the start.
    """

    angle: float | None = 1.0
    dimension: int = 1
    dtype: torch.dtype = torch.float64
    device: torch.device | str | None = None

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise InputError(f"dimension must be >= 1, got {self.dimension}")
        if self.angle is not None and not math.isfinite(self.angle):
            raise InputError(f"angle must be finite, got {self.angle}")

    @property
    def constants(self) -> Constants:
        """The positive minimiser and f*."""
        minimiser = torch.full((self.dimension,), 0.5, dtype=self.dtype, device=self.device).sqrt()
        return Constants(minimiser=minimiser, optimum=-self.dimension / 8)

    def init(self, generator: Generator | None = None) -> Tensor:
        """x_0, shape (d,)."""
        if self.angle is None:
            source = self.device if generator is None else generator.device
            share = torch.rand(self.dimension, generator=generator, dtype=self.dtype, device=source)
            return (math.pi * share).cos().to(device=self.device)
        return torch.full((self.dimension,), self.angle, dtype=self.dtype, device=self.device).cos()

    def loss(self, params: Tensor, batch: None = None) -> Tensor:
        """f(x)."""
        square = params * params
        return 0.5 * (square * (square - 1)).sum()
