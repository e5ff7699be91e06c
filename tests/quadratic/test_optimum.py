"""The best step size, its bracket, and what is derived of both."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from l2o_theory.quadratic import Quadratic
from l2o_theory.rigor.balls import precision


def slow_optimum(eigenvalues: list, weights: list, steps: int) -> mpmath.mpf:
    """Bisect the sign of F' in (1/L, 1/alpha) at 60 digits."""
    with mpmath.workdps(60):
        values, squares = [mpmath.mpf(v) for v in eigenvalues], [mpmath.mpf(v) for v in weights]
        low, high = 1 / max(values), 1 / min(values)
        for _ in range(190):
            middle = (low + high) / 2
            terms = [-c * v**2 * (1 - middle * v) ** (2 * steps - 1) for v, c in zip(values, squares, strict=True)]
            low, high = (middle, high) if mpmath.fsum(terms) < 0 else (low, middle)
        return (low + high) / 2


@pytest.mark.parametrize(
    ("eigenvalues", "weights", "expected"),
    [
        ([10, 7, 3, 1, 0.1], [0.2] * 5, {1: 0.1160, 2: 0.1301, 10: 0.1662, 80: 0.1926, 1000: 0.1976}),
        ([5, 1], [1e-6, 1 - 1e-6], {1: 0.99990, 10: 0.4071}),
    ],
)
def test_numbers_of_an_independent_computation(eigenvalues: list, weights: list, expected: dict[int, float]) -> None:
    values = Quadratic(eigenvalues, weights).optimal_step_size(list(expected))
    assert values == pytest.approx(list(expected.values()), abs=6e-5)  # given to four or five digits


@pytest.mark.parametrize("steps", [1, 2, 17, 1000])
@pytest.mark.parametrize(
    ("eigenvalues", "weights"),
    [
        ([10.0, 7.0, 3.0, 1.0, 0.1], [0.2] * 5),
        ([5.0, 1.0], [1e-6, 1.0]),
        ([1.0, 1e-4, 3e-2], [1e-8, 1.0, 0.3]),
        ([1.0, 0.999], [0.5, 0.5]),
    ],
)
def test_against_bisection_at_60_digits(eigenvalues: list, weights: list, steps: int) -> None:
    quadratic, expected = Quadratic(eigenvalues, weights), slow_optimum(eigenvalues, weights, steps)
    assert quadratic.optimal_step_size(steps) == pytest.approx(float(expected), rel=4e-15)  # Brent stops at 4 ulp
    ball = quadratic.optimal_step_size(steps, digits=30)
    with mpmath.workdps(60):
        assert abs(mpmath.mpf(ball.mid().str(50, radius=False)) / expected - 1) < mpmath.mpf(10) ** -30
    low, high = quadratic.optimal_step_size_bracket(steps)
    assert 1 / max(eigenvalues) < low <= expected <= high < 1 / min(eigenvalues) * (1 + 1e-15)
    low_ball, high_ball = quadratic.optimal_step_size_bracket(steps, digits=30)
    assert low_ball <= ball <= high_ball
    assert low <= low_ball
    assert high_ball <= high


def test_the_bracket_shrinks_like_one_over_t_and_a_swapped_one_is_caught() -> None:
    quadratic = Quadratic([4.0, 1.0, 0.5], [0.1, 0.2, 0.7])
    low, high = quadratic.optimal_step_size_bracket([10, 100, 1000])
    best = quadratic.optimal_step_size([10, 100, 1000])
    assert np.all((low < best) & (best < high))
    assert (high - low)[:-1] / (high - low)[1:] == pytest.approx([10, 10], rel=0.1)
    assert not np.any((high < best) & (best < low))


@pytest.mark.parametrize("steps", [1, 3, 50, 10**9])
def test_two_eigenvalues_have_a_closed_form(steps: int) -> None:
    largest, smallest, c_1, c_2 = 5, 2, mpmath.mpf(3) / 4, mpmath.mpf(1) / 4
    with mpmath.workdps(60):
        rho = (c_2 * smallest**2 / (c_1 * largest**2)) ** (mpmath.mpf(1) / (2 * steps - 1))
        expected = (1 + rho) / (largest + rho * smallest)
        quadratic = Quadratic([largest, smallest], ["3/4", "1/4"])
        assert quadratic.optimal_step_size(steps) == pytest.approx(float(expected), rel=4e-15)
        ball = quadratic.optimal_step_size(steps, digits=35)
        assert abs(mpmath.mpf(ball.mid().str(55, radius=False)) / expected - 1) < mpmath.mpf(10) ** -35


def test_the_ball_is_certified_by_a_sign_change() -> None:
    quadratic = Quadratic(["10", "7", "3", "1", "1/10"], [1] * 5)
    ball = quadratic.optimal_step_size(80, digits=25)
    with precision(400):
        ends = [Fraction(int(e.p), int(e.q)) for e in (ball.lower().fmpq(), ball.upper().fmpq())]
    assert quadratic.meta_gradient(ends[0], 80, digits=2) < 0
    assert quadratic.meta_gradient(ends[1], 80, digits=2) > 0
    outside = ends[1] * 2 - ends[0]
    assert quadratic.meta_gradient(outside, 80, digits=2) > 0  # no second sign change


def test_one_active_eigenvalue() -> None:
    quadratic = Quadratic([3, 3, 8], [1, 2, 0])
    assert quadratic.optimal_step_size([1, 10**9]).tolist() == [1 / 3, 1 / 3]
    low, high = quadratic.optimal_step_size_bracket(5)
    assert low < 1 / 3 < high
    assert (quadratic.smoothness, quadratic.strong_convexity) == (3.0, 3.0)


def test_not_monotone_in_general() -> None:
    # Derived here: eta*_t may fall before it rises.
    values = Quadratic([5, 1], [1e-6, 1 - 1e-6]).optimal_step_size([1, 10, 10**6])
    assert values[0] > values[1] > values[2] > 1 / 3
