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
from l2o_theory.optimizers.lodo.native import SKEW, CompilerError, bucket_lines, library
from l2o_theory.optimizers.lodo.preconditioner import Preconditioner
from l2o_theory.optimizers.lodo.routes import number_type

EngineName = Literal["auto", "native", "tensors"]

_log = logging.getLogger(__name__)


class NativeEngine:
    """A step reads or writes arrays of the size of the blocks nine times.

    Sweep with g: up, then down with m and g while all blocks are updated (read and written with both moments). Sweep
    with the new m: up, down. Kept from step to step: what each layer met on the way up.

    Whether h is too large is decided by |d_i| <= k^(i-1) |B_{i-1}| ... |B_1| |top|, largest entries all, before
    anything is changed; only where this bound is not small enough, one more sweep finds the entries of d_i themselves.
    """

    def __init__(self, preconditioner: Preconditioner) -> None:
        p = preconditioner
        self.preconditioner = p
        width = bucket_lines(p.block_size)
        buckets = -(-p.lines // width)
        self._room = p.lines + (buckets - 1) * SKEW
        self._width = width
        self._library()
        self._dealt = torch.empty(2, max(p.depth, 2), self._room, dtype=p.blocks.dtype)  # what the layers met: m, g
        self._cursor = torch.zeros(buckets, dtype=torch.int64)
        self._top = torch.zeros(p.lines, dtype=p.blocks.dtype)
        self._largest = torch.zeros(4, p.depth, dtype=torch.float64)  # up with m, down with m, up with g, down with g
        self._entries = torch.zeros(p.depth, dtype=torch.float64)

    def _library(self) -> ctypes.CDLL:
        p = self.preconditioner  # the library is not kept: it has no pickle
        return library(p.blocks.dtype, p.block_size, number_type(p.lines, self._width))

    def _sizes(self) -> tuple[int, int, int]:
        p = self.preconditioner
        return p.depth, p.lines // p.block_size, self._room

    def _tables(self) -> tuple[int, int]:
        routes = self.preconditioner.routes(self._width)
        return routes.places.data_ptr(), routes.buckets.data_ptr()

    def _up(self, vector: Tensor, which: int) -> Tensor:
        """Gt v; what the layers met is kept."""
        p = self.preconditioner
        lines = padded(vector, p.lines)
        arrays = (lines, self._dealt[which], self._cursor, self._largest[2 * which], self._entries)
        self._library().ascend(p.blocks.data_ptr(), *self._tables(), *(a.data_ptr() for a in arrays), *self._sizes())
        return lines

    def _down(self, top: Tensor, which: int, spare: Tensor) -> Tensor:
        """Gt^T top."""
        lines = top.clone()
        arrays = (lines, spare, self._cursor, self._largest[2 * which + 1])
        blocks = self.preconditioner.blocks.data_ptr()
        self._library().descend(blocks, *self._tables(), *(a.data_ptr() for a in arrays), *self._sizes())
        return lines

    def move(self, m: Tensor) -> Tensor:
        """G(theta) m."""
        self._top = self._up(m, 0)
        lines = self._down(self._top, 0, self._dealt[1])
        return self.preconditioner.alpha0 * lines[: self.preconditioner.n]

    def _small_enough(self, top: Tensor) -> bool:
        p, limit = self.preconditioner, largest_hypergradient(top.dtype)
        up_m, down_m, up_g, down_g = self._largest
        growth = torch.cat([torch.ones(1, dtype=torch.float64), p.block_size * self._entries[:-1]]).cumprod(0)
        bound = growth * float(top.abs().max())
        if p.alpha0 * (down_m * up_g + bound * up_m).max() < limit:  # NaN is not
            return True
        self._down(top, 1, torch.empty(2, self._room, dtype=top.dtype))
        return bool(p.alpha0 * (down_m * up_g + down_g * up_m).max() < limit)

    def learn(self, g: Tensor, meta: Meta) -> bool:
        """One update of all layers, or none."""
        p = self.preconditioner
        top = self._up(g, 1)
        if p.depth and not self._small_enough(top):
            return False
        meta.advance()
        first, second, rate, quick, slow, eps = 0, 0, meta.rate, 0.0, 0.0, 0.0
        if isinstance(meta, MetaAdam):
            first, second, rate = meta.first.data_ptr(), meta.second.data_ptr(), meta.corrected_rate
            quick, slow, eps = 1 - meta.betas[0], 1 - meta.betas[1], meta.eps
        arrays = (self._top, top, self._dealt[0], self._dealt[1], self._cursor)
        self._library().learn(
            *(p.blocks.data_ptr(), first, second, *self._tables()),
            *(array.data_ptr() for array in arrays),
            *(p.alpha0, rate, quick, slow, eps),
            *self._sizes(),
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
