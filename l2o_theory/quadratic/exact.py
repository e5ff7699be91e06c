"""The exact and the ball route: rationals where the numbers stay small, `arb` with rising precision elsewhere."""

from __future__ import annotations

from fractions import Fraction

import flint

from l2o_theory.errors import PrecisionError
from l2o_theory.quadratic.definition import LOGARITHM_OF, RATIONAL, UNDEFINED_AT_ZERO_LOSS, PowerSums, power_sums
from l2o_theory.quadratic.spectrum import ExactSpectrum
from l2o_theory.rigor.balls import refine

_SMALL_BITS = 1 << 22  # numerator and denominator bits, all terms together, up to which rationals are affordable


def residuals(spectrum: ExactSpectrum, step_size: Fraction) -> list[flint.fmpq]:
    """Return r_i = 1 - step_size * l_i exactly."""
    eta = flint.fmpq(step_size.numerator, step_size.denominator)
    return [1 - eta * eigenvalue for eigenvalue in spectrum.flint_eigenvalues]


def ball_sums(spectrum: ExactSpectrum, remainders: list[flint.fmpq], steps: int) -> PowerSums:
    """Return S_0, S_1, S_2 as balls at the current precision, from exact residuals."""
    return power_sums(
        [flint.arb(value) for value in spectrum.flint_eigenvalues],
        [flint.arb(value) for value in spectrum.flint_weights],
        [flint.arb(value) for value in remainders],
        steps,
    )


def rational_value(spectrum: ExactSpectrum, quantity: str, step_size: Fraction, steps: int) -> Fraction | None:
    """Return the exact value of one of `definition.RATIONAL`; None where it is undefined (zero loss).

    The cost grows with steps * d * bits of the input: for moderate t.
    """
    sums = power_sums(spectrum.flint_eigenvalues, spectrum.flint_weights, residuals(spectrum, step_size), steps)
    if quantity in UNDEFINED_AT_ZERO_LOSS and sums.zeroth == 0:
        return None
    value = flint.fmpq(RATIONAL[quantity](sums, steps))
    return Fraction(int(value.p), int(value.q))


def ball_value(spectrum: ExactSpectrum, quantity: str, step_size: Fraction, steps: int, digits: int) -> flint.arb:
    """Return a ball around the true value with `digits` correct digits; an exactly vanishing value is exactly 0.

    log 0 is -inf; the derivatives of G are NaN where the loss is exactly 0.

    Raises:
        PrecisionError: a value that is zero or nearly so, at a t too large for the rational route to decide.
    """
    remainders = residuals(spectrum, step_size)
    if not any(remainders) and quantity in UNDEFINED_AT_ZERO_LOSS:
        return flint.arb.nan()
    if not any(remainders) and quantity in LOGARITHM_OF:
        return flint.arb.neg_inf()

    def compute() -> flint.arb:
        sums = ball_sums(spectrum, remainders, steps)
        if quantity in LOGARITHM_OF:
            return abs(flint.arb(RATIONAL[LOGARITHM_OF[quantity]](sums, steps))).log()
        return flint.arb(RATIONAL[quantity](sums, steps))

    try:
        # Zeros show as a ball around 0 that keeps shrinking: try a little, then ask the rationals.
        return refine(compute, digits, max_bits=1024 + 16 * digits)
    except PrecisionError:
        vanishing = _vanishes(spectrum, quantity, step_size, steps, remainders)
        if vanishing is not None:
            return vanishing
        return refine(compute, digits)


def _vanishes(
    spectrum: ExactSpectrum, quantity: str, step_size: Fraction, steps: int, remainders: list[flint.fmpq]
) -> flint.arb | None:
    """Return the exact 0 (or -inf for log 0) if rationals of affordable size show it, else None."""
    bits = sum(int(value.p).bit_length() + int(value.q).bit_length() for value in remainders)
    if 2 * steps * bits > _SMALL_BITS:
        return None
    value = rational_value(spectrum, LOGARITHM_OF.get(quantity, quantity), step_size, steps)
    if quantity in LOGARITHM_OF:
        if value == 0:
            return flint.arb.neg_inf()
        return flint.arb(0) if value is not None and abs(value) == 1 else None
    return flint.arb(0) if value == 0 else None


def sign_of_gradient(spectrum: ExactSpectrum, step_size: Fraction, steps: int) -> int:
    """Return the certain sign of F' (-1, 0 or 1).

    Raises:
        PrecisionError: as `ball_value`.
    """
    value = ball_value(spectrum, "gradient", step_size, steps, 1)
    return int(value > 0) - int(value < 0)
