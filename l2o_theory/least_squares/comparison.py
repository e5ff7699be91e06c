"""Train-by-train against train-by-validation on sampled tasks: predicted by the limit, measured by the sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.least_squares.cells import Cells
from l2o_theory.least_squares.limit import limit
from l2o_theory.least_squares.outcome import Choice, Outcome, Protocol, least, measured
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
            Choice(float(etas[i]), float(np.sqrt(2 * train[i])), float(np.sqrt(risk[i] + protocol.noise**2)))
            for i in (least(train), least(validation))
        ]
    return Outcome(choices[0], choices[1], train, validation)


def measure(
    dimension: int,
    samples: int,
    noise: float,
    steps: Sequence[int],
    split: tuple[int, int],
    grid: Sequence[float],
    *,
    tasks: int,
    tests: int,
    seed: int,
    jobs: int = 1,
    cells: Cells | None = None,
    progress: Callable[[int], None] = lambda tasks: None,
) -> list[Outcome]:
    """Tune on `tasks` sampled tasks, then train `tests` fresh ones with either step size; one outcome per horizon.

    The test error is that on infinitely many new samples: |w_t - w*|^2 + sigma^2, without the freeze rule.

    Args:
        dimension: d.
        samples: n.
        noise: sigma.
        steps: horizons t, rising.
        split: (n1, n2).
        grid: step sizes.
        tasks: number of tasks to tune on.
        tests: number of fresh tasks; the same for both objectives, so that their factor is a paired one.
        seed: of the run.
        jobs: worker processes.
        cells: where finished parts of the sweep are kept.
        progress: called with the number of tasks just finished.

    Raises:
        InputError: as `sweep`.
    """
    distribution = TaskDistribution(dimension, noise)
    freeze = _FREEZE * max(noise, 1.0) / noise if noise > 0 else None
    with np.errstate(over="ignore", invalid="ignore"):
        tuned = sweep(
            distribution,
            samples=samples,
            step_sizes=grid,
            steps=steps,
            tasks=tasks,
            split=split,
            seed=seed,
            freeze=freeze,
            jobs=jobs,
            cells=cells,
            progress=progress,
        )
        train_curves, validation_curves = tuned.mean("train_by_train"), tuned.mean("train_by_validation")
        picked = [(least(a), least(b)) for a, b in zip(train_curves.T, validation_curves.T, strict=True)]
        used = sorted({index for pair in picked for index in pair})
        tested = sweep(
            distribution,
            samples=samples,
            step_sizes=[grid[index] for index in used],
            steps=steps,
            tasks=tests,
            seed=seed,
            first=tasks,
            freeze=None,
            jobs=jobs,
            cells=cells,
            progress=progress,
        )
    outcomes = []
    for place, (first, second) in enumerate(picked):
        i, j = used.index(first), used.index(second)
        squares, risks = 2 * tested.train_by_train[:, :, place], tested.risk[:, :, place] + noise**2
        outcomes.append(
            measured(
                grid,
                (train_curves[:, place], validation_curves[:, place]),
                train=(squares[:, i], squares[:, j]),
                test=(risks[:, i], risks[:, j]),
            )
        )
    return outcomes
