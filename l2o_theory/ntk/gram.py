r"""What a layer adds to a kernel, from its slopes D and inputs G alone:

    K[n, a; m, b] += SUM_{u,v} (D_{n,a,u} . D_{m,b,v}) (G_{n,u} . G_{m,v} + [bias])

A layer that uses its weights at one position adds an elementwise product of two Gram matrices. With more positions, as
in a convolution, either all pairs of positions are summed in this way, or the layer's own piece of the Jacobian,
SUM_u D_{n,a,u} G_{n,u}^T, is formed a few rows of its weight at a time: whichever takes fewer operations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from l2o_theory.ntk import memory as memory_
from l2o_theory.ntk.pieces import Piece

BLOCK_ROWS = 128
"""Rows of a kernel that are worked on at a time: what lies in between stays in the cache, and its memory is reused."""


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
        n, rows, m = target.shape[:3]
        each = 2 * rows * rows * m * target.element_size()
        self.blocks = list(memory_.blocks(n, each, min(allowed, each * max(1, BLOCK_ROWS // rows))))
        most = (self.blocks[0].stop * m, self.blocks[0].stop * rows * m * rows)
        self.scratch = tuple(target.new_empty(size) for size in most)  # reused: new memory costs more than arithmetic
        self.one = target.new_ones(1, 1)

    def add(self, left: Piece, right: Piece) -> None:
        """Add one layer: its slopes (n, R, U, p) and inputs (n, U, q) at both sets of inputs."""
        if left.slopes.shape[2] == right.slopes.shape[2] == 1:
            self._add_products(left, right)
        else:
            if self.empty:
                self.kernel.zero_()
            self._add_positions(left, right)
        self.empty = False

    def result(self) -> Tensor:
        """The kernel, the blocks above the diagonal filled in."""
        if self.symmetric:
            for part in self.blocks[1:]:
                below = self.kernel[part, :, : part.start]
                self.kernel[: part.start, :, part] = below.permute(2, 3, 0, 1)
        return self.kernel

    def _add_products(self, left: Piece, right: Piece) -> None:
        rows, m = self.kernel.shape[1], len(right.slopes)
        d1, d2 = left.slopes[:, :, 0], right.slopes[:, :, 0].reshape(m * rows, -1)
        g1, g2 = (None if side.inputs is None else side.inputs[:, 0] for side in (left, right))
        for part in self.blocks:
            columns = part.stop if self.symmetric else m
            target, count = self.kernel[part, :, :columns], part.stop - part.start
            inputs = None
            if g1 is not None and g2 is not None:
                inputs = self.scratch[0][: count * columns].view(count, columns)
                torch.addmm(self.one, g1[part], g2[:columns].mT, beta=float(left.bias), out=inputs)
            if left.identity and right.identity:
                if self.empty and rows == 1 and inputs is not None:
                    target[:, 0, :, 0] = inputs
                    continue
                if self.empty:
                    target.zero_()
                target.diagonal(dim1=1, dim2=3).add_(1.0 if inputs is None else inputs[..., None])
                continue
            slopes = self.scratch[1][: count * rows * columns * rows].view(count * rows, columns * rows)
            torch.mm(d1[part].reshape(count * rows, -1), d2[: columns * rows].mT, out=slopes)
            factor = slopes.view(count, rows, columns, rows)
            if inputs is not None and self.empty:
                torch.mul(factor, inputs[:, None, :, None], out=target)
            elif inputs is not None:
                target.addcmul_(factor, inputs[:, None, :, None])
            elif self.empty:
                target.copy_(factor)
            else:
                target.add_(factor)

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
