r"""Gradient descent on a quadratic with its own step size at every step, and the Chebyshev schedule.

With r_ij = 1 - eta_j l_i and x_i = c_i^2 l_i the loss after t steps is

    F(eta_1..eta_t) = 1/2 SUM_i x_i PROD_j r_ij^2                                        [derived here]

It is symmetric under permutations of the step sizes, not jointly convex, and zero at eta_j = 1/l_j once t reaches the
number of distinct active eigenvalues. At equal steps SUM_j dF/deta_j is the meta-gradient of the constant step.
Products are built from prefixes and suffixes, never by dividing a factor out, so r_ij = 0 is nothing special.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial, reduce
from itertools import accumulate
from operator import mul
from typing import Any, Literal

import flint
import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2o_theory.errors import InputError, PrecisionError
from l2o_theory.quadratic.arguments import Array, StepSizes, parse_digits, parse_one_steps, parse_step_sizes
from l2o_theory.quadratic.float64 import residual_pairs
from l2o_theory.quadratic.spectrum import Spectrum, parse_column
from l2o_theory.rigor.balls import ball, refine
from l2o_theory.rigor.rationals import Number, parse_rational

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
        eigenvalues, x = self.spectrum.floats, float_terms(self.spectrum)
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


def chebyshev_step_sizes(
    smoothness: Number,
    strong_convexity: Number,
    steps: int,
    *,
    order: Literal["increasing", "leja"] = "increasing",
    digits: int | None = None,
) -> Any:
    r"""Step sizes with the smallest worst case over spectra in [alpha, L]; shape (t,) [derived here].

        eta_j = 1/[(L+alpha)/2 + (L-alpha)/2 cos((2j-1) pi/(2t))],   j = 1..t

    In exact arithmetic the order does not matter. In floating point a rounding error is multiplied by all later
    factors: in increasing order, condition number 10^4 and t = 64, they reach 10^31. Order "leja" takes as next root
    1/eta the one farthest (in the product of distances) from those used: there they stay below 10^4.

    Args:
        smoothness: L, the largest eigenvalue covered.
        strong_convexity: alpha, the smallest, 0 < alpha <= L.
        steps: t >= 1.
        order: "increasing" as in the formula, or "leja" for use in floating point.
        digits: return a tuple of `flint.arb` with that many digits instead of float64.

    Raises:
        InputError: not 0 < alpha <= L, steps not a positive integer, unknown order.
    """
    largest, smallest = _interval(smoothness, strong_convexity)
    steps = parse_one_steps(steps)
    mean, radius = (largest + smallest) / 2, (largest - smallest) / 2
    angles = (2 * np.arange(1, steps + 1) - 1) / (2 * steps)
    roots = float(mean) + float(radius) * np.cos(np.pi * angles)
    if order == "increasing":
        places = list(range(steps))
    elif order == "leja":
        places = _leja(roots)
    else:
        raise InputError(f'order must be "increasing" or "leja", got {order!r}; pick one of the two')
    if digits is None:
        return 1.0 / roots[places]

    def step_size(place: int) -> Callable[[], flint.arb]:
        angle = flint.fmpq(2 * place + 1, 2 * steps)
        return lambda: 1 / (ball(mean) + ball(radius) * flint.arb.cos_pi_fmpq(angle))

    return tuple(refine(step_size(place), digits) for place in places)


def chebyshev_factor(smoothness: Number, strong_convexity: Number, steps: int, *, digits: int | None = None) -> Any:
    """Worst-case factor on |w| of the Chebyshev schedule: 1/cosh(t arccosh((L+alpha)/(L-alpha))) [derived here].

    Evaluated as 1/cosh(2 t artanh sqrt(alpha/L)), which does not cancel for alpha << L; 0 at alpha = L.

    Raises:
        InputError: not 0 < alpha <= L, or steps not a positive integer.
    """
    largest, smallest = _interval(smoothness, strong_convexity)
    steps = parse_one_steps(steps)
    ratio = smallest / largest
    if ratio == 1:
        return 0.0 if digits is None else flint.arb(0)
    if digits is not None:
        return refine(lambda: 1 / (2 * steps * ball(ratio).sqrt().atanh()).cosh(), digits)
    exponent = steps * (2 * math.log1p(math.sqrt(ratio)) - _log_complement(ratio))
    return 2 * math.exp(-exponent) / (1 + math.exp(-2 * exponent))


def constant_factor(smoothness: Number, strong_convexity: Number, steps: int, *, digits: int | None = None) -> Any:
    """Worst-case factor on |w| of the best constant step 2/(L+alpha): ((L-alpha)/(L+alpha))^t [derived here].

    Raises:
        InputError: not 0 < alpha <= L, or steps not a positive integer.
    """
    largest, smallest = _interval(smoothness, strong_convexity)
    steps = parse_one_steps(steps)
    ratio = smallest / largest
    if digits is not None:
        return refine(lambda: ball((1 - ratio) / (1 + ratio)) ** steps, digits)
    return 0.0 if ratio == 1 else math.exp(steps * (_log_complement(ratio) - math.log1p(ratio)))


def float_terms(spectrum: Spectrum) -> Array:
    """x_i = c_i^2 l_i of the active eigenvalues, in the order of `spectrum.floats`."""
    weights = spectrum.weights.high
    return weights[weights > 0] * spectrum.floats.high


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


def enclose(
    compute: Callable[[Callable[[Fraction], Any]], Sequence[Any]],
    digits: int,
    finish: Callable[[flint.arb], flint.arb] | None = None,
    *,
    exact: bool = True,
) -> tuple[flint.arb, ...]:
    """Evaluate `compute` in ball arithmetic to N digits and, where a result may be exactly 0, in exact rationals.

    Args:
        compute: takes the number system (Fraction -> number, which is `ball` or `flint.fmpq`) and returns its results.
        digits: correct decimal digits wanted of each result.
        finish: applied to each result, such as a logarithm.
        exact: whether exact rationals are affordable when balls cannot resolve a result.

    Raises:
        PrecisionError: balls cannot resolve a result and `exact` is false.
    """
    digits, finish = parse_digits(digits), finish or (lambda value: value)
    results: dict[int, Sequence[Any]] = {}

    def entry(index: int) -> flint.arb:
        bits = flint.ctx.prec
        if bits not in results:
            results[bits] = compute(ball)
        return finish(results[bits][index])

    def refined(index: int) -> flint.arb:
        return refine(lambda: entry(index), digits, max_bits=max(4096, 32 * digits) if exact else 1 << 16)

    count = len(compute(ball))
    try:
        return tuple(refined(index) for index in range(count))
    except PrecisionError:
        if not exact:
            raise
    return tuple(refine(partial(_finished, finish, value), digits) for value in compute(_fmpq))


def _fmpq(value: Fraction) -> flint.fmpq:
    return flint.fmpq(value.numerator, value.denominator)


def _finished(finish: Callable[[flint.arb], flint.arb], value: flint.fmpq) -> flint.arb:
    return finish(flint.arb(value))


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


def _interval(smoothness: Number, strong_convexity: Number) -> tuple[Fraction, Fraction]:
    largest, smallest = parse_rational(smoothness, "smoothness"), parse_rational(strong_convexity, "strong_convexity")
    if not 0 < smallest <= largest:
        raise InputError(
            f"need 0 < strong_convexity <= smoothness, got {smallest} and {largest}; pass the smoothness first"
        )
    return largest, smallest


def _leja(points: Array) -> list[int]:
    """Indices of the points, each next one maximising the product of its distances to those before."""
    places = [int(np.argmax(np.abs(points)))]
    distance = np.zeros_like(points)
    for _ in range(len(points) - 1):
        with np.errstate(divide="ignore"):  # a point already used has distance 0: log -inf, never chosen again
            distance += np.log(np.abs(points - points[places[-1]]))
        places.append(int(np.argmax(distance)))
    return places


def _log_complement(ratio: Fraction) -> float:
    """log(1 - ratio) without cancellation at either end of (0, 1)."""
    return math.log(1 - ratio) if 2 * ratio > 1 else math.log1p(-float(ratio))
