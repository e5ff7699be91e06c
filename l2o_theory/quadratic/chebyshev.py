r"""The Chebyshev schedule, the best one for the worst spectrum in [alpha, L], and what it gains on a constant step."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

import flint
import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import Array, parse_one_steps, split_rational
from l2o_theory.rigor.balls import ball, refine
from l2o_theory.rigor.rationals import Number, parse_rational


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


def _interval(smoothness: Number, strong_convexity: Number) -> tuple[Fraction, Fraction]:
    largest, smallest = parse_rational(smoothness, "smoothness"), parse_rational(strong_convexity, "strong_convexity")
    shown = split_rational(smallest, "strong_convexity")[0], split_rational(largest, "smoothness")[0]
    if not 0 < smallest <= largest:
        raise InputError(
            f"need 0 < strong_convexity <= smoothness, got {shown[0]:g} and {shown[1]:g}; pass the smoothness first"
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
