"""The sweep: both meta-objectives of m tasks at every step size and every horizon, from one Krylov space per run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from l2o_theory.least_squares.tasks import Array, TaskDistribution

Objective = Literal["train_by_train", "train_by_validation"]


class Cells(Protocol):
    """Where finished cells are kept, so that a killed sweep goes on where it stopped."""

    def get(self, key: str) -> Mapping[str, Array] | None:
        """The arrays stored under the key, or None."""

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Store the arrays under the key; all of them or, if killed meanwhile, none."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What the sweep measured; m tasks, p step sizes, q horizons.

    Attributes:
        step_sizes: shape (p,).
        steps: shape (q,).
        noise: sigma of the tasks.
        train_by_train: training loss after training on all n samples, (m, p, q): the TbT(n) meta-loss of each task.
        risk: excess risk E(<w_t - w*, x>)^2 after training on all n samples, (m, p, q); test RMSE^2 = risk + noise^2.
        frozen: whether the freeze rule has acted by then, (m, p, q), for the runs on all n samples.
        train_by_validation: loss on the n2 validation samples after training on the n1 others, (m, p, q): the
            TbV(n1, n2) meta-loss; None without a split.
        split_train_loss: training loss of the runs on n1 samples, (m, p, q), or None.
        split_risk: excess risk of the runs on n1 samples, (m, p, q), or None.
        split_frozen: as `frozen`, for the runs on n1 samples, or None.
        diverges: (m, p), whether the step size exceeds 2 / (largest eigenvalue seen) of all n samples: the loss grows
            with t without bound, unless frozen; a value beyond the float range is inf.
    """

    step_sizes: Array
    steps: Array
    noise: float
    train_by_train: Array
    risk: Array
    frozen: Array
    diverges: Array
    train_by_validation: Array | None
    split_train_loss: Array | None
    split_risk: Array | None
    split_frozen: Array | None

    def mean(self, objective: Objective) -> Array:
        """Mean of the meta-loss over the tasks, (p, q): the empirical meta-objective."""
        raise NotImplementedError

    def standard_error(self, objective: Objective) -> Array:
        """Standard error of `mean`, (p, q)."""
        raise NotImplementedError

    def best_step_size(self, objective: Objective) -> Array:
        """The step size of the grid with the smallest mean meta-loss, one for each horizon, (q,)."""
        raise NotImplementedError


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
    freeze: float | None = 40.0,
    sampler: Literal["plain", "reduced"] = "plain",
    dtype: str = "float64",
    device: str = "cpu",
    jobs: int = 1,
    memory: int = 10**9,
    cells: Cells | None = None,
    progress: Callable[[int], None] = lambda tasks: None,
) -> Sweep:
    """Run GD on tasks number `first` to `first + tasks - 1` for every step size, and measure at every horizon.

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
        dtype: of the features, "float64" or "float32".
        device: "cpu" (numpy), or a torch device such as "cuda".
        jobs: processes.
        memory: bytes that results and work arrays together may take.
        cells: where finished cells are looked up and kept.
        progress: called with the number of tasks of each cell when it is done, stored ones included.

    Raises:
        InputError: n1 + n2 > n, an empty grid, a step size that is not positive and finite, a horizon below 1, the
            freeze rule at noise 0, or more results than the memory holds.
    """
    raise NotImplementedError
