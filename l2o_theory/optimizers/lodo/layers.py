"""Layers of the preconditioner: block-diagonal times permutation, first to last and back, written with plain tensors.

    Gt = B_1 P_1 B_2 P_2 ... B_N P_N,    (P x)_j = x[perm[j]],    B_i block diagonal with nt/k blocks of k x k

Layer N acts first. Vectors are rows: shape (..., nt). Everything here is differentiable and changes nothing in place.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def block_product(blocks: Tensor, lines: Tensor) -> Tensor:
    """B u for the blocks (nt/k, k, k) of one layer and lines u of shape (..., nt)."""
    count, size, _ = blocks.shape
    product = torch.einsum("brc,...bc->...br", blocks, lines.reshape(*lines.shape[:-1], count, size))
    return product.reshape(lines.shape)


def transposed_product(blocks: Tensor, lines: Tensor) -> Tensor:
    """B^T u, with shapes as in `block_product`."""
    return block_product(blocks.transpose(1, 2), lines)


def padded(vectors: Tensor, lines: int) -> Tensor:
    """[I; 0] v: zeros after the n entries, up to nt lines."""
    return torch.nn.functional.pad(vectors, (0, lines - vectors.shape[-1]))


def ascend(blocks: Tensor, permutations: Tensor, lines: Tensor) -> tuple[list[Tensor], Tensor]:
    """(a_1 ... a_N, Gt u): what each layer multiplies its blocks with, a_i = P_i B_{i+1} P_{i+1} ... B_N P_N u."""
    inputs: list[Tensor] = []
    for layer in reversed(range(len(blocks))):
        lines = lines[..., permutations[layer].long()]
        inputs.append(lines)
        lines = block_product(blocks[layer], lines)
    return inputs[::-1], lines


def descending(blocks: Tensor, permutations: Tensor, lines: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """(i, d_i, P_i^T B_i^T d_i) for layer 1 to N: d_i = (B_1 P_1 ... B_{i-1} P_{i-1})^T u is what B_i^T meets.

    When layer i is handed out it has been passed: its blocks may then be changed.
    """
    for layer in range(len(blocks)):
        below = transposed_product(blocks[layer], lines)
        below = torch.zeros_like(below).index_copy(-1, permutations[layer].long(), below)
        yield layer, lines, below
        lines = below


def descend(blocks: Tensor, permutations: Tensor, lines: Tensor) -> Tensor:
    """Gt^T u."""
    for _, _, below in descending(blocks, permutations, lines):
        lines = below
    return lines


def rank_two(first: Tensor, second: Tensor, other_first: Tensor, other_second: Tensor, size: int) -> Tensor:
    """The entries of first second^T + other_first other_second^T that lie in the blocks; (nt/k, k, k)."""
    d, a, e, b = (lines.reshape(-1, size) for lines in (first, second, other_first, other_second))
    return d[:, :, None] * a[:, None, :] + e[:, :, None] * b[:, None, :]
