r"""One mode of a heavy ball that chases a moving minimum: its stationary covariance in closed form  [derived here].

b: distance to the minimum along an eigenvector of curvature h, y = r h, s the move of the minimum, Var s = sigma^2:

    v <- mu v - y b,   b <- b + v - s,           stable iff -1 < mu < 1 and 0 < y < 2 (1 + mu)

    Var b    = sigma^2 [(1-mu)^2 (1+mu) + 2 mu y] / (y (1-mu) (2(1+mu) - y))
    Cov(b,v) = sigma^2 (y - (1-mu^2)) / ((1-mu) (2(1+mu) - y))
    Var v    = sigma^2 y (1+mu) / ((1-mu) (2(1+mu) - y))

LODO with a frozen G that commutes with H is this with y = (1-beta) G h, mu = beta; v_{t+1} = -G m_t, so that
Cov(b,v) = 0 says that its hypergradient vanishes on average: at y = 1-beta^2, that is G = (1+beta)/h. There Var b =
sigma^2/(1-beta^2) is also the least over y:

    Var b - sigma^2/(1-mu^2) = sigma^2 (y - (1-mu^2))^2 / (y (1-mu^2) (2(1+mu) - y))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.numbers import Real, number


@dataclass(frozen=True)
class ModeCovariance:
    """Stationary covariance of (b, v)."""

    position: Real
    cross: Real
    velocity: Real


def is_stable(gain: Any, momentum: Any) -> bool:
    """Whether one mode settles: -1 < mu < 1 and 0 < y < 2 (1+mu); decided exactly for exact arguments."""
    y, mu = number(gain, "gain"), number(momentum, "momentum")
    return bool(-1 < mu < 1 and 0 < y < 2 * (1 + mu))


def mode_covariance(gain: Any, momentum: Any = 0, variance: Any = 1) -> ModeCovariance:
    """Stationary covariance of one mode, see the module docstring.

    Args:
        gain: y = r h, step size times curvature; for LODO (1-beta) G h.
        momentum: mu.
        variance: sigma^2 of the move of the minimum.

    Raises:
        InputError: unstable, so that there is no stationary law, or a negative variance.

    Example:
        >>> mode_covariance("21/100", "2/5").position
        Fraction(1600, 777)
    """
    y, mu = number(gain, "gain"), number(momentum, "momentum")
    noise = number(variance, "variance", least=0)
    if not is_stable(y, mu):
        raise InputError(f"the mode must be stable, 0 < gain < 2 (1 + momentum), got {y} and {mu}; reduce the gain")
    room = (1 - mu) * (2 * (1 + mu) - y)
    return ModeCovariance(
        position=noise * ((1 - mu) ** 2 * (1 + mu) + 2 * mu * y) / (y * room),
        cross=noise * (y - (1 - mu**2)) / room,
        velocity=noise * y * (1 + mu) / room,
    )
