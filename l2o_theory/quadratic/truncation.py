r"""Truncated and first-order meta-gradients of gradient descent on a quadratic, exactly.

    f(x) = 1/2 SUM_i l_i x_i^2,  x_{t+1} = x_t - eta l x_t,  L_N(eta) = SUM_{t=1..N} w_t f(x_t),  c_i^2 = x_{0,i}^2
    h_t = SUM_i l_i^2 c_i^2 (1 - eta l_i)^(2t-1)

    full            G_N   = -SUM_t w_t t h_t
    window K        G_N,K = -SUM_t w_t r_K(t) h_t          r_K(t) = ((t-1) mod K) + 1
    first order     SUM_t w_t SUM_i l_i x_{t,i} (x_{t,i} - x_{s,i})/eta,   s = t - r_K(t) the start of the window of t

Every -h_t increases in eta, so each G_N,K with w >= 0 has one root, between 1/L and 1/mu, whatever K. Derived here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from l2o_theory.errors import InputError
from l2o_theory.quadratic import truncated_terms
from l2o_theory.quadratic.arguments import Array, parse_one_steps, parse_step_sizes, parse_steps
from l2o_theory.quadratic.enclosure import enclose
from l2o_theory.quadratic.float64 import residual_pairs
from l2o_theory.quadratic.spectrum import Spectrum, parse_column
from l2o_theory.quadratic.truncated_terms import ExactTask, Field, FloatTask
from l2o_theory.quadratic.windows import parse_windows
from l2o_theory.rigor.rationals import Number, parse_rational, parse_rationals

Digits = int | Literal["exact"] | None
"""None: float64, arrays broadcast. An integer: `flint.arb` to that many digits. "exact": Fraction."""

_EXACT_STEPS = 1 << 11  # up to it a meta-gradient that balls cannot tell from 0 is decided in rationals
_BLOCK = 1 << 20  # numbers held at once per step size and horizon
_REACH, _SCAN = 64.0, 1200  # the scan for a first-order change of sign: 1/(2L) to 32/L, 0.35 percent apart


@dataclass(frozen=True, init=False)
class TruncatedDescent:
    """Meta-gradients in the step size of gradient descent on one quadratic, full and truncated.

    Args:
        eigenvalues: l_i > 0.
        weights: c_i^2 >= 0, squares of the starting point in the eigenbasis.
        loss_weights: w_t of the meta-loss: "sum" (all 1), "final" (the last step alone), or N numbers.

    `digits` chooses the arithmetic: None is float64 and broadcasts over step_size, horizon and window; an integer gives
    `flint.arb`; "exact" gives Fractions. window=None is the full gradient (K = N). K need not divide N.

    Raises:
        InputError: values out of these ranges, K < 1 or K > N, or a horizon other than the number of loss weights.

    Example:
        >>> TruncatedDescent([1], [1]).meta_gradient("1/10", 20, [1, 5, 20]).round(5)
        array([ -4.66683, -12.07055, -23.16196])
        >>> TruncatedDescent([1, 2], [1, 1]).meta_gradient("1/4", 2, 1, digits="exact")
        Fraction(-235, 64)
    """

    spectrum: Spectrum
    loss_weights: Literal["sum", "final"] | tuple[Fraction, ...]

    def __init__(
        self,
        eigenvalues: Iterable[Number],
        weights: Iterable[Number],
        loss_weights: Literal["sum", "final"] | Iterable[Number] = "sum",
    ) -> None:
        columns = parse_column(eigenvalues, "eigenvalues"), parse_column(weights, "weights")
        object.__setattr__(self, "spectrum", Spectrum(*columns))
        if isinstance(loss_weights, str) and loss_weights not in ("sum", "final"):
            raise InputError(f'loss_weights must be "sum", "final" or N numbers, got {loss_weights!r}; choose one')
        if not isinstance(loss_weights, str):
            loss_weights = parse_rationals(loss_weights, "loss_weights")
            if not any(loss_weights):
                raise InputError("loss_weights must not all be zero; give the N weights of the steps")
        object.__setattr__(self, "loss_weights", loss_weights)

    def meta_loss(self, step_size: ArrayLike, horizon: ArrayLike, *, digits: Digits = None) -> Any:
        """L_N = SUM_t w_t f(x_t)."""
        return self._value("loss", step_size, horizon, None, digits)

    def meta_gradient(
        self, step_size: ArrayLike, horizon: ArrayLike, window: ArrayLike | None = None, *, digits: Digits = None
    ) -> Any:
        """G_N,K, the derivative with x detached after every K steps; window=None: G_N = dL_N/deta."""
        return self._value("gradient", step_size, horizon, window, digits)

    def bias(self, step_size: ArrayLike, horizon: ArrayLike, window: ArrayLike, *, digits: Digits = None) -> Any:
        """B_N,K = G_N - G_N,K = -SUM_t w_t (t - r_K(t)) h_t."""
        return self._value("bias", step_size, horizon, window, digits)

    def relative_bias(
        self, step_size: ArrayLike, horizon: ArrayLike, window: ArrayLike, *, digits: Digits = None
    ) -> Any:
        """B_N,K / G_N: in [0, 1) if all eta l_i < 1 and w = 1; above 1 the truncated gradient has the wrong sign.

        Finite also where both overflow. Where G_N = 0: nan in floats, ZeroDivisionError with "exact".
        """
        if digits is not None:
            return self._exactly("relative_bias", step_size, horizon, window, digits)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._scaled(
                lambda task, kept: task.bias(kept) / task.gradient(np.arange(1.0, kept.shape[1] + 1)[None, :]),
                step_size,
                horizon,
                window,
            )

    def first_order(
        self, step_size: ArrayLike, horizon: ArrayLike, window: ArrayLike | None = None, *, digits: Digits = None
    ) -> Any:
        """The meta-gradient with every inner gradient detached from x (no second derivatives), window K or full."""
        return self._value("first_order", step_size, horizon, window, digits)

    def step_size_bracket(
        self, horizon: int, window: int | None = None, *, first_order: bool = False, digits: int = 20
    ) -> tuple[Fraction, Fraction]:
        """Rationals (low, high), at most 10^-digits of `high` apart: meta-gradient < 0 at low, >= 0 at high, certainly.

        Both are 1/l where there is a single eigenvalue.

        Of the exact orders this is the only change of sign there is. A first-order meta-gradient may have several; of
        these it is the first that a walk from 1/(2L) upwards in relative steps of 0.1 percent sees.

        Raises:
            InputError: a negative loss weight (the change of sign need not be the only one), or no change seen.
        """
        weights = () if isinstance(self.loss_weights, str) else self.loss_weights
        if any(weight < 0 for weight in weights):
            raise InputError(f"loss_weights must be >= 0 here, got {min(weights)}; the root need not be unique")
        formula = "first_order" if first_order else "gradient"

        def is_high(eta: Fraction) -> bool:
            return bool(self._exactly(formula, eta, horizon, window, 2) >= 0)

        values = self.spectrum.exact.eigenvalues
        low, high = 1 / values[0], 1 / values[-1]
        if first_order:
            low, high = self._first_change(horizon, window, is_high)
        elif is_high(low):
            return low, low  # a single eigenvalue: the root is 1/l
        while high - low > high / 10**digits:
            middle = ((low + high) / 2).limit_denominator(10 ** (digits + 3))
            low, high = (low, middle) if is_high(middle) else (middle, high)
        return low, high

    def _first_change(
        self, horizon: int, window: int | None, is_high: Callable[[Fraction], bool]
    ) -> tuple[Fraction, Fraction]:
        """Neighbours on a grid, seen in floats and certain, between which the first-order gradient goes from - to +."""
        start = float(Fraction(1, 2) / self.spectrum.exact.eigenvalues[0])
        grid = np.geomspace(start, start * _REACH, _SCAN)
        values = self.first_order(grid, horizon, window)
        for turn in np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0)):
            low, high = Fraction(grid[turn]), Fraction(grid[turn + 1])
            if not is_high(low) and is_high(high):
                return low, high
        raise InputError(f"no change of sign was seen up to {grid[-1]:.4g}; look at first_order on a grid")

    def optimal_step_size(self, horizon: int, window: int | None = None, *, first_order: bool = False) -> float:
        """The step size at which the meta-gradient vanishes, to float64; see `step_size_bracket`.

        window=None: the minimiser of L_N. With a window, or first_order, where descent along that gradient stops.
        """
        return float(self.step_size_bracket(horizon, window, first_order=first_order)[1])

    def regret(self, step_size: ArrayLike, horizon: int) -> Any:
        """L_N(eta)/min L_N >= 1: what a step size tuned on something else costs at the horizon N."""
        return self.meta_loss(step_size, horizon) / self.meta_loss(self.optimal_step_size(horizon), horizon)

    def _value(self, formula: str, step_size: Any, horizon: Any, window: Any, digits: Digits) -> Any:
        if digits is not None:
            return self._exactly(formula, step_size, horizon, window, digits)

        def compute(task: FloatTask, kept: Array) -> Array:
            value: Array = getattr(task, formula)(kept)
            with np.errstate(all="ignore"):
                return np.where(value == 0, 0.0, value * task.scale)

        return self._scaled(compute, step_size, horizon, window)

    def _exactly(self, formula: str, step_size: Any, horizon: Any, window: Any, digits: Any) -> Any:
        eta, steps = parse_rational(step_size, "step_size"), parse_one_steps(horizon)
        size = steps if window is None else int(parse_windows(parse_one_steps(window), np.asarray(steps)))
        exact, weights = self.spectrum.exact, self._loss_weights(steps)
        pairs = list(zip(exact.eigenvalues, exact.weights, strict=True))
        task = ExactTask(pairs, eta, steps, size, None if self.loss_weights == "sum" else tuple(weights))
        evaluate: Callable[[ExactTask, Field], Any] = getattr(truncated_terms, formula)
        if digits == "exact":
            return evaluate(task, lambda value: value)
        return enclose(lambda field: [evaluate(task, field)], digits, exact=steps <= _EXACT_STEPS)[0]

    def _scaled(self, compute: Callable[[FloatTask, Array], Array], step_size: Any, horizon: Any, window: Any) -> Any:
        """Answers of `compute` for every entry of the broadcast arguments, one task per step size and horizon."""
        sizes, steps = parse_step_sizes(step_size), parse_steps(horizon)
        windows = steps if window is None else parse_windows(window, steps)
        places = np.arange(sizes.high.size).reshape(sizes.high.shape)
        try:
            places, steps, windows = np.broadcast_arrays(places, steps, windows)
        except ValueError:
            raise InputError(
                f"step_size, horizon and window must broadcast, got shapes {sizes.high.shape}, {steps.shape} and "
                f"{windows.shape}; add an axis, as in step_size[:, None]"
            ) from None
        rho, rest = residual_pairs(sizes.high.ravel(), sizes.low.ravel(), self.spectrum.floats)
        keys = places.ravel() * (int(steps.max()) + 1) + steps.ravel()
        order = np.argsort(keys, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)
        answer = np.empty(places.size)
        for group in groups:
            place, count = int(places.flat[group[0]]), int(steps.flat[group[0]])
            weights = (
                np.ones(count) if self.loss_weights == "sum" else np.array([*map(float, self._loss_weights(count))])
            )
            task = FloatTask.of(
                self.spectrum.floats,
                self.spectrum.float_terms,
                float(sizes.high.flat[place]),
                (rho[place], rest[place]),
                weights,
            )
            distinct, back = np.unique(windows.flat[group], return_inverse=True)
            # in blocks: a row of N numbers for each window must not fill the memory
            rows = max(1, _BLOCK // count)
            parts = [
                compute(task, (np.arange(count) % distinct[k : k + rows, None] + 1).astype(np.float64))
                for k in range(0, len(distinct), rows)
            ]
            answer[group] = np.concatenate(parts)[back]
        return answer.reshape(places.shape) if places.ndim else float(answer[0])

    def _loss_weights(self, horizon: int) -> tuple[Fraction, ...] | list[Fraction]:
        """w_1..w_N."""
        if self.loss_weights == "sum":
            return [Fraction(1)] * horizon
        if self.loss_weights == "final":
            return [Fraction(0)] * (horizon - 1) + [Fraction(1)]
        if len(self.loss_weights) != horizon:
            raise InputError(
                f"horizon must equal the number of loss weights, {len(self.loss_weights)}, got {horizon}; "
                "make another TruncatedDescent for it"
            )
        return self.loss_weights
