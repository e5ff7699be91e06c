r"""What a constant meta rate costs: the floor of simplified LODO and the largest stable rate  [derived here].

Near G = H^-1 the error D = H^-1 - G follows D <- D - a H D g g^T + a H s g^T with g ~ N(0, K), K = sigma^2 H^2. To
leading order in a its columns are uncorrelated with covariance (a sigma^2/2) H, the solution of
(K x H) S + S (K x H) = a K x sigma^2 H^2, hence

    E|H^-1 - G|_F^2 = a sigma^2 n tr(H)/2
    E|I - G H|_F^2  = a sigma^2 tr(H) tr(H^2)/2
    excess loss     = a sigma^4 tr(H^2)^2/4

Mean square stability, exactly: with x = a h_max and k_i the eigenvalues of K, the second moments of a row of D contract
iff the largest eigenvalue of diag(1 - 2 x k_i + 2 x^2 k_i^2) + x^2 k k^T is below 1, that is

    x k_max < 1  and  SUM_i x k_i/(1 - x k_i) < 2;          x (tr K + 2 k_max) < 2 is sufficient
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.numbers import Entries, Real, entries, like, number, positive
from l2o_theory.quasi_newton.tracking import TrackedQuadratic


@dataclass(frozen=True)
class Floor:
    """Stationary means, to leading order in the meta rate: |H^-1 - G|_F^2, |I - G H|_F^2, and loss above the bound."""

    inverse_error: Real
    hessian_error: Real
    excess_loss: Real


def floor(task: TrackedQuadratic, rate: Any) -> Floor:
    """The floor of simplified LODO at meta rate a, see the module docstring; exact for exact arguments.

    Raises:
        InputError: a negative rate.
    """
    a, variance, h = number(rate, "rate", least=0), task.variance, task.eigenvalues.tolist()
    trace, square = sum(h), sum(value * value for value in h)
    return Floor(
        inverse_error=a * variance * len(h) * trace / 2,
        hessian_error=a * variance * trace * square / 2,
        excess_loss=a * variance**2 * square**2 / 4,
    )


def sufficient_rate(task: TrackedQuadratic) -> Real:
    """2/(sigma^2 h_max (tr H^2 + 2 h_max^2)): every smaller rate is mean square stable at G = H^-1."""
    h = task.eigenvalues.tolist()
    top = max(h)
    result: Real = 2 / (task.variance * top * (sum(value * value for value in h) + 2 * top**2))
    return result


def is_mean_square_stable(rate: Any, top: Any, covariance: Any) -> bool:
    """Whether rows of D along the curvature `top` contract in mean square; exact for exact arguments.

    Args:
        rate: a > 0.
        top: h_max, the largest curvature.
        covariance: eigenvalues k_i > 0 of K = Cov(g).

    Raises:
        InputError: a value that is not positive.
    """
    k = positive(entries(covariance, "covariance"), "covariance")
    (a, h) = positive(entries([rate, top], "rate and top"), "rate and top")
    x = a * h
    return bool(x * k.max() < 1 and sum(x * value / (1 - x * value) for value in k.tolist()) < 2)


def stable_rate(task: TrackedQuadratic) -> float:
    """The exact threshold at G = H^-1: the root of SUM_i x k_i/(1 - x k_i) = 2, k_i = sigma^2 h_i^2, over h_max."""
    from scipy.optimize import brentq

    floats = task.floats
    k, top = float(floats.variance) * floats.eigenvalues**2, float(floats.eigenvalues.max())
    low, high = 0.0, (1 - 1e-13) / k.max()  # the sum exceeds 2 there: the largest term alone does
    return float(brentq(lambda x: float(np.sum(x * k / (1 - x * k))) - 2, low, high, xtol=1e-15)) / top


def second_moment_matrix(scaled_rate: Any, covariance: Any) -> Entries:
    """diag(1 - 2 x k_i + 2 x^2 k_i^2) + x^2 k k^T: how the diagonal second moments of a row of D evolve in one step.

    Raises:
        InputError: no finite numbers.
    """
    k = entries(covariance, "covariance")
    x = like(number(scaled_rate, "scaled_rate"), k)
    matrix: Entries = x**2 * np.outer(k, k)
    matrix[np.diag_indices(k.size)] += 1 - 2 * x * k + 2 * x**2 * k * k
    return matrix


def solve_exactly(matrix: Any, right: Any) -> list[Fraction]:
    """Solution of a square rational system by elimination, for exact second routes.

    Raises:
        InputError: singular.
    """
    rows = [[*row, value] for row, value in zip(entries(matrix, "matrix", 2).tolist(), right, strict=True)]
    for k in range(len(rows)):
        pivot = next((j for j in range(k, len(rows)) if rows[j][k]), None)
        if pivot is None:
            raise InputError("the system is singular; remove dependent rows")
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for j, row in enumerate(rows):
            if j != k and row[k]:
                rows[j] = [value - row[k] * above for value, above in zip(row, rows[k], strict=True)]
    return [row[-1] for row in rows]
