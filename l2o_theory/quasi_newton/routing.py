r"""Which permutations random layers of small blocks can route: an exact second moment and how many layers it asks for.

mu_P is the law of B_1 P_1 ... B_N P_N on the symmetric group when every block is an independent uniform permutation of
its k lines; the P_i are uniform. Then exactly [derived here, in the setting of arXiv 2210.06171]

    n! E_P SUM_tau (mu_P(tau) - 1/n!)^2  =  X(n,k,N) = SUM_{L != (n)} f_L^2 (Kostka(L,(k^(n/k)))/f_L)^N

over the partitions L of n. So, with probability >= 1 - 4 X(nt,2,N1) over 2 N1 random layers, every permutation of the
nt lines is representable by blocks {identity, swap}.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.partitions import rectangle_kostka, standard_tableaux

_MOST_LAYERS = 10_000


@lru_cache(maxsize=8)
def ratios(lines: int, size: int) -> tuple[tuple[int, int], ...]:
    """(f_L, Kostka(L,(k^(n/k)))) for every L != (n) whose Kostka number is not 0.

    Raises:
        InputError: not 1 <= k, or k does not divide n.
    """
    if not 1 <= size <= lines or lines % size:
        raise InputError(f"the block size must divide the number of lines, got {size} and {lines}; pad the lines")
    return tuple(
        (standard_tableaux(shape), count) for shape, count in rectangle_kostka(lines, size).items() if len(shape) > 1
    )


def chi_square(lines: int, size: int, layers: int) -> Fraction:
    """X(n,k,N) as an exact rational; slow beyond n = 20, see `chi_square_float`.

    Raises:
        InputError: k does not divide n, or no layer.

    Example:
        >>> chi_square(4, 2, 3)
        Fraction(5, 6)
    """
    _require_layers(layers)
    if layers <= 2:
        return Fraction(sum(f ** (2 - layers) * count**layers for f, count in ratios(lines, size)))
    return sum((Fraction(count**layers, f ** (layers - 2)) for f, count in ratios(lines, size)), Fraction(0))


def chi_square_float(lines: int, size: int, layers: int) -> float:
    """X(n,k,N) in float64: positive terms, each to a relative error of about N 1e-16.

    Raises:
        InputError: k does not divide n, or no layer.
    """
    _require_layers(layers)
    return math.fsum(float(f) ** 2 * (count / f) ** layers for f, count in ratios(lines, size))


def least_layers(lines: int, size: int, bound: float) -> int:
    """Smallest N1 with X(n,k,N1) <= bound.

    Raises:
        InputError: k does not divide n, or a bound that is not positive.
    """
    if not bound > 0:
        raise InputError(f"bound must be > 0, got {bound}; X falls to 0 but never reaches it")
    for layers in range(1, _MOST_LAYERS):
        if chi_square_float(lines, size, layers) <= bound:
            return layers
    raise InputError(f"no number of layers up to {_MOST_LAYERS} reaches {bound}; take blocks of 2 lines or more")


def rule_of_thumb(lines: int, size: int, bound: float) -> int:
    """ceil( ln((n-1)^2/bound) / ln((n-1)/(n/k-1)) ): the term L = (n-1,1) alone; within one layer for 8 <= n <= 40.

    Raises:
        InputError: k does not divide n, or one block takes all lines.
    """
    if not 1 < size < lines or lines % size:
        raise InputError(f"wanted at least two blocks of 2 lines or more, got {size} of {lines}; change the size")
    return math.ceil(math.log((lines - 1) ** 2 / bound) / math.log((lines - 1) / (lines // size - 1)))


def _require_layers(layers: int) -> None:
    if layers < 1:
        raise InputError(f"layers must be >= 1, got {layers}; use the depth of the preconditioner")
