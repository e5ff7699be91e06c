"""Settings at the door: noise levels, ratios, counts and step sizes, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import Array
from l2o_theory.rigor.rationals import parse_rational

Real = float | int | str | Fraction | NDArray[Any] | Sequence[Any]
"""A real number or a (nested) sequence or array of them; text may be "2/3"."""


def parse_reals(value: Any, name: str, *, positive: bool) -> Array:
    """Read finite numbers, all > 0 (`positive`) or >= 0, as float64 in the caller's shape.

    Raises:
        InputError: NaN, infinity, a number out of range, text that is no number, or a ragged sequence.
    """
    numbers = value if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" else _parse_each(value, name)
    reals = np.asarray(numbers, dtype=np.float64)
    bad = ~np.isfinite(reals) | (reals < 0) | (positive & (reals == 0))
    if np.any(bad):
        wanted = "> 0" if positive else ">= 0"
        raise InputError(f"{name} must be finite and {wanted}, got {reals[bad].flat[0]}; correct or remove that entry")
    return reals


def parse_count(value: Any, name: str) -> int:
    """Read a whole number >= 1.

    Raises:
        InputError: not an integer, a boolean, or below 1.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise InputError(f"{name} must be a whole number >= 1, got {value!r}; pass one such as 500")
    return int(value)


def broadcast(names: str, *arrays: NDArray[Any]) -> list[NDArray[Any]]:
    """Broadcast the arrays against each other.

    Raises:
        InputError: their shapes do not fit.
    """
    try:
        return list(np.broadcast_arrays(*arrays))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise InputError(f"{names} must broadcast, got shapes {shapes}; add an axis, as in noise[:, None]") from None


def _parse_each(value: Any, name: str) -> Array:
    try:
        objects = np.array(value, dtype=object)
        flat = [float(parse_rational(entry, name)) for entry in objects.flat]
    except (ValueError, OverflowError) as error:
        raise (
            error
            if isinstance(error, InputError)
            else InputError(
                f"{name} must be a number or a rectangular array of numbers, got {str(value)[:60]!r}; pad or split it"
            )
        ) from None
    return np.array(flat, dtype=np.float64).reshape(objects.shape)
