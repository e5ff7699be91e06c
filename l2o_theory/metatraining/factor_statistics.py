"""Where the learned factors P sit: near 0, near 2 (saturated sigmoids), or exactly at 1 (dead features)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

NEAR = 1e-2
"""P counts as saturated within this distance of 0 or 2."""


@dataclass(frozen=True)
class FactorStatistics:
    """Fractions of the entries of P over all steps, and per step t = 1..T.

    Attributes:
        near_zero, near_two: within `NEAR` of 0 and of 2.
        exactly_one: equal to 1: plain gradient descent at this coordinate.
        by_step: the three fractions of every step, in this order.
    """

    near_zero: float
    near_two: float
    exactly_one: float
    by_step: tuple[tuple[float, float, float], ...]


def factor_statistics(factors: Tensor) -> FactorStatistics:
    """Count over P of shape (T, N, d)."""
    masks = (factors < NEAR, factors > 2 - NEAR, factors == 1)
    zero, two, one = ([float(share) for share in mask.double().mean(dim=(1, 2))] for mask in masks)
    means = [sum(column) / len(column) for column in (zero, two, one)]
    return FactorStatistics(means[0], means[1], means[2], tuple(zip(zero, two, one, strict=True)))
