"""Routing by search: against dense permutation matrices, and the whole group where it must be reached."""

from __future__ import annotations

from itertools import permutations
from math import factorial
from random import Random

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.preconditioner import factor
from l2o_theory.quasi_newton.switches import block_permutations, compose, reached, routed


def gather(order: tuple[int, ...]) -> np.ndarray:
    return np.eye(len(order))[list(order)]


def test_products_of_gathers() -> None:
    a, b = (2, 0, 1, 3), (1, 3, 0, 2)
    assert np.array_equal(gather(a) @ gather(b), gather(compose(b, a)))
    assert not np.array_equal(gather(a) @ gather(b), gather(compose(a, b)))  # planted fault: the other order


@pytest.mark.parametrize(("lines", "size", "depth"), [(4, 2, 8), (6, 2, 10), (6, 3, 6)])
def test_the_blocks_found_multiply_to_the_permutation(lines: int, size: int, depth: int) -> None:
    random = Random(lines + size)
    shuffles = [tuple(random.sample(range(lines), lines)) for _ in range(depth)]
    everything = reached(shuffles, size)
    assert len(everything) == factorial(lines)
    for _ in range(5):
        wanted = tuple(random.sample(range(lines), lines))
        chosen = [gather(block) for block in routed(shuffles, size, wanted)]
        cells = [[matrix[j : j + size, j : j + size] for j in range(0, lines, size)] for matrix in chosen]
        assert np.array_equal(factor(cells, shuffles, lines), gather(wanted))


def test_counts_and_refusals() -> None:
    assert len(block_permutations(6, 3)) == 36
    assert reached([(0, 1, 2, 3)], 2) == set(block_permutations(4, 2))
    assert len(reached([(0, 1, 2, 3)] * 9, 2)) == 4  # without shuffles nothing mixes
    unreachable = next(p for p in permutations(range(4)) if p not in reached([(0, 1, 2, 3)], 2))
    with pytest.raises(InputError, match="do not route"):
        routed([(0, 1, 2, 3)], 2, unreachable)
    with pytest.raises(InputError):
        block_permutations(5, 2)
