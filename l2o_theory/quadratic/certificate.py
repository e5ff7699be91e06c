r"""After how many meta-steps gradient descent on G is certainly near eta*, and stays there.

eta_k = max(0, eta_{k-1} - G'(eta_{k-1}) / sqrt(k)), eta_0 = start   [paper: Thm 4; constants derived here].
With q = sum c_i^2 l_i, beta = (L-alpha)/(L+alpha), B any bound on |G'| and D_k = |eta_k - eta*|:

    k1   = ceil((B / eps)^2),   D = max(D_0, B),   eps0 = min(eps, beta / (2 t L))
    g    = [2 eps0 (2t-1) c_min^2 alpha^3 / (e q beta^2)] / [1 + (q / (c_min^2 alpha))^(1/(2t)) L D / beta]
    k'   = (sqrt(k1) + D / (2 g))^2

|G'| >= g wherever eps <= |eta - eta*| <= D, and D_k <= eps for all k >= k'. No term depends on the sum of the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import flint

from l2o_theory.errors import InputError, PrecisionError
from l2o_theory.quadratic.arguments import split_rational
from l2o_theory.quadratic.bounds import Extremes, extremes, uniform_bounds
from l2o_theory.quadratic.optimum import ball_optimum, round_down, round_up
from l2o_theory.quadratic.spectrum import Spectrum
from l2o_theory.rigor.balls import ball, precision
from l2o_theory.rigor.rationals import parse_rational

_FLOAT_DIGITS = 25  # digits of the balls that are rounded to float64
_MOST_DIGITS = 1 << 14


@dataclass(frozen=True)
class ConvergenceCertificate:
    """The numbers of the module docstring; as floats rounded to the safe side (B, D, k_prime up; eps0, g down).

    `optimum` is eta*; `tolerance` is eps. `meta_steps` is the first whole k >= k'.
    """

    start: Any
    tolerance: Any
    steps: int
    optimum: Any
    B: Any
    k1: int
    D: Any
    eps0: Any
    g: Any
    k_prime: Any

    @property
    def meta_steps(self) -> int:
        """The number of meta-steps after which |eta_k - eta*| <= tolerance for good."""
        if isinstance(self.k_prime, float):
            return math.ceil(self.k_prime)
        return _ceiling(self.k_prime)


def _ceiling(value: flint.arb) -> int:
    """Return the smallest integer certainly not below the number in the ball, of any size."""
    mantissa, exponent = (int(part) for part in value.upper().man_exp())
    return mantissa << exponent if exponent >= 0 else -(-mantissa >> -exponent)


class _Terms(NamedTuple):
    optimum: flint.arb
    B: flint.arb
    k1: int
    D: flint.arb
    eps0: flint.arb
    g: flint.arb
    k_prime: flint.arb


def convergence_certificate(
    spectrum: Spectrum, start: Any, tolerance: Any, steps: int, digits: int | None
) -> ConvergenceCertificate:
    """Build the certificate with B the smallest of B0..B3.

    Raises:
        InputError: start < 0, tolerance <= 0, or a single distinct active eigenvalue (G' is unbounded there).
    """
    first, eps = parse_rational(start, "start"), parse_rational(tolerance, "tolerance")
    if first < 0:
        raise InputError(f"start must be >= 0, got {start!r}; meta-descent resets negative step sizes to 0")
    if not eps > 0:
        raise InputError(f"tolerance must be > 0, got {tolerance!r}; try 1e-3")
    ends = extremes(spectrum.exact)
    wanted = _FLOAT_DIGITS if digits is None else digits
    working = wanted + 10
    while working <= _MOST_DIGITS:
        best = ball_optimum(spectrum, steps, working)
        balls = uniform_bounds(spectrum, steps, working)
        with precision(4 * working + 64):
            terms = _terms(spectrum, ends, (first, eps), steps, best, balls)
        if all(term.rel_accuracy_bits() >= 3.33 * wanted for term in terms if isinstance(term, flint.arb)):
            break
        working *= 2
    else:
        raise PrecisionError(f"the certificate was not resolved to {wanted} digits; ask for fewer digits")
    if digits is not None:
        with precision(4 * working + 64):
            return ConvergenceCertificate(ball(first), ball(eps), steps, *terms)
    return ConvergenceCertificate(
        start=split_rational(first, "start")[0],
        tolerance=split_rational(eps, "tolerance")[0],
        steps=steps,
        optimum=float(terms.optimum),
        B=round_up(terms.B),
        k1=terms.k1,
        D=round_up(terms.D),
        eps0=round_down(terms.eps0),
        g=round_down(terms.g),
        k_prime=round_up(terms.k_prime),
    )


def _terms(
    spectrum: Spectrum,
    ends: Extremes,
    start_and_tolerance: tuple[Fraction, Fraction],
    steps: int,
    optimum: flint.arb,
    bounds: dict[str, flint.arb],
) -> _Terms:
    """Evaluate the formulas at the current precision."""
    start, eps = map(ball, start_and_tolerance)
    exact = spectrum.exact
    q = sum((c * value for value, c in zip(exact.eigenvalues, exact.weights, strict=True)), Fraction(0))
    beta = (ends.largest - ends.smallest) / (ends.largest + ends.smallest)
    bound = bounds["B0"].min(bounds["B1"]).min(bounds["B2"]).min(bounds["B3"])
    distance = abs(start - optimum).max(bound)
    eps0 = ball(min(start_and_tolerance[1], beta / (2 * steps * ends.largest)))
    rise = 2 * (2 * steps - 1) * ball(ends.least_weight * ends.smallest**3 / (q * beta**2)) * eps0 / flint.arb(1).exp()
    growth = (ball(q / (ends.least_weight * ends.smallest)).log() / (2 * steps)).exp()
    slope = rise / (1 + growth * ball(ends.largest / beta) * distance)
    k1 = _ceiling((bound / eps) ** 2)
    k_prime = (flint.arb(k1).sqrt() + distance / (2 * slope)) ** 2
    return _Terms(optimum, bound, k1, distance, eps0, slope, k_prime)
