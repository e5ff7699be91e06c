r"""Expected loss of stochastic gradient descent on least squares with Gaussian inputs, from exact second moments.

Inputs x ~ N(0, diag(l)), label noise of variance sigma^2, fresh batches of B samples [derived here]:

    m_i <- (1 - eta l_i)^2 m_i + (eta^2/B) (l_i^2 m_i + l_i S + sigma^2 l_i),   S = SUM_j l_j m_j = 2 F
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import common_shape, parse_one_steps, parse_step_sizes, parse_steps
from l2o_theory.quadratic.enclosure import enclose
from l2o_theory.quadratic.scaled import Scaled
from l2o_theory.quadratic.second_moments import parse_nonnegative, parse_spectrum
from l2o_theory.quadratic.spectrum import Column, Spectrum
from l2o_theory.rigor.rationals import Number, parse_rational


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
        spectrum, variance = parse_spectrum(eigenvalues), parse_rational(label_noise, "label_noise")
        if variance < 0:
            raise InputError(f"label_noise must be >= 0, got {variance}; it is the variance sigma^2")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise InputError(f"batch_size must be an integer >= 1, got {batch_size!r}; pass the samples per step")
        object.__setattr__(self, "spectrum", spectrum)
        object.__setattr__(self, "second_moments", parse_nonnegative(second_moments, "second_moments", spectrum))
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
