"""The slow, obvious route: the definition term by term in 60-digit arithmetic or in Fractions; shares no code."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath

QUANTITIES = ("loss", "log_loss", "final", "log_final", "curvature", "log_curvature")


def reference(eigenvalues: Any, weights: Any, step_size: Any, steps: int, digits: int = 60) -> dict[str, Any]:
    """Every quantity from w_t = (1 - eta l)^t w_0 and explicit derivatives of each term, as mpf."""
    with mpmath.workdps(digits + len(str(steps)) + 20):
        eta, pairs = _mpf(step_size), [(_mpf(v), _mpf(c)) for v, c in zip(eigenvalues, weights, strict=True)]
        loss = mpmath.fsum(ci * li * (1 - eta * li) ** (2 * steps) for li, ci in pairs) / 2
        first = mpmath.fsum(-ci * li * li * steps * (1 - eta * li) ** (2 * steps - 1) for li, ci in pairs)
        second = mpmath.fsum(
            ci * li**3 * steps * (2 * steps - 1) * (1 - eta * li) ** (2 * steps - 2) for li, ci in pairs
        )
        return {
            "loss": loss,
            "log_loss": mpmath.log(loss),
            "final": first,
            "log_final": first / loss / steps,
            "curvature": second,
            "log_curvature": (second / loss - (first / loss) ** 2) / steps,
        }


def _mpf(value: Any) -> Any:
    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    return mpmath.mpf(float(value))


def call(quadratic: Any, quantity: str, step_size: Any, steps: Any, **options: Any) -> Any:
    """Ask the analyzer for the quantity that `reference` files under the same name."""
    if quantity in ("loss", "log_loss"):
        return getattr(quadratic, quantity)(step_size, steps, **options)
    if quantity in ("final", "log_final"):
        return quadratic.meta_gradient(step_size, steps, quantity, **options)
    objective = {"curvature": "final", "log_curvature": "log_final"}[quantity]
    return quadratic.meta_curvature(step_size, steps, objective, **options)
