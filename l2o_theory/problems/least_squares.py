"""Least squares: f(w) = |X w - y|^2/(2 n) + l2/2 |w|^2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.problems.arguments import parse_pair, parse_positive
from l2o_theory.problems.problem import Constants


def gram_eigenvalues(features: Tensor) -> Tensor:
    """Eigenvalues of X^T X/n in ascending order, shape (d,)."""
    samples, dimension = features.shape
    squares = torch.linalg.svdvals(features).flip(0) ** 2 / samples
    return torch.cat([squares.new_zeros(dimension - len(squares)), squares])


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """f(w; X, y) = |X w - y|^2/(2 n) + l2/2 |w|^2.

    Args:
        features: X, shape (n, d).
        targets: y, shape (n,).
        l2: weight of the penalty, >= 0.

    Raises:
        InputError: shapes that do not fit, entries that are not finite, a negative l2.

    Example:
        >>> problem = LeastSquares([[1.0, 0.0], [0.0, 2.0]], [1.0, 4.0])
        >>> problem.constants.minimiser, problem.constants.smoothness
        (tensor([1., 2.], dtype=torch.float64), 2.0)
    """

    features: Tensor | Sequence[Sequence[float]]
    targets: Tensor | Sequence[float]
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name, value in zip(("features", "targets"), parse_pair(self.features, self.targets), strict=True):
            object.__setattr__(self, name, value)
        parse_positive(self.l2, "l2", zero=True)

    @cached_property
    def constants(self) -> Constants:
        """L and mu, extreme eigenvalues of X^T X/n plus l2; the minimiser of least norm; its loss."""
        features, targets = self._data["features"], self._data["targets"]
        eigenvalues = gram_eigenvalues(features) + self.l2
        samples, dimension = features.shape
        ridge = features.new_tensor(samples * self.l2).sqrt() * torch.eye(dimension).to(features)
        rows, right = torch.cat([features, ridge]), torch.cat([targets, targets.new_zeros(dimension)])
        minimiser = torch.linalg.pinv(rows) @ right
        return Constants(float(eigenvalues[-1]), float(eigenvalues[0]), minimiser, float(self.loss(minimiser)))

    def init(self, generator: Generator | None = None) -> Tensor:
        """w_0 = 0, shape (d,)."""
        return torch.zeros_like(self._data["features"][0])

    def loss(self, params: Tensor, batch: dict[str, Tensor] | None = None) -> Tensor:
        """f(w) on `batch` = {"features", "targets"}, on all data if None."""
        data = self._data if batch is None else batch
        residual = data["features"] @ params - data["targets"]
        return 0.5 * (residual**2).mean() + 0.5 * self.l2 * (params**2).sum()

    @property
    def _data(self) -> dict[str, Any]:
        return {"features": self.features, "targets": self.targets}
