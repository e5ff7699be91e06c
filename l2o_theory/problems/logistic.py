"""Logistic regression with two classes: f(w) = mean log(1 + exp(-s x.w)) + l2/2 |w|^2, s = 2 label - 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from l2o_theory.errors import InputError
from l2o_theory.problems.arguments import parse_pair, parse_positive
from l2o_theory.problems.least_squares import gram_eigenvalues
from l2o_theory.problems.newton import minimise
from l2o_theory.problems.problem import Constants


@dataclass(frozen=True, eq=False)
class LogisticRegression:
    """f(w; X, y) = mean_i log(1 + exp(-s_i x_i.w)) + l2/2 |w|^2 with s_i = 2 y_i - 1.

    Args:
        features: X, shape (n, d); a constant column makes an intercept.
        targets: y, shape (n,), each 0 or 1.
        l2: weight of the penalty, >= 0. Without it a minimiser need not exist (separable data).

    Raises:
        InputError: shapes that do not fit, entries that are not finite, a target that is not 0 or 1, a negative l2.
    """

    features: Tensor | Sequence[Sequence[float]]
    targets: Tensor | Sequence[float]
    l2: float = 0.0

    def __post_init__(self) -> None:
        features, targets = parse_pair(self.features, self.targets)
        if not bool(((targets == 0) | (targets == 1)).all()):
            raise InputError(f"targets must be 0 or 1, got {targets.tolist()[:5]}...; encode the two classes")
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "targets", targets)
        parse_positive(self.l2, "l2", zero=True)

    @cached_property
    def constants(self) -> Constants:
        """L = largest eigenvalue of X^T X/(4 n) + l2, mu = l2; the minimiser, by Newton's method, if l2 > 0."""
        smoothness = float(gram_eigenvalues(self._data["features"])[-1]) / 4 + self.l2
        if self.l2 == 0:
            return Constants(smoothness, 0.0)
        precise = LogisticRegression(self._data["features"].double(), self._data["targets"].double(), self.l2)
        minimiser = minimise(precise.loss, precise.init())
        return Constants(smoothness, self.l2, minimiser.to(self._data["features"]), float(precise.loss(minimiser)))

    def init(self, generator: Generator | None = None) -> Tensor:
        """w_0 = 0, shape (d,)."""
        return torch.zeros_like(self._data["features"][0])

    def loss(self, params: Tensor, batch: dict[str, Tensor] | None = None) -> Tensor:
        """f(w) on `batch` = {"features", "targets"}, on all data if None."""
        data = self._data if batch is None else batch
        margin = (2 * data["targets"] - 1) * (data["features"] @ params)
        return functional.softplus(-margin).mean() + 0.5 * self.l2 * (params**2).sum()

    @property
    def _data(self) -> dict[str, Any]:
        return {"features": self.features, "targets": self.targets}
