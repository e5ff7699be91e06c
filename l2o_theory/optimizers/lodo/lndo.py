"""LNDO: the network of LODO trained to whiten the gradients instead of to lower the loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.optimizers.lodo.engine import LayeredEngine, largest_hypergradient
from l2o_theory.optimizers.lodo.layers import ascend, descending
from l2o_theory.optimizers.lodo.lodo import meta_optimizer_of
from l2o_theory.optimizers.lodo.optimizer import NonFinite, PreconditionedOptimizer
from l2o_theory.optimizers.lodo.preconditioner import Padding, Preconditioner
from l2o_theory.optimizers.lodo.vector import Missing

FORGETTING, LEAST_SQUARE = 0.999, 1e-8


class LNDO(PreconditionedOptimizer):
    """One step, at the point x where the gradient g was taken:

        s     <- root of the average of g^2 (forgetting 0.999, corrected for its start at 0) + 1e-8, entry by entry
        u     =  Gt (g/s, z),   z ~ N(0, 1) on the padding lines, anew at every step
        h     =  d/dtheta [ |u|^2/2 - log|det Gt| ],    d/dB_i = d_i a_i^T - B_i^-T   inside the blocks
        m     <- beta m + (1 - beta) alpha0 [I 0] Gt^T u
        x     <- x - lr m
        theta <- Adam(theta, h)

    a_i is what B_i meets on the way from (g/s, z) to u, d_i what B_i^T meets on the way back. The objective is, up to a
    constant, the divergence from N(0, I) of the law of u, were it normal. Where E u u^T = I theta is at rest: Gt^T Gt
    is then the inverse second moment of (g/s, z). The loss of the task does not enter.

    Source: the class of this name in the authors' program of arXiv 2210.06171 (training/lodo.py), which would stop at
    an undefined name; here it runs. The closed form of h is derived here. The row "LNDO" of that program is made with
    plain LODO: see AS_PUBLISHED.

    Args:
        generator: on the CPU; of permutations, blocks, and the padding of all steps.
        others: as for LODO.
    """

    preconditioner: Preconditioner

    def __init__(
        self,
        params: Iterable[Any],
        alpha0: float = 1.0,
        meta_lr: float = 1e-3,
        beta: float = 0.9,
        depth: int | None = None,
        block_size: int | None = None,
        weight_decay: float = 0.0,
        *,
        lr: float = 1.0,
        meta_betas: tuple[float, float] = (0.9, 0.999),
        meta_eps: float = 1e-7,
        padding: Padding = "program",
        generator: Generator | None = None,
        missing: Missing = "raise",
        nonfinite: NonFinite = "raise",
        dtype: torch.dtype | None = None,
    ) -> None:
        settings = {"lr": lr, "weight_decay": weight_decay, "alpha0": alpha0, "meta_lr": meta_lr, "beta": beta}
        super().__init__(params, settings, dtype=dtype, missing=missing, nonfinite=nonfinite)
        size, kind = self._vector.size, self._vector.dtype
        made = Preconditioner(size, depth, block_size, alpha0, padding=padding, generator=generator, dtype=kind)
        made.to(self._vector.device)
        self._noise = Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
        self._squares, self._count = torch.zeros(size, dtype=kind), 0.0
        self._attach(made, LayeredEngine, meta_optimizer_of("adam", meta_lr, made.blocks, meta_betas, meta_eps))

    def _stepped(self) -> str | None:
        settings, p = self._globals(), self.preconditioner
        g = self._vector.gradient()
        self._follow()
        squares, count = FORGETTING * self._squares + g * g, FORGETTING * self._count + 1
        if not torch.isfinite(squares).all():
            return "the gradient or its square has entries that are NaN or infinite"
        drawn = self._noise.get_state()
        noise = torch.randn(p.lines - p.n, generator=self._noise, dtype=g.dtype).to(g.device)
        whole = torch.cat([g / (squares / count + LEAST_SQUARE).sqrt(), noise])
        h, step = self._slopes(whole)
        if not h.abs().max() < largest_hypergradient(h.dtype):  # NaN is not: a block without an inverse
            self._noise.set_state(drawn)
            return "a block of theta is singular or nearly so"
        self._squares, self._count = squares, count
        self._m.mul_(settings["beta"]).add_(step, alpha=(1 - settings["beta"]) * settings["alpha0"])
        move = self._m * self._vector.rates()
        self._meta.rate, p.alpha0 = settings["meta_lr"], settings["alpha0"]
        self._meta.advance()
        self._meta.update(..., p.blocks, h)
        self._move(move)
        return None

    def _slopes(self, whole: Tensor) -> tuple[Tensor, Tensor]:
        """(h, Gt^T u) for u = Gt whole, the second cut to n entries."""
        p = self.preconditioner
        inputs, lines = ascend(p.blocks, p.indices, whole)
        h = torch.linalg.inv_ex(p.blocks).inverse.transpose(-1, -2).neg()
        for layer, d, below in descending(p.blocks, p.indices, lines):
            h[layer] += d.reshape(-1, p.block_size, 1) * inputs[layer].reshape(-1, 1, p.block_size)
            lines = below
        return h, lines[: p.n]

    def _memory(self) -> dict[str, Any]:
        own = {"squares": self._squares, "count": torch.tensor(self._count, dtype=torch.float64)}
        return {**super()._memory(), **own, "noise": self._noise.get_state()}

    @torch.no_grad()
    def _restore(self, memory: dict[str, Any]) -> None:
        super()._restore(memory)
        self._squares = memory["squares"].to(self._m, copy=True)
        self._count = float(memory["count"])
        self._noise.set_state(memory["noise"].cpu())
        if self._count:
            self._mark()
