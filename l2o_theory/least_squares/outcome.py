"""What tuning on either meta-objective leads to: the step size it picks, what that costs, and who wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError

Array = NDArray[np.float64]
Objective = Literal["train-by-train", "train-by-validation"]


@dataclass(frozen=True)
class Protocol:
    """One cell of a comparison.

    train-by-train tunes the step size on the loss of `samples` training samples; train-by-validation trains on
    `split[0]` of them and tunes on the loss of `split[1]` others. Either step size is then used to train on all
    `samples` [paper: section 5; official code: grid_search_eta_lr.py].

    Attributes:
        dimension: d.
        samples: n.
        noise: sigma, in units of |w*| = 1.
        steps: t, of gradient descent from 0.
        split: (n1, n2) with n1 + n2 <= n.

    Raises:
        InputError: a size below 1, a negative or non-finite noise, or n1 + n2 > n.
    """

    dimension: int
    samples: int
    noise: float
    steps: int
    split: tuple[int, int]

    @property
    def bound(self) -> float:
        """Test RMSE beyond which a run counts as divergent: 40 max(sigma, 1), after the paper's freeze rule."""
        return 40 * max(self.noise, 1.0)

    def __post_init__(self) -> None:
        for name in ("dimension", "samples", "steps"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be >= 1, got {getattr(self, name)}; raise it")
        if not 0 <= self.noise < math.inf:
            raise InputError(f"noise must be >= 0 and finite, got {self.noise:g}; it is a standard deviation")
        if min(self.split) < 1 or sum(self.split) > self.samples:
            raise InputError(
                f"split {self.split[0]} + {self.split[1]} does not fit {self.samples} samples; "
                "both parts must be >= 1 and together at most the samples"
            )


@dataclass(frozen=True)
class Choice:
    """The step size one meta-objective picks, and the errors of training with it.

    Attributes:
        step_size: eta, the grid point with the least meta-objective.
        train: root mean squared error on the training samples.
        test: root mean squared error on new samples, label noise included.
        train_error: standard error of `train`; 0 for a prediction.
        test_error: standard error of `test`; 0 for a prediction.
    """

    step_size: float
    train: float
    test: float
    train_error: float = 0.0
    test_error: float = 0.0

    @property
    def diverges(self) -> bool:
        """Whether the step size is beyond stability; the errors are infinite then."""
        return math.isinf(self.test)


def choice(
    step_size: float, train: float, test: float, bound: float, *, train_error: float = 0.0, test_error: float = 0.0
) -> Choice:
    """A choice whose errors are infinite if the test error exceeds `bound`, or is not a number."""
    if not test <= bound:
        return Choice(step_size, math.inf, math.inf)
    return Choice(step_size, train, test, train_error, test_error)


@dataclass(frozen=True, eq=False)
class Outcome:
    """Both choices side by side, predicted or measured.

    Attributes:
        by_train: choice of train-by-train.
        by_validation: choice of train-by-validation.
        train_curve: its meta-objective at every step size of the grid, shape (grid,); inf where it diverges.
        validation_curve: the same for train-by-validation.
        factor_error: standard error of `factor`; 0 for a prediction.
    """

    by_train: Choice
    by_validation: Choice
    train_curve: Array
    validation_curve: Array
    factor_error: float = 0.0

    @property
    def winner(self) -> Objective | None:
        """The objective with the smaller test error; None if they are equal, as for one step size, or both diverge."""
        train, validation = self.by_train, self.by_validation
        if train.test == validation.test:
            return None
        return "train-by-train" if train.test < validation.test else "train-by-validation"

    @property
    def factor(self) -> float:
        """Test error of the loser over that of the winner, >= 1; inf if only one diverges or vanishes, 1 if equal."""
        if self.winner is None:
            return 1.0
        better, worse = sorted((self.by_train.test, self.by_validation.test))
        return worse / better if better else math.inf


@dataclass(frozen=True, eq=False)
class Compared:
    """One cell with its prediction and its measurement."""

    protocol: Protocol
    predicted: Outcome
    measured: Outcome


def least(curve: Array) -> int:
    """Index of the smallest entry; entries that are not finite count as infinite, the first one wins a tie."""
    return int(np.argmin(np.where(np.isfinite(curve), curve, np.inf)))


def measured(
    grid: Sequence[float],
    curves: tuple[Array, Array],
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    bound: float = math.inf,
) -> Outcome:
    r"""Summarise a measurement.

    RMSE = sqrt(mean of the squared errors), its standard error se(mean)/(2 RMSE); the factor f = RMSE_1/RMSE_2 of the
    same tasks has the standard error (f/2) se(s_1/mean s_1 - s_2/mean s_2), first order in the fluctuations.

    Args:
        grid: step sizes.
        curves: mean meta-objectives over the grid, train-by-train first.
        train: mean squared training error of every task at either choice, shape (tasks,) each.
        test: mean squared test error of every task, likewise.
        bound: test RMSE beyond which a choice diverges.
    """
    choices = []
    for curve, train_squares, test_squares in zip(curves, train, test, strict=True):
        (root, error), (test_root, test_error) = _root(train_squares), _root(test_squares)
        picked = grid[least(curve)]
        choices.append(choice(picked, root, test_root, bound, train_error=error, test_error=test_error))
    plain = Outcome(choices[0], choices[1], *curves)
    if plain.winner is None or not math.isfinite(plain.factor):
        return plain
    difference = test[0] / test[0].mean() - test[1] / test[1].mean()
    return Outcome(choices[0], choices[1], *curves, factor_error=plain.factor / 2 * _error(difference))


def _root(squares: Array) -> tuple[float, float]:
    if not np.isfinite(squares).all():
        return math.inf, 0.0
    root = math.sqrt(float(squares.mean()))
    return root, _error(squares) / (2 * root) if root else 0.0


def _error(values: Array) -> float:
    """Standard error of the mean; 0 for a single value, where nothing is known about it."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
