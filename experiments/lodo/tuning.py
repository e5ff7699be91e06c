"""The published tuning protocol: evolution of log-scales [official code: tuning/*].

Each generation draws 32 candidates N(mean, sd^2) in log v, or log(1-v) for decays, scores them by the mean loss over
the last tenth of the steps, and moves the mean to that of the better half of the finite ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CANDIDATES = 32


def values(points: Array, decays: Sequence[bool]) -> Array:
    """From the searched space to hyper-parameters: e^z, or max(0, 1 - e^z) for decays."""
    with np.errstate(over="ignore"):
        return np.where(np.array(decays), np.maximum(0.0, 1 - np.exp(points)), np.exp(points))


def tune(
    start: Sequence[float],
    decays: Sequence[bool],
    schedule: Sequence[tuple[float, int]],
    score: Callable[[Array, int, int], Array],
    generator: np.random.Generator,
) -> list[float]:
    """The hyper-parameters at the last mean.

    Args:
        start: hyper-parameters of the first mean.
        decays: which of them are decays in [0, 1).
        schedule: (sd, steps) of each generation.
        score: from candidates of shape (32, parameters), steps and generation to losses, infinite where diverged.
        generator: of the candidates.
    """
    mean = np.array([np.log(1 - v) if decay else np.log(v) for v, decay in zip(start, decays, strict=True)])
    for generation, (sd, steps) in enumerate(schedule):
        points = mean + sd * generator.standard_normal((CANDIDATES, len(mean)))
        losses = score(values(points, decays), steps, generation)
        order = np.argsort(losses, kind="stable")
        better = [k for k in order[: CANDIDATES // 2] if np.isfinite(losses[k])]
        if better:
            mean = points[better].mean(axis=0)
    return [float(v) for v in values(mean, decays)]
