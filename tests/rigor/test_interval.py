"""Endpoint intervals contain every true value, checked at random points in exact rationals and in mpmath."""

from __future__ import annotations

import random
from fractions import Fraction

import flint
import mpmath
import pytest

from l2o_theory.rigor import balls, interval, language
from l2o_theory.rigor.interval import WORLD, Interval
from l2o_theory.rigor.language import Undecided

RATIONAL = [
    "x + y*z - x*y",
    "(x - y)*(x + z)/(z**2 + 1)",
    "x**7 - y**6 + x**0",
    "abs(x) - abs(y - z)",
    "max(x, y, z) - min(x, y)",
    "(x**2 + 1)**-3",
    "positive(x) - positive(y)*x",
    "-x/(3 + y**4)",
]
SMOOTH = {
    "exp(x)*y": lambda x, y: mpmath.exp(x) * y,
    "log(1 + x**2)": lambda x, y: mpmath.log(1 + x**2),
    "sqrt(x**2 + y**2)": lambda x, y: mpmath.sqrt(x**2 + y**2),
    "root(abs(x), 5)": lambda x, y: mpmath.root(abs(x), 5),
    "cosh(x - y)": lambda x, y: mpmath.cosh(x - y),
    "acosh(1 + y**2)": lambda x, y: mpmath.acosh(1 + y**2),
}


def ranges(generator: random.Random) -> dict[str, tuple[Fraction, Fraction]]:
    ends = {n: sorted(Fraction(generator.randint(-64, 64), 32) for _ in range(2)) for n in "xyz"}
    return {name: (low, high) for name, (low, high) in ends.items()}


def inside(box: dict[str, tuple[Fraction, Fraction]], generator: random.Random) -> dict[str, Fraction]:
    """A corner or an inner point: the extremes of monotone pieces are at corners."""
    shares = [Fraction(generator.choice([0, 0, 1, 1, generator.randint(0, 997)]), 1) for _ in box]
    return {
        name: low + (high - low) * (share if share <= 1 else share / 997)
        for (name, (low, high)), share in zip(box.items(), shares, strict=True)
    }


def escapes(text: str) -> int:
    """How many exact values of the expression lie outside their enclosure."""
    generator, count = random.Random(text), 0
    with balls.precision(24):  # coarse on purpose: a missing outward rounding shows
        for _ in range(60):
            box = ranges(generator)
            enclosure = language.evaluate(text, {**WORLD, **{n: Interval.between(*ends) for n, ends in box.items()}})
            low, high = (Fraction(int(e.man_exp()[0])) * Fraction(2) ** int(e.man_exp()[1]) for e in ends_of(enclosure))
            values = [language.evaluate(text, inside(box, generator)) for _ in range(5)]
            count += sum(not low <= value <= high for value in values)
    return count


@pytest.mark.parametrize("text", RATIONAL)
def test_rational_expressions_are_enclosed(text: str) -> None:
    assert escapes(text) == 0


def test_a_missing_outward_rounding_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def nearest(*values: flint.arb) -> Interval:
        middles = sorted((value.mid() for value in values), key=lambda middle: middle)
        return Interval(middles[0], middles[-1])

    monkeypatch.setattr(interval, "_hull", nearest)
    assert escapes("(x - y)*(x + z)/(z**2 + 1)") > 0


def ends_of(interval: Interval) -> tuple[flint.arb, flint.arb]:
    assert interval.low.is_exact()
    assert interval.high.is_exact()
    return interval.low, interval.high


@pytest.mark.parametrize("text", SMOOTH)
def test_functions_are_enclosed(text: str) -> None:
    generator = random.Random(text)
    with balls.precision(24), mpmath.workdps(40):
        for _ in range(40):
            box = ranges(generator)
            enclosure = language.evaluate(text, {**WORLD, **{n: Interval.between(*ends) for n, ends in box.items()}})
            point = inside(box, generator)
            x, y = (mpmath.mpf(point[n].numerator) / point[n].denominator for n in "xy")
            low, high = (
                mpmath.mpf(end.man_exp()[0].__int__()) * mpmath.mpf(2) ** int(end.man_exp()[1])
                for end in ends_of(enclosure)
            )
            slack = mpmath.mpf(10) ** -35  # mpmath itself is right to 40 digits
            assert low - slack <= SMOOTH[text](x, y) <= high + slack


def test_powers_and_squares_are_tight() -> None:
    x = Interval.between(Fraction(-1, 2), Fraction(1))
    assert x**1000 <= 1
    assert x**1000 >= 0
    assert not x * x >= 0  # the product does not know that both factors are one
    assert x**999 >= -(Fraction(1, 2) ** 999)
    assert (x**0) == 1


def test_comparisons_are_true_only_when_certain() -> None:
    x, y = Interval.between(0, 1), Interval.between(1, 2)
    assert x <= y
    assert not x < y
    assert (x == y) is False
    assert (x != y) is False
    assert Interval.of(1) == 1
    assert x != Interval.between(2, 3)
    with pytest.raises(Undecided):
        language.holds("x < y", {**WORLD, "x": x, "y": y})


@pytest.mark.parametrize(
    "text", ["1/x", "log(x)", "sqrt(x - 1)", "root(x - 1, 3)", "acosh(x)", "x**-1", "0/x", "root(x, 0)"]
)
def test_what_is_undefined_somewhere_decides_nothing(text: str) -> None:
    with pytest.raises(Undecided):
        language.evaluate(text, {**WORLD, "x": Interval.between(0, 1)})


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(Undecided, match="empty"):
        Interval.between(1, 0)
