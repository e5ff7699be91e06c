"""Polynomials against sympy, and the reading of statements as polynomials."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from l2o_theory.rigor.language import Malformed
from l2o_theory.rigor.polynomial import Polynomial
from l2o_theory.rigor.symbols import Symbols

TEXTS = [
    "(x + y)**3 - (x - y)**3",
    "(2*x/3 - 1)*(y + z)**2 - x*y*z",
    "-(x*y - 1)**4 + x**0",
    "x*(1 - x)*(1 - 2*x) - x",
    "(x + 1)*(x - 1) - x**2 + 1",
]


def from_sympy(text: str) -> dict[tuple[tuple[str, int], ...], Fraction]:
    expression = sympy.expand(sympy.sympify(text, rational=True))
    symbols = sorted(expression.free_symbols, key=str)
    if not symbols:
        return {(): Fraction(int(expression.p), int(expression.q))} if expression else {}
    found = {}
    for powers, c in sympy.Poly(expression, *symbols).terms():
        monomial = tuple((str(s), p) for s, p in zip(symbols, powers, strict=True) if p)
        found[monomial] = Fraction(int(c.p), int(c.q))
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_expansion_agrees_with_sympy(text: str) -> None:
    assert dict(Symbols({}).polynomial(text)) == from_sympy(text)


@pytest.mark.parametrize("text", TEXTS)
def test_derivatives_agree_with_sympy(text: str) -> None:
    slope = sympy.diff(sympy.sympify(text, rational=True), sympy.Symbol("x"))
    assert dict(Symbols({}).polynomial(text).derivative("x")) == from_sympy(str(slope))


def test_a_planted_wrong_coefficient_is_seen() -> None:
    assert dict(Symbols({}).polynomial("(x + y)**3 + x*y/1000")) != from_sympy("(x + y)**3")


@pytest.mark.parametrize(
    "wrong", ["x**65", "x**-1", "1/x", "x/y", "x == y", "abs(x)", "max(x, y)", "prod(x_i)", "x**y"]
)
def test_what_is_no_polynomial_is_refused(wrong: str) -> None:
    with pytest.raises((Malformed, TypeError, ValueError)):
        Symbols({}).polynomial(wrong)


def test_sums_are_linear_and_powers_of_sums_stay_powers() -> None:
    symbols = Symbols({})
    left = symbols.polynomial("sum(a*x_i + b*y_i**2)")
    assert left == symbols.polynomial("a*sum(x_i) + b*sum(y_i**2)")
    assert symbols.polynomial("sum(x_i*sum(x_i))") == symbols.polynomial("sum(x_i)**2")
    assert symbols.polynomial("sum(x_i*sum(x_i))") * 1 != symbols.polynomial("sum(x_i)")


def test_relations_point_the_right_way() -> None:
    x = Polynomial.variable("x")
    read = Symbols({"r": "1 - x"}).relation
    assert read("r <= 1") == (x, ">=")
    assert read("r < 1") == (x, ">")
    assert read("1 >= r") == (x, ">=")
    assert read("x == 1") == (x - 1, "==")
    for wrong in ("x", "x != 1", "0 < x < 1", "x > 0 and x < 1", "not x > 0"):
        with pytest.raises(Malformed):
            read(wrong)


@pytest.mark.parametrize(
    "definitions",
    [{"a": "a + 1"}, {"a": "b", "b": "1"}, {"sum": "1"}, {"a": "x_i"}, {"a_i": "x"}, {"S": "sum(b_i)", "b_i": "x_i"}],
)
def test_circular_and_misnamed_definitions_are_refused(definitions: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        Symbols(definitions)
