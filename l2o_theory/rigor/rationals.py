"""Exact rationals: the one place where text, floats and integers become `fractions.Fraction`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from numbers import Rational, Real
from typing import Any

Number = int | float | str | Fraction
"""What a caller may pass where a real number is wanted; floats stand for their exact binary value."""

_LONGEST = 4096  # characters of a rational in text; longer input is a mistake or an attack, not a number
_LARGEST_EXPONENT = 4096  # decimal exponent in text; "1e999999999" must not exhaust the memory


def parse_rational(value: Any, name: str = "value") -> Fraction:
    """Return `value` as an exact Fraction.

    Integers, Fractions and finite floats are taken exactly; text may be "2/3", "0.1" or "1e-3" (decimal, exact).

    Args:
        value: the number, or its text.
        name: what to call it in the error message.

    Raises:
        InputError: NaN, infinity, a boolean, unparsable or absurdly long text, or another type.

    Example:
        >>> parse_rational("2/3"), parse_rational(0.5)
        (Fraction(2, 3), Fraction(1, 2))
    """
    from l2o_theory.errors import InputError

    if isinstance(value, str):
        exponent = re.search(r"[eE]([+-]?\d+)\s*$", value)
        if len(value) > _LONGEST or (exponent and abs(int(exponent.group(1))) > _LARGEST_EXPONENT):
            raise InputError(f"{name} must be a rational of moderate length, got {value[:40]!r}...; shorten it")
        try:
            return Fraction(value.strip())
        except (ValueError, ZeroDivisionError):
            raise InputError(
                f'{name} must be a rational such as "2/3", "0.1" or "1e-3", got {value!r}; rewrite it'
            ) from None
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        raise InputError(f"{name} must be a number, got the boolean {value!r}; pass 0 or 1 if that is meant")
    if isinstance(value, Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(value, Real):
        if not math.isfinite(value):
            raise InputError(f"{name} must be finite, got {value!r}; remove NaN and infinities first")
        return Fraction(float(value))
    raise InputError(f"{name} must be a number or text, got {type(value).__name__}; pass float, Fraction or str")


def parse_rationals(values: Iterable[Any], name: str = "values") -> tuple[Fraction, ...]:
    """Parse each entry of `values`; the error names the position of the first bad one.

    Raises:
        InputError: as `parse_rational`, or when `values` is not a sequence of numbers.
    """
    from l2o_theory.errors import InputError

    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"{name} must be a sequence of numbers, got {values!r}; wrap a single number in a list")
    return tuple(parse_rational(value, f"{name}[{index}]") for index, value in enumerate(values))
