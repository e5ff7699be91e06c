"""The noisy quadratic bowl, many runs at once, a run per row [official code: noisy_quadratic_bowl.py].

n eigenvalues log-spaced from 0.001 to 1, eigenvectors by QR of a standard normal matrix, new for each run; the minimum
takes a standard normal step before every evaluation, and the method sees the gradient there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_CHUNK = 500  # steps whose moves are drawn at once


class Bowls:
    """Bowls with seeds (seed, 0), (seed, 1), ..; two objects with equal arguments give the same tasks and moves.

    Args:
        runs: how many.
        eigenvalues: of every Hessian.
        seed: of the family; another seed shares nothing with it.
    """

    def __init__(self, runs: int, eigenvalues: Array, seed: int) -> None:
        self.generators = [np.random.default_rng([seed, run]) for run in range(runs)]
        n = len(eigenvalues)
        bases = [np.linalg.qr(generator.standard_normal((n, n)))[0] for generator in self.generators]
        self.hessians = np.stack([(basis * eigenvalues) @ basis.T for basis in bases])
        self.shape = (runs, n)

    def moves(self, steps: int) -> Iterator[Array]:
        """The move of the minimum before each of the evaluations, shape (runs, n)."""
        for start in range(0, steps, _CHUNK):
            count = min(_CHUNK, steps - start)
            drawn = np.stack([generator.standard_normal((count, self.shape[1])) for generator in self.generators])
            yield from drawn.transpose(1, 0, 2)

    def follow(self, steps: int, step: Callable[[Array], Array], watch: Callable[[int], None] | None = None) -> Array:
        """Run a method and return its losses, shape (runs, steps).

        Args:
            steps: evaluations.
            step: from the gradient at the new point to the displacement that follows, both of shape (runs, n).
            watch: called with the number of evaluations made, after each.
        """
        distance, losses = np.zeros(self.shape), np.empty((steps, self.shape[0]))
        with np.errstate(over="ignore", invalid="ignore"):
            for place, move in enumerate(self.moves(steps)):
                distance = distance - move  # x - c: the minimum moves before the evaluation
                gradient = (self.hessians @ distance[:, :, None])[:, :, 0]
                losses[place] = np.einsum("ri,ri->r", distance, gradient) / 2
                distance = distance + step(gradient)
                if watch is not None:
                    watch(place + 1)
        return losses.T


def eigenvalues(dimension: int) -> Array:
    """Log-spaced from 0.001 to 1."""
    return np.exp(np.linspace(np.log(0.001), 0.0, dimension))


def last_tenth(losses: Array) -> Array:
    """Mean over the last 10 percent of the steps, per run; infinite where a run diverged."""
    with np.errstate(over="ignore"):  # a candidate that diverges ends in infinity, and that is its score
        tail = losses[:, -max(1, losses.shape[1] // 10) :].mean(axis=1)
    return np.where(np.isfinite(tail), tail, np.inf)
