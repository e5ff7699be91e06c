"""The dense preconditioner and its hypergradient: against layer-by-layer application and exact differences."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.preconditioner import dense, factor, hypergradient

F = Fraction


def drawn(seed: int, depth: int, size: int, lines: int) -> tuple[np.ndarray, list[list[int]]]:
    random = Random(seed)
    blocks = np.empty((depth, lines // size, size, size), dtype=object)
    blocks.flat = [F(random.randint(-4, 4), random.randint(1, 3)) for _ in range(blocks.size)]
    return blocks, [random.sample(range(lines), lines) for _ in range(depth)]


def applied(blocks: np.ndarray, permutations: list[list[int]], vector: list[Fraction]) -> list[Fraction]:
    """Gt [v; 0] line by line: layer N first, gather, then blocks."""
    x = [*vector, *[F(0)] * (len(permutations[0]) - len(vector))]
    size = blocks.shape[-1]
    for layer, order in zip(blocks[::-1], permutations[::-1], strict=True):
        x = [x[source] for source in order]
        x = [
            sum((layer[j // size][j % size][c] * x[j // size * size + c] for c in range(size)), F(0))
            for j in range(len(x))
        ]
    return x


@pytest.mark.parametrize(("depth", "size", "lines", "n"), [(1, 2, 4, 3), (3, 2, 6, 2), (2, 3, 9, 4), (4, 1, 3, 3)])
def test_products_and_differences_in_rationals(depth: int, size: int, lines: int, n: int) -> None:
    blocks, permutations = drawn(depth, depth, size, lines)
    M = factor(blocks, permutations, n)
    for j in range(n):
        assert M[:, j].tolist() == applied(blocks, permutations, [F(int(i == j)) for i in range(n)])
    alpha0, m, g = F(2, 3), [F(k - 1, 2) for k in range(n)], [F(1, k + 2) for k in range(n)]
    found = hypergradient(blocks, permutations, m, g, alpha0)

    def loss(b: np.ndarray) -> Fraction:  # -g^T G m with the two sides applied one after the other
        return -alpha0 * sum(
            x * y for x, y in zip(applied(b, permutations, g), applied(b, permutations, m), strict=True)
        )

    for place in list(np.ndindex(blocks.shape))[:: max(1, blocks.size // 20)]:
        up, down = blocks.copy(), blocks.copy()
        up[place] += 1
        down[place] -= 1  # the loss is a polynomial of degree 2 in one entry: the central difference is exact
        assert found[place] == (loss(up) - loss(down)) / 2
    one_sided = -alpha0 * np.outer(M @ np.array(m, dtype=object), g)  # planted fault: the transposed term dropped
    assert one_sided.shape == (lines, n)
    assert (
        hypergradient(blocks, permutations, m, g, alpha0) == hypergradient(blocks, permutations, g, m, alpha0)
    ).all()


def test_floats_and_rationals_agree() -> None:
    blocks, permutations = drawn(7, 3, 2, 8)
    exact = dense(blocks, permutations, 5, F(1, 3))
    assert dense(blocks.astype(float), permutations, 5, 1 / 3) == pytest.approx(exact.astype(float), rel=1e-13)
    assert (exact == exact.T).all()


def test_orthogonal_blocks_give_a_multiple_of_the_identity() -> None:
    turn = [[F(3, 5), F(-4, 5)], [F(4, 5), F(3, 5)]]
    found = dense([[turn, turn]] * 3, [[2, 0, 3, 1], [3, 1, 0, 2], [1, 0, 3, 2]], 3, F(1, 4))
    assert found.tolist() == [[F(int(i == j), 4) for j in range(3)] for i in range(3)]


def test_bad_input_is_refused() -> None:
    blocks, permutations = drawn(0, 2, 2, 4)
    for arguments in ((blocks, [[0, 1, 2, 2]] * 2, 2), (blocks, permutations[:1], 2), (blocks, permutations, 5)):
        with pytest.raises(InputError):
            dense(*arguments)
    with pytest.raises(InputError):
        hypergradient(blocks, permutations, [1, 2], [1])
