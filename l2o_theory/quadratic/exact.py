"""The exact and the ball route: rationals where the numbers stay small, `arb` with rising precision elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

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


class _Group(NamedTuple):
    """The terms of one |r|: their coefficients in S_0, S_1 and S_2, added exactly."""

    size: flint.fmpq
    zeroth: flint.fmpq
    first: flint.fmpq
    second: flint.fmpq


def _groups(spectrum: ExactSpectrum, remainders: list[flint.fmpq]) -> list[_Group]:
    """Merge terms of equal |r|: at step size 2/(l_i + l_j) they may cancel exactly, at any t."""
    groups: dict[flint.fmpq, _Group] = {}
    for value, weight, r in zip(spectrum.flint_eigenvalues, spectrum.flint_weights, remainders, strict=True):
        old = groups.get(abs(r), _Group(abs(r), flint.fmpq(0), flint.fmpq(0), flint.fmpq(0)))
        x = weight * value
        first = old.first + x * value if r > 0 else old.first - x * value
        groups[abs(r)] = _Group(abs(r), old.zeroth + x, first, old.second + x * value * value)
    return list(groups.values())


def _ball_sums(groups: list[_Group], steps: int) -> PowerSums:
    """Return S_0, S_1, S_2 as balls at the current precision."""
    zeroth, first, second = flint.arb(0), flint.arb(0), flint.arb(0)
    for group in groups:
        size = flint.arb(group.size)
        power = size ** (2 * steps - 2)
        zeroth += group.zeroth * power * size * size
        first += group.first * power * size
        second += group.second * power
    return PowerSums(zeroth, first, second)


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
    groups = _groups(spectrum, remainders)
    if not any(remainders) and quantity in UNDEFINED_AT_ZERO_LOSS:
        return flint.arb.nan()
    if quantity in LOGARITHM_OF and RATIONAL[LOGARITHM_OF[quantity]](_ball_sums(groups, steps), steps) == 0:
        return flint.arb.neg_inf()

    def compute() -> flint.arb:
        sums = _ball_sums(groups, steps)
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
