"""Meta-optimizers: how the weights of a preconditioner move along their hypergradient, part by part and in place."""

from __future__ import annotations

import math
from dataclasses import InitVar, dataclass
from types import EllipsisType
from typing import Protocol

import torch
from torch import Tensor

Part = int | EllipsisType
"""One layer of the weights, or all of them."""


class Meta(Protocol):
    """theta <- MetaOpt(theta, h). `advance` once per step, then `update` once for every part."""

    rate: float

    def advance(self) -> None:
        """Count one step."""
        ...

    def update(self, part: Part, theta: Tensor, hypergradient: Tensor) -> None:
        """Change `theta`, which is weights[part], in place."""
        ...

    def memory(self) -> dict[str, Tensor]:
        """What has to be stored to go on later: the tensors themselves, not copies."""
        ...

    def load(self, memory: dict[str, Tensor]) -> None:
        """Take over what `memory()` returned."""
        ...

    def to(self, device: torch.device) -> None:
        """Move everything there."""
        ...


@dataclass
class MetaSGD:
    """theta <- theta - rate h."""

    rate: float

    def advance(self) -> None:
        """Nothing to count."""

    def update(self, part: Part, theta: Tensor, hypergradient: Tensor) -> None:
        """One step on one part."""
        theta.sub_(hypergradient, alpha=self.rate)

    def memory(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def load(self, memory: dict[str, Tensor]) -> None:
        """Nothing."""

    def to(self, device: torch.device) -> None:
        """Nothing."""


@dataclass
class MetaAdam:
    """Adam as Keras has it: epsilon stands outside the bias correction.

        M <- b1 M + (1 - b1) h,   V <- b2 V + (1 - b2) h^2
        theta <- theta - rate sqrt(1 - b2^s)/(1 - b1^s) M/(sqrt V + eps)

    s counts `advance`. torch.optim.Adam puts epsilon inside: sqrt(V/(1 - b2^s)) + eps.
    """

    rate: float
    weights: InitVar[Tensor]
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-7
    steps: int = 0

    def __post_init__(self, weights: Tensor) -> None:
        self.first = torch.zeros_like(weights)
        self.second = torch.zeros_like(weights)

    def advance(self) -> None:
        """s <- s + 1."""
        self.steps += 1

    @property
    def corrected_rate(self) -> float:
        """rate sqrt(1 - b2^s)/(1 - b1^s)."""
        return self.rate * math.sqrt(1 - self.betas[1] ** self.steps) / (1 - self.betas[0] ** self.steps)

    def update(self, part: Part, theta: Tensor, hypergradient: Tensor) -> None:
        """One step on one part."""
        first, second = self.first[part], self.second[part]
        first.lerp_(hypergradient, 1 - self.betas[0])
        second.mul_(self.betas[1]).addcmul_(hypergradient, hypergradient, value=1 - self.betas[1])
        theta.addcdiv_(first, second.sqrt().add_(self.eps), value=-self.corrected_rate)

    def memory(self) -> dict[str, Tensor]:
        """M, V and s."""
        return {"exp_avg": self.first, "exp_avg_sq": self.second, "step": torch.tensor(self.steps)}

    def load(self, memory: dict[str, Tensor]) -> None:
        """Take over M, V and s."""
        self.first.copy_(memory["exp_avg"])
        self.second.copy_(memory["exp_avg_sq"])
        self.steps = int(memory["step"])

    def to(self, device: torch.device) -> None:
        """Move everything there."""
        self.first, self.second = self.first.to(device), self.second.to(device)
