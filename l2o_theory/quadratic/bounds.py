r"""Bounds on the meta-gradient G' that hold for every step size.

With active extremes L > alpha, their weights c_1^2 and c_d^2, c_min^2 = min(c_1^2, c_d^2), C2 = sum c_i^2 l_i^2,
W = sum c_i^2 (1 in the paper), beta = (L-alpha)/(L+alpha) and the convex h(eta) = (2 F)^(1/(2t)):

    B0 = 4 L^3 W / (c_min^2 alpha (L-alpha))                           [paper: Thm 4; constant 4 derived here]
    B1 = 2 C2 / beta * max(1/(c_d^2 alpha), 1/(c_1^2 L))               [derived here: termwise]
    B2 = 2 (L/beta) (L W / (c_min^2 alpha))^(1/(2t))                   [derived here: Hoelder]
    B3 = 2 Lam_t / h(eta*),  Lam_t = (sum c_i^2 l_i^(2t+1))^(1/(2t))   [derived here: convexity of h]
    |G'(eta)| <= 2 Lam_t / h(eta)                                      local form, every real eta
    |eta G'(eta)| <= 4 L/(L-alpha) (L W / (c_min^2 alpha))^(1/(2t))    for eta >= 0, the log-step form

For weights of any sum W: G' does not change when all weights are scaled, so each bound is made free of that scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import flint
import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.definition import power_sums
from l2o_theory.quadratic.evaluation import evaluate
from l2o_theory.quadratic.optimum import ball_optimum, round_up
from l2o_theory.quadratic.spectrum import ExactSpectrum, Spectrum
from l2o_theory.rigor.balls import ball, precision, refine
from l2o_theory.rigor.rationals import parse_rational

_FLOAT_DIGITS = 25  # digits of a ball that is rounded up to float64
_ROUNDING = 1 + 2.0**-40  # above the rounding error of log_loss / (2t) and of the exponential, both below 1e-14


class Extremes(NamedTuple):
    """The active extremes of a spectrum, exactly; `least_weight` is c_min^2."""

    largest: Fraction
    smallest: Fraction
    first_weight: Fraction
    last_weight: Fraction
    least_weight: Fraction
    total_weight: Fraction


def extremes(spectrum: ExactSpectrum) -> Extremes:
    """Return the active extremes.

    Raises:
        InputError: one distinct active eigenvalue: then G = -inf at 1/L, and G' has no bound.
    """
    values, weights = spectrum.eigenvalues, spectrum.weights
    if len(values) == 1:
        raise InputError(
            f"bounds on G' need two distinct active eigenvalues, got only {float(values[0])!r}; "
            "with one, G = -inf at step size 1/L and G' is unbounded"
        )
    return Extremes(
        values[0], values[-1], weights[0], weights[-1], min(weights[0], weights[-1]), sum(weights, Fraction(0))
    )


def _root(value: flint.arb, steps: int) -> flint.arb:
    """Return value^(1/(2t))."""
    return (value.log() / (2 * steps)).exp()


def lipschitz(spectrum: ExactSpectrum, steps: int) -> flint.arb:
    """Return Lam_t, the largest slope of h, at the current precision."""
    pairs = zip(spectrum.flint_weights, spectrum.flint_eigenvalues, strict=True)
    return _root(sum((flint.arb(c) * flint.arb(value) ** (2 * steps + 1) for c, value in pairs), flint.arb(0)), steps)


def uniform_bounds(spectrum: Spectrum, steps: int, digits: int) -> dict[str, flint.arb]:
    """Return B0, B1, B2, B3 as balls with `digits` correct digits.

    Raises:
        InputError: as `extremes`.
    """
    exact = spectrum.exact
    ends = extremes(exact)
    gap = ends.largest - ends.smallest
    total = sum(c * value**2 for value, c in zip(exact.eigenvalues, exact.weights, strict=True))
    beta = gap / (ends.largest + ends.smallest)
    b0 = 4 * ends.largest**3 * ends.total_weight / (ends.least_weight * ends.smallest * gap)
    widest = max(1 / (ends.last_weight * ends.smallest), 1 / (ends.first_weight * ends.largest))
    b1 = 2 * total / beta * widest
    spare = digits + 2 * len(str(steps)) + 10  # h = (2F)^(1/(2t)) gains the digits that F loses
    best = ball_optimum(spectrum, steps, spare)

    def b2() -> flint.arb:
        return 2 * ball(ends.largest / beta) * _root(ball(_holder(ends)), steps)

    def b3() -> flint.arb:
        values = [flint.arb(value) for value in exact.flint_eigenvalues]
        weights = [flint.arb(value) for value in exact.flint_weights]
        least = power_sums(values, weights, [1 - best * value for value in values], steps).zeroth
        return 2 * lipschitz(exact, steps) / _root(least, steps)

    return {
        "B0": refine(lambda: ball(b0), digits),
        "B1": refine(lambda: ball(b1), digits),
        "B2": refine(b2, digits),
        "B3": refine(b3, digits, max_bits=1 << 14),
    }


def _holder(ends: Extremes) -> Fraction:
    """Return L W / (c_min^2 alpha), the base of the 2t-th root in B2 and in the log-step form."""
    return ends.largest * ends.total_weight / (ends.least_weight * ends.smallest)


def log_step_bound(spectrum: Spectrum, steps: int, digits: int | None = None) -> Any:
    """Return 4 L/(L-alpha) (L W/(c_min^2 alpha))^(1/(2t)) >= |eta G'(eta)| for all eta >= 0; a float is rounded up.

    Raises:
        InputError: as `extremes`.
    """
    ends = extremes(spectrum.exact)

    def compute() -> flint.arb:
        return 4 * ball(ends.largest / (ends.largest - ends.smallest)) * _root(ball(_holder(ends)), steps)

    value = refine(compute, _FLOAT_DIGITS if digits is None else digits)
    return round_up(value) if digits is None else value


@dataclass(frozen=True)
class GradientBounds:
    """Upper bounds on |G'| at one horizon (formulas: module docstring); floats are rounded up, balls enclose.

    B0, B1, B2, B3 hold for every real step size; `local` at a given one.
    """

    B0: Any
    B1: Any
    B2: Any
    B3: Any
    steps: int
    digits: int | None
    _spectrum: Spectrum = field(repr=False, compare=False)

    @property
    def best(self) -> Any:
        """The smallest of B0..B3."""
        if self.digits is None:
            return min(self.B0, self.B1, self.B2, self.B3)
        with precision(int(4 * self.digits) + 64):
            return self.B0.min(self.B1).min(self.B2).min(self.B3)

    def local(self, step_size: Any) -> Any:
        """Return 2 Lam_t / h(step_size) >= |G'(step_size)|   [derived here]; shape of `step_size`.

        Raises:
            InputError: unusable step sizes.
        """
        if self.digits is None:
            with precision(128):
                slope = round_up(lipschitz(self._spectrum.exact, self.steps).log())
            log_loss = np.asarray(evaluate(self._spectrum, "log_loss", step_size, self.steps))
            value = 2 * np.exp(slope - (log_loss + np.log(2.0)) / (2 * self.steps)) * _ROUNDING
            return value if value.ndim else float(value)
        spare = self.digits + len(str(self.steps)) + 10
        log_losses = np.asarray(evaluate(self._spectrum, "log_loss", step_size, self.steps, spare), dtype=object)

        def bound(log_loss: flint.arb) -> flint.arb:
            with precision(int(4 * spare) + 64):
                log_h = (log_loss + flint.arb(2).log()) / (2 * self.steps)
                return 2 * lipschitz(self._spectrum.exact, self.steps) / log_h.exp()

        values = np.empty(log_losses.shape, dtype=object)
        for index in range(values.size):
            values.flat[index] = bound(log_losses.flat[index])
        return values if values.shape else values.item()

    def local_explicit(self, step_size: float) -> float:
        """Return 2 L/m (L W/(c^2 l))^(1/(2t)) >= `local`, where m = max(|1 - eta alpha|, |1 - eta L|).

        c^2 l is that of the extreme eigenvalue which attains m; the float is rounded up   [derived here].
        """
        ends, eta = extremes(self._spectrum.exact), parse_rational(step_size, "step_size")
        left = abs(1 - eta * ends.smallest), ends.last_weight * ends.smallest
        right = abs(1 - eta * ends.largest), ends.first_weight * ends.largest
        largest, product = max(left, right)
        with precision(128):
            root = _root(ball(ends.largest * ends.total_weight / product), self.steps)
            return round_up(2 * ball(ends.largest / largest) * root)


def gradient_bounds(spectrum: Spectrum, steps: int, digits: int | None) -> GradientBounds:
    """Build `GradientBounds`.

    Raises:
        InputError: as `extremes`.
    """
    balls = uniform_bounds(spectrum, steps, _FLOAT_DIGITS if digits is None else digits)
    values = {name: round_up(value) if digits is None else value for name, value in balls.items()}
    return GradientBounds(**values, steps=steps, digits=digits, _spectrum=spectrum)
