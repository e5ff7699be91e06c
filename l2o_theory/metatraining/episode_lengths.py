"""How long an episode is and where it is cut into windows: always alike, or at random."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator

from l2o_theory.errors import InputError


def regular_ends(steps: int, window: int) -> tuple[int, ...]:
    """Where the windows of K steps end in an episode of N: K, 2K, ..., N."""
    return (*range(window, steps, window), steps)


@dataclass(frozen=True)
class RandomLengths:
    """An episode of least_windows + round(Exp(more_windows)) windows, each of least_steps + round(Exp(more_steps)).

    Exp(m) is exponential with mean m. The defaults are those of the step-size paper's neural experiments (Wang et al.,
    ICML 2021, released program).

    Raises:
        InputError: a least below 1, or a mean that is negative or not finite.
    """

    least_windows: int = 10
    more_windows: float = 30.0
    least_steps: int = 50
    more_steps: float = 100.0

    def __post_init__(self) -> None:
        if self.least_windows < 1 or self.least_steps < 1:
            raise InputError(f"least_windows and least_steps must be >= 1, got {self}")
        if not (0 <= self.more_windows < float("inf") and 0 <= self.more_steps < float("inf")):
            raise InputError(f"more_windows and more_steps must be finite means >= 0, got {self}")

    def ends(self, generator: Generator) -> tuple[int, ...]:
        """Where the windows of one episode end."""
        windows = self.least_windows + _rounded(self.more_windows, 1, generator)[0]
        lengths = [self.least_steps + more for more in _rounded(self.more_steps, windows, generator)]
        return tuple(sum(lengths[: place + 1]) for place in range(windows))


def _rounded(mean: float, count: int, generator: Generator) -> list[int]:
    """round(Exp(mean)), so many times."""
    uniform = torch.rand(count, generator=generator, dtype=torch.float64)
    return [int(value) for value in (-mean * torch.log1p(-uniform)).round().tolist()]
