"""Partitions of n and their counts: hook lengths, and Kostka numbers of rectangles by adding horizontal strips."""

from __future__ import annotations

from functools import lru_cache
from math import factorial, prod
from typing import TypeAlias

Partition: TypeAlias = tuple[int, ...]
"""Parts in falling order, all positive."""


def standard_tableaux(shape: Partition) -> int:
    """f_L = n!/(product of hook lengths): the degree of the irreducible character L of the symmetric group.

    Example:
        >>> standard_tableaux((3, 2))
        5
    """
    columns = [sum(part > j for part in shape) for j in range(shape[0])] if shape else []
    hooks = (part - j + columns[j] - i - 1 for i, part in enumerate(shape) for j in range(part))
    return factorial(sum(shape)) // prod(hooks)


@lru_cache(maxsize=8)
def rectangle_kostka(lines: int, size: int) -> dict[Partition, int]:
    """Kostka(L, (k^(n/k))) for every partition L of n = `lines` for which it is not 0, k = `size` a divisor of n.

    The number of ways to build L by n/k horizontal strips of k cells, no two of one strip in a column (Pieri's rule).

    Example:
        >>> sorted(rectangle_kostka(4, 2).items())
        [((2, 2), 1), ((3, 1), 1), ((4,), 1)]
    """
    counts: dict[Partition, int] = {(): 1}
    for _ in range(lines // size):
        grown: dict[Partition, int] = {}
        for shape, count in counts.items():
            for larger in _with_strip(shape, size):
                grown[larger] = grown.get(larger, 0) + count
        counts = grown
    return counts


def _with_strip(shape: Partition, cells: int) -> list[Partition]:
    """Every shape that adds a horizontal strip: row i grows to at most the old length of row i-1."""
    rows = [*shape, 0]
    rooms = [(0, cells), *((i, rows[i - 1] - rows[i]) for i in range(1, len(rows)) if rows[i - 1] > rows[i])]
    found: list[Partition] = []

    def grow(place: int, left: int) -> None:
        row, room = rooms[place]
        for added in range(1, min(left, room) + 1):
            rows[row] += added
            if added == left:
                found.append(tuple(rows) if rows[-1] else tuple(rows[:-1]))
            else:
                for later in range(place + 1, len(rooms)):
                    grow(later, left - added)
            rows[row] -= added

    for first in range(len(rooms)):
        grow(first, cells)
    return found
