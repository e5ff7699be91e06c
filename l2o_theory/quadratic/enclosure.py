"""One formula in balls and, where its result may be exactly 0, in exact rationals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import flint

from l2o_theory.errors import PrecisionError
from l2o_theory.quadratic.arguments import parse_digits
from l2o_theory.rigor.balls import ball, refine


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
