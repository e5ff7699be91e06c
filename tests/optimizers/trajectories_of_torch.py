"""The same optimisation twice: through a pure rule, and through torch.optim."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from l2o_theory.optimizers import UpdateRule

TARGET = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
START = {
    "a": torch.tensor([0.3, -1.0, 2.0, 0.7], dtype=torch.float64),
    "b": torch.tensor([[1.5, -0.2], [0.0, 3.0]], dtype=torch.float64),
}


def loss(params: dict[str, Tensor]) -> Tensor:
    """Curved, coupled, not convex."""
    a, b = params["a"], params["b"]
    return ((a - TARGET) ** 4).sum() / 4 + torch.cos(b).sum() + 0.3 * (b.sum() - a.sum()) ** 2


def by_rule(rule: UpdateRule, meta: dict[str, Tensor], steps: int) -> list[dict[str, Tensor]]:
    params, trajectory = dict(START), []
    state = rule.init(params)
    gradient = torch.func.grad(loss)
    for _ in range(steps):
        params, state = rule.update(params, gradient(params), state, meta)
        trajectory.append(params)
    return trajectory


def by_torch(make: Callable[..., torch.optim.Optimizer], steps: int) -> list[dict[str, Tensor]]:
    params = {name: value.clone().requires_grad_() for name, value in START.items()}
    optimizer, trajectory = make(params.values()), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss(params).backward()
        optimizer.step()
        trajectory.append({name: value.detach().clone() for name, value in params.items()})
    return trajectory
