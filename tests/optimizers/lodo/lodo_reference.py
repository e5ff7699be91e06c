"""LODO the slow way: dense matrices, the hypergradient by autograd through them, Keras's Adam entry by entry.

Shares no code with l2o_theory.optimizers: permutation matrices are filled in entry by entry, blocks placed one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def formula_permutations(depth: int, lines: int) -> Tensor:
    """Row i: j -> (a j + i + 1) mod nt with a coprime to nt."""
    step = next(a for a in range(3, lines + 2) if math.gcd(a, lines) == 1)
    rows = [[(step * j + i + 1) % lines for j in range(lines)] for i in range(depth)]
    return torch.tensor(rows, dtype=torch.long).reshape(depth, lines)


def formula_blocks(depth: int, lines: int, size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """cos(1 + i + 2 b + 3 r + 5 c), plus 1 on the diagonal."""
    values = [
        [
            [[math.cos(1 + i + 2 * b + 3 * r + 5 * c) + (r == c) for c in range(size)] for r in range(size)]
            for b in range(lines // size)
        ]
        for i in range(depth)
    ]
    return torch.tensor(values, dtype=dtype).reshape(depth, lines // size, size, size)


def dense_product(blocks: Tensor, permutations: Tensor) -> Tensor:
    """Gt = B_1 P_1 ... B_N P_N as an (nt, nt) matrix; differentiable in the blocks."""
    depth, count, size, _ = blocks.shape
    lines = count * size
    product = torch.eye(lines, dtype=blocks.dtype)
    for i in range(depth):
        matrix = torch.zeros(lines, lines, dtype=blocks.dtype)
        for b in range(count):
            wide = torch.zeros(lines, lines, dtype=blocks.dtype)
            wide[b * size : (b + 1) * size, b * size : (b + 1) * size] = 1
            place = torch.zeros(lines, size, dtype=blocks.dtype)
            for r in range(size):
                place[b * size + r, r] = 1
            matrix = matrix + place @ blocks[i, b] @ place.T
        permutation = torch.zeros(lines, lines, dtype=blocks.dtype)
        for j in range(lines):
            permutation[j, permutations[i, j]] = 1  # (P x)_j = x[perm[j]]
        product = product @ matrix @ permutation
    return product


def dense_preconditioner(blocks: Tensor, permutations: Tensor, n: int, alpha0: float) -> Tensor:
    """G, (n, n)."""
    left = dense_product(blocks, permutations)[:, :n]
    return alpha0 * left.T @ left


@dataclass
class SlowLODO:
    """The published loop, as written: move, evaluate, differentiate the loss through the move, meta-step, average."""

    x: Tensor
    blocks: Tensor
    permutations: Tensor
    alpha0: float
    meta_lr: float
    beta: float
    meta: str = "adam"
    rates: float | Tensor = 1.0

    def run(self, losses: list[Callable[[Tensor], Tensor]]) -> list[Tensor]:
        """The points at which the losses were evaluated."""
        m = torch.zeros_like(self.x)
        first, second = torch.zeros_like(self.blocks), torch.zeros_like(self.blocks)
        points = []
        for s, loss in enumerate(losses, start=1):
            theta = self.blocks.clone().requires_grad_()
            x = self.x - self.rates * (dense_preconditioner(theta, self.permutations, len(self.x), self.alpha0) @ m)
            points.append(x.detach().clone())
            g, h = torch.autograd.grad(loss(x), [x, theta])
            if self.meta == "sgd":
                self.blocks = self.blocks - self.meta_lr * h
            else:
                first = 0.9 * first + 0.1 * h
                second = 0.999 * second + 0.001 * h * h
                rate = self.meta_lr * math.sqrt(1 - 0.999**s) / (1 - 0.9**s)
                self.blocks = self.blocks - rate * first / (second.sqrt() + 1e-7)
            m = self.beta * m + (1 - self.beta) * g
            self.x = x.detach()
        return points
