"""Light cones: the Markov chain against all and random permutations, sizes against the pattern of dense products."""

from __future__ import annotations

from itertools import permutations
from random import Random

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton import light_cone
from l2o_theory.quasi_newton.preconditioner import dense, factor


def test_expected_cones_by_all_permutations() -> None:
    """Two layers of 6 lines: the inner permutation runs through all 720 (the outer one only relabels)."""
    sizes = [len(light_cone.cones([list(order), list(range(6))], 2, 2)[0]) for order in permutations(range(6))]
    assert np.mean(sizes) / 6 == pytest.approx(light_cone.expected_fractions(6, 2, 2)[1], rel=1e-14)


@pytest.mark.parametrize(("lines", "size", "depth"), [(64, 2, 9), (48, 4, 4), (204, 4, 5)])
def test_expected_cones_by_draws(lines: int, size: int, depth: int) -> None:
    random, shares = Random(lines), []
    for _ in range(12):
        orders = [random.sample(range(lines), lines) for _ in range(depth)]
        shares.append(
            [np.mean([len(c) for c in light_cone.cones(orders, size, d)]) / lines for d in range(1, depth + 1)]
        )
    found, error = np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1) / 12**0.5
    wanted = np.array(light_cone.expected_fractions(lines, size, depth))
    assert (np.abs(found - wanted) <= 4.5 * error + 1e-12).all()
    # planted fault: every layer multiplies the cone by k until it is full
    growth = np.minimum(1, size ** np.arange(1, depth + 1) / lines)
    assert (np.abs(found - growth) > 4.5 * error + 1e-12).any()


def test_jensen() -> None:
    for setting in ((64, 2, 12), (204, 4, 7), (30, 3, 6)):
        pairs = zip(light_cone.expected_fractions(*setting), light_cone.mean_field_fractions(*setting), strict=True)
        assert all(exact <= bound + 1e-12 for exact, bound in pairs)


def test_cones_are_the_pattern_of_the_matrix() -> None:
    random = Random(5)
    lines, size, depth = 24, 2, 3
    orders = [random.sample(range(lines), lines) for _ in range(depth)]
    blocks = np.random.default_rng(0).uniform(1, 2, (depth, lines // size, size, size))  # nothing cancels
    pattern = factor(blocks, orders, lines) != 0
    assert [set(np.flatnonzero(row)) for row in pattern] == light_cone.cones(orders, size, depth)
    assert (pattern.sum(axis=1) <= light_cone.largest_cone(lines, size, depth)).all()
    product = dense(blocks, orders, lines) != 0
    assert product.sum(axis=1).max() <= light_cone.largest_cone(lines, size, depth, of_product=True) == 24
    shallow = dense(blocks[:2], orders[:2], lines) != 0
    assert shallow.sum(axis=1).max() <= light_cone.largest_cone(lines, size, 2, of_product=True) == 8


def test_counts_of_the_bowl() -> None:
    lines = light_cone.padded_lines(100, 4)
    assert lines == 204
    assert light_cone.parameters(lines, 4, 16) == 13_056 > light_cone.dense_symmetric(100) == 5_050
    assert light_cone.parameters(light_cone.padded_lines(94_696, 4), 4, 16) == 12_121_344
    assert [light_cone.least_depth(n, k) for n, k in ((204, 4), (64, 2), (48, 4), (1, 2))] == [4, 6, 3, 0]


@pytest.mark.parametrize(("n", "size", "depth", "rank"), [(5, 4, 3, 15), (6, 3, 3, 21), (3, 2, 2, 4)])
def test_the_jacobian_has_no_more_rank_than_counted(n: int, size: int, depth: int, rank: int) -> None:
    generator = np.random.default_rng(3)
    lines = light_cone.padded_lines(n, size)
    orders = [generator.permutation(lines).tolist() for _ in range(depth)]
    blocks = generator.standard_normal((depth, lines // size, size, size))
    columns = []
    for place in np.ndindex(blocks.shape):
        up, down = blocks.copy(), blocks.copy()
        up[place] += 0.5
        down[place] -= 0.5
        columns.append((dense(up, orders, n) - dense(down, orders, n)).ravel())  # exact: quadratic in one entry
    found = np.linalg.matrix_rank(np.array(columns), tol=1e-9)
    assert found <= min(light_cone.effective_parameters(lines, size, depth), light_cone.dense_symmetric(n))
    assert found <= rank if (n, size, depth) == (3, 2, 2) else found == rank


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError):
        light_cone.expected_fractions(5, 2, 1)
    with pytest.raises(InputError):
        light_cone.least_depth(4, 1)
