r"""Expected loss of stochastic gradient descent with additive noise, from exact second moments.

With gradient noise of covariance diag(s_i) in the eigenbasis, independent of the iterate [derived here]:

    m_i <- (1 - eta l_i)^2 m_i + eta^2 s_i,   m_i = E[c_i(k)^2],   F = 1/2 SUM_i l_i m_i
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from numpy.typing import ArrayLike

from l2o_theory.errors import InputError
from l2o_theory.quadratic.analyzer import Quadratic
from l2o_theory.quadratic.arguments import Array, common_shape, parse_one_steps, parse_step_sizes, parse_steps
from l2o_theory.quadratic.enclosure import enclose
from l2o_theory.quadratic.float64 import residual_pairs
from l2o_theory.quadratic.second_moments import parse_nonnegative, parse_spectrum
from l2o_theory.quadratic.spectrum import Column, Spectrum
from l2o_theory.quadratic.tasks import minima_on_grid
from l2o_theory.rigor.rationals import Number, parse_rational

_EXACT_STEPS = 1 << 10  # up to it a meta-gradient that balls cannot tell from 0 is decided in rationals
_GRID = 2048  # candidates of the global search; each basin they show is then refined


@dataclass(frozen=True, init=False)
class AdditiveNoiseSGD:
    """SGD whose gradient noise has covariance diag(noise) in the eigenbasis, whatever the iterate.

    Args:
        eigenvalues: l_i > 0.
        second_moments: m_i(0) = E[c_i(0)^2] >= 0.
        noise: s_i >= 0, variance of coordinate i of the stochastic gradient.

    Raises:
        InputError: a value out of these ranges, lengths that differ, or all moments and noise zero.

    Example:
        >>> sgd = AdditiveNoiseSGD(["1", "1/10"], [1, 1], ["1/4", "1/40"])
        >>> round(sgd.optimal_step_size(10), 3)
        0.265
    """

    spectrum: Spectrum
    second_moments: Column
    noise: Column

    def __init__(
        self, eigenvalues: Iterable[Number], second_moments: Iterable[Number], noise: Iterable[Number]
    ) -> None:
        spectrum = parse_spectrum(eigenvalues)
        object.__setattr__(self, "spectrum", spectrum)
        object.__setattr__(self, "second_moments", parse_nonnegative(second_moments, "second_moments", spectrum))
        object.__setattr__(self, "noise", parse_nonnegative(noise, "noise", spectrum))
        if not self.second_moments.high.any() and not self.noise.high.any():
            raise InputError("second_moments and noise must not both be zero: the loss vanishes; give a positive entry")

    def loss(self, step_size: ArrayLike, steps: ArrayLike, *, digits: int | None = None) -> Any:
        """F after t steps of one constant size, at a cost independent of t; the arguments broadcast [derived here].

            m_i(t) = q^t m_i(0) + eta^2 s_i (1-q^t)/(1-q),   q = (1 - eta l_i)^2,  1-q = eta l_i (2 - eta l_i)

        with the limit eta^2 s_i t of the second term at eta l_i in {0, 2}. inf beyond the float range. With `digits`
        one exact step size and one t.
        """
        if digits is None:
            return 0.5 * np.sum(self.spectrum.floats.high * self._moments(step_size, steps)[0], axis=-1)
        return self._enclosed(step_size, steps, digits, derivative=False)

    def meta_gradient(self, step_size: ArrayLike, steps: ArrayLike, *, digits: int | None = None) -> Any:
        """dF/deta of `loss`, with the same arguments [derived here]."""
        if digits is None:
            return 0.5 * np.sum(self.spectrum.floats.high * self._moments(step_size, steps)[1], axis=-1)
        return self._enclosed(step_size, steps, digits, derivative=True)

    def losses(self, step_sizes: ArrayLike) -> Array:
        """F before the first and after each step of the schedule eta_1..eta_t; shape (t+1,)."""
        eigenvalues, moments = self.spectrum.floats.high, self.second_moments.high
        losses = [0.5 * eigenvalues @ moments]
        for eta in np.atleast_1d(parse_step_sizes(step_sizes).high):
            moments = (1 - eta * eigenvalues) ** 2 * moments + eta**2 * self.noise.high
            losses.append(0.5 * eigenvalues @ moments)
        return np.array(losses)

    def loss_of_schedule(self, step_sizes: ArrayLike, *, digits: int | None = None) -> Any:
        """F after the last step of the schedule eta_1..eta_t, by the recursion itself."""
        if digits is None:
            return self.losses(step_sizes)[-1]
        schedule = parse_step_sizes(step_sizes)
        etas = [schedule.exact(index) for index in range(schedule.high.size)]

        def compute(number: Callable[[Fraction], Any]) -> list[Any]:
            total = number(Fraction(0))
            for value, moment, variance in self._rationals():
                current = number(moment)
                for eta in etas:
                    current = number((1 - eta * value) ** 2) * current + number(eta**2 * variance)
                total += number(value / 2) * current
            return [total]

        return enclose(compute, digits, exact=False)[0]

    def greedy_step_sizes(self, steps: int) -> Array:
        """The t step sizes of which each minimises the very next loss [Wu et al., ICLR 2018, arXiv 1803.02021].

        eta_k = SUM l_i^2 m_i / SUM (l_i^3 m_i + l_i s_i);   0 once all moments have reached 0 without noise
        """
        eigenvalues, moments, noise = self.spectrum.floats.high, self.second_moments.high, self.noise.high
        chosen = []
        for _ in range(parse_one_steps(steps)):
            denominator = np.sum(eigenvalues**3 * moments + eigenvalues * noise)
            eta = np.sum(eigenvalues**2 * moments) / denominator if denominator else 0.0
            moments = (1 - eta * eigenvalues) ** 2 * moments + eta**2 * noise
            chosen.append(eta)
        return np.array(chosen)

    def optimal_step_size(self, steps: int) -> float:
        """The constant step size with the smallest F after t steps (0 if all m_i(0) are 0).

        With noise F need not be quasi-convex in eta (noise at one eigenvalue saturates while another still decays), so
        the search is global: over the interval that must hold every minimiser,

            A/(N + (2t-1) L A) <= eta* <= 1/alpha,   A = SUM l_i^2 m_i(0),  N = SUM l_i s_i      [derived here]

        every local minimum that a fine geometric grid can tell apart is found, and the deepest returned.
        """
        steps = parse_one_steps(steps)
        eigenvalues, moments, noise = self.spectrum.floats.high, self.second_moments.high, self.noise.high
        if not moments.any():
            return 0.0
        if not noise.any():
            exact = self.spectrum.eigenvalues.exact(), self.second_moments.exact()
            return float(Quadratic(*exact).optimal_step_size(steps))
        descent = float(np.sum(eigenvalues**2 * moments))
        lowest = descent / (np.sum(eigenvalues * noise) + (2 * steps - 1) * np.max(eigenvalues) * descent)
        grid = np.geomspace(lowest * (1 - 1e-9), (1 + 1e-9) / np.min(eigenvalues), _GRID)
        minima = minima_on_grid(lambda eta: self.meta_gradient(eta, steps), grid)
        return float(minima[np.argmin(self.loss(minima, steps))])

    def _enclosed(self, step_size: ArrayLike, steps: ArrayLike, digits: int, *, derivative: bool) -> flint.arb:
        eta, horizon = parse_rational(step_size, "step_size"), parse_one_steps(steps)

        def compute(number: Callable[[Fraction], Any]) -> list[Any]:
            total = number(Fraction(0))
            for value, moment, variance in self._rationals():
                r, size, m, s = (number(v) for v in (1 - eta * value, eta, moment, variance))
                power, geometric, power_rise, geometric_rise = _geometric(r * r, horizon)
                if derivative:
                    q_rise = -2 * number(value) * r
                    term = q_rise * power_rise * m + s * size * (2 * geometric + size * q_rise * geometric_rise)
                else:
                    term = power * m + size * size * s * geometric
                total += number(value / 2) * term
            return [total]

        return enclose(compute, digits, exact=horizon <= _EXACT_STEPS)[0]

    def _rationals(self) -> Iterable[tuple[Fraction, Fraction, Fraction]]:
        eigenvalues, moments, noise = self.spectrum.eigenvalues, self.second_moments, self.noise
        return zip(eigenvalues.exact(), moments.exact(), noise.exact(), strict=True)

    def _moments(self, step_size: ArrayLike, steps: ArrayLike) -> tuple[Array, Array]:
        """m_i(t) and dm_i(t)/deta, shape (..., d)."""
        sizes, horizons = parse_step_sizes(step_size), parse_steps(steps)
        common_shape(sizes, horizons)
        horizon = horizons[..., None].astype(np.float64)
        eta, eigenvalues = sizes.high[..., None], self.spectrum.floats.high
        pair = residual_pairs(sizes.high.ravel(), sizes.low.ravel(), self.spectrum.floats)
        r, rest = (part.reshape(*sizes.high.shape, -1) for part in pair)
        u = -((1 + r) + rest)  # eta l - 2, so that 1 - q = -eta l u
        gap = -eta * eigenvalues * u
        moments, noise = self.second_moments.high, self.noise.high / eigenvalues
        with np.errstate(all="ignore"):
            log_q = np.where(gap < 0.5, np.log1p(-gap), 2 * np.log(np.abs(r)))
            power, odd = np.exp(horizon * log_q), np.sign(r) * np.exp((horizon - 0.5) * log_q)  # r^(2t), r^(2t-1)
            # eta^2 (1-q^t)/(1-q) = (eta/l) g(u) with g(u) = ((1+u)^(2t) - 1)/u
            g = np.where(u == 0, 2 * horizon, np.expm1(horizon * log_q) / u)
            # near u = 0 the quotient for g' cancels; its limit is good to 1e-6 there
            slope = np.where(np.abs(u) * horizon < 1e-6, horizon * (2 * horizon - 1), (-2 * horizon * odd - g) / u)
            slope = np.where(np.isnan(slope), np.inf, slope)  # inf - inf, far beyond u = 0 where g grows
            # 0 * inf is 0 here: a coordinate without initial error, or without noise, contributes nothing
            value = np.where(moments == 0, 0.0, power * moments) + np.where(noise == 0, 0.0, eta * g * noise)
            rise = np.where(moments == 0, 0.0, -2 * eigenvalues * horizon * odd * moments)
            rise = rise + np.where(noise == 0, 0.0, (g + eta * eigenvalues * slope) * noise)
        return value, rise


def _geometric(q: Any, steps: int) -> tuple[Any, Any, Any, Any]:
    """q^t, 1 + q + ... + q^(t-1) and their derivatives in q, by doubling: no division, in any number system."""
    zero = q * 0
    power, total, power_rise, total_rise = q, zero + 1, zero + 1, zero
    for bit in bin(steps)[3:]:
        total_rise = total_rise * (1 + power) + total * power_rise
        power, total, power_rise = power * power, total * (1 + power), 2 * power * power_rise
        if bit == "1":
            total_rise = total + q * total_rise
            power, total, power_rise = power * q, 1 + q * total, power_rise * q + power
    return power, total, power_rise, total_rise
