"""Means of two learning steps: against enumeration of signs in rationals, Gauss-Hermite quadrature, a scaling law."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.moments import naive_second_mean, two_step_means

F = Fraction
H = np.array([[F(1), F(1, 4)], [F(1, 4), F(1, 2)]], dtype=object)
A0 = np.array([[F(1, 2), F(1, 5)], [F(-1, 3), F(3, 4)]], dtype=object)
B0 = np.array([F(1), F(-2)], dtype=object)
RATE, NOISE = F(1, 10), F(3, 2)


def by_signs() -> tuple[object, object]:
    """E A_1, E A_2 over s_t in {-sigma, sigma}^2: it has the Gaussian's moments up to the third, all that enters."""
    first, second, cases = 0, 0, 0
    for signs in product((1, -1), repeat=4):
        b, A = B0, A0
        for k, pair in enumerate((signs[:2], signs[2:])):
            moved = A @ b - NOISE * np.array(pair, dtype=object)
            A = A - RATE * H @ np.outer(moved, b) @ H @ H
            b = moved
            if k == 0:
                first = first + A
        second, cases = second + A, cases + 1
    return first / F(cases), second / F(cases)


def test_rationals_agree_with_all_sign_patterns() -> None:
    found, wanted = two_step_means(H, A0, B0, RATE, NOISE), by_signs()
    assert (found[0] == wanted[0]).all()
    assert (found[1] == wanted[1]).all()
    assert not (naive_second_mean(H, A0, B0, RATE, NOISE) == wanted[1]).all()  # planted fault: the correlation dropped


def test_gaussian_moves_by_quadrature() -> None:
    h, a0, b0 = (m.astype(np.float64) for m in (H, A0, B0))
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)  # exact to degree 7, the mean needs 3
    weights = weights / weights.sum()
    total = np.zeros((2, 2))
    for picks in product(range(4), repeat=4):
        s = float(NOISE) * nodes[list(picks)].reshape(2, 2)
        b1 = a0 @ b0 - s[0]
        a1 = a0 - float(RATE) * h @ np.outer(b1, b0) @ h @ h
        a2 = a1 - float(RATE) * h @ np.outer(a1 @ b1 - s[1], b1) @ h @ h
        total += np.prod(weights[list(picks)]) * a2
    assert two_step_means(h, a0, b0, float(RATE), float(NOISE))[1] == pytest.approx(total, abs=1e-12)


def test_units() -> None:
    """Distances times 2 and the rate by 4 is the same learning."""
    plain = two_step_means(H, A0, B0, RATE, NOISE)
    scaled = two_step_means(H, A0, 2 * B0, RATE / 4, 2 * NOISE)
    assert all((a == b).all() for a, b in zip(plain, scaled, strict=True))


def test_shapes_are_checked() -> None:
    with pytest.raises(InputError, match="match them"):
        two_step_means(H, A0, [1], RATE, NOISE)
