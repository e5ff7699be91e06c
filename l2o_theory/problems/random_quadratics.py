"""Random quadratics f(x) = |W x - y|^2, the family of tasks on which learned optimizers are first trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.problems.arguments import parse_positive
from l2o_theory.problems.draws import normal
from l2o_theory.problems.problem import Constants


@dataclass(frozen=True)
class RandomQuadratics:
    """f(x; W, y) = |W x - y|^2 with W of shape (d, d) and y of shape (d,), entries standard normal.

    The task (W, y) is the batch, so that vmap runs over tasks. Andrychowicz et al., arXiv 1606.04474.

    Attributes:
        dimension: d.
        start_std: x_0 has independent N(0, start_std^2) entries.
        dtype, device: of tasks and starts.

    Example:
        >>> family = RandomQuadratics(3)
        >>> task = family.sample(torch.Generator().manual_seed(0))
        >>> bool(family.loss(family.constants_of(task).minimiser, task) < 1e-20)
        True
    """

    dimension: int = 10
    start_std: float = 1.0
    dtype: torch.dtype = torch.float64
    device: torch.device | str | None = None

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise InputError(f"dimension must be >= 1, got {self.dimension}")
        parse_positive(self.start_std, "start_std", zero=True)

    @property
    def constants(self) -> Constants:
        """Of the family: f* = 0, as W is invertible with probability 1. See `constants_of` for one task."""
        return Constants(optimum=0.0)

    def sample(self, generator: Generator | None = None, tasks: int | None = None) -> dict[str, Tensor]:
        """A task {"matrix": W, "target": y}; with `tasks`, that many along a new first axis."""
        lead = () if tasks is None else (tasks,)
        d = self.dimension
        matrix = normal((*lead, d, d), generator, self.dtype, self.device)
        return {"matrix": matrix, "target": normal((*lead, d), generator, self.dtype, self.device)}

    def constants_of(self, task: dict[str, Tensor]) -> Constants:
        """L and mu, 2 times the extreme squared singular values of W; x* = W^-1 y; f* = 0."""
        squares = torch.linalg.svdvals(task["matrix"]) ** 2
        minimiser = torch.linalg.solve(task["matrix"], task["target"])
        return Constants(2 * float(squares[0]), 2 * float(squares[-1]), minimiser, 0.0)

    def init(self, generator: Generator | None = None) -> Tensor:
        """x_0, shape (d,)."""
        return self.start_std * normal((self.dimension,), generator, self.dtype, self.device)

    def loss(self, params: Tensor, batch: dict[str, Tensor] | None = None) -> Tensor:
        """|W x - y|^2.

        Raises:
            InputError: no task.
        """
        if batch is None:
            raise InputError("random quadratics need a task; pass batch=problem.sample(generator)")
        return ((batch["matrix"] @ params - batch["target"]) ** 2).sum()
