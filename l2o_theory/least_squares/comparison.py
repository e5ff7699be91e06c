"""Train-by-train against train-by-validation on sampled tasks: predicted by the limit, measured by the sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.least_squares.cells import Cells, Sampler
from l2o_theory.least_squares.limit import limit
from l2o_theory.least_squares.outcome import Outcome, Protocol, choice, least, measured
from l2o_theory.least_squares.sweep import sweep
from l2o_theory.least_squares.tasks import TaskDistribution

_FREEZE = 40.0  # times max(sigma, 1): the paper's rule for sigma >= 1, which below would stop harmless runs


def published_grid() -> tuple[float, ...]:
    """Step sizes 10^(-6 + i/4), i = 0..24 [official code: grid_search_eta_lr.py]."""
    return tuple(10 ** (index / 4 - 6) for index in range(25))


def halves(samples: int) -> tuple[int, int]:
    """The published split: n1 = n2 = n/2, the odd sample to the training part."""
    return samples - samples // 2, samples // 2


def predict(protocol: Protocol, grid: Sequence[float]) -> Outcome:
    """What the limit d -> inf with d/n and d/n1 fixed says, in milliseconds [derived here].

    The meta-objectives are T and (R + sigma^2)/2 at ratio d/n and d/n1, the errors sqrt(2 T) and sqrt(R + sigma^2) at
    ratio d/n: both step sizes train on all n samples.

    Args:
        protocol: the cell.
        grid: step sizes; the smallest meta-objective among them decides.

    Raises:
        InputError: no step size, or one that is not positive and finite.
    """
    etas = np.asarray(grid, dtype=np.float64)
    if etas.ndim != 1 or not etas.size or not (np.isfinite(etas) & (etas > 0)).all():
        raise InputError("step sizes must be positive, finite and at least one; mend the grid")
    whole = limit(protocol.dimension / protocol.samples, protocol.noise, protocol.steps)
    part = limit(protocol.dimension / protocol.split[0], protocol.noise, protocol.steps)
    with np.errstate(over="ignore", invalid="ignore"):  # divergent step sizes end in inf, which `diverges` reports
        train = np.asarray(whole.train_loss(etas), dtype=np.float64)
        risk = np.asarray(whole.risk(etas), dtype=np.float64)
        validation = (np.asarray(part.risk(etas), dtype=np.float64) + protocol.noise**2) / 2
        choices = [
            choice(float(etas[i]), (2 * train[i]) ** 0.5, (risk[i] + protocol.noise**2) ** 0.5, protocol.bound)
            for i in (least(train), least(validation))
        ]
    return Outcome(choices[0], choices[1], train, validation)


def measure(
    protocols: Sequence[Protocol],
    grid: Sequence[float],
    *,
    tasks: int,
    tests: int,
    seed: int,
    sampler: Sampler = "plain",
    jobs: int = 1,
    device: str = "cpu",
    dtype: str = "float64",
    cells: Cells | None = None,
    progress: Callable[[int], None] = lambda tasks: None,
) -> list[Outcome]:
    """Tune on `tasks` sampled tasks, then train `tests` fresh ones with either step size; one outcome per protocol.

    The test error is that on infinitely many new samples: |w_t - w*|^2 + sigma^2, without the freeze rule.

    Args:
        protocols: cells that differ in the horizon only, rising: one sweep serves them all.
        grid: step sizes.
        tasks: number of tasks to tune on.
        tests: number of fresh tasks; the same for both objectives, so that their factor is a paired one.
        seed: of the run.
        sampler: "plain" or "reduced", see `sweep`.
        jobs: worker processes.
        device: "cpu" or a torch device, see `sweep`.
        dtype: of the features, see `sweep`.
        cells: where finished parts of the sweep are kept.
        progress: called with the number of tasks just finished.

    Raises:
        InputError: no protocol, protocols that differ in more than the horizon, or as `sweep`.
    """
    if len({replace(protocol, steps=1) for protocol in protocols}) != 1:
        raise InputError("protocols must differ in nothing but steps; measure the others by themselves")
    samples, noise, split = protocols[0].samples, protocols[0].noise, protocols[0].split
    steps = [protocol.steps for protocol in protocols]
    distribution = TaskDistribution(protocols[0].dimension, noise)
    alike = partial(
        sweep,
        distribution,
        samples=samples,
        steps=steps,
        seed=seed,
        sampler=sampler,
        jobs=jobs,
        device=device,
        dtype=dtype,
        cells=cells,
    )
    freeze = _FREEZE * max(noise, 1.0) / noise if noise > 0 else None
    with np.errstate(over="ignore", invalid="ignore"):
        tuned = alike(step_sizes=grid, tasks=tasks, split=split, freeze=freeze, progress=progress)
        curves = tuned.mean("train_by_train").T, tuned.mean("train_by_validation").T
        picked = [(least(train), least(validation)) for train, validation in zip(*curves, strict=True)]
        used = sorted({index for pair in picked for index in pair})
        sizes = [grid[index] for index in used]
        tested = alike(step_sizes=sizes, tasks=tests, first=tasks, freeze=None, progress=progress)
    outcomes = []
    for place, pair in enumerate(picked):
        i, j = (used.index(index) for index in pair)
        train, test = 2 * tested.train_by_train[:, :, place], tested.risk[:, :, place] + noise**2
        found = measured(
            grid,
            (curves[0][place], curves[1][place]),
            train=(train[:, i], train[:, j]),
            test=(test[:, i], test[:, j]),
            bound=protocols[place].bound,
        )
        outcomes.append(found)
    return outcomes
