r"""Meta-gradient descent on the step size: eta_k = max(0, eta_{k-1} - mu_k G'(eta_{k-1})), mu_k = 1/sqrt(k) by default.

[paper: Thm 4]. A loss that is exactly 0 leaves nothing to descend: the step size then stays where it is.

In floats each slope is first taken from the plain formula, with a bound on its rounding error; where that bound would
show, the slope is taken from `evaluation` instead, which is a hundred times slower and right at any t.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from numbers import Integral
from typing import Any

import flint
import numpy as np

from l2o_theory.errors import InputError, PrecisionError
from l2o_theory.quadratic.arguments import Array, split_rational
from l2o_theory.quadratic.definition import power_sums
from l2o_theory.quadratic.evaluation import evaluate
from l2o_theory.quadratic.spectrum import Spectrum
from l2o_theory.rigor.balls import ball, precision
from l2o_theory.rigor.rationals import parse_rational

Schedule = Callable[[int], Any] | Sequence[Any] | Array
"""mu_k >= 0 (float, Fraction or text), as a function of k = 1, 2, ... or as the sequence mu_1, mu_2, ..."""

_MOST_BITS = 1 << 16
_VISIBLE = 1e-12  # relative error of one update from which on the plain formula is not good enough
_LONGEST = 1 << 40  # beyond it 2t rounding errors are never small


def meta_descent(
    spectrum: Spectrum, start: Any, steps: int, meta_steps: int, schedule: Schedule | None, digits: int | None
) -> Any:
    """Return eta_0, ..., eta_{meta_steps}: a float64 array, or with digits an object array of balls.

    Raises:
        InputError: start < 0, meta_steps < 0 or not an integer, or a schedule value that is negative or no number.
        PrecisionError: with digits, balls that grow too fast to be resolved.
    """
    if not isinstance(meta_steps, Integral) or isinstance(meta_steps, bool) or meta_steps < 0:
        raise InputError(f"meta_steps must be an integer >= 0, got {meta_steps!r}; pass a whole number such as 1000")
    first = parse_rational(start, "start")
    if first < 0:
        raise InputError(f"start must be >= 0, got {start!r}; meta-descent resets negative step sizes to 0")
    rate = _rates(schedule, int(meta_steps))
    if digits is not None:
        return _balls(spectrum, first, steps, int(meta_steps), rate, digits)
    trajectory = np.empty(int(meta_steps) + 1)
    trajectory[0] = eta = split_rational(first, "start")[0]
    plain_slope = _plain_slope(spectrum, steps)
    for k in range(1, len(trajectory)):
        mu = 1 / math.sqrt(k) if rate is None else float(rate(k))
        slope, error = plain_slope(eta)
        after = max(0.0, eta - mu * slope)
        if not (mu * error <= _VISIBLE * after or error <= _VISIBLE * abs(slope)):
            slope = evaluate(spectrum, "log_gradient", eta, steps)
            after = eta if math.isnan(slope) else max(0.0, eta - mu * slope)
        trajectory[k] = eta = after
    return trajectory


def _plain_slope(spectrum: Spectrum, steps: int) -> Callable[[float], tuple[float, float]]:
    """Return eta -> (G'(eta) by its formula in floats, bound on its absolute error; infinite or NaN if unknown).

    With u = 2^-53, m = max |r| and q_i = r_i / m: r_i = 1 - eta l_i and eta l_i <= 1 + |r_i| give q_i an error of at
    most (3 + 1/m) u, and q_i^(2t-1) and q_i^(2t) one of 2t q_i^(2t-2) times that   [derived here].
    """
    floats = spectrum.floats
    if floats.is_wide or steps > _LONGEST:
        return lambda eta: (math.nan, math.inf)
    eigenvalues, x = floats.high, np.exp(floats.log_x)
    slopes, power, unit = x * eigenvalues, 2.0 * steps - 2, 2.0**-52  # 2 u, for the rest of the arithmetic
    largest, smallest = float(eigenvalues[floats.first]), float(eigenvalues[floats.last])

    def plain_slope(eta: float) -> tuple[float, float]:
        m = max(abs(1 - eta * largest), abs(1 - eta * smallest))
        if not 0 < m < math.inf:
            return math.nan, math.inf
        with np.errstate(all="ignore"):  # powers that underflow vanish beside the largest one, which is 1
            q = (1 - eta * eigenvalues) / m
            even = q**power
            odd = even * q
            zeroth, first = float((odd * q) @ x), float(odd @ slopes)
            rounded = float(even @ slopes) + abs(first) / zeroth * float(even @ x)
        scale = 2 / (m * zeroth)
        return -scale * first, scale * rounded * unit * (len(x) + 2 * steps * (3 + 1 / m))

    return plain_slope


def _rates(schedule: Schedule | None, meta_steps: int) -> Callable[[int], Fraction] | None:
    """Return k -> mu_k, checked; None for the default.

    Raises:
        InputError: neither a function nor a sequence of at least `meta_steps` entries.
    """
    if schedule is None:
        return None
    if callable(schedule):
        given = schedule
    elif isinstance(schedule, str) or not hasattr(schedule, "__getitem__") or len(schedule) < meta_steps:
        raise InputError(
            f"schedule must be a function of k or a sequence of at least {meta_steps} rates, got {schedule!r:.60}; "
            "pass one such as lambda k: 0.1"
        )
    else:

        def given(k: int) -> Any:
            return schedule[k - 1]

    def rate(k: int) -> Fraction:
        mu = parse_rational(given(k), f"schedule({k})")
        if mu < 0:
            raise InputError(f"schedule({k}) must be >= 0, got {float(mu)!r}; descent needs steps towards the optimum")
        return mu

    return rate


def _balls(
    spectrum: Spectrum,
    start: Fraction,
    steps: int,
    meta_steps: int,
    rate: Callable[[int], Fraction] | None,
    digits: int,
) -> Any:
    """Run the recursion in balls, with more bits until every iterate has its digits."""
    exact = spectrum.exact
    wanted = int(3.33 * digits) + 2
    rates = [None if rate is None else rate(k) for k in range(1, meta_steps + 1)]
    bits = 2 * wanted + 128
    while bits <= _MOST_BITS:
        with precision(bits):
            eigenvalues = [flint.arb(value) for value in exact.flint_eigenvalues]
            weights = [flint.arb(value) for value in exact.flint_weights]
            trajectory = [ball(start)]
            for k, mu_k in enumerate(rates, start=1):
                eta = trajectory[-1]
                sums = power_sums(eigenvalues, weights, [1 - eta * value for value in eigenvalues], steps)
                if sums.zeroth == 0:
                    trajectory.append(eta)
                    continue
                mu = flint.arb(k).rsqrt() if mu_k is None else ball(mu_k)
                trajectory.append((eta + 2 * mu * sums.first / sums.zeroth).max(flint.arb(0)))
                if not trajectory[-1].is_finite():
                    break
        if len(trajectory) > meta_steps and all(
            eta == 0 or (eta.is_finite() and eta.rel_accuracy_bits() >= wanted) for eta in trajectory
        ):
            return np.array([*trajectory, None], dtype=object)[:-1]
        bits *= 2
    raise PrecisionError(f"the trajectory was not resolved to {digits} digits; ask for fewer meta_steps or digits")
