r"""Gradient descent on a quadratic with its own step size at every step.

With r_ij = 1 - eta_j l_i and x_i = c_i^2 l_i the loss after t steps is

    F(eta_1..eta_t) = 1/2 SUM_i x_i PROD_j r_ij^2                                        [derived here]

It is symmetric under permutations of the step sizes, not jointly convex, and zero at eta_j = 1/l_j once t reaches the
number of distinct active eigenvalues. At equal steps SUM_j dF/deta_j is the meta-gradient of the constant step.
Products are built from prefixes and suffixes, never by dividing a factor out, so r_ij = 0 is nothing special.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import accumulate
from operator import mul
from typing import Any

import flint
import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import StepSizes, parse_step_sizes
from l2o_theory.quadratic.enclosure import enclose
from l2o_theory.quadratic.float64 import residual_pairs
from l2o_theory.quadratic.scaled import Scaled
from l2o_theory.quadratic.spectrum import Spectrum, parse_column
from l2o_theory.rigor.rationals import Number

_Formula = Callable[[list[Any], Callable[[Any, Any], Any], Any, Any], list[Any]]
"""Factors r_j, the weighted sum over eigenvalues, x = c^2 l and l, in any of the three number systems -> results."""


@dataclass(frozen=True, init=False)
class ScheduledDescent:
    """Gradient descent with per-step sizes on the quadratic with these eigenvalues l_i > 0 and weights c_i^2 >= 0.

    Every method takes `step_sizes` of shape (..., t) and returns float64 with the leading axes kept; a result beyond
    the float range becomes inf or 0. With `digits=N` it takes one schedule (text, Fractions, or floats at their exact
    binary value) and returns `flint.arb` values with at least N correct digits.

    Raises:
        InputError: eigenvalues not positive, weights negative or all zero, lengths that differ, an empty schedule, a
            step size that is not a finite number.

    Example:
        >>> float(ScheduledDescent(["1", "1/4"], ["1/2", "1/2"]).loss(["1", "4"]))
        0.0
    """

    spectrum: Spectrum

    def __init__(self, eigenvalues: Iterable[Number], weights: Iterable[Number]) -> None:
        spectrum = Spectrum(parse_column(eigenvalues, "eigenvalues"), parse_column(weights, "weights"))
        object.__setattr__(self, "spectrum", spectrum)

    def loss(self, step_sizes: ArrayLike, *, digits: int | None = None) -> Any:
        """F = 1/2 SUM_i x_i PROD_j r_ij^2, shape (...) [derived here]."""
        if digits is None:
            return self._scaled(_loss, step_sizes)[0].value()
        return self._enclosed(_loss, step_sizes, digits)[0]

    def log_loss(self, step_sizes: ArrayLike, *, digits: int | None = None) -> Any:
        """Natural logarithm of F, shape (...): finite however long the schedule, -inf where F = 0."""
        if digits is None:
            return self._scaled(_loss, step_sizes)[0].log()
        if self._enclosed(_loss, step_sizes, 1)[0] == 0:
            return flint.arb.neg_inf()
        return self._enclosed(_loss, step_sizes, digits, flint.arb.log)[0]

    def gradient(self, step_sizes: ArrayLike, *, digits: int | None = None) -> Any:
        """All dF/deta_j = -SUM_i x_i l_i r_ij PROD_{k!=j} r_ik^2 in O(t d) operations; shape (..., t) [derived here].

        With `digits` a tuple of t balls.
        """
        if digits is not None:
            return self._enclosed(_gradient, step_sizes, digits)
        return np.stack([entry.value() for entry in self._scaled(_gradient, step_sizes)], axis=-1)

    def hessian(self, step_sizes: ArrayLike, *, digits: int | None = None) -> Any:
        """Second derivatives of F in the step sizes, in O(t^2 d) operations; shape (..., t, t) [derived here].

            d2F/deta_j^2      = SUM_i x_i l_i^2 PROD_{k!=j} r_ik^2
            d2F/deta_j deta_k = 2 SUM_i x_i l_i^2 r_ij r_ik PROD_{m!=j,k} r_im^2

        With `digits` a tuple of t rows of balls.
        """
        if digits is not None:
            entries = self._enclosed(_upper_hessian, step_sizes, digits)
        else:
            entries = tuple(entry.value() for entry in self._scaled(_upper_hessian, step_sizes))
        steps = (math.isqrt(8 * len(entries) + 1) - 1) // 2
        rows = iter(entries)
        upper = {(j, k): next(rows) for j in range(steps) for k in range(j, steps)}
        full = [[upper[min(j, k), max(j, k)] for k in range(steps)] for j in range(steps)]
        if digits is not None:
            return tuple(map(tuple, full))
        return np.stack([np.stack(row, axis=-1) for row in full], axis=-2)

    def _scaled(self, formula: _Formula, step_sizes: ArrayLike) -> list[Scaled]:
        schedule = _schedule(step_sizes)
        eigenvalues, x = self.spectrum.floats, self.spectrum.float_terms
        with np.errstate(over="ignore", under="ignore"):
            # r_ij to full relative accuracy even where it nearly vanishes
            residuals, _ = residual_pairs(schedule.high.ravel(), schedule.low.ravel(), eigenvalues)
            residuals = residuals.reshape(*schedule.high.shape, -1)
            factors = [Scaled.of(column) for column in np.moveaxis(residuals, -2, 0)]
            return formula(factors, Scaled.total, x, eigenvalues.high)

    def _enclosed(
        self,
        formula: _Formula,
        step_sizes: ArrayLike,
        digits: int,
        finish: Callable[[flint.arb], flint.arb] | None = None,
    ) -> tuple[flint.arb, ...]:
        schedule = _schedule(step_sizes)
        if schedule.high.ndim != 1:
            raise InputError(
                f"step_sizes must be one schedule here, got shape {schedule.high.shape}; call once per row"
            )
        etas = [schedule.exact(index) for index in range(schedule.high.size)]
        exact = self.spectrum.exact

        def compute(number: Callable[[Fraction], Any]) -> list[Any]:
            def lifted(values: Iterable[Fraction]) -> NDArray[np.object_]:
                return np.array([number(value) for value in values], dtype=object)

            # r_ij is formed exactly before it becomes a ball, so a factor that vanishes is exactly 0
            factors = [lifted(1 - eta * value for value in exact.eigenvalues) for eta in etas]
            x = lifted(map(mul, exact.weights, exact.eigenvalues))
            return formula(factors, lambda terms, weights: np.sum(weights * terms), x, lifted(exact.eigenvalues))

        return enclose(compute, digits, finish)


def _loss(factors: list[Any], total: Callable[[Any, Any], Any], x: Any, eigenvalues: Any) -> list[Any]:
    product = reduce(mul, factors)
    return [total(product * product, x / 2)]


def _gradient(factors: list[Any], total: Callable[[Any, Any], Any], x: Any, eigenvalues: Any) -> list[Any]:
    before, after = _around(factors)
    others = map(mul, before, after)
    return [total(r * (rest * rest), -x * eigenvalues) for r, rest in zip(factors, others, strict=True)]


def _upper_hessian(factors: list[Any], total: Callable[[Any, Any], Any], x: Any, eigenvalues: Any) -> list[Any]:
    before, after = _around(factors)
    curvature = x * eigenvalues * eigenvalues
    entries = []
    for j, r in enumerate(factors):
        rest = before[j] * after[j]
        entries.append(total(rest * rest, curvature))
        between = before[j]
        for k in range(j + 1, len(factors)):
            rest = between * after[k]
            entries.append(total(r * factors[k] * (rest * rest), 2 * curvature))
            between = between * factors[k]
    return entries


def _around(factors: list[Any]) -> tuple[list[Any], list[Any]]:
    """Products of the factors before and after each place."""
    first = factors[0]
    one = Scaled.of(np.ones_like(first.mantissa)) if isinstance(first, Scaled) else np.ones(first.shape, dtype=object)
    before = list(accumulate(factors[:-1], mul, initial=one))
    after = list(accumulate(factors[:0:-1], mul, initial=one))
    return before, after[::-1]


def _schedule(step_sizes: ArrayLike) -> StepSizes:
    schedule = parse_step_sizes(step_sizes)
    if schedule.high.ndim == 0 or schedule.high.size == 0:
        raise InputError("step_sizes must hold one step size per step, got none; pass a sequence such as [0.1, 0.2]")
    return schedule
