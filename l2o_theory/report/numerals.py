"""Numerals: numbers as a reader wants to see them, exact where that is short, rounded and marked where it is not."""

from __future__ import annotations

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from typing import Any

_LONGEST_EXACT = 40  # characters; a longer fraction tells a reader less than its decimal
_DIGITS = 12


def exact(value: Fraction) -> str:
    """The fraction as text if it is short, else how long it is."""
    bits = value.numerator.bit_length() + value.denominator.bit_length()
    if bits > 4 * _LONGEST_EXACT:  # also keeps clear of Python's limit on printing long integers
        return f"fraction with {math.ceil(bits * math.log10(2))} digits"
    return _plain(str(value))


def decimal(value: Fraction, digits: int = _DIGITS) -> str:
    """The fraction in decimals, with how it relates to them: "= 0.6", or "≈ 0.333333333333" when rounded."""
    context = Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)
    rounded = context.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(context)
    readable = -6 <= rounded.adjusted() < _DIGITS
    is_exact = rounded.as_integer_ratio() == value.as_integer_ratio()
    return f"{'=' if is_exact else '≈'} {_plain(format(rounded, 'f' if readable else 'e'))}"


def short(value: float | None) -> str:
    """A float to three digits; a dash for None and nan."""
    return "–" if value is None or math.isnan(value) else _plain(f"{value:.3g}")


def cell(value: Any) -> str:
    """One value of a measurement table: floats to six digits, the rest as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _plain(f"{value:.6g}")
    return "–" if value is None else str(value)


def _plain(text: str) -> str:
    """A true minus sign, and no padding in the exponent: "1e-09" reads "1e−9"."""
    mantissa, mark, exponent = text.partition("e")
    text = f"{mantissa}e{int(exponent)}" if mark else mantissa
    return text.replace("-", "−")
