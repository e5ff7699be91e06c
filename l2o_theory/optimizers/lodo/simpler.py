"""Simpler preconditioners that the same loop can learn: a diagonal, a single number."""

from __future__ import annotations

import torch
from torch import Tensor


class DiagonalPreconditioner:
    """G = alpha0 diag(w), w_0 = 1; w may become negative, so G need not be positive.

    Args:
        n: size of the vectors.
        alpha0: > 0.
        dtype: of w.
    """

    def __init__(self, n: int, alpha0: float = 1.0, *, dtype: torch.dtype = torch.float64) -> None:
        self.n, self.alpha0 = n, float(alpha0)
        self.weights = torch.ones(n, dtype=dtype)

    @property
    def constants(self) -> dict[str, Tensor]:
        """None."""
        return {}

    def load(self, constants: dict[str, Tensor]) -> None:
        """Nothing."""

    def apply(self, v: Tensor) -> Tensor:
        """alpha0 w v, entry by entry."""
        return self.alpha0 * self.weights * v

    def hypergradient(self, m: Tensor, g: Tensor) -> Tensor:
        """d loss / d w = -alpha0 g m, entry by entry."""
        return -self.alpha0 * g * m

    def to(self, device: torch.device) -> None:
        """Move everything there."""
        self.weights = self.weights.to(device)


class ScalarPreconditioner:
    """G = alpha0 w I, w_0 = 1, w of shape (1,): a learned step size.

    Args:
        n: size of the vectors.
        alpha0: > 0.
        dtype: of w.
    """

    def __init__(self, n: int, alpha0: float = 1.0, *, dtype: torch.dtype = torch.float64) -> None:
        self.n, self.alpha0 = n, float(alpha0)
        self.weights = torch.ones(1, dtype=dtype)

    @property
    def constants(self) -> dict[str, Tensor]:
        """None."""
        return {}

    def load(self, constants: dict[str, Tensor]) -> None:
        """Nothing."""

    def apply(self, v: Tensor) -> Tensor:
        """alpha0 w v."""
        return self.alpha0 * self.weights * v

    def hypergradient(self, m: Tensor, g: Tensor) -> Tensor:
        """d loss / d w = -alpha0 g.m, shape (1,)."""
        return -self.alpha0 * (g @ m).reshape(1)

    def to(self, device: torch.device) -> None:
        """Move everything there."""
        self.weights = self.weights.to(device)
