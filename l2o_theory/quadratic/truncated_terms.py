r"""The sums of `truncation`, once over any field by closed forms, once in float64 by adding the terms.

With rho_i = 1 - eta l_i, q_i = rho_i^2 and s the start of the window of t (r = r_K(t) = t - s)       [derived here]:

    loss         1/2 SUM_i l_i c_i^2 SUM_t w_t q_i^t
    gradient     -SUM_i (l_i^2 c_i^2/rho_i) SUM_t w_t r_K(t) q_i^t
    first order  -SUM_i l_i^2 c_i^2 SUM_t w_t rho_i^(t+s) (1 + rho_i + ... + rho_i^(r-1))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from l2o_theory.quadratic.arguments import Array
from l2o_theory.quadratic.spectrum import FloatSpectrum
from l2o_theory.quadratic.windows import geometric_sum, kept_sum

_LARGEST_LOG = 600.0  # larger powers are divided by the largest residual's, which costs 2N more roundings

Field = Callable[[Fraction], Any]
"""The number system: maps Fractions into it."""


@dataclass(frozen=True)
class ExactTask:
    """One exact question: pairs (l_i, c_i^2), step size, horizon N, window K, loss weights (None: all 1)."""

    pairs: Sequence[tuple[Fraction, Fraction]]
    step_size: Fraction
    horizon: int
    window: int
    loss_weights: tuple[Fraction, ...] | None

    def weighted_steps(self) -> list[tuple[int, Fraction]]:
        """(t, w_t) with w_t != 0."""
        weights = self.loss_weights or (Fraction(1),) * self.horizon
        return [(t, w) for t, w in enumerate(weights, start=1) if w]


def loss(task: ExactTask, field: Field) -> Any:
    """SUM_t w_t f(x_t)."""
    total = field(Fraction(0))
    for value, weight in task.pairs:
        q = _square(task, value, field)
        if task.loss_weights is None:
            terms = q * geometric_sum(q, task.horizon)
        else:
            terms = sum((field(w) * q**t for t, w in task.weighted_steps()), field(Fraction(0)))
        total += field(value * weight / 2) * terms
    return total


def gradient(task: ExactTask, field: Field) -> Any:
    """-SUM_t w_t r_K(t) h_t."""
    total = field(Fraction(0))
    for value, weight in task.pairs:
        rho = 1 - task.step_size * value
        if rho == 0:
            continue  # h_t = 0
        q = _square(task, value, field)
        if task.loss_weights is None:
            kept = kept_sum(q, task.horizon, task.window)
        else:
            terms = (field(w * ((t - 1) % task.window + 1)) * q**t for t, w in task.weighted_steps())
            kept = sum(terms, field(Fraction(0)))
        total -= field(value * value * weight) / field(rho) * kept
    return total


def bias(task: ExactTask, field: Field) -> Any:
    """G_N - G_N,K."""
    return gradient(replace(task, window=task.horizon), field) - gradient(task, field)


def relative_bias(task: ExactTask, field: Field) -> Any:
    """1 - G_N,K/G_N."""
    return 1 - gradient(task, field) / gradient(replace(task, window=task.horizon), field)


def first_order(task: ExactTask, field: Field) -> Any:
    """SUM_t w_t <grad f(x_t), d x_t> with d x_t = -SUM_{s <= j < t} grad f(x_j): inner gradients held constant."""
    total = field(Fraction(0))
    for value, weight in task.pairs:
        rho, inner = field(1 - task.step_size * value), field(Fraction(0))
        position, terms, at = field(Fraction(1)), field(Fraction(0)), 0
        for t, w in task.weighted_steps():
            while at < t:
                inner = position + (field(Fraction(0)) if at % task.window == 0 else inner)
                position, at = position * rho, at + 1
            terms += field(w) * position * inner
        total -= field(value * value * weight) * terms
    return total


def _square(task: ExactTask, value: Fraction, field: Field) -> Any:
    """q = rho^2, and exactly 1 where it is: a ball of 1/3 - 4/3 would not know."""
    rho = 1 - task.step_size * value
    return field(Fraction(1)) if rho in (1, -1) else field(rho) * field(rho)


@dataclass(frozen=True)
class FloatTask:
    """One step size and one horizon in float64: every quantity is `scale` times what the methods return.

    rho, rest: 1 - eta l_i to 106 bits; shape (d,). scale = m^(2N), m = 1 unless powers would overflow.
    """

    spectrum: FloatSpectrum
    terms: Array
    step_size: float
    rho: Array
    rest: Array
    loss_weights: Array
    largest: float

    @classmethod
    def of(
        cls, spectrum: FloatSpectrum, terms: Array, step_size: float, pair: tuple[Array, Array], w: Array
    ) -> FloatTask:
        """Choose the scale; `terms` is c_i^2 l_i and w has shape (N,)."""
        top = float(np.max(np.abs(pair[0])))
        needed = top > 1 and 2 * len(w) * np.log(top) > _LARGEST_LOG
        return cls(spectrum, terms, step_size, *pair, w, top if needed else 1.0)

    @property
    def scale(self) -> float:
        """m^(2N); inf beyond the float range."""
        with np.errstate(over="ignore"):
            return float(np.float64(self.largest) ** (2 * len(self.loss_weights)))

    def loss(self, kept: Array) -> Array:
        """SUM_t w_t f(x_t); `kept`, shape (k, N), only gives the shape of the answer."""
        steps = self._steps()
        value = np.sum(self.loss_weights * (0.5 * self.terms @ self._powers(2 * steps)))
        return np.full(len(kept), value)

    def gradient(self, kept: Array) -> Array:
        """-SUM_t w_t r(t) h_t for each row r of `kept`, shape (k, N)."""
        steps = self._steps()
        slope = self.loss_weights * ((self.terms * self.spectrum.high) @ self._powers(2 * steps - 1))
        answer: Array = -np.sum(kept * slope, axis=1)
        return answer

    def bias(self, kept: Array) -> Array:
        """-SUM_t w_t (t - r(t)) h_t: no difference of two gradients."""
        return self.gradient(self._steps() - kept)

    def first_order(self, kept: Array) -> Array:
        """-SUM_t w_t SUM_i l_i c_i^2 rho^(t+s) (1 - rho^r)/eta, the quotient without cancellation near rho = 1."""
        steps = self._steps()
        moved = self.step_size * self.spectrum.high[:, None]
        rho, rows = self.rho[:, None], []
        for r in kept:
            with np.errstate(all="ignore"):
                near = np.where(np.abs(moved) < 0.5, -np.expm1(r * np.log1p(-moved)), 1 - rho**r)
                inner = np.where(moved == 0, r, near / moved)
            product = self._powers(2 * steps - r) * inner
            rows.append(-np.sum(self.loss_weights * ((self.terms * self.spectrum.high) @ product)))
        return np.array(rows)

    def _steps(self) -> Array:
        return np.arange(1.0, len(self.loss_weights) + 1)

    def _powers(self, exponents: Array) -> Array:
        """rho_i^n / m^(2N) for the exponents n, shape (d, N); first order in the low part of rho."""
        rho, rest = self.rho[:, None], self.rest[:, None]
        with np.errstate(all="ignore"):
            correction = np.where(rho == 0, 0.0, rest / np.where(rho == 0, 1.0, rho))
            power = (rho / self.largest) ** exponents * (1 + exponents * correction)
            scaled: Array = power * np.float64(self.largest) ** (exponents - 2.0 * len(self.loss_weights))
            return scaled
