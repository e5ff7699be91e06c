"""Classification: cross-entropy of a network on a dataset, whole or in minibatches."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor
from torch.nn import functional

from l2o_theory.problems.dataset import Dataset
from l2o_theory.problems.network import Network
from l2o_theory.problems.problem import Constants


@dataclass(frozen=True, eq=False)
class Classification:
    """f(x; batch) = mean over the batch of -log softmax(network(x, features))[label].

    Attributes:
        network: the architecture.
        data: all samples; they are the batch where none is given.

    Example:
        >>> from l2o_theory.problems import MLP, Dataset
        >>> import torch
        >>> data = Dataset(torch.eye(2, dtype=torch.float64), torch.tensor([0, 1]), 2)
        >>> problem = Classification(MLP((2, 2), std=0.0), data)
        >>> problem.loss(problem.init())  # log 2
        tensor(0.6931, dtype=torch.float64)
    """

    network: Network
    data: Dataset

    @property
    def constants(self) -> Constants:
        """Nothing is known: f is not convex, and f* depends on the data."""
        return Constants()

    def init(self, generator: Generator | None = None) -> dict[str, Tensor]:
        """Initial weights, in the dtype of the data."""
        features = self.data.features
        return self.network.init(generator, features.dtype, features.device)

    def loss(self, params: dict[str, Tensor], batch: dict[str, Tensor] | None = None) -> Tensor:
        """Mean cross-entropy on `batch` (as from `Dataset.minibatches`, one step of it), or on all data if None."""
        batch = self.data.all if batch is None else batch
        return functional.cross_entropy(self.network.forward(params, batch["features"]), batch["labels"])

    def accuracy(self, params: dict[str, Tensor], batch: dict[str, Tensor] | None = None) -> Tensor:
        """Share of samples whose largest logit is that of the label."""
        batch = self.data.all if batch is None else batch
        guesses = self.network.forward(params, batch["features"]).argmax(1)
        return (guesses == batch["labels"]).to(self.data.features.dtype).mean()
