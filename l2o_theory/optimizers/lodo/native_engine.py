"""NativeEngine: the steps of LayeredEngine in the compiled sweeps of sweep.c, for float32 and float64 on the CPU."""

from __future__ import annotations

import ctypes
import logging
from typing import Literal

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo.engine import Engine, LayeredEngine, largest_hypergradient
from l2o_theory.optimizers.lodo.layers import padded
from l2o_theory.optimizers.lodo.meta import Meta, MetaAdam
from l2o_theory.optimizers.lodo.native import CompilerError, library
from l2o_theory.optimizers.lodo.preconditioner import Preconditioner

EngineName = Literal["auto", "native", "tensors"]

_log = logging.getLogger(__name__)


class NativeEngine:
    """A step reads or writes arrays of the size of the blocks nine times, and a tenth time for its check.

    Sweep with g: up, down (to see the largest entry of h), down again while all blocks are updated (read and written
    with both moments). Sweep with the new m: up, down. Kept from step to step: what each layer met on the way up.
    """

    def __init__(self, preconditioner: Preconditioner) -> None:
        p = preconditioner
        self.preconditioner = p
        self._library()
        self._inputs = torch.empty(2, p.depth, p.lines, dtype=p.blocks.dtype)  # of m, of g
        self._spare = torch.empty(2, 2 * p.lines, dtype=p.blocks.dtype)
        self._top = torch.zeros(p.lines, dtype=p.blocks.dtype)
        self._largest = torch.zeros(4, p.depth, dtype=torch.float64)  # up with m, down with m, up with g, down with g

    def _library(self) -> ctypes.CDLL:
        return library(self.preconditioner.blocks.dtype, self.preconditioner.block_size)  # not kept: it has no pickle

    def _sweep(self, vector: Tensor, which: int) -> tuple[Tensor, Tensor]:
        """(Gt v, Gt^T Gt v); inputs[which] and the largest magnitudes are filled."""
        p, native = self.preconditioner, self._library()
        blocks, permutations = p.blocks.data_ptr(), p.indices.data_ptr()
        sizes = (p.depth, p.lines // p.block_size)
        up, down = self._largest[2 * which], self._largest[2 * which + 1]
        lines, spare = padded(vector, p.lines), self._spare[0].data_ptr()
        native.ascend(
            blocks, permutations, lines.data_ptr(), spare, self._inputs[which].data_ptr(), up.data_ptr(), *sizes
        )
        top = lines.clone()
        native.descend(blocks, permutations, lines.data_ptr(), spare, down.data_ptr(), *sizes)
        return top, lines

    def move(self, m: Tensor) -> Tensor:
        """G(theta) m."""
        self._top, lines = self._sweep(m, 0)
        return self.preconditioner.alpha0 * lines[: self.preconditioner.n]

    def learn(self, g: Tensor, meta: Meta) -> bool:
        """One update of all layers, or none."""
        p = self.preconditioner
        top, _ = self._sweep(g, 1)
        if p.depth:
            up_m, down_m, up_g, down_g = self._largest
            if not p.alpha0 * (down_m * up_g + down_g * up_m).max() < largest_hypergradient(g.dtype):  # NaN is refused
                return False
        meta.advance()
        first, second, rate, quick, slow, eps = 0, 0, meta.rate, 0.0, 0.0, 0.0
        if isinstance(meta, MetaAdam):
            first, second, rate = meta.first.data_ptr(), meta.second.data_ptr(), meta.corrected_rate
            quick, slow, eps = 1 - meta.betas[0], 1 - meta.betas[1], meta.eps
        pairs, spare = self._spare
        torch.stack(
            [self._top.view(-1, p.block_size), top.view(-1, p.block_size)], 1, out=pairs.view(-1, 2, p.block_size)
        )
        self._library().learn(
            p.blocks.data_ptr(),
            first,
            second,
            p.indices.data_ptr(),
            self._inputs[0].data_ptr(),
            self._inputs[1].data_ptr(),
            pairs.data_ptr(),
            spare.data_ptr(),
            *(p.alpha0, rate, quick, slow, eps),
            *(p.depth, p.lines // p.block_size),
        )
        return True


def engine_for(preconditioner: Preconditioner, name: EngineName = "auto") -> Engine:
    """The compiled engine where it can be had, else the one of tensor operations.

    Raises:
        InputError: if "native" is asked for and cannot be had; the message says why.
    """
    if name not in ("auto", "native", "tensors"):
        raise InputError(f"engine must be 'auto', 'native' or 'tensors', got {name!r}")
    if name == "tensors":
        return LayeredEngine(preconditioner)
    try:
        if preconditioner.blocks.device.type != "cpu":
            raise CompilerError("the compiled sweeps run on the CPU only")
        return NativeEngine(preconditioner)
    except CompilerError as error:
        if name == "native":
            raise InputError(f"engine='native' cannot be had: {error}; engine='auto' does without") from error
        if preconditioner.blocks.device.type == "cpu":
            _log.warning("LODO runs on tensor operations, several times slower than compiled: %s", error)
        return LayeredEngine(preconditioner)
