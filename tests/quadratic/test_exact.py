"""Balls and rationals against Fractions and 80-digit arithmetic."""

from __future__ import annotations

from fractions import Fraction

import flint
import mpmath
import numpy as np
import pytest
from slow_reference import QUANTITIES, call, reference

from l2o_theory.errors import InputError
from l2o_theory.quadratic import Quadratic
from l2o_theory.quadratic.exact import rational_value
from l2o_theory.rigor.balls import precision

EIGENVALUES, WEIGHTS = ["2", "2/3", "1/7"], ["1/3", "1/2", "1/6"]


def fractions_reference(step_size: Fraction, steps: int) -> dict[str, Fraction]:
    """Unroll w <- (1 - eta l) w with exact tangents: another route than the closed formulas."""
    values, squares = [Fraction(v) for v in EIGENVALUES], [Fraction(v) for v in WEIGHTS]
    loss = first = second = Fraction(0)
    for value, square in zip(values, squares, strict=True):
        w, dw, ddw = Fraction(1), Fraction(0), Fraction(0)
        for _ in range(steps):
            r = 1 - step_size * value
            w, dw, ddw = r * w, r * dw - value * w, r * ddw - 2 * value * dw
        loss += square * value * w * w / 2
        first += square * value * w * dw
        second += square * value * (dw * dw + w * ddw)
    return {
        "loss": loss,
        "final": first,
        "curvature": second,
        "log_final": first / loss / steps,
        "log_curvature": (second / loss - (first / loss) ** 2) / steps,
    }


def holds(ball: flint.arb, value: Fraction) -> bool:
    # `contains` first rounds the rational at the current precision, which must be finer than the ball.
    with precision(4000):
        return bool(ball.contains(flint.fmpq(value.numerator, value.denominator)))


@pytest.mark.parametrize("step_size", ["1/2", "3/2", "0", "-1/5", "7", "12/11"])
@pytest.mark.parametrize("steps", [1, 2, 5, 30])
def test_balls_hold_the_exact_value(step_size: str, steps: int) -> None:
    quadratic, expected = Quadratic(EIGENVALUES, WEIGHTS), fractions_reference(Fraction(step_size), steps)
    for quantity, value in expected.items():
        ball = call(quadratic, quantity, step_size, steps, digits=40)
        assert holds(ball, value), quantity
        assert ball.rel_accuracy_bits() >= 40 * 3.32 or value == 0
        wrong = value * (1 + Fraction(1, 10**39))
        assert value == 0 or not holds(ball, wrong), "a ball that wide would prove nothing"


def test_rational_route_equals_the_unrolled_recursion() -> None:
    names = {"loss": "loss", "final": "gradient", "curvature": "curvature", "log_final": "log_gradient"}
    spectrum = Quadratic(EIGENVALUES, WEIGHTS).spectrum.exact
    for name, value in fractions_reference(Fraction(3, 4), 9).items():
        assert rational_value(spectrum, names.get(name, name), Fraction(3, 4), 9) == value


@pytest.mark.parametrize("step_size", [2 / 1.999, 0.3, 2.2, -0.1])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_thirty_digits_at_a_billion_steps(step_size: float, quantity: str) -> None:
    ball = call(Quadratic([1.0, 0.999], [0.5, 0.5]), quantity, step_size, 10**9, digits=30)
    expected = reference([1.0, 0.999], [0.5, 0.5], step_size, 10**9, digits=80)[quantity]
    with mpmath.workdps(60):
        middle = mpmath.mpf(ball.mid().str(50, radius=False))
        assert abs(middle / expected - 1) < mpmath.mpf(10) ** -30
    assert ball.rel_accuracy_bits() >= 30 * 3.32


def test_floats_stand_for_their_binary_value_and_text_for_the_decimal() -> None:
    as_float = Quadratic([1.0, 0.1], [0.5, 0.5]).loss(0.3, 3, digits=30)
    as_text = Quadratic(["1", "0.1"], ["0.5", "0.5"]).loss("0.3", 3, digits=30)
    assert not as_float.overlaps(as_text)
    exact = Fraction(1, 4) * ((1 - Fraction(0.3)) ** 6 + Fraction(0.1) * (1 - Fraction(0.3) * Fraction(0.1)) ** 6)
    assert holds(as_float, exact)


def test_a_vanishing_value_is_exactly_zero() -> None:
    quadratic = Quadratic(["2", "1"], ["1/3", "2/3"])  # t = 1: eta* = sum c^2 l^2 / sum c^2 l^3 = 3/5
    assert quadratic.meta_gradient("3/5", 1, digits=30) == 0
    assert quadratic.meta_gradient("3/5", 1) == 0
    assert quadratic.meta_gradient("3/5", 1, "log_final", digits=30) == 0
    assert quadratic.meta_gradient(Fraction(3, 5) + Fraction(1, 10**40), 1, digits=30) > 0  # the fault: "about zero"
    sign, size = quadratic.log_abs_meta_gradient("3/5", 1, digits=30)
    assert (sign, float(size)) == (0, -np.inf)


@pytest.mark.parametrize("steps", [1, 10, 10**9])
def test_terms_that_cancel_in_pairs_are_zero_at_any_horizon(steps: int) -> None:
    quadratic = Quadratic([3.0, 1.0], [1.0, 9.0])  # c^2 l^2 equal and r = -1/2, 1/2 at eta = 1/2
    assert quadratic.meta_gradient(0.5, steps) == 0
    assert quadratic.meta_gradient(0.5, steps, digits=20) == 0
    assert quadratic.log_abs_meta_gradient(0.5, steps) == (0.0, -np.inf)


def test_log_loss_exactly_zero() -> None:
    assert Quadratic([1], [2]).log_loss([0, 2], 10**9, digits=20).tolist() == [0, 0]


def test_zero_loss() -> None:
    quadratic = Quadratic(["2/3"], ["1"])
    assert quadratic.loss("3/2", 4, digits=20) == 0
    assert quadratic.loss("3/2", 4) == 0
    assert float(quadratic.log_loss("3/2", 4, digits=20)) == -np.inf
    assert quadratic.meta_gradient("3/2", 4, "log_final", digits=20).is_nan()


def test_arrays_give_arrays_of_balls() -> None:
    balls = Quadratic(EIGENVALUES, WEIGHTS).loss(["1/2", "1/3"], [[1], [2], [3]], digits=25)
    assert balls.shape == (3, 2)
    assert all(isinstance(ball, flint.arb) for ball in balls.flat)


@pytest.mark.parametrize("digits", [0, -3, 2.5, True, "30"])
def test_digits_are_checked(digits: object) -> None:
    with pytest.raises(InputError, match="digits must be an integer"):
        Quadratic([1.0], [1.0]).loss(0.1, 1, digits=digits)  # type: ignore[arg-type]
