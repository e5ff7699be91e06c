r"""Meta-gradient descent on the step size: eta_k = max(0, eta_{k-1} - mu_k G'(eta_{k-1})), mu_k = 1/sqrt(k) by default.

[paper: Thm 4]. A loss that is exactly 0 leaves nothing to descend: the step size then stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any

import flint
import numpy as np

from l2o_theory.errors import InputError, PrecisionError
from l2o_theory.quadratic.arguments import split_rational
from l2o_theory.quadratic.definition import power_sums
from l2o_theory.quadratic.evaluation import evaluate
from l2o_theory.quadratic.spectrum import Spectrum
from l2o_theory.rigor.balls import ball, precision
from l2o_theory.rigor.rationals import parse_rational

Schedule = Callable[[int], Any]
"""mu_k as a function of k = 1, 2, ...: float, Fraction or text, >= 0."""

_MOST_BITS = 1 << 16


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
    if digits is not None:
        return _balls(spectrum, first, steps, int(meta_steps), schedule, digits)
    trajectory = np.empty(int(meta_steps) + 1)
    trajectory[0] = split_rational(first, "start")[0]
    for k in range(1, len(trajectory)):
        rate = 1 / math.sqrt(k) if schedule is None else float(_rate(schedule, k))
        slope = evaluate(spectrum, "log_gradient", float(trajectory[k - 1]), steps)
        trajectory[k] = trajectory[k - 1] if math.isnan(slope) else max(0.0, trajectory[k - 1] - rate * slope)
    return trajectory


def _rate(schedule: Schedule, k: int) -> Any:
    rate = parse_rational(schedule(k), f"schedule({k})")
    if rate < 0:
        raise InputError(f"schedule({k}) must be >= 0, got {float(rate)!r}; descent needs steps towards the optimum")
    return rate


def _balls(spectrum: Spectrum, start: Any, steps: int, meta_steps: int, schedule: Schedule | None, digits: int) -> Any:
    """Run the recursion in balls, with more bits until every iterate has its digits."""
    exact = spectrum.exact
    wanted = int(3.33 * digits) + 2
    rates = [None if schedule is None else _rate(schedule, k) for k in range(1, meta_steps + 1)]
    bits = 2 * wanted + 128
    while bits <= _MOST_BITS:
        with precision(bits):
            eigenvalues = [flint.arb(value) for value in exact.flint_eigenvalues]
            weights = [flint.arb(value) for value in exact.flint_weights]
            trajectory = [ball(start)]
            for k, rate in enumerate(rates, start=1):
                eta = trajectory[-1]
                sums = power_sums(eigenvalues, weights, [1 - eta * value for value in eigenvalues], steps)
                if sums.zeroth == 0:
                    trajectory.append(eta)
                    continue
                mu = flint.arb(k).rsqrt() if rate is None else ball(rate)
                trajectory.append((eta + 2 * mu * sums.first / sums.zeroth).max(flint.arb(0)))
                if not trajectory[-1].is_finite():
                    break
        if len(trajectory) > meta_steps and all(
            eta == 0 or (eta.is_finite() and eta.rel_accuracy_bits() >= wanted) for eta in trajectory
        ):
            return np.array([*trajectory, None], dtype=object)[:-1]
        bits *= 2
    raise PrecisionError(f"the trajectory was not resolved to {digits} digits; ask for fewer meta_steps or digits")
