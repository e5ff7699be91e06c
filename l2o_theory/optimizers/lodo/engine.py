"""Engines: how a preconditioner is applied and learned within an optimizer's step, with what is kept in between."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from l2o_theory.optimizers.lodo.layers import ascend, descend, descending, padded, rank_two
from l2o_theory.optimizers.lodo.meta import Meta
from l2o_theory.optimizers.lodo.preconditioner import Preconditioner


class Engine(Protocol):
    """G(theta) inside the loop x <- x - G m; theta <- MetaOpt(theta, h)."""

    def move(self, m: Tensor) -> Tensor:
        """G(theta) m; what `learn` will need of it is kept."""
        ...

    def learn(self, g: Tensor, meta: Meta) -> bool:
        """theta <- MetaOpt(theta, h) with h of the last move and of the gradient g after it.

        False, and nothing changed, if h is too large for its squares to be finite.
        """
        ...


def largest_hypergradient(dtype: torch.dtype) -> float:
    """Entries of h below this have finite squares, and so do their averages."""
    return float(torch.finfo(dtype).max ** 0.5) / 4


class LayeredEngine:
    """The sweep with m is kept from the move; one more sweep with g gives h layer by layer. Plain tensors, any device.

    Kept are N nt numbers for m, held for a moment are as many for g, and k times as many are never formed at once: the
    way down is taken with m and g together, and each layer is updated as soon as it has been passed.
    """

    def __init__(self, preconditioner: Preconditioner) -> None:
        self.preconditioner = preconditioner
        self._inputs: list[Tensor] = []
        self._top: Tensor | None = None

    def move(self, m: Tensor) -> Tensor:
        """G(theta) m."""
        p = self.preconditioner
        self._inputs, self._top = ascend(p.blocks, p.indices, padded(m, p.lines))
        return p.alpha0 * descend(p.blocks, p.indices, self._top)[: p.n]

    def learn(self, g: Tensor, meta: Meta) -> bool:
        """One update of all layers, or none."""
        p = self.preconditioner
        assert self._top is not None, "learn comes after move"
        inputs, top = ascend(p.blocks, p.indices, padded(g, p.lines))
        tops = torch.stack([self._top, top])
        largest = torch.zeros((), dtype=g.dtype, device=g.device)
        for layer, (of_m, of_g), _ in descending(p.blocks, p.indices, tops):
            bound = of_m.abs().max() * inputs[layer].abs().max() + of_g.abs().max() * self._inputs[layer].abs().max()
            largest = torch.maximum(largest, p.alpha0 * bound)  # NaN stays NaN
        if not largest < largest_hypergradient(g.dtype):
            return False
        meta.advance()
        for layer, (of_m, of_g), _ in descending(p.blocks, p.indices, tops):
            h = rank_two(of_m, inputs[layer], of_g, self._inputs[layer], p.block_size).mul_(-p.alpha0)
            meta.update(layer, p.blocks[layer], h)
        return True


class DirectEngine:
    """Any preconditioner with `apply`, `hypergradient` and `weights`: both formulas evaluated afresh."""

    def __init__(self, preconditioner: Learnable) -> None:
        self.preconditioner = preconditioner
        self._m: Tensor | None = None

    def move(self, m: Tensor) -> Tensor:
        """G(theta) m."""
        self._m = m.clone()
        return self.preconditioner.apply(m)

    def learn(self, g: Tensor, meta: Meta) -> bool:
        """One update of all weights, or none."""
        assert self._m is not None, "learn comes after move"
        h = self.preconditioner.hypergradient(self._m, g)
        if not h.abs().max() < largest_hypergradient(g.dtype):
            return False
        meta.advance()
        meta.update(..., self.preconditioner.weights, h)
        return True


class Learnable(Protocol):
    """A matrix G(theta) that an optimizer can learn; Preconditioner is one."""

    alpha0: float

    @property
    def n(self) -> int:
        """Size of the vectors."""
        ...

    @property
    def weights(self) -> Tensor:
        """theta, one tensor, changed in place by the optimizer."""
        ...

    @property
    def constants(self) -> dict[str, Tensor]:
        """Tensors drawn once and never learned."""
        ...

    def load(self, constants: dict[str, Tensor]) -> None:
        """Take over what `constants` returned."""
        ...

    def apply(self, v: Tensor) -> Tensor:
        """G v."""
        ...

    def hypergradient(self, m: Tensor, g: Tensor) -> Tensor:
        """d loss / d theta of the step x - G m, g the gradient after it."""
        ...

    def to(self, device: torch.device) -> None:
        """Move everything."""
        ...
