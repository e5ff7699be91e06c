"""Endpoint intervals: [low, high] with exact binary ends, every operation rounded outward.

Unlike one wide ball, an endpoint interval keeps what is monotone: powers stay in [0, 1], squares stay non-negative.
Comparisons are true only when certain; an operation that is undefined somewhere on its intervals raises `Undecided`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from l2o_theory.rigor import balls
from l2o_theory.rigor.language import Undecided


@dataclass(frozen=True, eq=False)
class Interval:
    """All reals from `low` to `high`, two exact finite `arb`; the number type of `language.evaluate` on boxes.

    Example:
        >>> x = Interval.between(Fraction(-1, 2), Fraction(1))
        >>> x**2 <= 1, x**2 >= 0, x <= 1
        (True, True, True)
    """

    low: flint.arb
    high: flint.arb

    @classmethod
    def of(cls, value: Any) -> Interval:
        """The interval itself, or the smallest one at this precision around an integer or a Fraction."""
        return value if isinstance(value, Interval) else cls.between(value, value)

    @classmethod
    def between(cls, low: Fraction | int, high: Fraction | int) -> Interval:
        """From low to high, rounded outward; raises Undecided if they are swapped."""
        if low > high:
            raise Undecided(f"the interval from {low} to {high} is empty")
        return _hull(balls.ball(low), balls.ball(high))

    def __add__(self, other: Any) -> Interval:
        other = Interval.of(other)
        return _hull(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return _hull(-self.high, -self.low)

    def __sub__(self, other: Any) -> Interval:
        return self + -Interval.of(other)

    def __rsub__(self, other: Any) -> Interval:
        return Interval.of(other) + -self

    def __mul__(self, other: Any) -> Interval:
        other = Interval.of(other)
        return _hull(*(a * b for a in (self.low, self.high) for b in (other.low, other.high)))

    def __truediv__(self, other: Any) -> Interval:
        other = Interval.of(other)
        if other.low <= 0 <= other.high:
            raise Undecided("division by an interval that contains 0")
        return _hull(*(a / b for a in (self.low, self.high) for b in (other.low, other.high)))

    def __rtruediv__(self, other: Any) -> Interval:
        return Interval.of(other) / self

    def __pow__(self, power: int) -> Interval:
        """Monotone in u for odd powers, in |u| for even ones; u^0 = 1 also at u = 0."""
        if power < 0:
            return 1 / self**-power
        base = abs(self) if power % 2 == 0 else self
        return _hull(base.low**power, base.high**power)

    def __abs__(self) -> Interval:
        if self.low >= 0:
            return self
        return -self if self.high <= 0 else Interval(flint.arb(0), (-self).max(self).high)

    __radd__, __rmul__ = __add__, __mul__

    def max(self, other: Any) -> Interval:
        """All values of max(u, v)."""
        other = Interval.of(other)
        return Interval(_later(self.low, other.low), _later(self.high, other.high))

    def min(self, other: Any) -> Interval:
        """All values of min(u, v)."""
        return -(-self).max(-Interval.of(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.high < Interval.of(other).low)

    def __le__(self, other: Any) -> bool:
        return bool(self.high <= Interval.of(other).low)

    def __gt__(self, other: Any) -> bool:
        return bool(self.low > Interval.of(other).high)

    def __ge__(self, other: Any) -> bool:
        return bool(self.low >= Interval.of(other).high)

    def __eq__(self, other: object) -> bool:
        return self <= other <= self  # both are one and the same point

    def __ne__(self, other: object) -> bool:
        return self < other or self > other

    __hash__ = None  # type: ignore[assignment]  # equality is certainty, not identity

    def monotone(self, function: Callable[[flint.arb], flint.arb]) -> Interval:
        """Image under an increasing function that is defined on the whole interval."""
        return _hull(function(self.low), function(self.high))


def _hull(*values: flint.arb) -> Interval:
    """Smallest interval around the balls; raises Undecided where one is not finite."""
    if not all(value.is_finite() for value in values):
        raise Undecided("undefined, or beyond every bound, somewhere on the box")
    low, high = values[0].lower(), values[0].upper()
    for value in values[1:]:
        below, above = value.lower(), value.upper()
        low, high = (below if below < low else low), _later(high, above)
    return Interval(low, high)


def _later(left: flint.arb, right: flint.arb) -> flint.arb:
    return right if right > left else left


def _root(value: Interval, degree: Interval) -> Interval:
    """u^(1/n) is monotone in u >= 0 and in n > 0: its extremes are at corners."""
    if not (value >= 0 and degree > 0):
        raise Undecided("a root of a number that may be negative, or of a degree that may not be positive")
    root = balls.FUNCTIONS["root"]
    return _hull(*(root(u, n) for u in (value.low, value.high) for n in (degree.low, degree.high)))


def _cosh(value: Interval) -> Interval:
    return abs(value).monotone(flint.arb.cosh)


def _positive(value: Interval) -> Interval:
    """1 where u > 0, else 0."""
    return Interval(flint.arb(int(value > 0)), flint.arb(int(not value <= 0)))


def _integer(value: Interval) -> int:
    """The integer that the interval is; ValueError otherwise."""
    integer = value.low.unique_fmpz() if value.low == value.high else None
    if integer is None:
        raise ValueError("the interval is not one exact integer")
    return int(integer)


WORLD: dict[str, Any] = {
    "number": Interval.of,
    "integer": _integer,
    "log": lambda value: value.monotone(flint.arb.log),
    "exp": lambda value: value.monotone(flint.arb.exp),
    "sqrt": lambda value: value.monotone(flint.arb.sqrt),
    "acosh": lambda value: value.monotone(flint.arb.acosh),
    "root": _root,
    "cosh": _cosh,
    "positive": _positive,
}
"""What `language.evaluate` needs to work in intervals; the same functions as `balls.FUNCTIONS`."""
