r"""LODO's preconditioner and hypergradient by dense products, in exact rationals or float64: the slow reference.

    G = alpha0 M^T M,   M = B_1 P_1 B_2 P_2 ... B_N P_N [I; 0],   (P x)_j = x[perm[j]],   B_i block diagonal
    d loss/d B_i = -alpha0 [ (L_i^T M m)(R_i g)^T + (L_i^T M g)(R_i m)^T ] on the blocks          [derived here]
    L_i = B_1 P_1 ... B_{i-1} P_{i-1},   R_i = P_i B_{i+1} P_{i+1} ... B_N P_N [I; 0]

for any loss with gradient g at x - G m, m held constant. Parameterisation: arXiv 2210.06171.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.numbers import Entries, entries, like, number


def factor(blocks: Any, permutations: Any, dimension: int) -> Entries:
    """M, shape (nt, n).

    Args:
        blocks: shape (N, nt/k, k, k).
        permutations: shape (N, nt), each row a permutation of 0..nt-1.
        dimension: n <= nt.

    Raises:
        InputError: shapes that do not fit, or a row that is no permutation.
    """
    layers = _layers(blocks, permutations, dimension)
    product = layers[0][0]
    for place, (matrix, shuffle) in enumerate(layers):
        product = (product @ matrix if place else matrix) @ shuffle
    return product[:, :dimension]


def dense(blocks: Any, permutations: Any, dimension: int, alpha0: Any = 1) -> Entries:
    """G, shape (n, n); symmetric and positive semidefinite for alpha0 >= 0. Arguments as `factor`."""
    M = factor(blocks, permutations, dimension)
    result: Entries = like(number(alpha0, "alpha0"), M) * M.T @ M
    return result


def hypergradient(blocks: Any, permutations: Any, momentum: Any, gradient: Any, alpha0: Any = 1) -> Entries:
    """d loss/d blocks, the shape of `blocks`.

    Args:
        blocks, permutations, alpha0: as `dense`.
        momentum: m, the direction the step was made of, shape (n,).
        gradient: g at the new point, shape (n,).

    Raises:
        InputError: shapes that do not fit.
    """
    m, g = entries(momentum, "momentum"), entries(gradient, "gradient")
    if m.shape != g.shape:
        raise InputError(f"momentum and gradient must have one shape, got {m.shape} and {g.shape}; match them")
    layers = _layers(blocks, permutations, m.size)
    size, scale = layers[0][0].shape[0] // len(blocks[0]), like(number(alpha0, "alpha0"), layers[0][0])
    right = [layers[-1][1][:, : m.size]]
    for (_, shuffle), (matrix, _) in zip(layers[-2::-1], layers[:0:-1], strict=True):
        right.insert(0, shuffle @ matrix @ right[0])
    top = layers[0][0] @ right[0]
    left_m, left_g, result = top @ m, top @ g, []
    for place, (matrix, shuffle) in enumerate(layers):
        full = -scale * (np.outer(left_m, right[place] @ g) + np.outer(left_g, right[place] @ m))
        result.append([full[j : j + size, j : j + size] for j in range(0, len(full), size)])
        left_m, left_g = (shuffle.T @ matrix.T @ left for left in (left_m, left_g))
    return np.array(result)


def _layers(blocks: Any, permutations: Any, dimension: int) -> list[tuple[Entries, Entries]]:
    """The dense (B_i, P_i)."""
    values, orders = entries(blocks, "blocks", 4), np.asarray(permutations)
    depth, count, size, width = values.shape
    if size != width or orders.shape != (depth, count * size) or not 1 <= dimension <= count * size:
        raise InputError(
            f"wanted blocks (N, nt/k, k, k), permutations (N, nt) and n <= nt, got {values.shape}, {orders.shape} and "
            f"n = {dimension}; match them"
        )
    if not np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(count * size), (depth, 1))):
        raise InputError("each row of permutations must hold 0..nt-1 once; draw it with numpy's permutation")
    zero = values.flat[0] * 0
    layers = []
    for layer, order in zip(values, orders, strict=True):
        matrix, shuffle = (np.full((len(order), len(order)), zero, dtype=values.dtype) for _ in range(2))
        for place, block in enumerate(layer):
            matrix[place * size : (place + 1) * size, place * size : (place + 1) * size] = block
        shuffle[np.arange(len(order)), order] = zero + 1
        layers.append((matrix, shuffle))
    return layers
