"""Softmax regression: cross-entropy of a linear model with several classes, convex with a known L."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from l2o_theory.problems.arguments import parse_positive
from l2o_theory.problems.classification import Classification
from l2o_theory.problems.dataset import Dataset
from l2o_theory.problems.least_squares import gram_eigenvalues
from l2o_theory.problems.network import MLP
from l2o_theory.problems.newton import minimise
from l2o_theory.problems.problem import Constants
from l2o_theory.problems.trees import squared_norm


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """f(W, b) = mean_i -log softmax(x_i W + b)[y_i] + l2/2 (|W|^2 + |b|^2).

    Attributes:
        data: features are flattened.
        l2: weight of the penalty, >= 0.
        std: initial weights and biases are N(0, std^2).
    """

    data: Dataset
    l2: float = 0.0
    std: float = 0.0

    def __post_init__(self) -> None:
        parse_positive(self.l2, "l2", zero=True)
        parse_positive(self.std, "std", zero=True)

    @cached_property
    def constants(self) -> Constants:
        """L = largest eigenvalue of Z^T Z/(2 n) + l2 with Z = (X, 1), mu = l2; the minimiser if l2 > 0.

        The Hessian of -log softmax in the logits is diag(p) - p p^T <= I/2 (Boehning 1992).
        """
        features = self.data.features.flatten(1).double()
        extended = torch.cat([features, torch.ones_like(features[:, :1])], 1)
        smoothness = float(gram_eigenvalues(extended)[-1]) / 2 + self.l2
        if self.l2 == 0:
            return Constants(smoothness, 0.0)
        precise = SoftmaxRegression(self.data.to(torch.float64), self.l2)
        inputs = features.shape[1]

        def unpacked(vector: Tensor) -> dict[str, Tensor]:
            table = vector.reshape(inputs + 1, self.data.classes)
            return {"weight1": table[:inputs], "bias1": table[inputs]}

        best = minimise(
            lambda vector: precise.loss(unpacked(vector)), features.new_zeros((inputs + 1) * self.data.classes)
        )
        minimiser = {name: value.to(self.data.features) for name, value in unpacked(best).items()}
        return Constants(smoothness, self.l2, minimiser, float(precise.loss(unpacked(best))))

    def init(self, generator: Generator | None = None) -> dict[str, Tensor]:
        """{"weight1": (inputs, classes), "bias1": (classes,)}."""
        return self._model.init(generator)

    def loss(self, params: dict[str, Tensor], batch: dict[str, Tensor] | None = None) -> Tensor:
        """f(W, b) on `batch` (as from `Dataset.minibatches`, one step of it), or on all data if None."""
        penalty = 0.5 * self.l2 * squared_norm(params) if self.l2 else 0.0
        return self._model.loss(params, batch) + penalty

    @property
    def _model(self) -> Classification:
        inputs = self.data.features[0].numel()
        return Classification(MLP((inputs, self.data.classes), std=self.std), self.data)
