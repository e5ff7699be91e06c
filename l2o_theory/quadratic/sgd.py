r"""Expected loss of stochastic gradient descent on a quadratic, by exact recursions for second moments.

m_i = E[c_i(k)^2] in the eigenbasis; the loss is F = 1/2 SUM_i l_i m_i, the expected excess over the minimum.

Additive noise with covariance diag(s_i), independent of the iterate [derived here]:

    m_i <- (1 - eta l_i)^2 m_i + eta^2 s_i

Gaussian inputs x ~ N(0, diag(l)), label noise of variance sigma^2, fresh batches of B samples [derived here]:

    m_i <- (1 - eta l_i)^2 m_i + (eta^2/B) (l_i^2 m_i + l_i S + sigma^2 l_i),   S = SUM_j l_j m_j
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2o_theory.errors import InputError
from l2o_theory.quadratic.analyzer import Quadratic
from l2o_theory.quadratic.arguments import Array, common_shape, parse_one_steps, parse_step_sizes, parse_steps
from l2o_theory.quadratic.float64 import residual_pairs
from l2o_theory.quadratic.schedules import Scaled, enclose
from l2o_theory.quadratic.spectrum import Column, Spectrum, parse_column
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
        spectrum = _spectrum(eigenvalues)
        object.__setattr__(self, "spectrum", spectrum)
        object.__setattr__(self, "second_moments", _nonnegative(second_moments, "second_moments", spectrum))
        object.__setattr__(self, "noise", _nonnegative(noise, "noise", spectrum))
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


@dataclass(frozen=True, init=False)
class GaussianInputSGD:
    """SGD on least squares with inputs x ~ N(0, diag(l)), a fresh batch at every step: noise that grows with the loss.

    Args:
        eigenvalues: l_i > 0, the input variances.
        second_moments: m_i(0) = E[(w_0 - w*)_i^2] >= 0.
        label_noise: sigma^2 >= 0, the VARIANCE of the label noise.
        batch_size: B >= 1.

    The population loss is `loss` + sigma^2/2.

    Raises:
        InputError: a value out of these ranges, or lengths that differ.

    Example:
        >>> sgd = GaussianInputSGD([1, 1], [1, 1], 1, 1)
        >>> sgd.is_stable("1/2"), sgd.is_stable("2/5")
        (False, True)
    """

    spectrum: Spectrum
    second_moments: Column
    label_noise: Fraction
    batch_size: int

    def __init__(
        self,
        eigenvalues: Iterable[Number],
        second_moments: Iterable[Number],
        label_noise: Number,
        batch_size: int,
    ) -> None:
        spectrum, variance = _spectrum(eigenvalues), parse_rational(label_noise, "label_noise")
        if variance < 0:
            raise InputError(f"label_noise must be >= 0, got {variance}; it is the variance sigma^2")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise InputError(f"batch_size must be an integer >= 1, got {batch_size!r}; pass the samples per step")
        object.__setattr__(self, "spectrum", spectrum)
        object.__setattr__(self, "second_moments", _nonnegative(second_moments, "second_moments", spectrum))
        object.__setattr__(self, "label_noise", variance)
        object.__setattr__(self, "batch_size", int(batch_size))

    def loss(self, step_size: ArrayLike, steps: ArrayLike, *, digits: int | None = None) -> Any:
        """F = S/2 after t steps of one constant size, in O(d^3 log t); the arguments broadcast [derived here].

        The recursion is a power of one (d+1) x (d+1) matrix with no negative entry, so nothing cancels. inf beyond the
        float range. With `digits` one exact step size and one t.
        """
        if digits is None:
            sizes, horizons = parse_step_sizes(step_size), parse_steps(steps)
            shape = common_shape(sizes, horizons)
            pairs = np.broadcast(np.broadcast_to(sizes.high, shape), horizons)
            return np.array([self._float_loss(eta, int(t)) for eta, t in pairs]).reshape(shape)[()]
        eta, horizon = parse_rational(step_size, "step_size"), parse_one_steps(steps)
        values = self.spectrum.eigenvalues.exact()
        d = len(values)
        batch = eta**2 / self.batch_size
        rows = [[batch * a * b for b in values] + [batch * self.label_noise * a] for a in values]
        for i, value in enumerate(values):
            rows[i][i] += (1 - eta * value) ** 2 + batch * value**2

        def compute(number: Callable[[Fraction], Any]) -> list[Any]:
            matrix = np.array([[number(entry) for entry in row] for row in [*rows, [Fraction(0)] * d + [Fraction(1)]]])
            start = np.array([number(moment) for moment in (*self.second_moments.exact(), Fraction(1))])
            moments, _ = _power_times(matrix, start, horizon)
            return [sum(number(value / 2) * moment for value, moment in zip(values, moments[:d], strict=True))]

        return enclose(compute, digits, exact=False)[0]

    def is_stable(self, step_size: Number) -> bool:
        """Whether the moments converge from every start [derived here]; decided in exact arithmetic.

        eta > 0,  eta l_max (1 + 1/B) < 2  and  kappa = SUM_j (eta l_j/B)/(2 - eta l_j (1 + 1/B)) < 1.
        """
        kappa = self._kappa(parse_rational(step_size, "step_size"))
        return kappa is not None and kappa < 1

    def stationary_excess(self, step_size: Number, *, digits: int | None = None) -> Any:
        """S = sigma^2 kappa/(1 - kappa), to which 2 F converges as t grows [derived here].

        Raises:
            InputError: the step size is not stable, so there is no limit.
        """
        kappa = self._kappa(parse_rational(step_size, "step_size"))
        if kappa is None or kappa >= 1:
            raise InputError(f"step_size must be stable here, got {step_size}; pick one for which is_stable is true")
        excess = self.label_noise * kappa / (1 - kappa)
        return float(excess) if digits is None else enclose(lambda number: [number(excess)], digits)[0]

    def _kappa(self, eta: Fraction) -> Fraction | None:
        """Return kappa; None unless every single coordinate is stable."""
        products = [eta * value for value in self.spectrum.eigenvalues.exact()]
        growth = 1 + Fraction(1, self.batch_size)
        if not 0 < max(products) * growth < 2:
            return None
        return sum((p / self.batch_size / (2 - p * growth) for p in products), start=Fraction(0))

    def _float_loss(self, eta: float, steps: int) -> float:
        eigenvalues = self.spectrum.floats.high
        batch = eta * eta / self.batch_size
        matrix = np.zeros((eigenvalues.size + 1, eigenvalues.size + 1))
        matrix[:-1, :-1] = batch * np.outer(eigenvalues, eigenvalues)
        matrix[:-1, :-1] += np.diag((1 - eta * eigenvalues) ** 2 + batch * eigenvalues**2)
        matrix[:-1, -1] = batch * float(self.label_noise) * eigenvalues
        matrix[-1, -1] = 1.0
        moments, exponent = _power_times(matrix, np.append(self.second_moments.high, 1.0), steps)
        return float(Scaled.of(np.asarray(0.5 * eigenvalues @ moments[:-1]), exponent).value())


def _power_times(matrix: NDArray[Any], vector: NDArray[Any], steps: int) -> tuple[NDArray[Any], int]:
    """matrix^steps @ vector as (mantissas, common binary exponent) by repeated squaring; exponent 0 unless floats."""
    power = exponent = 0  # binary exponents taken out of `matrix` and of `vector`
    while True:
        if steps % 2:
            vector = matrix @ vector
            exponent += power
            if vector.dtype == np.float64:
                shift = int(np.frexp(np.max(vector))[1])
                vector, exponent = np.ldexp(vector, -shift), exponent + shift
        steps //= 2
        if not steps:
            return vector, exponent
        matrix, power = matrix @ matrix, 2 * power
        if matrix.dtype == np.float64:
            shift = int(np.frexp(np.max(matrix))[1])
            matrix, power = np.ldexp(matrix, -shift), power + shift


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


def _spectrum(eigenvalues: Iterable[Number]) -> Spectrum:
    """Checked eigenvalues, all of them active."""
    column = parse_column(eigenvalues, "eigenvalues")
    return Spectrum(column, parse_column(np.ones(column.high.size), "weights"))


def _nonnegative(values: Iterable[Number], name: str, spectrum: Spectrum) -> Column:
    column = parse_column(values, name)
    if column.high.size != spectrum.eigenvalues.high.size:
        wanted = spectrum.eigenvalues.high.size
        raise InputError(f"{name} must have one entry per eigenvalue ({wanted}), got {column.high.size}; pair them up")
    if column.high.min() < 0:
        raise InputError(f"{name} must be >= 0, got {column.high.min()}; pass squares or variances")
    return column
