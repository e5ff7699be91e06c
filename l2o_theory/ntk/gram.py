r"""What a layer adds to a kernel, from its slopes D and inputs G alone:

    K[n, a; m, b] += SUM_{u,v} (D_{n,a,u} . D_{m,b,v}) (G_{n,u} . G_{m,v} + [bias])

A layer that uses its weights at one position adds an elementwise product of two Gram matrices. With more positions, as
in a convolution, either all pairs of positions are summed in this way, or the layer's own piece of the Jacobian,
SUM_u D_{n,a,u} G_{n,u}^T, is formed a few rows of its weight at a time: whichever takes fewer operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from l2o_theory.ntk import memory as memory_
from l2o_theory.ntk.pieces import Piece

BLOCK_ROWS = 128
"""Rows of a kernel that are worked on at a time: what lies in between stays in the cache, and its memory is reused."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a kernel, and scratch for what is added to them.

    Attributes:
        samples: whose rows.
        columns: how many samples' columns are computed, the first ones.
        target: the kernel there, shape (count, R, columns, R).
        slopes: scratch for a Gram matrix of slopes, shape (count R, columns R).
        inputs: scratch for one of inputs, shape (count, columns).
    """

    samples: slice
    columns: int
    target: Tensor
    slopes: Tensor
    inputs: Tensor


class KernelSum:
    """A kernel (n, R, m, R) to which layers are added one after the other.

    Args:
        target: where it is built, uninitialised, shape (n, R, m, R).
        symmetric: both sets of inputs are the same: only the blocks on and below the diagonal are computed.
        allowed: bytes for what is in between.
    """

    def __init__(self, target: Tensor, *, symmetric: bool, allowed: int) -> None:
        self.kernel, self.symmetric, self.allowed = target, symmetric, allowed
        self.empty = True
        self.last: tuple[Piece, Piece] | None = None
        self.one = target.new_ones(1, 1)
        self.blocks = list(self._divided())

    def _divided(self) -> Iterator[Block]:
        n, rows, m = self.kernel.shape[:3]
        each = 2 * rows * rows * m * self.kernel.element_size()
        parts = list(memory_.blocks(n, each, min(self.allowed, each * max(1, BLOCK_ROWS // rows))))
        most = parts[0].stop * m  # one scratch for all blocks: new memory costs more than arithmetic
        slopes, inputs = self.kernel.new_empty(most * rows * rows), self.kernel.new_empty(most)
        for part in parts:
            count, columns = part.stop - part.start, part.stop if self.symmetric else m
            size = count * columns
            products = slopes[: size * rows * rows].view(count * rows, columns * rows)
            yield Block(part, columns, self.kernel[part, :, :columns], products, inputs[:size].view(count, columns))

    def add(self, left: Piece, right: Piece) -> None:
        """Add one layer: its slopes (n, R, U, p) and inputs (n, U, q) at both sets of inputs."""
        if left.identity and right.identity and (self.kernel.shape[1] > 1 or left.inputs is None):
            self.last = (left, right)  # diagonal in the outputs: it waits until the others have filled the kernel
            return
        if left.slopes.shape[2] == right.slopes.shape[2] == 1:
            self._add_products(left, right)
        else:
            if self.empty:
                self.kernel.zero_()
            self._add_positions(left, right)
        self.empty = False

    def result(self) -> Tensor:
        """The kernel, with the last layer's part and the blocks above the diagonal filled in."""
        if self.empty:
            self.kernel.zero_()
        for block in self.blocks:
            if self.last is not None:
                inputs = self._inputs(*self.last, block, block.inputs)
                block.target.diagonal(dim1=1, dim2=3).add_(1.0 if inputs is None else inputs[..., None])
            begin = block.samples.start
            if self.symmetric and begin > 0:
                self.kernel[:begin, :, block.samples] = block.target[:, :, :begin].permute(2, 3, 0, 1)
        return self.kernel

    def _inputs(self, left: Piece, right: Piece, block: Block, out: Tensor) -> Tensor | None:
        """G_n . G_m + [bias] for the samples of a block, written to `out`; None if the weight is not trained."""
        if left.inputs is None or right.inputs is None:
            return None
        g1, g2 = left.inputs[block.samples, 0], right.inputs[: block.columns, 0]
        return torch.addmm(self.one, g1, g2.mT, beta=float(left.bias), out=out)

    def _add_products(self, left: Piece, right: Piece) -> None:
        rows = self.kernel.shape[1]
        d1, d2 = (side.slopes.reshape(len(side.slopes) * rows, -1) for side in (left, right))
        for block in self.blocks:
            if self.empty and left.identity and right.identity:  # one row: D is 1
                self._inputs(left, right, block, block.target[:, 0, :, 0])
                continue
            inputs = self._inputs(left, right, block, block.inputs)
            begin, end = block.samples.start * rows, block.samples.stop * rows
            factor = torch.mm(d1[begin:end], d2[: block.columns * rows].mT, out=block.slopes).view(block.target.shape)
            if inputs is None:
                block.target.copy_(factor) if self.empty else block.target.add_(factor)
            elif self.empty:
                torch.mul(factor, inputs[:, None, :, None], out=block.target)
            else:
                block.target.addcmul_(factor, inputs[:, None, :, None])

    def _add_positions(self, left: Piece, right: Piece) -> None:
        d1, g1, d2, g2 = left.slopes, left.inputs, right.slopes, right.inputs
        n, rows, positions, out = d1.shape
        m = len(d2)
        if left.bias:
            s1, s2 = d1.sum(2).flatten(0, 1), d2.sum(2).flatten(0, 1)
            self.kernel += (s1 @ s2.mT).view(n, rows, m, rows)
        if g1 is None or g2 is None:
            return
        width = g1.shape[2]
        pairs = n * m * positions * d2.shape[2]
        by_gram = pairs * (rows * rows * (out + 2) + width)
        by_jacobian = (n + m) * rows * positions * out * width + n * m * rows * rows * out * width
        if by_gram < by_jacobian:
            self._add_pairs(d1, g1, d2, g2)
            return
        for part in memory_.blocks(out, (n + m) * rows * width * d1.element_size(), self.allowed // 2):
            j1 = torch.einsum("naup,nuq->napq", d1[..., part], g1).reshape(n * rows, -1)
            j2 = j1 if d1 is d2 else torch.einsum("naup,nuq->napq", d2[..., part], g2).reshape(m * rows, -1)
            self.kernel += (j1 @ j2.mT).view(n, rows, m, rows)

    def _add_pairs(self, d1: Tensor, g1: Tensor, d2: Tensor, g2: Tensor) -> None:
        (n, rows, u, out), (m, v) = d1.shape, (d2.shape[0], d2.shape[2])
        columns, inputs = d2.reshape(m * rows * v, out).mT, g2.reshape(m * v, -1).mT
        each = 2 * u * v * m * (rows * rows + 1) * d1.element_size()
        for part in memory_.blocks(n, each, self.allowed):
            slopes = (d1[part].reshape(-1, out) @ columns).view(-1, rows, u, m, rows, v)
            slopes *= (g1[part].reshape(-1, g1.shape[2]) @ inputs).view(-1, 1, u, m, 1, v)
            self.kernel[part] += slopes.sum((2, 5))
