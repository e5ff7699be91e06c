r"""Comparison of two optimizers on the same tasks: the difference of ln of the mean loss, with intervals.

Losses have shape (meta-seeds, tasks), or (tasks,) for an optimizer without meta-seeds. Level of meta-seed s and
difference:

    l_s = ln mean_i f_si,        D = mean_s l_s - mean_s l'_s

The mean over tasks stands inside the logarithm: on quadratics the mean of logarithms is made by the few
best-conditioned tasks. Three intervals, for three questions:

    over_seeds   Student's t over d_s = l_s - l'_s: other meta-seeds, these tasks
    over_tasks   bootstrap over tasks, both optimizers on the same resample: other tasks, these meta-seeds
    over_both    Student's t with the variances of the two added, degrees of freedom by Welch and Satterthwaite

A meta-seed is the independent unit of what training does; its tasks are not independent runs of it. `over_both` counts
the part of the variance that belongs to a single pair (seed, task) twice, so it is rather too wide [derived here].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from l2o_theory.errors import InputError

Array = NDArray[np.float64]
_RESAMPLES = (
    2000  # the ends of a 95 percent interval then have a Monte Carlo error of about 5 percent of its half width
)


@dataclass(frozen=True)
class Interval:
    """A value between the ends of its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def contains_zero(self) -> bool:
        """Whether the data leave the sign open."""
        return self.low <= 0 <= self.high

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True, eq=False)
class Difference:
    """D of the module's docstring; below 0 the first optimizer is the better one.

    Attributes:
        by_seed: d_s; one entry if neither optimizer has meta-seeds.
        over_seeds: None if there is one meta-seed.
        over_tasks: see the module.
        over_both: equals `over_tasks` if there is one meta-seed.
        p: of Student's t test of D >= 0 over meta-seeds, against D < 0; None if there is one meta-seed.
    """

    by_seed: tuple[float, ...]
    over_seeds: Interval | None
    over_tasks: Interval
    over_both: Interval
    p: float | None

    @property
    def value(self) -> float:
        """D."""
        return self.over_tasks.value


def level(losses: Any) -> Array:
    """ln of the mean loss over tasks, by meta-seed. Shape (meta-seeds,).

    Args:
        losses: shape (meta-seeds, tasks) or (tasks,).

    Raises:
        InputError: another shape, or a loss that is negative or not finite.
    """
    levels: Array = np.log(_checked(losses).mean(axis=1))
    return levels


def student_interval(values: Any, confidence: float = 0.95) -> Interval:
    """Mean of independent values, and Student's t interval for their expectation.

    Raises:
        InputError: fewer than two values, or a confidence outside (0, 1).
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2 or not 0 < confidence < 1:
        raise InputError(f"wanted at least two values and a confidence in (0, 1), got {values!r} and {confidence}")
    mean, error = float(sample.mean()), float(sample.std(ddof=1)) / len(sample) ** 0.5
    reach = float(student.ppf((1 + confidence) / 2, len(sample) - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def one_sided_p(values: Any) -> float:
    """P(T <= t) of Student's t test for an expectation of 0 or more, against one below 0."""
    sample = np.asarray(values, dtype=np.float64)
    error = float(sample.std(ddof=1)) / len(sample) ** 0.5
    if error == 0:  # all values equal: t is infinite, or 0/0 where they are all 0
        return 0.0 if sample[0] < 0 else 1.0
    return float(student.cdf(float(sample.mean()) / error, len(sample) - 1))


def paired_difference(
    losses: Any, other: Any, *, confidence: float = 0.95, resamples: int = _RESAMPLES, seed: int = 0
) -> Difference:
    """D and its intervals.

    Args:
        losses: of the first optimizer, shape (meta-seeds, tasks) or (tasks,).
        other: of the second, on the same tasks, starts and batches; if both have meta-seeds, equal ones stand in equal
            rows.
        confidence: of every interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: shapes that do not pair, a loss that is negative or not finite, or a confidence outside (0, 1).

    Example:
        >>> found = paired_difference([[1.0, 3.0], [2.0, 4.0]], [2.0, 6.0])
        >>> [round(value, 4) for value in found.by_seed]  # ln(2/4) and ln(3/4)
        [-0.6931, -0.2877]
    """
    first, second = _checked(losses), _checked(other)
    if first.shape[1] != second.shape[1] or (len(first) != len(second) and 1 not in (len(first), len(second))):
        raise InputError(
            f"wanted the same tasks and meta-seeds for both, got shapes {first.shape} and {second.shape}; test both "
            "optimizers on the same draw"
        )
    by_seed = level(first) - level(second)
    over_tasks, variance = _bootstrap(first, second, confidence, resamples, seed)
    if len(by_seed) == 1:
        return Difference((float(by_seed[0]),), None, over_tasks, over_tasks, None)
    return Difference(
        tuple(by_seed.tolist()),
        student_interval(by_seed, confidence),
        over_tasks,
        _added(by_seed, variance, first.shape[1], confidence),
        one_sided_p(by_seed),
    )


def _checked(losses: Any) -> Array:
    """Shape (meta-seeds, tasks)."""
    table = np.asarray(losses, dtype=np.float64)
    table = table[None] if table.ndim == 1 else table
    if table.ndim != 2 or not table.size or not np.isfinite(table).all() or table.min() < 0:
        raise InputError(
            f"losses must be finite, >= 0 and of shape (meta-seeds, tasks) or (tasks,), got shape {table.shape}; a run "
            "that diverged has no mean loss: lower its step size, or leave it out and say so"
        )
    if not table.any(axis=1).all():
        raise InputError("a meta-seed solves every task exactly, ln of its mean loss is -inf; look at fewer steps")
    return table


def _bootstrap(first: Array, second: Array, confidence: float, resamples: int, seed: int) -> tuple[Interval, float]:
    """Percentile interval of D over resampled tasks, and its variance. The logarithm is taken of resampled means.

    Where a resample holds nothing but tasks that one of them solves exactly, the data bound neither.
    """
    if not 0 < confidence < 1 or resamples < 2:
        raise InputError(f"wanted a confidence in (0, 1) and resamples >= 2, got {confidence} and {resamples}")
    tasks = first.shape[1]
    counts = np.random.default_rng(seed).multinomial(tasks, np.full(tasks, 1 / tasks), size=resamples) / tasks
    value = float(level(first).mean() - level(second).mean())
    means = counts @ first.T, counts @ second.T
    if min(mean.min() for mean in means) == 0:
        return Interval(value, -math.inf, math.inf), math.inf
    drawn = np.log(means[0]).mean(axis=1) - np.log(means[1]).mean(axis=1)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high)), float(drawn.var(ddof=1))


def _added(by_seed: Array, over_tasks: float, tasks: int, confidence: float) -> Interval:
    """Student's t interval with the variance over tasks added to that over meta-seeds."""
    seeds = len(by_seed)
    over_seeds, mean = float(by_seed.var(ddof=1)) / seeds, float(by_seed.mean())
    total = over_seeds + over_tasks
    if total in (0, math.inf):
        return Interval(mean, mean - total, mean + total)
    freedom = total**2 / (over_seeds**2 / (seeds - 1) + over_tasks**2 / max(tasks - 1, 1))
    reach = float(student.ppf((1 + confidence) / 2, freedom)) * total**0.5
    return Interval(mean, mean - reach, mean + reach)
