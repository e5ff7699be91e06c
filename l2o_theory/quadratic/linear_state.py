r"""A scalar linear state, the model in which the general bound on the truncation bias is attained.

    z_{t+1} = rho z_t + phi,  z_0 = 0,  loss z_N:     G = 1 + rho + ... + rho^(N-1),   G_K the same with K

In general, if |dPhi/dz| <= rho, |dPhi/dphi| <= C and |grad loss| <= G0 along a trajectory z_{t+1} = Phi(z_t, phi), then

    |bias| <= G0 C rho^K (1 - rho^(N-K))/(1 - rho),     |G_K| <= G0 C (1 - rho^K)/(1 - rho)       [derived here]

rho < 1: nothing explodes and the bias decays like rho^K. rho > 1: G_K grows like rho^K and the bias like rho^N.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import parse_steps
from l2o_theory.quadratic.windows import geometric_sum, parse_windows
from l2o_theory.rigor.rationals import Number, parse_rational


def last_steps_gradient(rate: Number, window: Any) -> Any:
    """(1 - rho^K)/(1 - rho), or K at rho = 1: the gradient through the last K steps; the full one at K = N.

    A Fraction for one K and an exact rate (Fraction, int or text), float64 for arrays of K or a float rate.

    Example:
        >>> last_steps_gradient("1/2", 3)
        Fraction(7, 4)
        >>> last_steps_gradient(2, [1, 2, 10]).tolist()
        [1.0, 3.0, 1023.0]
    """
    rho, size = parse_rational(rate, "rate"), parse_windows(window)
    if not size.ndim and not isinstance(rate, float):
        return geometric_sum(rho, int(size))
    gap = float(1 - rho)
    if rho == 1:
        answer = size.astype(np.float64)
    elif 0 < rho < 2:
        answer = -np.expm1(size * np.log1p(-gap)) / gap  # no cancellation near rho = 1
    else:
        answer = (1 - float(rho) ** size.astype(np.float64)) / gap
    return answer if answer.ndim else float(answer)


def last_steps_bias(rate: Number, horizon: Any, window: Any) -> Any:
    """rho^K (1 - rho^(N-K))/(1 - rho): full minus truncated; 0 at K = N. Types as `last_steps_gradient`.

    Raises:
        InputError: K > N, or either below 1 or not an integer.
    """
    rho, steps = parse_rational(rate, "rate"), parse_steps(horizon)
    size = parse_windows(window, steps)
    if not size.ndim and not steps.ndim and not isinstance(rate, float):
        return rho ** int(size) * geometric_sum(rho, int(steps - size))
    dropped = steps - size
    tail = np.where(dropped > 0, last_steps_gradient(rate, np.maximum(dropped, 1)), 0.0)
    answer = float(rho) ** size.astype(np.float64) * tail
    return answer if answer.ndim else float(answer)


def truncation_bias_bound(
    rate: Number, horizon: Any, window: Any, *, loss_slope: Number = 1, meta_slope: Number = 1
) -> Any:
    """G0 C rho^K (1 - rho^(N-K))/(1 - rho) >= |bias|, with G0 = loss_slope and C = meta_slope.

    Raises:
        InputError: a negative rate or slope, or as `last_steps_bias`.
    """
    return _product(rate, loss_slope, meta_slope) * last_steps_bias(rate, horizon, window)


def truncated_gradient_bound(rate: Number, window: Any, *, loss_slope: Number = 1, meta_slope: Number = 1) -> Any:
    """G0 C (1 - rho^K)/(1 - rho) >= |G_K|, whatever the horizon.

    Raises:
        InputError: a negative rate or slope, or as `last_steps_gradient`.
    """
    return _product(rate, loss_slope, meta_slope) * last_steps_gradient(rate, window)


def _product(rate: Number, loss_slope: Number, meta_slope: Number) -> Any:
    given = {"rate": rate, "loss_slope": loss_slope, "meta_slope": meta_slope}
    exact = {name: parse_rational(value, name) for name, value in given.items()}
    for name, value in exact.items():
        if value < 0:
            raise InputError(f"{name} must be >= 0, got {value}; it bounds an absolute value")
    product = exact["loss_slope"] * exact["meta_slope"]
    return float(product) if any(isinstance(value, float) for value in given.values()) else product
