"""Floor and stability of a constant meta rate: against Kronecker systems in rationals, eigenvalues and enumeration."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton import TrackedQuadratic, floor
from l2o_theory.quasi_newton.fluctuations import (
    is_mean_square_stable,
    second_moment_matrix,
    solve_exactly,
    stable_rate,
    sufficient_rate,
)

F = Fraction
TASK = TrackedQuadratic(["1", "4/5", "3/5"], noise="3/2")


def test_the_floor_is_what_the_full_lyapunov_system_gives() -> None:
    """(K x H) S + S (K x H) = a K x s^2 H^2 for all 81 entries of S, H rotated so that nothing is diagonal."""
    a, variance = F(1, 50), TASK.variance
    q = np.array([[F(1), F(0), F(0)], [F(0), F(3, 5), F(-4, 5)], [F(0), F(4, 5), F(3, 5)]], dtype=object)
    H = q @ np.diag(TASK.eigenvalues) @ q.T
    K = variance * H @ H
    eye = np.array([[F(int(i == j)) for j in range(9)] for i in range(9)], dtype=object)
    drift, source = np.kron(K, H), a * np.kron(K, variance * H @ H)
    system = np.kron(drift, eye) + np.kron(eye, drift)
    S = np.array(solve_exactly(system, list(source.ravel())), dtype=object).reshape(9, 9)
    found = floor(TASK, a)
    assert np.trace(S) == found.inverse_error
    right = np.kron(H, np.array([[F(int(i == j)) for j in range(3)] for i in range(3)], dtype=object))  # vec(D H)
    assert np.trace(right @ S @ right.T) == found.hessian_error
    assert variance * np.trace(np.kron(H, H) @ S @ right.T) / 2 == found.excess_loss
    assert (a * variance / 2 * np.kron(np.diag([F(1)] * 3), H) == S).all()
    assert found.excess_loss != floor(TASK, 2 * a).excess_loss


def test_stability_is_that_of_the_operator_on_all_second_moments() -> None:
    """Second route: E (I - x g g^T) M (I - x g g^T) = M - x(KM + MK) + x^2 (2 KMK + K tr KM), as a matrix on vec M."""
    k = np.array([1.0, 0.49, 0.16, 0.04])
    K, eye = np.diag(k), np.eye(4)

    def radius(x: float) -> float:
        linear = np.kron(eye, K) + np.kron(K, eye)
        operator = np.eye(16) - x * linear + x**2 * (2 * np.kron(K, K) + np.outer(K.ravel(), K.ravel()))
        return float(np.abs(np.linalg.eigvals(operator)).max())

    task = TrackedQuadratic([1.0, 0.7, 0.4, 0.2])
    edge = stable_rate(task)
    assert edge == pytest.approx(0.5936, abs=5e-5)
    assert radius(0.9999 * edge) < 1 < radius(1.0001 * edge)
    assert float(sufficient_rate(task)) == pytest.approx(0.542, abs=5e-4)
    assert sufficient_rate(task) < edge
    for x in (0.1, 0.5, 0.59, 0.6, 0.9, 1.1, 1.5):
        assert is_mean_square_stable(x, 1.0, k) == (radius(x) < 1)
        assert np.linalg.eigvalsh(second_moment_matrix(x, k)).max() == pytest.approx(radius(x), rel=1e-9)


def test_fourth_moments_by_enumeration() -> None:
    """E (g g^T)^2 = 2 K^2 + K tr K with three-point Gauss-Hermite, exact for fourth moments."""
    k = np.array([1.0, 0.3])
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    weights = weights / weights.sum()
    found = np.zeros((2, 2))
    for x, u in zip(nodes, weights, strict=True):
        for y, v in zip(nodes, weights, strict=True):
            g = np.sqrt(k) * np.array([x, y])
            found += u * v * np.outer(g, g) @ np.outer(g, g)
    assert found == pytest.approx(2 * np.diag(k**2) + np.diag(k) * k.sum(), abs=1e-14)


def test_bad_input_is_refused() -> None:
    for call in (
        lambda: floor(TASK, -1),
        lambda: is_mean_square_stable(0, 1, [1]),
        lambda: is_mean_square_stable(1, 1, [0]),
        lambda: solve_exactly([[1, 1], [2, 2]], [1, 1]),
    ):
        with pytest.raises(InputError):
            call()
