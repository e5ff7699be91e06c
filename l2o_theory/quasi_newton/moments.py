r"""Exact means of the first two learning steps of simplified LODO, without averaging  [derived here].

A_0 = I - G_0 H and b_0 fixed, s_0, s_1 independent with mean 0, covariance sigma^2 I and vanishing third moments
(Gaussian, say), b_{t+1} = A_t b_t - s_t, A_{t+1} = A_t - a H b_{t+1} b_t^T H^2. With mu = A_0 b_0, v = H^2 b_0,
S = mu mu^T + sigma^2 I:

    E A_1 = A_0 - a H mu b_0^T H^2
    E A_2 = E A_1 - a H {A_0 S - a H T} H^2
    T = E[(v.b_1) b_1 b_1^T] = (v.mu) S + sigma^2 (v mu^T + mu v^T)

The naive closure, which puts E A_1 in the place of A_1, drops the correlation of A_1 and b_1 and is off by O(a^2).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.numbers import Entries, Real, entries, like, number


def two_step_means(hessian: Any, residual: Any, distance: Any, rate: Any, noise: Any) -> tuple[Entries, Entries]:
    """(E A_1, E A_2), see the module docstring; exact rationals for exact arguments.

    Args:
        hessian: H, symmetric, shape (n, n).
        residual: A_0 = I - G_0 H, shape (n, n).
        distance: b_0 = x_0 - c_0, shape (n,).
        rate: meta step a.
        noise: sigma of the moves of the minimum.

    Raises:
        InputError: shapes that do not fit.
    """
    H, A, b, a, variance = _read(hessian, residual, distance, rate, noise)
    mu, v = A @ b, H @ H @ b
    second = np.outer(mu, mu) + variance * _identity(b)
    third = (v @ mu) * second + variance * (np.outer(v, mu) + np.outer(mu, v))
    first = A - a * H @ np.outer(mu, b) @ H @ H
    return first, first - a * H @ (A @ second - a * H @ third) @ H @ H


def naive_second_mean(hessian: Any, residual: Any, distance: Any, rate: Any, noise: Any) -> Entries:
    """E A_1 - a H E[A_1] E[b_1 b_1^T] H^2: what the naive closure gives for E A_2; wrong by the correlation term.

    Raises:
        InputError: shapes that do not fit.
    """
    H, A, b, a, variance = _read(hessian, residual, distance, rate, noise)
    mu = A @ b
    second = np.outer(mu, mu) + variance * _identity(b)
    first = A - a * H @ np.outer(mu, b) @ H @ H
    result: Entries = first - a * H @ first @ second @ H @ H
    return result


def _read(
    hessian: Any, residual: Any, distance: Any, rate: Any, noise: Any
) -> tuple[Entries, Entries, Entries, Real, Real]:
    H, A, b = entries(hessian, "hessian", 2), entries(residual, "residual", 2), entries(distance, "distance")
    if not H.shape == A.shape == (b.size, b.size):
        raise InputError(
            f"wanted H, A_0 of shape (n, n) and b_0 of (n,), got {H.shape}, {A.shape}, {b.shape}; match them"
        )
    sigma = number(noise, "noise", least=0)
    return H, A, b, like(number(rate, "rate"), H), like(sigma * sigma, H)


def _identity(like: Entries) -> Entries:
    """The identity in the number system of `like`."""
    return np.array([[value * 0 + int(i == j) for j in range(like.size)] for i, value in enumerate(like.tolist())])
