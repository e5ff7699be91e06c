"""ResidualPreconditioner: layers u -> u + w (P u) instead of blocks, and signs in the middle."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from l2o_theory.optimizers.lodo.layers import padded

LAYERS = 64


class ResidualPreconditioner:
    """G = alpha0 [I 0] R^T diag(q) R [I 0]^T,   R = R_1 R_2 ... R_64,   R_i u = u + w_i * (P_i u),   nt = 2n lines.

    Drawn: w_i ~ N(0, 1/64), the permutations P_i; q_0 = 1. Symmetric, but not positive semidefinite: q is free in sign
    (a comment in the authors' program says otherwise). weights is (65, 2n): the rows w_1 ... w_64, then q.

    Source: the authors' program of arXiv 2210.06171.

    Args:
        n: size of the vectors.
        alpha0: > 0.
        layers: 64 in the program; the variance of w_i is one over it.
        generator: on the CPU.
        dtype: of the weights.
    """

    def __init__(
        self,
        n: int,
        alpha0: float = 1.0,
        *,
        layers: int = LAYERS,
        generator: Generator | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.n, self.alpha0 = n, float(alpha0)
        self.indices = torch.stack([torch.randperm(2 * n, generator=generator) for _ in range(layers)]).int()
        gates = torch.randn(layers, 2 * n, generator=generator, dtype=dtype) / layers**0.5
        self.weights = torch.cat([gates, torch.ones(1, 2 * n, dtype=dtype)])

    @property
    def constants(self) -> dict[str, Tensor]:
        """The permutations."""
        return {"permutations": self.indices}

    def load(self, constants: dict[str, Tensor]) -> None:
        """Take over what `constants` returned."""
        self.indices.copy_(constants["permutations"])

    def apply(self, v: Tensor) -> Tensor:
        """G v for v of shape (..., n)."""
        _, top = self._ascend(v)
        return self.alpha0 * self._descend(self.weights[-1] * top)[1][..., : self.n]

    def hypergradient(self, m: Tensor, g: Tensor) -> Tensor:
        """d loss / d (w, q) for the step x - G m, with g the gradient after it; (65, 2n).

            d q = -alpha0 (R m)(R g),   d w_i = -alpha0 [ d_i(q R g) (P_i u_i m) + d_i(q R m) (P_i u_i g) ]

        u_i v is what layer i meets on the way of v to R v, d_i z = (R_1 ... R_{i-1})^T z. Derived here.
        """
        inputs, tops = self._ascend(torch.stack([m, g]))
        outputs, _ = self._descend(self.weights[-1] * tops)
        rows = [d[1] * a[0] + d[0] * a[1] for d, a in zip(outputs, inputs, strict=True)]
        return -self.alpha0 * torch.stack([*rows, tops[0] * tops[1]])

    def to(self, device: torch.device) -> None:
        """Move everything there."""
        self.weights, self.indices = self.weights.to(device), self.indices.to(device)

    def _ascend(self, vectors: Tensor) -> tuple[list[Tensor], Tensor]:
        """(P_1 u_1 ... P_64 u_64, R v)."""
        lines, inputs = padded(vectors, 2 * self.n), []
        for layer in reversed(range(len(self.indices))):
            inputs.append(lines[..., self.indices[layer].long()])
            lines = lines + self.weights[layer] * inputs[-1]
        return inputs[::-1], lines

    def _descend(self, lines: Tensor) -> tuple[list[Tensor], Tensor]:
        """(d_1 ... d_64, R^T u)."""
        outputs = []
        for layer in range(len(self.indices)):
            outputs.append(lines)
            gated = self.weights[layer] * lines
            lines = lines + torch.zeros_like(gated).index_copy(-1, self.indices[layer].long(), gated)
        return outputs, lines
