"""Trajectories: plain gradient descent and stochastic gradient descent on one task, step by step, from w_0 = 0.

    GD    w_(k+1) = w_k + (eta/n) X^T (y - X w_k)
    SGD   w_(k+1) = w_k + eta x_i (y_i - <x_i, w_k>),   i drawn uniformly with replacement

Freeze rule [paper: section 4]: if ||w_k|| >= 40 sigma at some step k, w_j = 40 sigma u for all j >= k, with u a unit
vector (here random, one for each task). The rule assumes sigma >= 1: for small sigma it freezes harmless runs, since
||w_k|| is near 1; switch it off there with freeze=None.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.least_squares.settings import parse_count
from l2o_theory.least_squares.tasks import Array, Task, stream

FREEZE = 40.0
"""Norm at which a run is frozen, in units of the noise [paper: section 4]."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The iterates of a run.

    Attributes:
        weights: w_0, ..., w_t as rows, shape (t+1, d).
        frozen_at: the step at which the freeze rule acted, or None.
    """

    weights: Array
    frozen_at: int | None

    @property
    def diverged(self) -> bool:
        """Whether the iterates have left the float range."""
        return not bool(np.isfinite(self.weights).all())


def gradient_descent(task: Task, step_size: float, steps: int, *, freeze: float | None = FREEZE) -> Trajectory:
    """Run GD for `steps` steps.

    Args:
        task: the training samples.
        step_size: eta, positive.
        steps: t >= 1.
        freeze: norm in units of the noise at which the run is frozen; None for never.

    Raises:
        InputError: a step size that is not positive and finite, steps below 1, or the freeze rule without noise.
    """
    eta = parse_step_size(step_size)

    def advance(weights: Array, step: int) -> Array:
        return np.asarray(weights + eta / task.samples * ((task.labels - task.features @ weights) @ task.features))

    return _run(advance, task, steps, freeze_radius(freeze, task.noise))


def stochastic_gradient_descent(
    task: Task, step_size: float, steps: int, *, seed: int = 0, index: int = 0, freeze: float | None = FREEZE
) -> Trajectory:
    """Run SGD for `steps` steps of one sample each, drawn with replacement from the stream of (seed, index).

    Arguments and errors as for `gradient_descent`. Stable in the mean square for about eta < 2/d.
    """
    eta = parse_step_size(step_size)
    rows = stream("sgd", seed, index).integers(task.samples, size=parse_count(steps, "steps"))

    def advance(weights: Array, step: int) -> Array:
        x = task.features[rows[step]]
        return np.asarray(weights + eta * (task.labels[rows[step]] - x @ weights) * x)

    return _run(advance, task, steps, freeze_radius(freeze, task.noise))


def freeze_radius(freeze: float | None, noise: float) -> float | None:
    """The norm at which runs are frozen, or None for never.

    Raises:
        InputError: a threshold that is not positive, or one without noise: it would freeze w_0 = 0.
    """
    if freeze is None:
        return None
    if not freeze > 0 or not math.isfinite(freeze):
        raise InputError(f"freeze must be a positive number or None, got {freeze!r}; pass 40 for the paper's rule")
    if noise == 0:
        raise InputError("the freeze rule needs noise above 0, got 0; switch it off with freeze=None")
    return freeze * noise


def parse_step_size(value: float) -> float:
    """A positive, finite float.

    Raises:
        InputError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating) or not 0 < value < math.inf:
        raise InputError(f"step_size must be a positive finite number, got {value!r}; pass for example 0.1")
    return float(value)


def _run(advance: Callable[[Array, int], Array], task: Task, steps: int, radius: float | None) -> Trajectory:
    weights = np.zeros((parse_count(steps, "steps") + 1, task.dimension))
    with np.errstate(over="ignore", invalid="ignore"):  # `diverged` reports it
        for step in range(steps):
            weights[step + 1] = advance(weights[step], step)
            # written so that NaN, from inf - inf, counts as far away
            if radius is not None and not np.linalg.norm(weights[step + 1]) < radius:
                weights[step + 1 :] = radius * task.direction
                return Trajectory(weights, step + 1)
    return Trajectory(weights, None)
