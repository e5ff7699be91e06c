"""The random problems of the paper's Figures 1 and 2."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from l2o_theory.quadratic import Quadratic


class Problem(NamedTuple):
    """H = X^T X with X and w_0 standard normal, and its analyzer."""

    hessian: NDArray[np.float64]
    start: NDArray[np.float64]
    quadratic: Quadratic


def draw(seed: int, index: int, dimension: int, draws: int) -> Problem:
    """Draw problem `index` of a run; two runs share no problem, and seed 0 has the generators 0, 1, 2, ..."""
    generator = np.random.default_rng(seed * draws + index)
    start = generator.standard_normal(dimension)
    factor = generator.standard_normal((dimension, dimension))
    hessian = factor.T @ factor
    return Problem(hessian, start, Quadratic.from_matrix(hessian, start))
