"""Chebyshev steps against their definition, and what the order of the steps does in floating point."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import mpmath
import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quadratic import chebyshev_factor, chebyshev_step_sizes, constant_factor


@pytest.mark.parametrize("steps", [1, 2, 7, 16])
def test_chebyshev_reaches_its_factor_and_no_point_exceeds_it(steps: int) -> None:
    step_sizes = chebyshev_step_sizes(10, "1/10", steps)
    grid = np.linspace(0.1, 10, 40001)
    worst = np.max(np.abs(np.prod(1 - np.outer(step_sizes, grid), axis=0)))
    factor = chebyshev_factor(10, "1/10", steps)
    # the ends of the interval are on the grid and attain the factor; rounding of t <= 16 factors of size up to 20
    assert worst == pytest.approx(factor, abs=0, rel=1e-12)
    # any perturbed schedule is worse: the minimax property
    rng = np.random.default_rng(steps)
    for _ in range(20):
        other = step_sizes * (1 + 0.05 * rng.standard_normal(steps))
        assert np.max(np.abs(np.prod(1 - np.outer(other, grid), axis=0))) > factor


def test_chebyshev_factors_of_an_independent_computation() -> None:
    assert round(chebyshev_factor(10, "1/10", 16), 4) == 0.0805
    assert round(constant_factor(10, "1/10", 16), 4) == 0.7261


@pytest.mark.parametrize("smallest", ["1/1000000000000", "1/10", "999999999999/1000000000000"])
def test_factors_keep_their_digits_at_both_ends(smallest: str) -> None:
    alpha = Fraction(smallest)
    with mpmath.workdps(60):
        ratio = mpmath.mpf(alpha.numerator) / alpha.denominator
        cheb = 1 / mpmath.cosh(5 * mpmath.acosh((1 + ratio) / (1 - ratio)))
        constant = ((1 - ratio) / (1 + ratio)) ** 5
        # 1 - 1e-12 sits near the float grid: exponents up to 150 are rounded once each
        assert chebyshev_factor(1, smallest, 5) == pytest.approx(float(cheb), abs=0, rel=1e-13)
        assert constant_factor(1, smallest, 5) == pytest.approx(float(constant), abs=0, rel=1e-13)
        for ball, wanted in [
            (chebyshev_factor(1, smallest, 5, digits=30), cheb),
            (constant_factor(1, smallest, 5, digits=30), constant),
        ]:
            assert abs(mpmath.mpf(ball.mid().str(40, radius=False)) - wanted) < wanted * mpmath.mpf(10) ** -30
    assert chebyshev_factor(1, 1, 5) == constant_factor(1, 1, 5) == 0.0


def test_chebyshev_step_sizes_in_balls_and_in_leja_order() -> None:
    steps = 9
    increasing, leja = chebyshev_step_sizes(5, 1, steps), chebyshev_step_sizes(5, 1, steps, order="leja")
    with mpmath.workdps(40):
        wanted = [1 / (3 + 2 * mpmath.cos((2 * j - 1) * mpmath.pi / (2 * steps))) for j in range(1, steps + 1)]
        balls = chebyshev_step_sizes(5, 1, steps, digits=30)
        for found, ball, exact in zip(increasing, balls, wanted, strict=True):
            assert found == pytest.approx(float(exact), abs=0, rel=1e-15)
            assert abs(mpmath.mpf(ball.mid().str(38, radius=False)) - exact) < exact * mpmath.mpf(10) ** -30
    assert np.array_equal(np.sort(leja), np.sort(increasing))
    assert not np.array_equal(leja, increasing)


def test_only_the_leja_order_survives_being_run_in_floating_point() -> None:
    # condition number 10^4, t = 64: the products of all later factors, which multiply a rounding error, reach 10^31 in
    # increasing order, so 10^-16 becomes 10^15; in Leja order they stay below 10^4
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    hessian = (basis * np.geomspace(1e-2, 100, 40)) @ basis.T

    def final_length(order: Literal["increasing", "leja"]) -> float:
        w = np.full(40, 40**-0.5)
        for step_size in chebyshev_step_sizes(100, "1/100", 64, order=order):
            w = w - step_size * (hessian @ w)
        return float(np.linalg.norm(w))

    factor = chebyshev_factor(100, "1/100", 64)
    assert final_length("leja") <= factor * (1 + 1e-9)  # 10^4 * 10^-16 per step, 64 steps
    assert final_length("increasing") > 1e6


@pytest.mark.parametrize(
    "call",
    [
        lambda: chebyshev_step_sizes(1, 2, 4),
        lambda: chebyshev_step_sizes(1, 0, 4),
        lambda: chebyshev_step_sizes("1e400", 1, 4),
        lambda: chebyshev_step_sizes(2, 1, 0),
        lambda: chebyshev_step_sizes(2, 1, 4, order="random"),  # type: ignore[arg-type]
        lambda: chebyshev_factor(2, -1, 4),
        lambda: constant_factor(2, 1, 1.5),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_refused_in_one_line(call: object) -> None:
    with pytest.raises(InputError) as refusal:
        call()  # type: ignore[operator]
    assert "\n" not in str(refusal.value)
