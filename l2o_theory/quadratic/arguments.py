"""Arguments at the door: step sizes and step counts, scalars or arrays, checked and kept exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.rigor.rationals import parse_rational

Array = NDArray[np.float64]
StepSize = float | int | str | Fraction | Array | Sequence[Any]
"""A step size, or an array or (nested) sequence of them; floats stand for their exact binary value."""
Steps = int | NDArray[Any] | Sequence[Any]
"""A number of inner steps >= 1, or an array or (nested) sequence of them."""

MOST_STEPS = 2**53  # beyond it a float64 cannot hold every integer
MOST_DIGITS = 100_000


def split_rational(value: Fraction, name: str) -> tuple[float, float]:
    """Return (high, low): the nearest float and the nearest float of the rest, so that high + low holds 106 bits.

    Raises:
        InputError: the magnitude lies outside the range of float64.
    """
    try:
        high = float(value)
    except OverflowError:
        high = float("inf")
    if not abs(high) < float("inf") or (high == 0 and value != 0):
        raise InputError(f"{name} must lie in the range of float64, got {str(value)[:40]}; rescale the problem")
    return high, float(value - Fraction(high))


@dataclass(frozen=True)
class StepSizes:
    """Step sizes of one call: `high + low` (shape of the caller's array) and, where not plain floats, the rationals."""

    high: Array
    low: Array
    rationals: tuple[Fraction, ...] | None

    def exact(self, index: int) -> Fraction:
        """Return the exact rational of the flat entry `index`."""
        return Fraction(float(self.high.flat[index])) if self.rationals is None else self.rationals[index]


def parse_step_sizes(value: Any) -> StepSizes:
    """Read finite real step sizes (any sign); text and Fractions stay exact.

    Raises:
        InputError: NaN, infinity, a boolean, unparsable text, or a ragged sequence.
    """
    if hasattr(value, "__array__"):
        value = np.asarray(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        high = np.asarray(value, dtype=np.float64)
        if not np.all(np.isfinite(high)):
            raise InputError("step_size must be finite, got NaN or infinity; remove those entries first")
        return StepSizes(high, np.zeros_like(high), None)
    if isinstance(value, float):
        high = np.asarray(float(parse_rational(value, "step_size")))
        return StepSizes(high, np.zeros_like(high), None)
    objects = _objects(value, "step_size")
    rationals = tuple(parse_rational(entry, "step_size") for entry in objects.flat)
    pairs = np.array([split_rational(entry, "step_size") for entry in rationals], dtype=np.float64).reshape(-1, 2)
    return StepSizes(pairs[:, 0].reshape(objects.shape), pairs[:, 1].reshape(objects.shape), rationals)


def parse_steps(value: Any) -> NDArray[np.int64]:
    """Read numbers of steps t, 1 <= t <= 2^53; floats without a fractional part (as from logspace) are accepted.

    Raises:
        InputError: below 1, not an integer, a boolean, or too large for float64 to count.
    """
    if hasattr(value, "__array__"):
        value = np.asarray(value)
    objects = _objects(value, "steps")
    for entry in objects.reshape(-1).tolist():
        number = isinstance(entry, Real) and not isinstance(entry, bool | np.bool_)
        if not number or not 1 <= entry <= MOST_STEPS or entry != int(entry):
            raise InputError(f"steps must be an integer from 1 to 2^53, got {entry!r}; pass a whole number such as 100")
    return np.asarray(objects.astype(np.int64))


def parse_one_steps(value: Any) -> int:
    """Read a single number of steps.

    Raises:
        InputError: as `parse_steps`, or when an array came.
    """
    steps = parse_steps(value)
    if steps.ndim:
        raise InputError(f"steps must be a single integer here, got shape {steps.shape}; call once per horizon")
    return int(steps)


def parse_digits(value: Any) -> int:
    """Read the number of decimal digits asked for.

    Raises:
        InputError: not an integer from 1 to 100000.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or not 1 <= int(value) <= MOST_DIGITS:
        raise InputError(f"digits must be an integer from 1 to {MOST_DIGITS}, got {value!r}; try digits=30")
    return int(value)


def common_shape(step_sizes: StepSizes, steps: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the broadcast shape.

    Raises:
        InputError: the two shapes do not broadcast.
    """
    try:
        return np.broadcast_shapes(step_sizes.high.shape, steps.shape)
    except ValueError:
        raise InputError(
            f"step_size and steps must broadcast, got shapes {step_sizes.high.shape} and {steps.shape}; "
            "add an axis, as in step_size[:, None]"
        ) from None


def over_horizons(steps: Any, at: Callable[[int], Any]) -> Any:
    """Return `at(t)` for a scalar, else the array of its values (float64, or object where they are balls)."""
    horizons = parse_steps(steps)
    values = {t: at(t) for t in sorted(set(horizons.reshape(-1).tolist()))}
    if not horizons.ndim:
        return values[int(horizons)]
    dtype = np.float64 if all(isinstance(value, float) for value in values.values()) else np.object_
    result = np.empty(horizons.shape, dtype=dtype)
    for index, t in enumerate(horizons.flat):
        result.flat[index] = values[int(t)]
    return result


def _objects(value: Any, name: str) -> NDArray[np.object_]:
    """Return `value` as an object array with the caller's nesting; refuse ragged nesting."""
    try:
        objects = np.array(value, dtype=object)
    except ValueError:
        objects = np.array([None])
    if any(entry is None or isinstance(entry, list | tuple) for entry in objects.flat):
        raise InputError(f"{name} must be a number or a rectangular array of numbers, got {value!r}; pad or split it")
    return objects
