r"""The best constant step size eta*_t and a rigorous bracket around it.

F is strictly convex in the step size, so eta* is the one zero of F'   [paper: Thm 3]. With active extremes L, alpha of
weights c_1^2, c_d^2 and C2 = sum c_i^2 l_i^2   [derived here]:

    (1 + rho_lo) / (L + rho_lo alpha) <= eta* <= (1 + rho_hi) / (L + rho_hi alpha),
    rho_lo = (c_d^2 alpha^2 / C2)^(1/(2t-1)),   rho_hi = (C2 / (c_1^2 L^2))^(1/(2t-1)).

One distinct active eigenvalue: eta* = 1/L for every t. All of this is invariant under scaling of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import flint
import numpy as np

from l2o_theory.errors import PrecisionError
from l2o_theory.quadratic.arguments import Array
from l2o_theory.quadratic.definition import power_sums
from l2o_theory.quadratic.float64 import normalise, residual_pairs
from l2o_theory.quadratic.spectrum import ExactSpectrum, FloatSpectrum, Spectrum
from l2o_theory.rigor.balls import ball, precision, refine

_BRACKET_BITS = 160  # far beyond float64, so that rounding outward costs at most one unit in the last place
_NEWTON_STEPS = 64


def round_down(value: flint.arb) -> float:
    """Return a float64 certainly not above the number in the ball."""
    return math.nextafter(float(value.lower()), -math.inf)


def round_up(value: flint.arb) -> float:
    """Return a float64 certainly not below the number in the ball."""
    return math.nextafter(float(value.upper()), math.inf)


def bracket_balls(spectrum: ExactSpectrum, steps: int) -> tuple[flint.arb, flint.arb]:
    """Return the two endpoints of the bracket at the current precision."""
    eigenvalues, weights = spectrum.eigenvalues, spectrum.weights
    if len(eigenvalues) == 1:
        return 1 / ball(eigenvalues[0]), 1 / ball(eigenvalues[0])
    total = sum(c * value**2 for value, c in zip(eigenvalues, weights, strict=True))
    first, last = weights[0] * eigenvalues[0] ** 2, weights[-1] * eigenvalues[-1] ** 2
    largest, smallest = ball(eigenvalues[0]), ball(eigenvalues[-1])

    def endpoint(ratio: flint.arb) -> flint.arb:
        rho = (ratio.log() / (2 * steps - 1)).exp()
        return (1 + rho) / (largest + rho * smallest)

    return endpoint(ball(last / total)), endpoint(ball(total / first))


def float_bracket(spectrum: ExactSpectrum, steps: int) -> tuple[float, float]:
    """Return the bracket rounded outward to float64."""
    with precision(_BRACKET_BITS):
        low, high = bracket_balls(spectrum, steps)
        return round_down(low), round_up(high)


def ball_bracket(spectrum: ExactSpectrum, steps: int, digits: int) -> tuple[flint.arb, flint.arb]:
    """Return balls around the two endpoints with `digits` correct digits."""
    return (
        refine(lambda: bracket_balls(spectrum, steps)[0], digits),
        refine(lambda: bracket_balls(spectrum, steps)[1], digits),
    )


def float_optimum(spectrum: Spectrum, steps: int) -> float:
    """Return eta* to a few units in the last place.

    Bisection-like search (Brent) for the zero of log(negative part of F') - log(positive part of F'), which is strictly
    increasing, nearly linear, and never overflows.
    """
    from scipy.optimize import brentq  # imported here: the import costs more than a thousand optima

    exact = spectrum.exact
    if len(exact.eigenvalues) == 1:
        return float(1 / exact.eigenvalues[0])
    low, high = float_bracket(exact, steps)
    balance = _balance(spectrum.floats, steps)
    if not balance(low) < 0:
        return low
    if not balance(high) > 0:
        return high
    return float(brentq(balance, low, high, xtol=4 * np.finfo(float).eps * low, rtol=4 * np.finfo(float).eps))


def _balance(eigenvalues: FloatSpectrum, steps: int) -> Callable[[float], float]:
    """Return log(sum over r_i < 0) - log(sum over r_i > 0) of c_i^2 l_i^2 |r_i|^(2t-1), as a function of eta."""
    power = 2.0 * steps - 1
    log_terms = eigenvalues.log_x + np.log(eigenvalues.ratio)

    def balance(step_size: float) -> float:
        with np.errstate(all="ignore"):  # log 0 = -inf stands for an empty side
            residuals = normalise(*residual_pairs(np.array([step_size]), np.zeros(1), eigenvalues), eigenvalues)
            exponents = power * residuals.log_normalised[0] + log_terms
            negative = residuals.normalised[0] < 0
            positive = residuals.normalised[0] > 0
            return _log_sum(exponents[negative]) - _log_sum(exponents[positive])

    return balance


def _log_sum(exponents: Array) -> float:
    """Return log sum exp; -inf for an empty sum."""
    if not exponents.size:
        return -math.inf
    top = float(exponents.max())
    return top + math.log(float(np.exp(exponents - top).sum()))


def ball_optimum(spectrum: Spectrum, steps: int, digits: int) -> flint.arb:
    """Return a ball around eta*: found by Newton's method, certified by the signs of F' at its two ends.

    Raises:
        PrecisionError: the signs could not be told apart (not seen; the message says what to report).
    """
    exact = spectrum.exact
    if len(exact.eigenvalues) == 1:
        return refine(lambda: 1 / ball(exact.eigenvalues[0]), digits)
    start = float_optimum(spectrum, steps)
    wanted = int(digits * 3.33) + 8
    bits = 2 * wanted + 2 * steps.bit_length() + 64
    for _ in range(8):
        with precision(bits):
            enclosure = _certified_zero(exact, steps, flint.arb(start), wanted)
        if enclosure is not None:
            return enclosure
        bits *= 2
    raise PrecisionError(f"the optimum at t={steps} was not certified within {bits} bits; please report the spectrum")


def _certified_zero(spectrum: ExactSpectrum, steps: int, start: flint.arb, wanted: int) -> flint.arb | None:
    eigenvalues = [flint.arb(value) for value in spectrum.flint_eigenvalues]
    weights = [flint.arb(value) for value in spectrum.flint_weights]

    def slopes(step_size: flint.arb) -> tuple[flint.arb, flint.arb]:
        residuals = [1 - step_size * value for value in eigenvalues]
        sums = power_sums(eigenvalues, weights, residuals, steps)
        return -sums.first, (2 * steps - 1) * sums.second  # F'/t and F''/t

    point = start
    tolerance = abs(start) * flint.arb(2) ** (-wanted)
    for _ in range(_NEWTON_STEPS):
        slope, curvature = slopes(point)
        move = (slope / curvature).mid()
        point = (point - move).mid()
        if abs(move) < tolerance / 4:
            break
    left, right = point - tolerance, point + tolerance
    if slopes(left)[0] < 0 and slopes(right)[0] > 0:
        return left.union(right)
    return None
