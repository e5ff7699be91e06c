"""Directions in the space of meta-parameters, and the rule as a function of how far one goes along each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped, tensors

MOST_NAMED = 12
"""Up to so many entries of phi each is a direction of its own; beyond, a few random ones stand for all."""
_RANDOM = 4
_STEPS = (1e-3, 1e-4, 1e-5, 1e-6)  # relative changes of phi; between truncation h^2 and rounding 1e-16/h
_ZERO = 0.01  # the size that an entry 0 is taken to have


@dataclass(frozen=True)
class Along:
    """The rule at phi + sum_d s_d v_d, with s of shape (D,) as its meta-parameter.

    Attributes:
        rule: the rule.
        base: phi.
        directions: v_1..v_D stacked in front, a tree of the structure of phi.
    """

    rule: UpdateRule
    base: Params
    directions: Params

    def init(self, params: Params) -> State:
        """The state of the rule."""
        return self.rule.init(params)

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step of the rule."""
        return self.rule.update(params, grads, state, self.at(meta))

    def at(self, distances: Params) -> Params:
        """phi + sum_d s_d v_d."""
        moved: Params = mapped(lambda x, v: x + torch.tensordot(distances, v, 1), self.base, self.directions)
        return moved


def directions(meta: Params, seed: int) -> tuple[Params, tuple[str, ...]]:
    """Directions stacked in front of every leaf, and their names; each entry moves in proportion to its size.

    With up to 12 entries every entry is a direction, so that the derivative along it is dL/d(log phi_i); else four
    random ones.
    """
    leaves = tensors(meta)
    sizes = [torch.where(leaf == 0, torch.full_like(leaf, _ZERO), leaf.abs()) for leaf in leaves]
    count = sum(leaf.numel() for leaf in leaves)
    if count <= MOST_NAMED:
        flat = torch.diag(torch.cat([size.reshape(-1) for size in sizes]))
    else:
        draw = torch.randn(_RANDOM, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        flat = draw.to(leaves[0]) * torch.cat([size.reshape(-1) for size in sizes])
    pieces = iter(torch.split(flat, [leaf.numel() for leaf in leaves], 1))
    stacked: Params = mapped(lambda leaf: next(pieces).reshape(-1, *leaf.shape), meta)
    return stacked, _names(meta) if count <= MOST_NAMED else tuple(f"random {i}" for i in range(1, _RANDOM + 1))


def difference_quotients(value: Callable[[Tensor], Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Central differences of value(s) at s = 0 along each axis, and how far they can be trusted.

    (value(h e_d) - value(-h e_d))/(2 h) for h = 1e-3..1e-6; of neighbouring h the two that agree best give the answer
    and, as their distance, its uncertainty.

    Returns:
        quotients and uncertainties, each of shape (count,), float64.
    """
    basis = torch.eye(count, dtype=torch.float64)
    steps = torch.tensor(_STEPS, dtype=torch.float64)
    points = (steps[:, None, None] * basis).reshape(-1, count)
    points = torch.cat([points, -points])
    try:
        values = torch.func.vmap(value)(points)
    except Exception:  # a rule that vmap cannot take (branches on values) goes point by point
        values = torch.stack([value(point) for point in points])
    above, below = values.reshape(2, len(_STEPS), count)
    quotients = (above - below) / (2 * steps[:, None])
    gaps = (quotients[1:] - quotients[:-1]).abs()
    best = torch.nan_to_num(gaps, nan=torch.inf).argmin(0)
    columns = torch.arange(count)
    return quotients[best + 1, columns], gaps[best, columns]


def _names(meta: Params) -> tuple[str, ...]:
    leaves = {"meta": meta} if isinstance(meta, Tensor) else meta
    found = []
    for name, leaf in leaves.items():
        found += [name] if leaf.numel() == 1 else [f"{name}[{place}]" for place in range(leaf.numel())]
    return tuple(found)
