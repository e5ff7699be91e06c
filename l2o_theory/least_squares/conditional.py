r"""Least squares given the Gram spectrum H = X^T X/n: expectations over w* and the label noise   [derived here: 5.2].

With positive eigenvalues l_1..l_r, R_i = 1 - eta l_i and kappa = sigma^2 d/n:

    R = (1/d) [(d-r) + SUM R_i^(2t)] + (sigma^2/n) SUM (1-R_i^t)^2/l_i
    T = (1/2n) [SUM R_i^(2t) (n l_i/d + sigma^2) + sigma^2 (n-r)]

Rational inputs give rational outputs. Finite-d fluctuations of the spectrum are kept: use it near the stability edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.least_squares.exact import ExactTask
from l2o_theory.least_squares.measure import Measure
from l2o_theory.least_squares.risks import ExpectedRisks, scalar
from l2o_theory.least_squares.settings import Real, broadcast, parse_count, parse_reals
from l2o_theory.quadratic.arguments import Array, Steps, parse_steps
from l2o_theory.rigor.rationals import parse_rational, parse_rationals


@dataclass(frozen=True, eq=False)
class Conditional(ExpectedRisks):
    """Expected risks for one Gram spectrum and every setting of the arrays `noise`, `steps`; see `conditional`.

    `risk`, `train_loss`, `validation_loss` and `expected_norm2` return a Fraction where all of the eigenvalues, the
    noise and one step size were given as integers, Fractions or text, and an object array for a sequence of such.
    """

    eigenvalues: Array
    dimension: int
    samples: int
    noise: Array
    steps: NDArray[np.int64]
    exact: ExactTask | None

    @property
    def rank(self) -> int:
        """r, the number of positive eigenvalues."""
        return int(self.eigenvalues.size)

    @property
    def largest_eigenvalue(self) -> Any:
        """l_max."""
        return float(self.eigenvalues[0])

    @property
    def smallest_eigenvalue(self) -> Any:
        """l_min, the smallest positive eigenvalue."""
        return float(self.eigenvalues[-1])

    @property
    def penalty(self) -> Array:
        """kappa = sigma^2 d/n."""
        return self.noise**2 * self.dimension / self.samples

    def risk(self, step_size: Any) -> Any:
        """R = E|w_t - w*|^2 given X."""
        exact = self._exactly(step_size, ExactTask.risk)
        return super().risk(step_size) if exact is None else exact

    def train_loss(self, step_size: Any) -> Any:
        """T = E (1/2n) SUM (y - <w_t, x>)^2 over the training samples, given X."""
        exact = self._exactly(step_size, ExactTask.train_loss)
        return super().train_loss(step_size) if exact is None else exact

    def validation_loss(self, step_size: Any) -> Any:
        """V = (R + sigma^2)/2."""
        if self.exact is None:
            return super().validation_loss(step_size)
        return (self.risk(step_size) + self.exact.variance) / 2

    def test_rmse(self, step_size: Any) -> Any:
        """sqrt(R + sigma^2), in float64."""
        return np.sqrt(ExpectedRisks.risk(self, step_size) + self.noise**2)

    def train_rmse(self, step_size: Any) -> Any:
        """sqrt(2 T), in float64."""
        return np.sqrt(2 * ExpectedRisks.train_loss(self, step_size))

    def expected_norm2(self, step_size: Any) -> Any:
        """E|w_t|^2 = (1/d) SUM (1-R_i^t)^2 + (sigma^2/n) SUM (1-R_i^t)^2/l_i."""
        exact = self._exactly(step_size, ExactTask.norm2)
        return super().expected_norm2(step_size) if exact is None else exact

    def erm_risk(self) -> Any:
        """Risk of the least-norm least-squares solution, t -> inf at eta < 2/l_max: (d-r)/d + (sigma^2/n) SUM 1/l_i."""
        missing = (self.dimension - self.rank) / self.dimension
        return scalar(missing + self.noise**2 / self.samples * np.sum(1 / self.eigenvalues))

    def ridge_risk(self) -> Any:
        """(1/d) SUM over all d eigenvalues of kappa/(kappa + l): the least of any estimator linear in y."""
        kappa = self.penalty[..., None]
        learned = np.sum(kappa / (kappa + self.eigenvalues), axis=-1)
        return scalar((self.dimension - self.rank + learned) / self.dimension)

    def train_step_size_bracket(self) -> tuple[Any, Any]:
        """(low, high) around `best_train_step_size`, rounded outward   [derived here].

        That of `quadratic.optimum` with the weights c_i^2 = 1/d + sigma^2/(n l_i).
        Rigorous for the eigenvalues and the noise as given (a float stands for its exact binary value).
        """
        return self._bracket(ExactTask.train_step_size_bracket)

    def risk_step_size_bracket(self) -> tuple[Any, Any]:
        """(low, high) around every minimiser of R over (0, 1/l_max], rounded outward.

        [eta(l_max), min(eta(l_min), 1/l_max)],  eta(x) = [1 - (kappa/(x+kappa))^(1/t)]/x   [derived here]
        """
        return self._bracket(ExactTask.risk_step_size_bracket)

    def _bracket(self, of: Callable[[ExactTask], tuple[float, float]]) -> tuple[Any, Any]:
        pairs = [of(self._numbers(index)) for index in range(self.noise.size)]
        low, high = np.array(pairs, dtype=np.float64).T.reshape(2, *self.noise.shape)
        return scalar(low), scalar(high)

    def _numbers(self, index: int) -> ExactTask:
        """The setting at the flat position `index`, every float read as its exact value."""
        if self.exact is not None:
            return self.exact
        eigenvalues = tuple(map(Fraction, self.eigenvalues.tolist()))
        variance = Fraction(float(self.noise.flat[index])) ** 2
        return ExactTask(eigenvalues, self.dimension, self.samples, variance, int(self.steps.flat[index]))

    def _exactly(self, step_size: Any, quantity: Callable[[ExactTask, Fraction], Fraction]) -> Any:
        """`quantity` in rationals, or None where a float is among the inputs."""
        if self.exact is None or not _is_exact(step_size):
            return None
        places = np.array(step_size, dtype=object)
        values = np.empty(places.shape, dtype=object)
        for index, place in enumerate(places.flat):
            eta = parse_rational(place, "step_size")
            if eta < 0:
                raise InputError(f"step_size must be finite and >= 0, got {eta}; correct or remove that entry")
            values.flat[index] = quantity(self.exact, eta)
        return scalar(values)

    @property
    def measure(self) -> Measure:
        """The spectrum as the sums see it, one row for each setting."""
        return self._measure(np.arange(self.noise.size))

    def _width(self) -> int:
        return self.rank

    def _measure(self, rows: NDArray[np.intp]) -> Measure:
        variance = self.noise.flat[rows] ** 2
        return Measure(
            atoms=self.eigenvalues[None, :],
            masses=np.full((1, self.rank), 1 / self.dimension),
            null=np.full(rows.shape, (self.dimension - self.rank) / self.dimension),
            floor=variance * (self.samples - self.rank) / self.samples,
            penalty=variance * self.dimension / self.samples,
            largest=np.full(rows.shape, self.eigenvalues[0]),
        )

    def _flow_measure(self, rows: NDArray[np.intp], times: Array | None) -> Measure:
        return self._measure(rows)


def conditional(eigenvalues: Any, dimension: int, samples: int, noise: Real, steps: Steps) -> Conditional:
    """Expected risks of t steps of gradient descent given the eigenvalues of H = X^T X/n.

    Args:
        eigenvalues: of H, in any order; zeros may be left out and are dropped, as are floats below the rounding error
            of an eigensolver (max(d, n) * 2^-52 * l_max, of either sign). At most min(d, n) may be positive.
        dimension: d.
        samples: n.
        noise: sigma >= 0; scalar, or an array that broadcasts against `steps`.
        steps: t >= 1.

    Raises:
        InputError: a negative eigenvalue, none positive, more than min(d, n), NaN, or arguments out of range.

    Example:
        >>> task = conditional(["1", "1/2"], dimension=3, samples=2, noise="1/2", steps=2)
        >>> task.risk("1/2"), task.risk_step_size_bracket()[0] < task.best_risk_step_size()
        (Fraction(1775, 3072), True)
    """
    dimension, samples = parse_count(dimension, "dimension"), parse_count(samples, "samples")
    numbers = parse_rationals(eigenvalues, "eigenvalues")
    exact = _is_exact(eigenvalues)
    size = max((abs(value) for value in numbers), default=Fraction(0))
    rounding = 0 if exact else size * max(dimension, samples) * Fraction(1, 1 << 52)
    positive = sorted((value for value in numbers if value > rounding), reverse=True)
    lowest = min(numbers, default=Fraction(0))
    if lowest < -rounding:
        raise InputError(f"eigenvalues must be >= 0, got {float(lowest):.6g}; pass those of X.T @ X / n")
    if not positive:
        raise InputError("eigenvalues must hold a positive one, got none; pass those of X.T @ X / n")
    if len(positive) > min(dimension, samples):
        raise InputError(
            f"eigenvalues: at most min(d, n) = {min(dimension, samples)} can be positive, got {len(positive)}; "
            "check dimension and samples"
        )
    levels, horizons = broadcast("noise and steps", parse_reals(noise, "noise", positive=False), parse_steps(steps))
    task = None
    if exact and _is_exact(noise) and not levels.ndim:
        task = ExactTask(tuple(positive), dimension, samples, parse_rational(noise, "noise") ** 2, int(horizons))
    floats = parse_reals([float(value) for value in positive], "eigenvalues", positive=True)
    return Conditional(floats, dimension, samples, levels, horizons, task)


def _is_exact(value: Any) -> bool:
    """Whether `value`, or each entry of it, is an integer, a Fraction or text."""
    entries = np.array(value, dtype=object).reshape(-1).tolist()
    return all(isinstance(entry, int | str | Fraction) for entry in entries)
