r"""The definition of the loss and its derivatives, once, over any field: rationals, balls or SymPy expressions.

With r_i = 1 - step_size * l_i and S_k = sum_i c_i^2 l_i^(1+k) r_i^(2t-k)   [paper: section 3]:

    F   = S_0 / 2                    G   = (1/t) log F
    F'  = -t S_1                     G'  = -2 S_1 / S_0
    F'' = t (2t-1) S_2               G'' = 2 (2t-1) S_2 / S_0 - 4 t (S_1 / S_0)^2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class PowerSums(NamedTuple):
    """S_0, S_1, S_2 of the module docstring."""

    zeroth: Any
    first: Any
    second: Any


def power_sums(eigenvalues: Sequence[Any], weights: Sequence[Any], residuals: Sequence[Any], steps: int) -> PowerSums:
    """Return S_0, S_1, S_2 in the field of the arguments; 0^0 = 1, as F'' at t = 1 needs."""
    zeroth = first = second = 0
    for eigenvalue, weight, residual in zip(eigenvalues, weights, residuals, strict=True):
        term = weight * eigenvalue * residual ** (2 * steps - 2)
        zeroth += term * residual * residual
        first += term * residual * eigenvalue
        second += term * eigenvalue * eigenvalue
    return PowerSums(zeroth, first, second)


RATIONAL: dict[str, Callable[[PowerSums, int], Any]] = {
    "loss": lambda sums, t: sums.zeroth / 2,
    "gradient": lambda sums, t: -t * sums.first,
    "curvature": lambda sums, t: t * (2 * t - 1) * sums.second,
    "log_gradient": lambda sums, t: -2 * sums.first / sums.zeroth,
    "log_curvature": lambda sums, t: (
        2 * (2 * t - 1) * (sums.second / sums.zeroth) - 4 * t * (sums.first / sums.zeroth) * (sums.first / sums.zeroth)
    ),
}
"""Quantities that are rational functions of the inputs."""

LOGARITHM_OF: dict[str, str] = {"log_loss": "loss", "log_abs_gradient": "gradient"}
"""Quantities that are log|.| of another one."""

UNDEFINED_AT_ZERO_LOSS = frozenset({"log_gradient", "log_curvature"})
