"""Floats with an exponent of their own: products of any number of factors neither overflow nor lose digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.quadratic.arguments import Array


@dataclass(frozen=True)
class Scaled:
    """Numbers mantissa * 2^exponent of any size, entry by entry: products never overflow, underflow or lose digits."""

    mantissa: Array
    exponent: NDArray[np.int64]

    @classmethod
    def of(cls, values: Array, exponent: NDArray[np.int64] | int = 0) -> Scaled:
        """Return values * 2^exponent with mantissas in [1/2, 1) or 0."""
        mantissa, shift = np.frexp(values)
        return cls(mantissa, shift.astype(np.int64) + exponent)

    def __mul__(self, other: Scaled) -> Scaled:
        return Scaled.of(self.mantissa * other.mantissa, self.exponent + other.exponent)

    def total(self, weights: Array) -> Scaled:
        """SUM over the last axis of weights * self."""
        top = np.max(np.where(self.mantissa == 0, np.iinfo(np.int64).min // 4, self.exponent), axis=-1)
        # anything 2000 binary digits below the largest term vanishes in the sum
        shift = np.maximum(self.exponent - top[..., None], -2000).astype(np.int32)
        return Scaled.of(np.sum(weights * np.ldexp(self.mantissa, shift), axis=-1), top)

    def value(self) -> Any:
        """Return float64: a scalar for 0-dimensional input; inf or 0 beyond the range."""
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(self.mantissa, np.clip(self.exponent, -5000, 5000).astype(np.int32))[()]

    def log(self) -> Any:
        """Return the natural logarithm as float64, -inf at 0."""
        with np.errstate(divide="ignore"):
            return np.where(self.mantissa == 0, -np.inf, np.log(self.mantissa) + self.exponent * math.log(2))[()]
