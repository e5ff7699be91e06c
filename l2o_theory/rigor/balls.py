"""Ball arithmetic: python-flint's `arb` with the precision raised until an answer is good enough.

An `arb` is a midpoint with a radius that is guaranteed to hold the true value; `a < b` is true only when certain.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import flint

from l2o_theory.errors import PrecisionError
from l2o_theory.rigor import language

MOST_BITS = 1 << 20  # a certificate that asks for more would only fill the memory
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


def _root(value: flint.arb, degree: flint.arb) -> flint.arb:
    """value^(1/degree) for value >= 0 and degree > 0; exact at 0."""
    return flint.arb(0) if value == 0 and degree > 0 else value ** (1 / degree)


def _integer(value: flint.arb) -> int:
    """The integer that an exact ball is; ValueError otherwise."""
    integer = value.unique_fmpz()
    if integer is None or not value.is_exact():
        raise ValueError("the ball is not one exact integer")
    return int(integer)


FUNCTIONS: dict[str, Callable[..., Any]] = {  # coerced: an unbound arb method crashes on an int (python-flint 0.9)
    "log": lambda value: flint.arb(value).log(),
    "exp": lambda value: flint.arb(value).exp(),
    "sqrt": lambda value: flint.arb(value).sqrt(),
    "root": lambda value, degree: _root(flint.arb(value), flint.arb(degree)),
    "positive": lambda value: flint.arb(int(language.positive(value))),
    "cosh": lambda value: flint.arb(value).cosh(),
    "acosh": lambda value: flint.arb(value).acosh(),
}
"""What statements may call beside the exact grammar: log, exp, sqrt, root(x, n) = x^(1/n), cosh, acosh."""


def instance_in_balls(values: Mapping[str, Any], definitions: Mapping[str, str]) -> dict[str, Any]:
    """Environment like `language.instance`, every number a ball at the current precision."""
    exact = language.exact_values(values)
    world = {
        name: [ball(v) for v in value] if isinstance(value, list) else ball(value) for name, value in exact.items()
    }
    return language.define({**FUNCTIONS, "number": flint.arb, "integer": _integer, **world}, definitions)


def holds(text: str, exact: Mapping[str, Any], world: Mapping[str, Any]) -> bool:
    """Whether `text` certainly holds, or certainly fails: exactly if it is about the given values alone, else in balls.

    Equalities between the values themselves (weights that sum to 1) can only be decided exactly.

    Args:
        text: the relation.
        exact: rationals by name, without definitions.
        world: what `instance_in_balls` made of them, at the current precision.

    Raises:
        Undecided: the enclosures overlap at that precision.
    """
    try:
        return language.holds(text, exact)
    except language.Malformed:
        return language.holds(text, world)


def judge_in_balls(certificate: Mapping[str, Any], text: str) -> bool:
    """Whether `text` certainly holds (or certainly fails) at the certificate's instance, at its "bits".

    Raises:
        Undecided: the enclosures overlap at that precision.
        Malformed: "bits" is no precision between 2 and MOST_BITS.
    """
    bits = certificate["bits"]
    if type(bits) is not int or not 2 <= bits <= MOST_BITS:
        raise language.Malformed(f"the bits are an integer from 2 to {MOST_BITS}, got {bits!r}")
    with precision(bits):
        world = instance_in_balls(certificate["instance"], certificate.get("definitions", {}))
        return holds(text, language.exact_values(certificate["instance"]), world)
