"""Race: the sweep against the published way, an eigendecomposition per task, and the drawing of the data.

d = 1000, n = 500, t <= 40, 300 tasks, 100 step sizes, train-by-train with the freeze rule, float64, one thread, in one
process. All times are processor time of that thread: of a cell of 10 tasks, or of one run of a peer, median of 30,
scaled to 300 tasks. A cell of the sweep counts without its drawing, which is timed inside it, task by task.

    published          2 t matrix-vector products for each step size and task: a pair of a task and a step size, times
                       30 000 (its cost is linear in both)
    eigendecomposition of X X^T/n for each task, and the losses of all step sizes and steps from it
    drawing            features, labels, w* and freeze direction, as `TaskDistribution.task` draws them for anybody

The peers run between the sweep's cells, so that what else the machine does weighs on all alike. Peak memory is that
of the whole process, the interpreter and its libraries included. The reduced sampler is shown beside it: it draws the
same law, both objectives, without the data.

The drawing is the narrow bar: 80 passes over the 4 MB of a task in float64 take 4.4 of the 5.0 ms in which it is drawn.
The sweep makes 74, the last 32 of them over 2 MB in float32, where they count for less than 1 percent of a run, and
does not re-orthogonalise (see l2o_theory/least_squares/lanczos.py). Passing over the data is bound by the cache that
cores share, drawing is not: the busier the other cores, the lower this ratio.

Exit code 1 if the ratios are below 40, 4 and 1, the peak reaches 1 GB, or the numbers differ by more than 1e-9.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from l2o_theory.least_squares.sweep import Sweep, sweep
from l2o_theory.least_squares.tasks import Task, TaskDistribution

DIMENSION, SAMPLES, STEPS, TASKS = 1000, 500, 40, 300
STEP_SIZES = np.geomspace(1e-6, 1, 100)
BARS = {"published": 40.0, "eigendecomposition": 4.0, "drawing": 1.0}
MEMORY_BAR = 1e9
ACCURACY_BAR = 1e-9  # relative, of every training loss and risk of the peers' runs


def seconds(task: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.thread_time()
    result = task()
    return time.thread_time() - begin, result


@dataclass(frozen=True, eq=False)
class TimedDraws(TaskDistribution):
    """Tasks whose drawing is timed."""

    spent: list[float] = field(default_factory=list)

    def task(self, samples: int, *, seed: int = 0, index: int = 0, dtype: str = "float64") -> Task:
        """As for any tasks."""
        duration, task = seconds(lambda: super(TimedDraws, self).task(samples, seed=seed, index=index, dtype=dtype))
        self.spent.append(duration)
        return task


def published(task: Task, step_size: float) -> np.ndarray:
    """Training loss and risk after 1, ..., t steps, with the freeze rule; shape (2, t)."""
    weights, found, radius = np.zeros(DIMENSION), [], 40 * task.noise
    residual, stopped = task.labels, False
    for _ in range(STEPS):
        if not stopped:
            weights = weights + step_size / SAMPLES * (residual @ task.features)
            stopped = bool(np.linalg.norm(weights) >= radius)
            weights = radius * task.direction if stopped else weights
            residual = task.labels - task.features @ weights
        error = weights - task.w_star
        found.append((residual @ residual / (2 * SAMPLES), error @ error))
    return np.array(found).T


def eigendecomposition(task: Task) -> np.ndarray:
    """Training losses of all step sizes and steps, (p, t), nothing else: no norms, no freeze rule, no risk."""
    values, vectors = np.linalg.eigh(task.features @ task.features.T / SAMPLES)
    squares = (vectors.T @ task.labels) ** 2
    decay = 1 - STEP_SIZES[:, None] * values
    power, losses = np.ones_like(decay), []
    for _ in range(STEPS):
        power = power * decay
        losses.append((power * power) @ squares / (2 * SAMPLES))
    return np.stack(losses, -1)


class Peers:
    """Runs the peers on the first task of every cell that the sweep has finished, and keeps all times."""

    def __init__(self, law: TimedDraws) -> None:
        self.law = law
        self.seconds: dict[str, list[float]] = {name: [] for name in ("sweep", *BARS)}
        self.losses: dict[tuple[int, int], np.ndarray] = {}
        self.risks: dict[tuple[int, int], np.ndarray] = {}
        self.begun = time.thread_time()

    def race(self, tasks: int) -> None:
        """Called after each cell of that many tasks."""
        drawing = sum(self.law.spent[-tasks:])
        self.seconds["sweep"].append(time.thread_time() - self.begun - drawing)
        self.seconds["drawing"].append(drawing)
        index = len(self.seconds["published"]) * tasks
        task = TaskDistribution(DIMENSION, 1.0).task(SAMPLES, seed=1, index=index)
        column = index * len(STEP_SIZES) // TASKS
        spent, losses = seconds(lambda: published(task, STEP_SIZES[column]))
        self.seconds["published"].append(spent)
        self.losses[index, column], self.risks[index, column] = losses
        spent, losses = seconds(lambda: eigendecomposition(task))
        self.seconds["eigendecomposition"].append(spent)
        self.losses[index, 50] = losses[50]  # a step size that is never frozen
        self.begun = time.thread_time()

    def total(self, name: str) -> float:
        """Seconds for all tasks, from the median."""
        runs = {"published": TASKS * len(STEP_SIZES), "eigendecomposition": TASKS}
        return statistics.median(self.seconds[name]) * runs.get(name, len(self.seconds[name]))


def measured(law: TaskDistribution, **options: Any) -> tuple[float, Sweep]:
    grid = {"samples": SAMPLES, "step_sizes": STEP_SIZES, "steps": range(1, STEPS + 1), "tasks": TASKS, "seed": 1}
    return seconds(lambda: sweep(law, **grid, **options))


def main() -> int:
    law = TimedDraws(DIMENSION, 1.0)
    peers = Peers(law)
    whole, ours = measured(law, progress=peers.race)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    pairs = [(ours.train_by_train[place], losses) for place, losses in peers.losses.items()]
    pairs += [(ours.risk[place], risks) for place, risks in peers.risks.items()]
    apart = max(float(np.abs(found / wanted - 1).max()) for found, wanted in pairs)
    both, _ = measured(TaskDistribution(DIMENSION, 1.0), split=(250, 250), sampler="reduced")
    print(f"sweep {peers.total('sweep'):.2f} s without drawing; reduced sampler, both objectives: {both:.2f} s in all")
    failed = peak >= MEMORY_BAR or not apart <= ACCURACY_BAR
    for name, bar in BARS.items():
        ratio = peers.total(name) / peers.total("sweep")
        failed |= ratio < bar
        print(f"{name:20} {peers.total(name):8.2f} s   {ratio:7.2f} times the sweep   bar {bar:g}")
    print(f"largest relative difference to the peers' numbers {apart:.1e}, bar {ACCURACY_BAR:g}")
    print(f"peak memory {peak / 1e6:.0f} MB, bar {MEMORY_BAR / 1e6:.0f} MB; all of it {whole:.1f} s with the peers")
    return int(failed)


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":  # numpy reads it once, when it is imported
        sys.exit("this race is run on one thread: set OMP_NUM_THREADS=1")
    sys.exit(main())
