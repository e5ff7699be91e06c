"""LASSO: f(w) = |X w - y|^2/(2 n) + l1 |w|_1, convex and not smooth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.errors import PrecisionError
from l2o_theory.problems.arguments import parse_pair, parse_positive
from l2o_theory.problems.least_squares import gram_eigenvalues
from l2o_theory.problems.problem import Constants

_MOST_SWEEPS = 100_000


@dataclass(frozen=True, eq=False)
class Lasso:
    """f(w; X, y) = |X w - y|^2/(2 n) + l1 |w|_1. Tibshirani 1996, scaled as in scikit-learn.

    At w_i = 0 automatic differentiation gives the subgradient 0 of |w_i|.

    Args:
        features: X, shape (n, d).
        targets: y, shape (n,).
        l1: weight of the penalty, > 0.

    Raises:
        InputError: shapes that do not fit, entries that are not finite, l1 that is not positive.
    """

    features: Tensor | Sequence[Sequence[float]]
    targets: Tensor | Sequence[float]
    l1: float

    def __post_init__(self) -> None:
        for name, value in zip(("features", "targets"), parse_pair(self.features, self.targets), strict=True):
            object.__setattr__(self, name, value)
        parse_positive(self.l1, "l1")

    @cached_property
    def constants(self) -> Constants:
        """No L (f is not smooth); mu, the least eigenvalue of X^T X/n; a minimiser and its loss."""
        minimiser = self._minimiser()
        least = float(gram_eigenvalues(self._data["features"])[0])
        return Constants(None, least, minimiser, float(self.loss(minimiser)))

    def init(self, generator: Generator | None = None) -> Tensor:
        """w_0 = 0, shape (d,)."""
        return torch.zeros_like(self._data["features"][0])

    def loss(self, params: Tensor, batch: dict[str, Tensor] | None = None) -> Tensor:
        """f(w) on `batch` = {"features", "targets"}, on all data if None."""
        data = self._data if batch is None else batch
        residual = data["features"] @ params - data["targets"]
        return 0.5 * (residual**2).mean() + self.l1 * params.abs().sum()

    def stationarity(self, params: Tensor) -> float:
        """Distance of 0 to the subdifferential of f at w, in the largest coordinate."""
        smooth = self._gradient(params)
        away = (smooth + self.l1 * params.sign()).abs()
        at_zero = (smooth.abs() - self.l1).clamp_min(0)
        return float(torch.where(params == 0, at_zero, away).max())

    @property
    def _data(self) -> dict[str, Any]:
        return {"features": self.features, "targets": self.targets}

    def _gradient(self, params: Tensor) -> Tensor:
        features, targets = self._data["features"], self._data["targets"]
        gradient: Tensor = features.mT @ (features @ params - targets) / len(features)
        return gradient

    def _minimiser(self) -> Tensor:
        """Cyclic coordinate descent, each coordinate minimised exactly, until the subdifferential holds 0."""
        features, targets = self._data["features"], self._data["targets"]
        gram, moment = features.mT @ features / len(features), features.mT @ targets / len(features)
        w = torch.zeros_like(moment)
        tolerance = 100 * torch.finfo(w.dtype).eps * (float(moment.abs().max()) + self.l1)
        for sweep in range(_MOST_SWEEPS):
            for i in range(len(w)):
                if gram[i, i] > 0:
                    pull = moment[i] - gram[i] @ w + gram[i, i] * w[i]
                    w[i] = pull.sign() * (pull.abs() - self.l1).clamp_min(0) / gram[i, i]
            if sweep % 8 == 0 and self.stationarity(w) <= tolerance:
                return w
        raise PrecisionError("coordinate descent did not reach a minimiser of the LASSO; raise l1 or rescale features")
