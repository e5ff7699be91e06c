"""Balls and rationals: the number systems everything stands on."""

from __future__ import annotations

from fractions import Fraction

import flint
import mpmath
import pytest

from l2o_theory.errors import InputError, PrecisionError
from l2o_theory.rigor import balls, language
from l2o_theory.rigor.rationals import parse_rational, parse_rationals


def test_refining_reaches_the_digits_asked_for() -> None:
    """log(1 + 1e-200) - 1e-200 cancels 400 digits; mpmath at 700 digits is the second route."""
    tiny = Fraction(1, 10**200)
    value = balls.refine(lambda: (1 + balls.ball(tiny)).log() - balls.ball(tiny), 30)
    with mpmath.workdps(700):
        reference = mpmath.log(1 + mpmath.mpf(10) ** -200) - mpmath.mpf(10) ** -200
        assert abs(mpmath.mpf(value.str(40, radius=False)) / reference - 1) < mpmath.mpf(10) ** -29


def test_refining_gives_up_on_what_is_zero_but_accepts_exact_zero() -> None:
    with pytest.raises(PrecisionError, match="zero"):
        balls.refine(lambda: flint.arb(2).sqrt() ** 2 - 2, 10, max_bits=2048)
    assert balls.refine(lambda: flint.arb(1) - 1, 10) == 0


def test_precision_is_restored_after_an_error() -> None:
    before = flint.ctx.prec
    with pytest.raises(RuntimeError), balls.precision(999):
        raise RuntimeError
    assert flint.ctx.prec == before


def test_a_root_is_defined_where_it_says() -> None:
    world = {**balls.FUNCTIONS, "number": flint.arb}
    assert language.evaluate("root(0, 5)", world) == 0
    assert not language.evaluate("root(0, -1)", world).is_finite()
    assert language.evaluate("root(32, 5)", world).contains(2)


def test_equalities_between_values_are_exact() -> None:
    exact = language.exact_values({"x_i": ["1/3", "2/3"]})
    world = balls.instance_in_balls({"x_i": ["1/3", "2/3"]}, {})
    assert balls.holds("sum(x_i) == 1", exact, world)
    assert balls.holds("exp(sum(x_i)) > 2", exact, world)
    with pytest.raises(language.Undecided):
        balls.holds("exp(sum(x_i)) == exp(1)", exact, world)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, None, "x", "1/0", "1e99999", "9" * 5000, [1]])
def test_what_is_no_rational_is_refused(value: object) -> None:
    with pytest.raises(InputError):
        parse_rational(value)


def test_rationals_are_exact() -> None:
    assert parse_rational("1e-3") == Fraction(1, 1000)
    assert parse_rational(0.1) == Fraction(3602879701896397, 36028797018963968)
    with pytest.raises(InputError, match=r"values\[1\]"):
        parse_rationals(["1", "one"])
    with pytest.raises(InputError, match="sequence"):
        parse_rationals("12")
