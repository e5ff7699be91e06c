r"""Backprop windows: how many steps survive when gradients flow at most K steps back, and the bias that follows.

With detachments after the steps K, 2K, ... the term of step t keeps r_K(t) = ((t-1) mod K) + 1 of its t steps. On a
quadratic every coordinate then contributes a sum of S(q,n) = SUM_{r<=n} r q^r, q = (1 - eta l)^2, over its windows.
All formulas: derived here; they take Fractions (and stay exact), `flint.arb` or floats, the plain ones arrays too.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import parse_steps


def kept_steps(step: Any, window: Any) -> Any:
    """r_K(t) = ((t-1) mod K) + 1, also where K does not divide the horizon; arrays broadcast.

    Raises:
        InputError: t or K below 1 or not an integer.

    Example:
        >>> kept_steps([1, 2, 3, 4, 5], 3).tolist()
        [1, 2, 3, 1, 2]
    """
    t, size = parse_steps(step), parse_windows(window)
    kept = (t - 1) % size + 1
    return kept if kept.ndim else int(kept)


def parse_windows(window: Any, horizon: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Read windows K >= 1, and K <= N where the horizons are given.

    Raises:
        InputError: below 1, not an integer, or longer than the horizon.
    """
    try:
        size = parse_steps(window)
    except InputError as error:
        raise InputError(str(error).replace("steps", "window", 1)) from None
    if horizon is not None:
        try:
            longer = bool(np.any(size > horizon))
        except ValueError:
            raise InputError(
                f"window and horizon must broadcast, got shapes {size.shape} and {horizon.shape}; add an axis"
            ) from None
        if longer:
            raise InputError(
                f"window must not exceed the horizon, got K = {size.max()} for N = {horizon.min()}; "
                "pass window=None for the full gradient"
            )
    return size


def ramp_sum(q: Any, count: int) -> Any:
    """S(q,n) = SUM_{r=1..n} r q^r = q (1 - (n+1) q^n + n q^(n+1))/(1-q)^2, and n(n+1)/2 at q = 1.

    Fractions and balls take the closed form; floats add the terms, because near q = 1 the closed form cancels.

    Example:
        >>> ramp_sum(Fraction(1, 2), 3)
        Fraction(11, 8)
    """
    if isinstance(q, float | np.floating | np.ndarray):
        steps = np.arange(1, count + 1)
        return np.sum(steps * np.asarray(q)[..., None] ** steps, axis=-1)
    if q == 1:
        return q * count * (count + 1) / 2
    power = q**count
    return q * (1 - (count + 1) * power + count * power * q) / ((1 - q) * (1 - q))


def kept_sum(q: Any, horizon: int, window: int) -> Any:
    """SUM_{t=1..N} r_K(t) q^t = S(q,K) (1-q^(mK))/(1-q^K) + q^(mK) S(q,b) with N = mK + b, 0 <= b < K.

    The quotient is m at q = 1. For Fractions and balls; window = horizon gives S(q,N), the full gradient.
    """
    windows, rest = divmod(horizon, window)
    jump = q**window
    return ramp_sum(q, window) * geometric_sum(jump, windows) + jump**windows * ramp_sum(q, rest)


def geometric_sum(q: Any, count: int) -> Any:
    """1 + q + ... + q^(n-1), which is n at q = 1. For Fractions and balls; q = 1 must be exact there."""
    return q * count if q == 1 else (1 - q**count) / (1 - q)


def limiting_relative_bias(q: Any, window: Any) -> Any:
    """Relative bias of one coordinate as N -> infinity: K (1-q)/(q^(-K) - 1), for 0 < q < 1; K may be an array.

    It is q at K = 1 and about K (1-q) q^K for large K. Exact for a Fraction and one K.

    Raises:
        InputError: q outside (0, 1).
    """
    if not 0 < q < 1:
        raise InputError(f"q must lie in (0, 1), got {q}; it is (1 - step_size*eigenvalue)**2 of a convergent step")
    size = parse_windows(window)
    if isinstance(q, Fraction) and not size.ndim:
        power = q ** int(size)
        return int(size) * (1 - q) * power / (1 - power)
    value = float(q)
    return size * (1 - value) / np.expm1(-size * np.log(value))


def frozen_relative_bias(horizon: Any, window: Any) -> Any:
    """Relative bias of a direction that hardly moves (q -> 1): 1 - (m K (K+1) + b (b+1))/(N (N+1)), N = mK + b.

    It is 1 - (K+1)/(N+1) where K divides N: only linear in K. Fractions for one pair, float64 for arrays.

    Raises:
        InputError: K > N, or either below 1 or not an integer.

    Example:
        >>> frozen_relative_bias(100, 20)
        Fraction(80, 101)
    """
    steps = parse_steps(horizon)
    size = parse_windows(window, steps)
    rest = steps % size
    kept, full = (steps - rest) * (size + 1) + rest * (rest + 1), steps * (steps + 1)
    return 1 - kept / full if np.ndim(kept) else 1 - Fraction(int(kept), int(full))


def exploding_ratio(q: Any, window: int) -> Any:
    """Limit of N G_{N,K}/G_N for q > 1, N a multiple of K: (1 - (K+1) q^K + K q^(K+1))/((q-1)(q^K-1)).

    It is about K - 1/(q-1): the window takes a factor K/N off an explosion that grows like q^N.

    Raises:
        InputError: q <= 1.
    """
    if not q > 1:
        raise InputError(f"q must exceed 1, got {q}; below it nothing explodes, see limiting_relative_bias")
    power = q**window
    return (1 - (window + 1) * power + window * power * q) / ((q - 1) * (power - 1))
