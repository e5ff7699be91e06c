"""The sweep: both meta-objectives of m tasks at every step size and every horizon, from one Krylov space per run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.least_squares.cells import CELL, Cells, Order, Sampler, computed, refuse_excess
from l2o_theory.least_squares.objectives import parse_grid, parse_horizons
from l2o_theory.least_squares.settings import parse_count
from l2o_theory.least_squares.tasks import Array, TaskDistribution, parse_dtype, parse_split, stream
from l2o_theory.least_squares.trajectories import FREEZE, freeze_radius

Objective = Literal["train_by_train", "train_by_validation"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """What the sweep measured; m tasks, p step sizes, q horizons.

    Attributes:
        step_sizes: shape (p,).
        steps: shape (q,).
        noise: sigma of the tasks.
        train_by_train: training loss after training on all n samples, (m, p, q): the TbT(n) meta-loss of each task.
        risk: excess risk E<w_t - w*, x>^2 after training on all n samples, (m, p, q); test RMSE^2 = risk + noise^2.
        frozen: whether the freeze rule has acted by then, (m, p, q), for the runs on all n samples.
        diverges: (m, p), whether the step size exceeds 2 / (largest eigenvalue seen) of all n samples: the loss grows
            with t without bound, unless frozen; a value beyond the float range is inf.
        train_by_validation: loss on the n2 validation samples after training on the n1 others, (m, p, q): the
            TbV(n1, n2) meta-loss; None without a split.
        split_train_loss: training loss of the runs on n1 samples, (m, p, q), or None.
        split_risk: excess risk of the runs on n1 samples, (m, p, q), or None.
        split_frozen: as `frozen`, for the runs on n1 samples, or None.
    """

    step_sizes: Array
    steps: Array
    noise: float
    train_by_train: Array
    risk: Array
    frozen: Array
    diverges: Array
    train_by_validation: Array | None = None
    split_train_loss: Array | None = None
    split_risk: Array | None = None
    split_frozen: Array | None = None

    def mean(self, objective: Objective) -> Array:
        """Mean of the meta-loss over the tasks, (p, q): the empirical meta-objective.

        Raises:
            InputError: train-by-validation of a sweep without a split, or an unknown objective.
        """
        with np.errstate(over="ignore"):  # a mean beyond the float range is inf, as its terms are
            return np.asarray(self._losses(objective).mean(0))

    def standard_error(self, objective: Objective) -> Array:
        """Standard error of `mean`, (p, q); NaN for a single task, and where a loss is inf. Errors as for `mean`."""
        losses = self._losses(objective)
        if len(losses) == 1:
            return np.full(losses.shape[1:], np.nan)
        with np.errstate(invalid="ignore", over="ignore"):  # inf - inf gives the NaN that is promised
            return np.asarray(losses.std(0, ddof=1) / math.sqrt(len(losses)))

    def best_step_size(self, objective: Objective) -> Array:
        """The step size of the grid with the smallest mean meta-loss, one for each horizon, (q,).

        Raises:
            InputError: at some horizon every step size diverges; or as for `mean`.
        """
        means = self.mean(objective)
        if np.isinf(means).all(0).any():
            raise InputError("every step size of the grid diverges; add smaller ones")
        return np.asarray(self.step_sizes[means.argmin(0)])

    def _losses(self, objective: Objective) -> Array:
        if objective not in ("train_by_train", "train_by_validation"):
            raise InputError(
                f'objective must be "train_by_train" or "train_by_validation", got {objective!r}; pick one'
            )
        losses = self.train_by_train if objective == "train_by_train" else self.train_by_validation
        if losses is None:
            raise InputError("train_by_validation needs held-out samples, got none; pass split=(n1, n2) to sweep")
        return losses


def sweep(
    distribution: TaskDistribution,
    *,
    samples: int,
    step_sizes: Sequence[float] | Array,
    steps: Sequence[int] | Array,
    tasks: int,
    split: tuple[int, int] | None = None,
    seed: int = 0,
    first: int = 0,
    freeze: float | None = FREEZE,
    sampler: Sampler = "plain",
    dtype: str = "float64",
    device: str = "cpu",
    jobs: int = 1,
    memory: int = 10**9,
    cells: Cells | None = None,
    progress: Callable[[int], None] = lambda tasks: None,
) -> Sweep:
    """Run GD on tasks number `first` to `first + tasks - 1` for every step size, and measure at every horizon.

    Numbers agree with step-by-step descent to about 1e-9 of what the fastest component of a run may have become, far
    better where runs are stable (`l2o_theory.least_squares.lanczos` says why); no random choice is made but the tasks.

    Args:
        distribution: the law of the tasks.
        samples: n, samples of each task; TbT trains on all of them.
        step_sizes: p step sizes.
        steps: q horizons, at least 1, in rising order (`range(1, 41)` for all t <= 40).
        tasks: m, number of tasks.
        split: (n1, n2): the first n1 samples train, the next n2 validate; n1 + n2 <= n. None for TbT alone.
        seed: of the run. Fresh tasks for a test: the same seed and `first` beyond those used, or another seed.
        first: number of the first task.
        freeze: norm in units of the noise at which a run is frozen [paper: section 4, 40]; None switches it off.
        sampler: "plain" draws the features; "reduced" draws only what the runs depend on (same law of each run, but
            TbT and TbV get independent tasks, and the tasks are not those of "plain"; identity covariance only).
        dtype: of the plain sampler's features, "float64", or "float32" (losses then good to about 5 digits).
        device: "cpu" (numpy), or a torch device such as "cuda".
        jobs: processes of one thread each; 1 computes in this one.
        memory: bytes that results and work arrays together may take, all processes counted.
        cells: where finished cells are looked up and kept.
        progress: called with the number of tasks of each cell when it is done, stored ones included.

    Raises:
        InputError: n1 + n2 > n, an empty grid, a step size that is not positive and finite, a horizon below 1, the
            freeze rule at noise 0, a device that is not there, or more results than the memory holds.
    """
    stream("features", seed, first)  # refuses a bad seed or first before anything is computed
    order = Order(
        distribution,
        parse_count(samples, "samples"),
        None if split is None else parse_split(split, samples),
        parse_grid(step_sizes),
        parse_horizons(list(steps)),
        seed,
        freeze_radius(freeze, distribution.noise),
        _parse_sampler(sampler, distribution, device),
        np.dtype(parse_dtype(dtype)).name,
        parse_device(device),
    )
    count, jobs = parse_count(tasks, "tasks"), parse_count(jobs, "jobs")
    refuse_excess(order, count, jobs, memory)
    ranges = [(begin, min(begin + CELL, first + count)) for begin in range(first, first + count, CELL)]
    results: dict[str, Array] = {}
    for (begin, end), arrays in computed(order, ranges, jobs, cells):
        for name, values in arrays.items():
            whole = results.setdefault(name, np.empty((count, *values.shape[1:]), values.dtype))
            whole[begin - first : end - first] = values
        progress(end - begin)
    return Sweep(order.step_sizes, order.steps, distribution.noise, **results)


def _parse_sampler(sampler: Sampler, distribution: TaskDistribution, device: str) -> Sampler:
    if sampler not in ("plain", "reduced"):
        raise InputError(f'sampler must be "plain" or "reduced", got {sampler!r}; pick one')
    if sampler == "reduced" and (distribution.covariance is not None or device != "cpu"):
        raise InputError('the reduced sampler needs identity covariance and the cpu; use sampler="plain"')
    return sampler


def parse_device(device: str) -> str:
    """The device itself, if arrays can live there.

    Raises:
        InputError: torch does not have it.
    """
    if device != "cpu":
        import torch  # imported here: only a device other than the processor needs it

        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError):  # torch built without CUDA asserts
            raise InputError(f'device {device!r} is not available to torch here; use "cpu"') from None
    return device
