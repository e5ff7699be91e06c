"""Permutations that blocks realise between given shuffles, by exhaustive search: for a handful of lines.

A permutation is a tuple; `compose(a, b)[j] = a[b[j]]`. As a matrix it gathers, (P x)_j = x[perm[j]], so that the matrix
product P_a P_b gathers by compose(b, a).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations, product
from typing import TypeAlias

from l2o_theory.errors import InputError

Permutation: TypeAlias = tuple[int, ...]


def compose(a: Permutation, b: Permutation) -> Permutation:
    """First b, then a: j -> a[b[j]]."""
    return tuple(a[i] for i in b)


def block_permutations(lines: int, size: int) -> list[Permutation]:
    """All (k!)^(n/k) choices of one permutation per block of k consecutive lines.

    Raises:
        InputError: k does not divide n.

    Example:
        >>> block_permutations(4, 2)
        [(0, 1, 2, 3), (0, 1, 3, 2), (1, 0, 2, 3), (1, 0, 3, 2)]
    """
    if not 1 <= size <= lines or lines % size:
        raise InputError(f"the block size must divide the number of lines, got {size} and {lines}; pad the lines")
    orders = list(permutations(range(size)))
    return [
        tuple(block * size + i for block, order in enumerate(chosen) for i in order)
        for chosen in product(*([orders] * (lines // size)))
    ]


def reached(shuffles: Sequence[Permutation], size: int) -> set[Permutation]:
    """The gathers of B_1 P_1 .. B_N P_N over all choices of block permutations; P_i gathers by shuffles[i-1]."""
    return set(_ways(shuffles, size))


def routed(shuffles: Sequence[Permutation], size: int, wanted: Permutation) -> list[Permutation]:
    """Block permutations with B_1 P_1 .. B_N P_N = the gather `wanted`.

    Raises:
        InputError: these shuffles cannot route it.
    """
    ways = _ways(shuffles, size)
    if wanted not in ways:
        raise InputError(f"these {len(shuffles)} layers do not route {wanted}; add layers or draw them anew")
    return list(ways[wanted])


def _ways(shuffles: Sequence[Permutation], size: int) -> dict[Permutation, tuple[Permutation, ...]]:
    """Every gather that can be reached, with one choice of blocks that does it."""
    lines = len(shuffles[0])
    blocks = block_permutations(lines, size)
    ways: dict[Permutation, tuple[Permutation, ...]] = {tuple(range(lines)): ()}
    for shuffle in shuffles:
        ways = {
            compose(shuffle, compose(block, element)): (*path, block)
            for element, path in ways.items()
            for block in blocks
        }
    return ways
