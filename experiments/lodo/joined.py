"""Several runs of LODO as one: the block-diagonal matrix of their preconditioners is a Preconditioner again.

Lines of all runs side by side, blocks side by side, each permutation within its run. The last permutation is relabelled
so that the coordinates of all runs come first; what is padding stays zero. Adam and SGD act entry by entry, so that
every run learns exactly as it would alone, and the shipped optimizer makes one step for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo import LODO, Preconditioner

Array = NDArray[np.float64]


def joined(parts: list[Preconditioner]) -> Preconditioner:
    """The preconditioner diag(G_1, .., G_R, ..) on R n coordinates, run by run, and some padding.

    Raises:
        InputError: runs of different shape, or an odd number of lines in all.
    """
    first, lines = parts[0], len(parts) * parts[0].lines
    if any((p.n, p.lines, p.depth, p.alpha0) != (first.n, first.lines, first.depth, first.alpha0) for p in parts):
        raise InputError("runs must agree in n, depth, block size and alpha0; join them in groups")
    if lines % 2:
        raise InputError(f"the runs have {lines} lines in all, an odd number; take an even number of runs")
    shifted = torch.cat([part.permutations + run * first.lines for run, part in enumerate(parts)], dim=1)
    kept = torch.cat([torch.arange(first.n) + run * first.lines for run in range(len(parts))])
    padding = torch.ones(lines, dtype=torch.bool).index_fill(0, kept, False).nonzero()[:, 0]
    place = torch.empty(lines, dtype=torch.int64)
    place[torch.cat([kept, padding])] = torch.arange(lines)  # where each line of the runs stands in the joined vector
    shifted[-1] = place[shifted[-1]]
    blocks = torch.cat([part.blocks for part in parts], dim=1)
    return Preconditioner(lines // 2, alpha0=first.alpha0, permutations=shifted, blocks=blocks, padding="round_up")


class Learners:
    """LODO on R tasks of n coordinates, as a step for `Bowls.follow`.

    Args:
        shape: (R, n).
        seed: run r draws its blocks and permutations from the seed (seed, r).
        alpha0, depth, block_size: of every preconditioner.
        options: further options of LODO.
    """

    def __init__(
        self, shape: tuple[int, int], seed: int, *, alpha0: float, depth: int = 16, block_size: int = 4, **options: Any
    ) -> None:
        runs, n = shape
        parts = []
        for run in range(runs):
            state = int(np.random.SeedSequence([seed, run]).generate_state(1, np.uint64)[0] >> 1)
            generator = torch.Generator().manual_seed(state)
            parts.append(Preconditioner(n, depth, block_size, alpha0, generator=generator))
        self.preconditioner = joined(parts)
        self.shape = shape
        self.vector = torch.nn.Parameter(torch.zeros(self.preconditioner.n, dtype=torch.float64))
        self.vector.grad = torch.zeros_like(self.vector)
        self.optimizer = LODO([self.vector], alpha0=alpha0, preconditioner=self.preconditioner, **options)

    def __call__(self, gradient: Array) -> Array:
        """One step of all runs."""
        flat = self.vector.detach()
        flat.zero_()  # only the displacement is wanted: the distance to the minimum is kept outside
        assert self.vector.grad is not None
        self.vector.grad[: gradient.size] = torch.from_numpy(gradient.reshape(-1))
        self.optimizer.step()
        return flat[: gradient.size].numpy().reshape(self.shape).copy()

    def hessian_errors(self, hessians: Array) -> Array:
        """|I - G H|_F/sqrt(n) of every run."""
        runs, n = self.shape
        columns = torch.zeros(n, self.preconditioner.n, dtype=torch.float64)
        columns[:, : runs * n] = torch.from_numpy(hessians.transpose(2, 0, 1).reshape(n, runs * n).copy())
        product = self.preconditioner.apply(columns)[:, : runs * n].reshape(n, runs, n).numpy()
        error: Tensor = torch.from_numpy(np.eye(n)[:, None, :] - product)
        found: Array = (error.square().sum((0, 2)).sqrt() / n**0.5).numpy()
        return found


def watcher(
    learners: Learners, hessians: Array, every: int, rows: list[tuple[int, list[float]]]
) -> Callable[[int], None]:
    """Append (evaluations, Hessian error of every run) to `rows`, every so many steps."""

    def watch(done: int) -> None:
        if done % every == 0:
            rows.append((done, learners.hessian_errors(hessians).tolist()))

    return watch
