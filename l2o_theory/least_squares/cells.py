"""Cells of a sweep: a few tasks each, computed alone, stored whole, and named by all that determines their numbers."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Protocol

from l2o_theory.errors import InputError
from l2o_theory.least_squares.bidiagonal import reduced_runs
from l2o_theory.least_squares.descent import Runs, runs_of
from l2o_theory.least_squares.tasks import Array, Task, TaskDistribution

Sampler = Literal["plain", "reduced"]
Range = tuple[int, int]

CELL = 10
"""Tasks of a cell: numbers 0 to 9, 10 to 19 and so on from the first one asked for."""

_VERSION = "sweep 3"  # raise it when the numbers of a cell change, so that stored ones are not mixed with new ones
_WORK = 2**25  # bytes of work arrays that do not grow with the sweep
_WATCH = 0.5  # seconds between two looks of a worker at its parent


class Cells(Protocol):
    """Where finished cells are kept, so that a killed sweep goes on where it stopped."""

    def get(self, key: str) -> Mapping[str, Array] | None:
        """The arrays stored under the key, or None."""

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Store the arrays under the key; all of them or, if killed meanwhile, none."""


@dataclass(frozen=True, eq=False)
class Order:
    """What a sweep computes for each task. Arguments as for `sweep`, checked; `radius` is that of the freeze rule."""

    distribution: TaskDistribution
    samples: int
    split: tuple[int, int] | None
    step_sizes: Array
    steps: Array
    seed: int
    radius: float | None
    sampler: Sampler
    dtype: str
    device: str

    def key(self, begin: int, end: int) -> str:
        """The cell's name: a digest of everything its numbers depend on."""
        law = self.distribution
        covariance = None if law.covariance is None else hashlib.sha256(law.covariance.tobytes()).hexdigest()
        parts: list[Any] = [_VERSION, law.dimension, law.noise, covariance, self.samples, self.split]
        parts += [self.step_sizes.tolist(), self.steps.tolist(), self.seed, self.radius]
        parts += [self.sampler, self.dtype, self.device, begin, end]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def compute(self, begin: int, end: int) -> dict[str, Array]:
        """The arrays of `Sweep` for the tasks from number `begin` to `end` - 1, by attribute name."""
        whole, split = self._reduced(begin, end) if self.sampler == "reduced" else self._plain(begin, end)
        found = whole.measure(self.step_sizes, self.steps, self.radius)
        arrays = {name: found[name] for name in ("risk", "frozen", "diverges")} | {
            "train_by_train": found["train_loss"]
        }
        if split is not None:
            found = split.measure(self.step_sizes, self.steps, self.radius)
            arrays |= {f"split_{name}": found[name] for name in ("train_loss", "risk", "frozen")}
            arrays["train_by_validation"] = found["validation_loss"]
        return arrays

    def bytes_needed(self, tasks: int, jobs: int) -> int:
        """An upper estimate of what results and work arrays take together."""
        horizon, law = int(self.steps[-1]), self.distribution
        batch = 1 if self.sampler == "plain" and self.device == "cpu" else min(CELL, tasks)
        rows, columns = self.samples, law.dimension
        if self.sampler == "reduced":
            rows, columns = min(rows, 2 * horizon + 1), min(columns, 2 * horizon)
        rank = min(horizon, rows, columns)
        entries = len(self.step_sizes) * len(self.steps)
        numbers = 16 if self.split is None else 40  # bytes per entry of float64 arrays; the masks come on top
        matrices = 8 * (6 * batch * rows * columns + 6 * min(CELL, tasks) * rank * rank)
        cell = 3 * min(CELL, tasks) * entries * (numbers + 2)
        return tasks * entries * (numbers + 2) + jobs * (matrices + cell + _WORK)

    def _plain(self, begin: int, end: int) -> tuple[Runs, Runs | None]:
        """One task at a time in the processor's cache; all tasks of the cell at once on a device."""
        numbers = [[k] for k in range(begin, end)] if self.device == "cpu" else [list(range(begin, end))]
        pairs = [self._batch([self._task(k) for k in batch]) for batch in numbers]
        splits = [split for _, split in pairs if split is not None]
        return Runs.joined([whole for whole, _ in pairs]), Runs.joined(splits) if splits else None

    def _batch(self, tasks: Sequence[Task]) -> tuple[Runs, Runs | None]:
        horizon = int(self.steps[-1])
        whole = runs_of(tasks, horizon, self.radius, device=self.device)
        if self.split is None:
            return whole, None
        trained, held_out = zip(*[task.split(*self.split) for task in tasks], strict=True)
        return whole, runs_of(trained, horizon, self.radius, held_out, device=self.device)

    def _task(self, index: int) -> Task:
        return self.distribution.task(self.samples, seed=self.seed, index=index, dtype=self.dtype)

    def _reduced(self, begin: int, end: int) -> tuple[Runs, Runs | None]:
        def draw(samples: int, validation: int | None) -> Runs:
            law = self.distribution
            return reduced_runs(
                law.dimension,
                law.noise,
                samples,
                int(self.steps[-1]),
                self.radius,
                seed=self.seed,
                indices=range(begin, end),
                validation=validation,
            )

        return draw(self.samples, None), None if self.split is None else draw(*self.split)


def computed(
    order: Order, ranges: Sequence[Range], jobs: int, cells: Cells | None
) -> Iterator[tuple[Range, Mapping[str, Array]]]:
    """The arrays of each cell, stored ones first; new ones are stored before they are yielded, in any order."""
    missing = []
    for place in ranges:
        stored = None if cells is None else cells.get(order.key(*place))
        if stored is None:
            missing.append(place)
        else:
            yield place, stored
    for place, arrays in _fresh(order, missing, jobs):
        if cells is not None:
            cells.put(order.key(*place), arrays)
        yield place, arrays


def refuse_excess(order: Order, tasks: int, jobs: int, memory: int) -> None:
    """Refuse a sweep that would not fit.

    Raises:
        InputError: it needs more than `memory` bytes.
    """
    needed = order.bytes_needed(tasks, jobs)
    if needed > memory:
        raise InputError(
            f"the sweep needs about {needed / 1e6:.0f} MB, got a memory of {memory / 1e6:.0f} MB; "
            "ask for fewer samples, tasks, step sizes, steps or jobs, or raise the memory"
        )


def _fresh(order: Order, ranges: Sequence[Range], jobs: int) -> Iterator[tuple[Range, dict[str, Array]]]:
    workers = min(jobs, len(ranges))
    if workers <= 1:
        for place in ranges:
            yield place, order.compute(*place)
        return
    from joblib import Parallel, delayed, parallel_config  # imported here: one process does without

    with parallel_config(backend="loky", inner_max_num_threads=1):
        pool = Parallel(n_jobs=workers, return_as="generator_unordered")
        yield from pool(delayed(_placed)(order, place, os.getpid()) for place in ranges)


def _placed(order: Order, place: Range, parent: int) -> tuple[Range, dict[str, Array]]:
    _end_with(parent)
    return place, order.compute(*place)


@cache
def _end_with(parent: int) -> None:
    """See, once in a worker, that it ends with its parent: workers of loky outlive one that is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
