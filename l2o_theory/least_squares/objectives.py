"""Meta-objectives: the number of a tuning run that is minimised over the step size.

train-by-train(n)              mean over tasks of (1/2n)  SUM_i (y_i - <w_t, x_i>)^2, the samples trained on
train-by-validation(n1, n2)    mean over tasks of (1/2n2) SUM_i (y_i - <w_t, x_i>)^2, n2 samples held out [paper: 4]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.least_squares.descent import Runs, runs_of
from l2o_theory.least_squares.settings import parse_count
from l2o_theory.least_squares.tasks import Array, Task
from l2o_theory.least_squares.trajectories import FREEZE, freeze_radius


@dataclass(frozen=True)
class MetaObjective:
    """A meta-objective for given tasks; build one with `train_by_train` or `train_by_validation`.

    Attributes:
        train: number of samples trained on.
        validation: number of samples held out, or None to measure the training loss.
    """

    train: int
    validation: int | None

    def losses(self, tasks: Iterable[Task], step_sizes: Any, steps: Any, *, freeze: float | None = FREEZE) -> Array:
        """The meta-loss of each task, shape (m, p, q), for p step sizes and q rising horizons.

        Raises:
            InputError: no tasks, too few samples, an empty grid, a step size that is not positive and finite, horizons
                below 1 or out of order, or the freeze rule without noise.
        """
        sizes, horizons = parse_grid(step_sizes), parse_horizons(steps)
        parts = [self._measure(task, sizes, horizons, freeze) for task in tasks]
        if not parts:
            raise InputError("tasks must hold at least one task, got none; draw some with TaskDistribution.tasks")
        return np.concatenate(parts)

    def mean(self, tasks: Iterable[Task], step_sizes: Any, steps: Any, *, freeze: float | None = FREEZE) -> Array:
        """Mean of the meta-loss over the tasks, shape (p, q). Errors as for `losses`."""
        return np.asarray(self.losses(tasks, step_sizes, steps, freeze=freeze).mean(0))

    def _measure(self, task: Task, sizes: Array, horizons: Array, freeze: float | None) -> Array:
        radius, last = freeze_radius(freeze, task.noise), int(horizons[-1])
        runs: Runs
        if self.validation is None:
            runs, name = runs_of([task.head(self.train)], last, radius), "train_loss"
        else:
            trained, held_out = task.split(self.train, self.validation)
            runs, name = runs_of([trained], last, radius, [held_out]), "validation_loss"
        return runs.measure(sizes, horizons, radius)[name]


def train_by_train(samples: int) -> MetaObjective:
    """The loss on the n samples trained on."""
    return MetaObjective(parse_count(samples, "samples"), None)


def train_by_validation(train: int, validation: int) -> MetaObjective:
    """The loss on n2 samples held out, after training on n1 others of the same task."""
    return MetaObjective(parse_count(train, "n1"), parse_count(validation, "n2"))


def best_step_size(objective: Callable[[Array], Array], grid: Any) -> float:
    """The step size of the grid with the smallest value; the smallest such step size on a tie.

    Args:
        objective: maps step sizes of shape (p,) to p values, such as `lambda s: loss.mean(tasks, s, [40])[:, 0]`.
        grid: p step sizes.

    Raises:
        InputError: a bad grid, or no finite value on it (every step size diverges).
    """
    sizes = parse_grid(grid)
    return float(sizes[_lowest(objective(sizes))])


def minimising_step_size(objective: Callable[[Array], Array], grid: Any) -> float:
    """The minimiser between the grid's neighbours of its best point, to about 8 digits (the square root of a double's).

    A meta-objective can have several local minima, so the grid has to be fine enough to tell them apart; at an end of
    the grid the search stays inside it. The freeze rule makes the objective discontinuous beyond the stable range.

    Raises:
        InputError: as for `best_step_size`, or a grid of fewer than 3 step sizes.
    """
    from scipy.optimize import minimize_scalar  # imported here: it costs more than the import of this package

    sizes = np.unique(parse_grid(grid))
    if len(sizes) < 3:
        raise InputError(f"grid must hold at least 3 different step sizes, got {len(sizes)}; refine it")
    best = _lowest(objective(sizes))
    low, high = sizes[max(best - 1, 0)], sizes[min(best + 1, len(sizes) - 1)]
    found = minimize_scalar(
        lambda log: float(objective(np.exp([log]))[0]), bounds=(np.log(low), np.log(high)), options={"xatol": 1e-10}
    )
    return float(np.exp(found.x))


def parse_grid(step_sizes: Any) -> Array:
    """A non-empty vector of positive, finite float64.

    Raises:
        InputError: anything else.
    """
    sizes = np.atleast_1d(np.asarray(step_sizes, dtype=np.float64))
    if sizes.ndim != 1 or not sizes.size:
        raise InputError(f"step_sizes must be a non-empty vector, got shape {sizes.shape}; pass a list of numbers")
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        bad = sizes[~(np.isfinite(sizes) & (sizes > 0))][0]
        raise InputError(f"step_sizes must be positive and finite, got {bad:g}; remove it from the grid")
    return sizes


def parse_horizons(steps: Any) -> Array:
    """A non-empty vector of rising integers, at least 1.

    Raises:
        InputError: anything else.
    """
    horizons = np.atleast_1d(np.asarray(steps))
    if horizons.ndim != 1 or not horizons.size or horizons.dtype.kind not in "iu":
        raise InputError(f"steps must be a non-empty vector of integers, got {steps!r}; pass for example [10, 40]")
    if horizons[0] < 1 or (np.diff(horizons) <= 0).any():
        raise InputError(f"steps must be at least 1 and rising, got {horizons.tolist()}; sort them")
    return horizons.astype(np.int64)


def _lowest(values: Array) -> int:
    if not np.isfinite(values).any():
        raise InputError("every step size of the grid diverges; add smaller ones")
    return int(np.nanargmin(np.asarray(values)))
