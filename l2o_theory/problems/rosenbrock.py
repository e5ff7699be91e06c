"""Rosenbrock's function: a curved valley."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.problems.problem import Constants


@dataclass(frozen=True)
class Rosenbrock:
    """f(x) = sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2; minimiser (1, ..., 1), f* = 0. No global L, not convex.

    Attributes:
        dimension: d >= 2. The classical start is (-1.2, 1, -1.2, ...).
        dtype, device: of the start.

    Example:
        >>> Rosenbrock().loss(Rosenbrock().init())
        tensor(24.2000, dtype=torch.float64)
    """

    dimension: int = 2
    dtype: torch.dtype = torch.float64
    device: torch.device | str | None = None

    def __post_init__(self) -> None:
        if self.dimension < 2:
            raise InputError(f"dimension must be >= 2, got {self.dimension}")

    @property
    def constants(self) -> Constants:
        """The minimiser and its value."""
        return Constants(minimiser=torch.ones(self.dimension, dtype=self.dtype, device=self.device), optimum=0.0)

    def init(self, generator: Generator | None = None) -> Tensor:
        """The classical start."""
        x = torch.ones(self.dimension, dtype=self.dtype, device=self.device)
        x[::2] = -1.2
        return x

    def loss(self, params: Tensor, batch: None = None) -> Tensor:
        """f(x)."""
        here, beyond = params[:-1], params[1:]
        return (100 * (beyond - here**2) ** 2 + (1 - here) ** 2).sum()
