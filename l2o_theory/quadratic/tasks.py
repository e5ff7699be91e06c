"""Several quadratic tasks tuned with one step size: mean of losses, logarithm of the mean, mean of logarithms.

Task k has eigenvalues l_ki and weights c_ki^2; F_k is its loss after t steps and m the number of tasks.

    mean_loss     (1/m) SUM_k F_k             convex, one minimiser
    log_of_mean   (1/t) log[(1/m) SUM_k F_k]  2 log of a norm up to a constant: same minimiser, Theorem 4 holds for it
    mean_of_logs  (1/m) SUM_k (1/t) log F_k   NOT quasi-convex: it can have several local minima       [derived here]

The first two are those of ONE quadratic whose pairs (l, c^2/m) are all tasks pooled. Counterexample for the third, all
c^2 = 1/2, t = 1: l = (1, 9/10) and (3/10, 1/4) give local minima near 1.04802 and 3.53555.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any, Literal

import flint
import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.analyzer import Quadratic
from l2o_theory.quadratic.arguments import Array, Steps, StepSize, parse_one_steps
from l2o_theory.rigor.balls import refine

Objective = Literal["mean_loss", "log_of_mean", "mean_of_logs"]
_GRID = 4096  # places at which the slope's sign is looked at
_BITS_PER_DIGIT = 3.33  # log2(10), rounded up: never ask for digits the precision cannot hold
_MARGIN = 1e-9  # relative, so that the optima at the two ends of a search lie inside it


@dataclass(frozen=True, init=False)
class Tasks:
    """m quadratic tasks that share one constant step size.

    Methods broadcast `step_size` and `steps` as `Quadratic` does and return float64; with `digits=N` one pair gives a
    `flint.arb` with at least N correct digits.

    Args:
        tasks: `Quadratic` objects or (eigenvalues, weights) pairs; at least one.

    Raises:
        InputError: no task, an entry that is neither, or one that `Quadratic` refuses.

    Example:
        >>> tasks = Tasks([(["1", "9/10"], ["1/2", "1/2"]), (["3/10", "1/4"], ["1/2", "1/2"])])
        >>> tasks.local_minima(1).round(5), round(tasks.optimal_step_size(1), 5)
        (array([1.04802, 3.53555]), 1.10774)
    """

    quadratics: tuple[Quadratic, ...]

    def __init__(self, tasks: Iterable[Quadratic | tuple[Any, Any]]) -> None:
        if isinstance(tasks, str | bytes | Quadratic) or not isinstance(tasks, Iterable):
            raise InputError(f"tasks must be a sequence of tasks, got {tasks!r}; wrap a single task in a list")
        quadratics = tuple(_quadratic(task, index) for index, task in enumerate(tasks))
        if not quadratics:
            raise InputError("tasks must hold at least one task, got none; pass (eigenvalues, weights) pairs")
        object.__setattr__(self, "quadratics", quadratics)

    @cached_property
    def pooled(self) -> Quadratic:
        """The one quadratic whose loss is the mean loss: all pairs (l, c^2/m) together."""
        pairs = [pair for quadratic in self.quadratics for pair in quadratic.active]
        return Quadratic([value for value, _ in pairs], [weight / len(self.quadratics) for _, weight in pairs])

    def mean_loss(self, step_size: StepSize, steps: Steps, *, digits: int | None = None) -> Any:
        """(1/m) SUM_k F_k."""
        return self.pooled.loss(step_size, steps, digits=digits)

    def log_of_mean(self, step_size: StepSize, steps: Steps, *, digits: int | None = None) -> Any:
        """(1/t) log[(1/m) SUM_k F_k]."""
        return _mean_log([self.pooled], step_size, steps, digits)

    def mean_of_logs(self, step_size: StepSize, steps: Steps, *, digits: int | None = None) -> Any:
        """(1/m) SUM_k (1/t) log F_k."""
        return _mean_log(self.quadratics, step_size, steps, digits)

    def meta_gradient(
        self, step_size: StepSize, steps: Steps, objective: Objective = "mean_loss", *, digits: int | None = None
    ) -> Any:
        """First derivative of the objective in the step size; NaN where a logarithm is -inf."""
        return self._derivative(Quadratic.meta_gradient, objective, step_size, steps, digits)

    def meta_curvature(
        self, step_size: StepSize, steps: Steps, objective: Objective = "mean_loss", *, digits: int | None = None
    ) -> Any:
        """Second derivative of the objective in the step size; NaN where a logarithm is -inf."""
        return self._derivative(Quadratic.meta_curvature, objective, step_size, steps, digits)

    def optimal_step_size(self, steps: Steps, *, digits: int | None = None) -> Any:
        """The unique minimiser of the mean loss, which is also that of the logarithm of the mean [derived here]."""
        return self.pooled.optimal_step_size(steps, digits=digits)

    def local_minima(
        self, steps: int, objective: Objective = "mean_of_logs", bounds: tuple[float, float] | None = None
    ) -> Array:
        """All local minimisers of the objective in `bounds` that a grid of 4096 places tells apart, in rising order.

        By default `bounds` runs from the smallest to the largest of the tasks' own optima: each (1/t) log F_k falls
        before its optimum and rises after it, so no stationary point lies outside [derived here].
        """
        return minima_on_grid(self._slope(steps, objective, 1.0), self._grid(steps, bounds))

    def local_maxima(
        self, steps: int, objective: Objective = "mean_of_logs", bounds: tuple[float, float] | None = None
    ) -> Array:
        """All local maximisers, as `local_minima`; they separate the basins."""
        return minima_on_grid(self._slope(steps, objective, -1.0), self._grid(steps, bounds))

    def _derivative(
        self, derivative: Callable[..., Any], objective: str, step_size: StepSize, steps: Steps, digits: int | None
    ) -> Any:
        if objective == "mean_of_logs":
            return _mean(
                lambda wanted: [derivative(q, step_size, steps, "log_final", digits=wanted) for q in self.quadratics],
                digits,
            )
        if objective not in ("mean_loss", "log_of_mean"):
            raise InputError(f"objective must be mean_loss, log_of_mean or mean_of_logs, got {objective!r}; pick one")
        final = "final" if objective == "mean_loss" else "log_final"
        return derivative(self.pooled, step_size, steps, final, digits=digits)

    def _slope(self, steps: int, objective: Objective, sign: float) -> Callable[[Any], Any]:
        horizon = parse_one_steps(steps)
        # the mean loss has the slope's sign of its logarithm, which does not leave the float range
        scaled: Objective = "log_of_mean" if objective == "mean_loss" else objective
        # NaN marks the pole at a zero loss: as a zero of the slope it is found as the minimiser it is
        return lambda step_size: sign * np.nan_to_num(self.meta_gradient(step_size, horizon, scaled))

    def _grid(self, steps: int, bounds: tuple[float, float] | None) -> Array:
        if bounds is None:
            optima = [quadratic.optimal_step_size(steps) for quadratic in self.quadratics]
            bounds = min(optima) * (1 - _MARGIN), max(optima) * (1 + _MARGIN)
        low, high = (float(end) for end in bounds)
        if not 0 < low < high < np.inf:
            raise InputError(f"bounds must satisfy 0 < low < high, got {bounds!r}; omit them to search everywhere")
        return np.geomspace(low, high, _GRID)


def minima_on_grid(slope: Callable[[Any], Any], grid: Array) -> Array:
    """Places where the slope turns from negative to positive, one for each such pair of neighbours on the grid."""
    from scipy.optimize import brentq  # imported here: it costs more than the import of this package

    slopes = slope(grid)
    grid, slopes = grid[slopes != 0], slopes[slopes != 0]
    turns = np.flatnonzero((slopes[:-1] < 0) & (slopes[1:] > 0))
    return np.array([brentq(slope, grid[i], grid[i + 1], xtol=4e-16 * grid[i], rtol=1e-15) for i in turns])


def _quadratic(task: Any, index: int) -> Quadratic:
    if isinstance(task, Quadratic):
        return task
    if not isinstance(task, Sequence) or isinstance(task, str) or len(task) != 2:
        raise InputError(
            f"tasks[{index}] must be a Quadratic or an (eigenvalues, weights) pair, got {task!r}; pass one"
        )
    return Quadratic(*task)


def _mean_log(quadratics: Sequence[Quadratic], step_size: StepSize, steps: Steps, digits: int | None) -> Any:
    horizon = np.asarray(steps) if digits is None else parse_one_steps(steps)
    return _mean(lambda wanted: [q.log_loss(step_size, steps, digits=wanted) / horizon for q in quadratics], digits)


def _mean(terms: Callable[[int | None], list[Any]], digits: int | None) -> Any:
    """Mean of the terms, which are asked for with as many digits as the current precision can use."""
    if digits is None:
        values = terms(None)
        return reduce(add, values) / len(values)
    balls = terms(digits)
    if not all(value.is_finite() for value in balls):  # -inf or NaN at a zero loss
        return reduce(add, balls)

    def compute() -> flint.arb:
        values = terms(int(flint.ctx.prec / _BITS_PER_DIGIT))
        return reduce(add, values) / len(values)

    return refine(compute, digits)
