"""Ball arithmetic: python-flint's `arb` with the precision raised until an answer is good enough.

An `arb` is a midpoint with a radius that is guaranteed to hold the true value; `a < b` is true only when certain.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import flint

from l2o_theory.errors import PrecisionError

_BITS_PER_DIGIT = 3.3219280948873626  # log2(10)
_PRECISION_LOCK = threading.RLock()  # flint.ctx is process-wide: one thread at a time may change it


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Run the block at `bits` binary digits; restores the previous precision, also after an error."""
    with _PRECISION_LOCK:
        before = flint.ctx.prec
        flint.ctx.prec = bits
        try:
            yield
        finally:
            flint.ctx.prec = before


def ball(value: Fraction | int) -> flint.arb:
    """Return the rational as an `arb` at the current precision (rounded outward)."""
    value = Fraction(value)
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def refine(compute: Callable[[], flint.arb], digits: int, *, max_bits: int = 1 << 20) -> flint.arb:
    """Evaluate `compute` at doubled precision until its relative accuracy reaches `digits` decimal digits.

    Args:
        compute: evaluates the value at the current `flint.ctx` precision, from exact inputs.
        digits: correct decimal digits wanted, >= 1.
        max_bits: precision at which to give up.

    Returns:
        a ball that holds the true value with radius at most 10^(-digits) times its magnitude (exactly 0 is accepted).

    Raises:
        PrecisionError: the ball still contains 0, or is too wide, at `max_bits`: the value is probably exactly zero.

    Example:
        >>> refine(lambda: flint.arb(2).sqrt(), 30).str(30, radius=False)
        '1.41421356237309504880168872421'
    """
    wanted = int(digits * _BITS_PER_DIGIT) + 2
    bits = max(64, wanted + 32)
    while bits <= max_bits:
        with precision(bits):
            value = compute()
        if value.is_exact() and value == 0:
            return value
        if value.is_finite() and value.rel_accuracy_bits() >= wanted:
            return value
        bits *= 2
    raise PrecisionError(
        f"could not reach {digits} digits within {max_bits} bits: the value is zero or too close to zero; "
        "use an exact rational input, or ask for the loss or another quantity that does not vanish there"
    )
