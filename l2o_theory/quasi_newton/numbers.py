"""Numbers of this room: exact where all that came is exact (integers, fractions, text), float64 otherwise."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.rigor.rationals import parse_rational

Real: TypeAlias = Fraction | float
Entries: TypeAlias = NDArray[Any]
"""An array of `Fraction` (dtype object) or of float64; the formulas of this room read the same for both."""


def entries(values: Any, name: str, dimensions: int = 1) -> Entries:
    """Read an array of finite numbers: of Fractions if every entry is an integer, a Fraction or text, else of float64.

    Args:
        values: nested sequences or an array.
        name: what to call it in the error message.
        dimensions: how many axes it must have.

    Raises:
        InputError: ragged, empty, another number of axes, NaN, infinity, or something that is no number.

    Example:
        >>> entries(["1/2", 3], "eigenvalues").tolist()
        [Fraction(1, 2), Fraction(3, 1)]
    """
    try:
        given = np.array(values, dtype=object)
    except ValueError:
        given = np.array(None, dtype=object)
    if given.ndim != dimensions or not given.size:
        raise InputError(f"{name} must have {dimensions} axes and an entry, got shape {given.shape}; reshape it")
    exact = [parse_rational(entry, f"{name}[{place}]") for place, entry in enumerate(given.flat)]
    inexact = any(isinstance(entry, float | np.floating) for entry in given.flat)
    found = np.empty(given.size, dtype=np.float64 if inexact else object)
    found[:] = [float(value) for value in exact] if inexact else exact
    return found.reshape(given.shape)


def positive(values: Entries, name: str) -> Entries:
    """Return `values` if every entry is positive.

    Raises:
        InputError: an entry is zero or negative.
    """
    bad = [value for value in values.flat if not value > 0]
    if bad:
        raise InputError(f"{name} must be positive, got {bad[0]}; remove that entry")
    return values


def like(value: Any, array: Entries) -> Any:
    """The number `value` in the number system of `array`: numpy would turn Fraction times floats into objects."""
    return float(value) if array.dtype == np.float64 else value


def number(value: Any, name: str, *, least: float | None = None, below: float | None = None) -> Real:
    """Read one number as `entries` does, and hold it to least <= value < below.

    Raises:
        InputError: no finite number, or out of range.
    """
    (found,) = entries([value], name).tolist()
    if (least is not None and found < least) or (below is not None and not found < below):
        ends = [f">= {least:g}" if least is not None else "", f"< {below:g}" if below is not None else ""]
        raise InputError(f"{name} must be {' and '.join(filter(None, ends))}, got {found}; change it")
    result: Real = found
    return result
