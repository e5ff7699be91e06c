"""Preconditioner: a symmetric positive semidefinite matrix with O(n log n) parameters, built like a sorting network."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo.layers import ascend, descend, descending, padded, rank_two
from l2o_theory.optimizers.lodo.routes import Routes
from l2o_theory.optimizers.lodo.shape import Shape

Padding = Literal["program", "round_up"]


class Preconditioner:
    """G(theta) = alpha0 [I 0] Gt^T Gt [I 0]^T with Gt = B_1 P_1 B_2 P_2 ... B_N P_N, n x n and never formed.

    Each B_i is block diagonal, P_i is a fixed random permutation, (P x)_j = x[perm[j]]. Layer N acts first. The blocks
    start as random orthogonal matrices, so that G = alpha0 I to rounding. One product costs 2 N nt k multiply-adds.

    Source: arXiv 2210.06171, its architecture figure and the authors' program.

    >>> preconditioner = Preconditioner(3, depth=2, block_size=2, alpha0=0.5)
    >>> preconditioner.apply(torch.tensor([2.0, 4.0, 6.0], dtype=torch.float64)).round(decimals=12)
    tensor([1., 2., 3.], dtype=torch.float64)

    Args:
        n: size of the vectors.
        depth: N; 16, or that of `blocks` or `permutations`, where it is not given. 0 is G = alpha0 I.
        block_size: k; 4, or that of `blocks`, where it is not given.
        alpha0: > 0, never learned.
        permutations: (depth, nt), drawn where not given.
        blocks: theta, (depth, nt/k, k, k); not copied if contiguous. Random orthogonal where not given.
        padding: the number of lines nt. "program": 2n + k - (2n mod k), as the authors' program has it; "round_up": the
            smallest multiple of k from 2n on, one block less where k divides 2n.
        generator: on the CPU; the source of what is drawn.
        dtype: of the blocks; that of `blocks`, or float64 where it is not given.
        device: of the blocks; that of `blocks`, or the CPU where it is not given.

    Raises:
        InputError: for sizes that do not fit each other, permutations that are none, or alpha0 not in (0, inf).
    """

    def __init__(
        self,
        n: int,
        depth: int | None = None,
        block_size: int | None = None,
        alpha0: float = 1.0,
        permutations: Tensor | None = None,
        blocks: Tensor | None = None,
        padding: Padding = "program",
        generator: Generator | None = None,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if not 0 < alpha0 < math.inf:
            raise InputError(f"alpha0 must be a positive number, got {alpha0}")
        self.shape = Shape.of(n, depth, block_size, permutations, blocks, padding)
        self.alpha0 = float(alpha0)
        if dtype is None:
            dtype = torch.float64 if blocks is None else blocks.dtype
        if not dtype.is_floating_point:
            raise InputError(f"the blocks must be real floating-point numbers, got {dtype}; pass dtype=torch.float64")
        if device is None:
            device = torch.device("cpu") if blocks is None else blocks.device
        if permutations is None:
            permutations = self.shape.random_permutations(generator)
        self._permutations: Tensor | Routes = permutations.to(device=device, dtype=torch.int32, copy=True)
        if blocks is None:
            blocks = self.shape.random_blocks(generator, dtype)
        self._blocks = blocks.to(device=device, dtype=dtype).contiguous()

    @property
    def n(self) -> int:
        """Size of the vectors."""
        return self.shape.n

    @property
    def depth(self) -> int:
        """N, the number of layers."""
        return self.shape.depth

    @property
    def block_size(self) -> int:
        """k."""
        return self.shape.block_size

    @property
    def dtype(self) -> torch.dtype:
        """Of the blocks."""
        return self._blocks.dtype

    @property
    def lines(self) -> int:
        """nt, the length of the padded vectors."""
        return self.shape.lines

    @property
    def blocks(self) -> Tensor:
        """theta, (depth, nt/k, k, k): entry i holds B_{i+1}. Can be set; in an optimizer, before its first step."""
        return self._blocks

    @blocks.setter
    def blocks(self, blocks: Tensor) -> None:
        if blocks.shape != self._blocks.shape:
            raise InputError(f"blocks must have shape {tuple(self._blocks.shape)}, got {tuple(blocks.shape)}")
        self._blocks = blocks.to(self._blocks).contiguous()

    @property
    def indices(self) -> Tensor:
        """The permutations as int32: half the memory of int64. Not to be changed in place."""
        kept = self._permutations
        return kept.indices() if isinstance(kept, Routes) else kept

    def routes(self, width: int) -> Routes:
        """The permutations in the form that the compiled sweeps follow; from now on only this form is kept."""
        kept = self._permutations
        if not isinstance(kept, Routes) or kept.width != width:
            kept = self._permutations = Routes(self.indices, width)
        return kept

    @property
    def permutations(self) -> Tensor:
        """(depth, nt), int64, a copy: row i holds perm of P_{i+1}. Can be set, as `blocks`."""
        return self.indices.long()

    @permutations.setter
    def permutations(self, permutations: Tensor) -> None:
        Shape.of(self.n, self.depth, self.block_size, permutations, self._blocks, "program")
        self._permutations = permutations.to(device=self._blocks.device, dtype=torch.int32, copy=True)

    @property
    def weights(self) -> Tensor:
        """What is learned: the blocks."""
        return self.blocks

    @property
    def constants(self) -> dict[str, Tensor]:
        """What is drawn once and never learned: the permutations, as int32."""
        return {"permutations": self.indices}

    def load(self, constants: dict[str, Tensor]) -> None:
        """Take over what `constants` returned."""
        self.permutations = constants["permutations"]

    def to(self, device: torch.device) -> None:
        """Move everything there."""
        self._blocks, self._permutations = self._blocks.to(device), self.indices.to(device)

    def apply(self, v: Tensor) -> Tensor:
        """G v for v of shape (..., n); differentiable in v and in the blocks.

        Raises:
            InputError: if the last dimension of v is not n.
        """
        top = ascend(self.blocks, self.indices, self._lines(v))[1]
        return self.alpha0 * descend(self.blocks, self.indices, top)[..., : self.n]

    def dense(self) -> Tensor:
        """G as an (n, n) tensor."""
        return self.apply(torch.eye(self.n, dtype=self.blocks.dtype, device=self.blocks.device))

    def hypergradient(self, m: Tensor, g: Tensor) -> Tensor:
        """d loss / d blocks for the step x_{t+1} = x_t - G m_t, with g the gradient of the loss at x_{t+1}.

            d loss / d B_i = - alpha0 [ (L_i^T M m)(R_i g)^T + (L_i^T M g)(R_i m)^T ],   entries inside the blocks,

        M = Gt [I; 0], L_i the layers left of B_i and R_i those right of it: one sweep with m, one with g, no graph.
        m and g are constants of shape (n,). Derived here; arXiv 2210.06171 differentiates a graph instead.

        Raises:
            InputError: if m or g is not of shape (n,).
        """
        for name, vector in (("m", m), ("g", g)):
            if vector.shape != (self.n,):
                raise InputError(f"{name} must have shape ({self.n},), got {tuple(vector.shape)}")
        with torch.no_grad():
            inputs, tops = ascend(self.blocks, self.indices, self._lines(torch.stack([m, g])))
            result = torch.empty_like(self.blocks)
            for layer, d, _ in descending(self.blocks, self.indices, tops):
                a = inputs[layer]
                result[layer] = rank_two(d[0], a[1], d[1], a[0], self.block_size)
            return result.mul_(-self.alpha0)

    def _lines(self, vectors: Tensor) -> Tensor:
        if vectors.ndim == 0 or vectors.shape[-1] != self.n:
            raise InputError(f"the last dimension of a vector must be {self.n}, got shape {tuple(vectors.shape)}")
        return padded(vectors.to(self.blocks), self.lines)
