"""The statement language: what it reads, what it refuses, and that no number system can fool it."""

from __future__ import annotations

from fractions import Fraction

import flint
import pytest

from l2o_theory.rigor import balls, language
from l2o_theory.rigor.language import Malformed, Undecided

WORLD = {
    "x": Fraction(2, 3),
    "t": Fraction(3),
    "v_i": [Fraction(1), Fraction(-2), Fraction(3)],
    "w_i": [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)],
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x**(2*t-1) + 1/3", Fraction(2, 3) ** 5 + Fraction(1, 3)),
        ("-x**2", -Fraction(4, 9)),
        ("0**0", 1),
        ("2**-3", Fraction(1, 8)),
        ("sum(w_i*v_i**2)", Fraction(1, 2) + Fraction(4, 3) + Fraction(9, 6)),
        ("prod(v_i)", -6),
        ("max(v_i) - min(v_i) + max(x, 0, 1) + min(2, x)", Fraction(5 + 1) + Fraction(2, 3)),
        ("sum(v_i*sum(w_i))", 2),
        ("abs(-x) + positive(x) + positive(-x) + root(4/9, 2)", Fraction(2, 3) + 1 + Fraction(2, 3)),
        ("v_i*sum(v_i)", [2, -4, 6]),
        ("0 < x <= 2/3 and not x > 1", True),
        ("x > 1 or x < 0", False),
        ("all(v_i <= 3)", True),
        ("natural(t) and not natural(x) and not natural(0*x)", True),
    ],
)
def test_values_are_those_of_fractions(text: str, value: object) -> None:
    assert language.evaluate(text, WORLD) == value


@pytest.mark.parametrize(
    "text",
    [
        "x.numerator",
        "__import__(1)",
        "open(x)",
        "(lambda: 1)()",
        "[x]",
        "x if x > 0 else 0",
        "'x'",
        "1.5",
        "1e5",
        "1j",
        "True",
        "x @ x",
        "x % 2",
        "x // 2",
        "x << 2",
        "x is x",
        "x in x",
        "x := 1",
        "sum(x for x in v_i)",
        "max(*v_i)",
        "abs(x=1)",
        "abs(x, x)",
        "max(x)",
        "sum(v_i, w_i)",
        "x**x",
        "x**100000000",
        "(x > 0) + 1",
        "not x",
        "x or t",
        "x and t",
        "(x > 0) == 1",
        "sum(v_i > 0)",
        "all(v_i)",
        "max",
        "unknown",
        "x # t",
        "x\u00b2",
        "",
        "(",
        "x)" + "(" * 300,
        "9" * 5000,
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        language.evaluate(text, WORLD)


def test_a_number_is_no_relation() -> None:
    for text in ("x", "v_i", "1"):
        with pytest.raises(Malformed):
            language.holds(text, WORLD)


def test_vectors_must_share_their_length_and_the_name_shape() -> None:
    with pytest.raises(Malformed, match="lengths"):
        language.instance({"v_i": ["1"], "w_i": ["1", "2"]}, {})
    for values, definitions in (({"v": ["1"]}, {}), ({"v_i": "1"}, {}), ({"v_i": ["1"]}, {"s": "2*v_i"})):
        with pytest.raises(Malformed, match="lists over the index"):
            language.instance(values, definitions)
    with pytest.raises(Malformed, match="twice"):
        language.instance({"x": "1"}, {"x": "2"})


@pytest.mark.parametrize("value", [0.5, True, None, "1e3", "nan", "inf", "1/0", " 1", "0x10", "1_000", "\u0661", [1]])
def test_only_exact_text_is_a_rational(value: object) -> None:
    with pytest.raises(Malformed):
        language.rational(value)


def test_rationals_are_read_exactly() -> None:
    assert [language.rational(v) for v in (3, "-2/6", "0.05", Fraction(1, 7))] == [
        Fraction(3),
        Fraction(-1, 3),
        Fraction(1, 20),
        Fraction(1, 7),
    ]


def test_overlapping_balls_are_never_chosen_between() -> None:
    """A maximum of overlapping balls must enclose both; taking the first would lose the true value 2."""
    wide, point = flint.arb(1, 3), flint.arb(1)
    world = {**balls.FUNCTIONS, "number": flint.arb, "wide": wide, "point": point, "v_i": [point, wide]}
    for text in ("max(point, wide)", "max(wide, point)", "max(v_i)"):
        assert language.evaluate(text, world).contains(2)
    assert language.evaluate("min(point, wide)", world).contains(-1)
    with pytest.raises(Undecided):
        language.holds("max(point, wide) <= 1", world)


def test_an_undefined_ball_decides_nothing() -> None:
    world = {**balls.FUNCTIONS, "number": flint.arb, "integer": int, "x": flint.arb(0)}
    for text in ("1/x > 0", "log(x) < 0", "log(x - 1) == 0", "sqrt(x - 1) != 0", "root(x - 1, 2) >= 0"):
        with pytest.raises(Undecided):
            language.holds(text, world)
