r"""What an output of the preconditioner can depend on: light cones of random layers, and counts of parameters.

Through N layers of blocks of k lines an output sees at most k^N of the nt inputs; G = M^T M sees at most k^(2N-1), as
the two middle blocks count once. Behind a random permutation r lines spread over the blocks like r draws without
replacement, so that the number of blocks in the cone is a Markov chain, exactly; its mean is at most that of

    r <- nt (1 - C(nt-k, r)/C(nt, r)),   r_0 = 1          (r real; concave in r: Jensen)              [derived here]

A dense symmetric G has n (n+1)/2 degrees of freedom; theta has N nt k numbers, of which at most N nt k - (N-1) nt -
nt (k-1)/2 move G (interface scalings, rotations of the first blocks).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import comb

from l2o_theory.errors import InputError


def padded_lines(dimension: int, size: int) -> int:
    """nt = 2n + k - (2n mod k), the rule of the published program: one block more than needed when k divides 2n."""
    return 2 * dimension + size - (2 * dimension) % size


def least_depth(lines: int, size: int) -> int:
    """ceil(log_k nt): the least depth at which an output of Gt can see every input.

    Raises:
        InputError: blocks of one line mix nothing.
    """
    if size < 2:
        raise InputError(f"blocks must have 2 lines or more to mix, got {size}; raise the block size")
    depth, seen = 0, 1
    while seen < lines:
        depth, seen = depth + 1, seen * size
    return depth


def largest_cone(lines: int, size: int, depth: int, *, of_product: bool = False) -> int:
    """min(nt, k^N) inputs per output of Gt; with `of_product` min(nt, k^(2N-1)), of Gt^T Gt."""
    return int(min(lines, size ** (2 * depth - 1 if of_product else depth)))


def expected_fractions(lines: int, size: int, depth: int) -> tuple[float, ...]:
    """Expected share of the inputs that one output of Gt sees after 1, 2, .., N random layers: the Markov chain.

    From r lines the next block count is j with probability C(B,j) SUM_i (-1)^i C(j,i) C(k(j-i), r)/C(nt, r), B = nt/k.

    Raises:
        InputError: k does not divide nt.

    Example:
        >>> [round(share, 3) for share in expected_fractions(48, 4, 3)]
        [0.083, 0.302, 0.77]
    """
    if not 1 <= size <= lines or lines % size:
        raise InputError(f"the block size must divide the number of lines, got {size} and {lines}; pad the lines")
    count = lines // size
    law, shares = {1: 1.0}, [1 / count]
    for _ in range(depth - 1):
        spread: dict[int, float] = {}
        for blocks, weight in law.items():
            for hit, chance in _hits(count, size, blocks * size):
                spread[hit] = spread.get(hit, 0.0) + weight * chance
        law = {hit: weight for hit, weight in spread.items() if weight > 1e-18}
        shares.append(sum(hit * weight for hit, weight in law.items()) / count)
    return tuple(shares)


@lru_cache(maxsize=1024)
def _hits(count: int, size: int, drawn: int) -> tuple[tuple[int, float], ...]:
    """(number of blocks hit, probability) for `drawn` of the count * size lines; integers until the last division."""
    every = comb(count * size, drawn)
    # Lines that hit all of j blocks and nothing else: inclusion and exclusion over the blocks left empty
    onto = [sum((-1) ** i * comb(j, i) * comb(size * (j - i), drawn) for i in range(j + 1)) for j in range(count + 1)]
    return tuple((j, comb(count, j) * ways / every) for j, ways in enumerate(onto) if ways)


def mean_field_fractions(lines: int, size: int, depth: int) -> tuple[float, ...]:
    """The recursion of the module docstring: an upper bound on `expected_fractions`, by Jensen.

    Example:
        >>> [round(share, 3) for share in mean_field_fractions(48, 4, 3)]
        [0.083, 0.302, 0.776]
    """
    shares, seen = [], 1.0
    for _ in range(depth):
        untouched = 1.0
        for j in range(size):
            untouched *= max(0.0, 1 - seen / (lines - j))
        seen = lines * (1 - untouched)
        shares.append(seen / lines)
    return tuple(shares)


def cones(permutations: Sequence[Sequence[int]], size: int, depth: int) -> list[set[int]]:
    """The inputs that each output of B_1 P_1 ... B_N P_N can depend on, for given permutations, by following the lines.

    Args:
        permutations: at least `depth` rows of nt entries, (P x)_j = x[perm[j]].
        size: k, a divisor of nt.
        depth: N.
    """
    seen = [{line} for line in range(len(permutations[0]))]
    for order in reversed(permutations[:depth]):  # layer N acts first
        moved = [seen[source] for source in order]
        seen = [set().union(*moved[line // size * size : line // size * size + size]) for line in range(len(moved))]
    return seen


def parameters(lines: int, size: int, depth: int) -> int:
    """N nt k, the number of entries of theta."""
    return depth * lines * size


def effective_parameters(lines: int, size: int, depth: int) -> int:
    """N nt k - (N-1) nt - nt (k-1)/2, an upper bound on the rank of theta -> G (rounded down)."""
    return parameters(lines, size, depth) - (depth - 1) * lines - lines * (size - 1) // 2


def dense_symmetric(dimension: int) -> int:
    """n (n+1)/2."""
    return dimension * (dimension + 1) // 2
