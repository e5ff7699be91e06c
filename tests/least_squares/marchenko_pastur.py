"""Slow, obvious route: the Marchenko-Pastur integrals by adaptive quadrature straight from the law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath


def integral(function: Callable[[Any], Any], ratio: Any) -> Any:
    """INT function dmu over the whole d-dimensional spectrum, the mass at 0 included, to about 10^-dps, absolute."""
    with mpmath.workdps(max(25, mpmath.mp.dps)):
        g = mpmath.mpf(ratio)
        low, width = (1 - mpmath.sqrt(g)) ** 2, 4 * mpmath.sqrt(g)

        def integrand(phi: Any) -> Any:
            x = low + width * mpmath.sin(phi / 2) ** 2  # from a to b; accurate down to x = 0
            return function(x) * (width * mpmath.sin(phi) / 2) ** 2 / (2 * mpmath.pi * g * x)

        near_pole = [0.001, 0.01, 0.1] if abs(g - 1) < 0.1 else []  # 1/x is steep at the lower end
        pieces = [0, *near_pole, 1, 2, mpmath.pi]
        return mpmath.quad(integrand, pieces, method="gauss-legendre") + max(0, 1 - 1 / g) * function(mpmath.mpf(0))


def risk(ratio: Any, noise: Any, steps: int, eta: Any) -> Any:
    """R by the definition: bias INT (1 - eta x)^(2t), variance sigma^2 g INT (1 - (1 - eta x)^t)^2/x."""
    variance = integral(lambda x: (1 - (1 - eta * x) ** steps) ** 2 / x if x else mpmath.mpf(0), ratio)
    return integral(lambda x: (1 - eta * x) ** (2 * steps), ratio) + mpmath.mpf(noise) ** 2 * ratio * variance


def train_loss(ratio: Any, noise: Any, steps: int, eta: Any) -> Any:
    """T by the n-dimensional (dual) spectrum: d/n of the positive part, and mass (1-g)_+ at 0."""
    signal = integral(lambda x: x * (1 - eta * x) ** (2 * steps), ratio)
    positive = integral(lambda x: (1 - eta * x) ** (2 * steps) if x else mpmath.mpf(0), ratio)
    dual = ratio * positive + max(0, 1 - ratio)
    return (signal + mpmath.mpf(noise) ** 2 * dual) / 2


def flow_risk(ratio: Any, noise: Any, time: Any) -> Any:
    """R of gradient flow at `time`."""
    variance = integral(lambda x: (1 - mpmath.exp(-time * x)) ** 2 / x if x else mpmath.mpf(0), ratio)
    return integral(lambda x: mpmath.exp(-2 * time * x), ratio) + mpmath.mpf(noise) ** 2 * ratio * variance
