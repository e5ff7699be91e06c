r"""Random curvature: the exact mean and variance of the meta-gradient, which grows exponentially in the horizon.

x_{t+1} = (1 - eta l_t) x_t with independent l_t of one law, final loss 1/2 x_N^2, r = 1 - eta l, start c^2 = x_0^2:

    a = E r^2,  b = E l r,  c = E l^2 r^2,  e = E l r^3,  d = E r^4
    g = -c^2 SUM_s l_s r_s PROD_{u != s} r_u^2             one draw, s over the last K steps (K = N: all)
    E g      = -c^2 K b a^(N-1)
    E g^2    =  c^4 [K c d^(N-1) + K (K-1) e^2 d^(N-2)]
    Var/Mean^2 ~ (e^2 a^2/(b^2 d^2)) kappa^N,  kappa = d/a^2 >= 1, and = 1 only if r^2 is constant     [derived here]

The window changes the polynomial factors only; kappa^N stays, because the state itself is random.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import parse_steps
from l2o_theory.quadratic.windows import parse_windows
from l2o_theory.rigor.rationals import Number, parse_rational, parse_rationals


class Moments(NamedTuple):
    """E r^2, E l r, E l^2 r^2, E l r^3 and E r^4 of one step."""

    r2: Fraction
    lr: Fraction
    l2r2: Fraction
    lr3: Fraction
    r4: Fraction


@dataclass(frozen=True, init=False)
class RandomCurvature:
    """The law of the curvature and one step size; methods answer exactly for one horizon, in float64 for arrays.

    Args:
        curvatures: the values l takes.
        probabilities: of these values; >= 0 with sum exactly 1. None: equal.
        step_size: eta.
        start: c^2 = x_0^2 > 0.

    Raises:
        InputError: lengths differ, a probability is negative or their sum is not 1, start <= 0.

    Example:
        >>> law = RandomCurvature(["1/10", 1, 2], step_size="4/5")
        >>> law.mean(1), law.relative_variance([1, 2, 3]).round(4).tolist()
        (Fraction(227, 750), [4.4161, 3.8535, 4.7554])
    """

    curvatures: tuple[Fraction, ...]
    probabilities: tuple[Fraction, ...]
    step_size: Fraction
    start: Fraction

    def __init__(
        self,
        curvatures: Iterable[Number],
        probabilities: Iterable[Number] | None = None,
        *,
        step_size: Number,
        start: Number = 1,
    ) -> None:
        values = parse_rationals(curvatures, "curvatures")
        if not values:
            raise InputError("curvatures must not be empty; give at least one value")
        shares = (
            (Fraction(1, len(values)),) * len(values)
            if probabilities is None
            else parse_rationals(probabilities, "probabilities")
        )
        if len(shares) != len(values):
            raise InputError(f"probabilities must match the {len(values)} curvatures, got {len(shares)}; pair them up")
        if min(shares) < 0 or sum(shares) != 1:
            raise InputError(
                f'probabilities must be >= 0 and sum to 1, got sum {sum(shares)}; write thirds as "1/3", not 0.333'
            )
        square = parse_rational(start, "start")
        if not square > 0:
            raise InputError(f"start must be > 0, got {start!r}; it is x_0^2")
        object.__setattr__(self, "curvatures", values)
        object.__setattr__(self, "probabilities", shares)
        object.__setattr__(self, "step_size", parse_rational(step_size, "step_size"))
        object.__setattr__(self, "start", square)

    @property
    def moments(self) -> Moments:
        """The five moments of one step, exactly."""
        rows = [(p, v, 1 - self.step_size * v) for p, v in zip(self.probabilities, self.curvatures, strict=True)]

        def mean(term: Callable[[Fraction, Fraction], Fraction]) -> Fraction:
            return sum((p * term(v, r) for p, v, r in rows), Fraction(0))

        return Moments(
            mean(lambda v, r: r**2),
            mean(lambda v, r: v * r),
            mean(lambda v, r: v**2 * r**2),
            mean(lambda v, r: v * r**3),
            mean(lambda v, r: r**4),
        )

    @property
    def growth(self) -> Fraction:
        """kappa = E r^4/(E r^2)^2, by which the relative second moment grows per step of the horizon.

        Raises:
            InputError: r = 0 almost surely.
        """
        m = self.moments
        if not m.r2:
            raise InputError("growth is undefined when 1 - step_size*l vanishes always; change the step size")
        return m.r4 / m.r2**2

    def mean(self, horizon: Any, window: Any = None) -> Any:
        """E g = -c^2 K b a^(N-1)."""
        return self._over(horizon, window, self._mean)

    def second_moment(self, horizon: Any, window: Any = None) -> Any:
        """E g^2 = c^4 [K c d^(N-1) + K (K-1) e^2 d^(N-2)]."""
        return self._over(horizon, window, self._second_moment)

    def relative_variance(self, horizon: Any, window: Any = None) -> Any:
        """Var g/(E g)^2: the number of draws per meta-batch for a signal-to-noise ratio of 1.

        Raises:
            InputError: the mean vanishes.
        """
        if not self._mean(1, 1):
            raise InputError("relative_variance is undefined where E l r = 0, as the mean vanishes; change step_size")
        return self._over(horizon, window, lambda n, k: self._second_moment(n, k) / self._mean(n, k) ** 2 - 1)

    def _mean(self, horizon: int, window: int) -> Fraction:
        m = self.moments
        return -self.start * window * m.lr * m.r2 ** (horizon - 1)

    def _second_moment(self, horizon: int, window: int) -> Fraction:
        m = self.moments
        pairs = window * (window - 1) * m.lr3**2 * m.r4 ** (horizon - 2) if horizon > 1 else Fraction(0)
        return self.start**2 * (window * m.l2r2 * m.r4 ** (horizon - 1) + pairs)

    def _over(self, horizon: Any, window: Any, formula: Callable[[int, int], Fraction]) -> Any:
        steps = parse_steps(horizon)
        size = steps if window is None else parse_windows(window, steps)
        if not steps.ndim and not size.ndim:
            return formula(int(steps), int(size))
        steps, size = np.broadcast_arrays(steps, size)
        values = [_rounded(formula(n, k)) for n, k in zip(steps.ravel().tolist(), size.ravel().tolist(), strict=True)]
        return np.array(values).reshape(steps.shape)


def _rounded(value: Fraction) -> float:
    """The nearest float; infinity beyond the range."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
