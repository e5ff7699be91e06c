r"""The double well at step size 2: the state stays in [-1, 1] for ever while its derivatives grow like 3^K.

f(x) = x^4/2 - x^2/2, so gradient descent with step 2 is x_{t+1} = 3 x_t - 4 x_t^3 = -T_3(x_t), T_3 the Chebyshev
polynomial. With x_0 = cos(theta):       [derived here]

    x_t         = (-1)^t cos(3^t theta)
    dx_t/dx_s   = (-1)^(t-s) 3^(t-s) sin(3^t theta)/sin(3^s theta)
    dx_t/deta   = -SUM_{s = t-r..t-1} (dx_t/dx_{s+1}) f'(x_s)         at eta = 2, through the last r steps
    theta uniform:  E (dx_{s+K}/dx_s)^2 = 27^K,   E ln|dx_{s+K}/dx_s| = K ln 3

Everything is computed in balls from a rational theta with precision raised until the answer has the digits asked for:
about log10(3) N + 16 digits inside. In float64 the recursion is lost after some 30 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import parse_digits, parse_one_steps
from l2o_theory.quadratic.windows import parse_windows
from l2o_theory.rigor.balls import ball, refine
from l2o_theory.rigor.rationals import Number, parse_rational


@dataclass(frozen=True, init=False)
class DoubleWellDescent:
    """Gradient descent with step size 2 on f(x) = x^4/2 - x^2/2 from x_0 = cos(theta), theta an exact rational.

    Example:
        >>> DoubleWellDescent(1).meta_gradient(24, 24, digits=4).str(4, radius=False)
        '-2.898e+10'
    """

    theta: Fraction

    def __init__(self, theta: Number) -> None:
        object.__setattr__(self, "theta", parse_rational(theta, "theta"))

    def position(self, step: int, *, digits: int = 15) -> flint.arb:
        """x_t = (-1)^t cos(3^t theta)."""
        t = _step(step)
        return refine(lambda: _sign(t) * self._angle(t).cos(), parse_digits(digits))

    def derivative(self, start: int, step: int, *, digits: int = 15) -> flint.arb:
        """dx_t/dx_s = (-1)^(t-s) 3^(t-s) sin(3^t theta)/sin(3^s theta), s <= t.

        Raises:
            InputError: s > t.
            PrecisionError: theta = 0.
        """
        s, t = _step(start), _step(step)
        if s > t:
            raise InputError(f"start must not exceed step, got {s} > {t}; swap them")
        return refine(lambda: self._derivative(s, t), parse_digits(digits))

    def meta_gradient(self, horizon: int, window: Any = None, *, digits: int = 15) -> Any:
        """d f(x_N)/deta at eta = 2 through the last K steps (None: all N); an object array for an array of K.

        Raises:
            InputError: K > N, or either below 1 or not an integer.
        """
        steps, wanted = parse_one_steps(horizon), parse_digits(digits)
        size = parse_windows(steps if window is None else window, np.asarray(steps))
        values = [refine(lambda k=k: self._gradient(steps, k), wanted) for k in size.ravel().tolist()]  # type: ignore[misc]
        return np.array(values, dtype=object).reshape(size.shape) if size.ndim else values[0]

    def _angle(self, step: int) -> flint.arb:
        return ball(3**step * self.theta)

    def _derivative(self, start: int, step: int) -> flint.arb:
        return _sign(step - start) * 3 ** (step - start) * self._angle(step).sin() / self._angle(start).sin()

    def _gradient(self, steps: int, window: int) -> flint.arb:
        through = [
            self._derivative(s + 1, steps) * _slope(_sign(s) * self._angle(s).cos())
            for s in range(steps - window, steps)
        ]
        return -_slope(_sign(steps) * self._angle(steps).cos()) * sum(through, flint.arb(0))


def _slope(x: flint.arb) -> flint.arb:
    """f' = 2 x^3 - x."""
    return 2 * x**3 - x


def _sign(count: int) -> int:
    return -1 if count % 2 else 1


def _step(value: Any) -> int:
    """A number of steps, 0 included."""
    return 0 if isinstance(value, int) and value == 0 and not isinstance(value, bool) else parse_one_steps(value)
