"""LODO: trajectories against the slow reference, the ways of calling it, and what it stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lodo_reference import SlowLODO, formula_blocks, formula_permutations
from torch import Tensor
from torch.nn import Parameter

from l2o_theory.optimizers import LODO, Preconditioner

N, DEPTH, SIZE, LINES, STEPS = 5, 3, 4, 12, 20
HESSIAN = torch.diag(torch.tensor([1.0, 0.7, 0.4, 0.2, 0.1], dtype=torch.float64)) + 0.05
CENTRES = [torch.sin(torch.arange(N, dtype=torch.float64) * (t + 1)) for t in range(STEPS)]
START = torch.linspace(-1, 1, N, dtype=torch.float64)


def bowl(centre: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: (x - centre) @ HESSIAN @ (x - centre) / 2


def preconditioner(scale: float = 0.6, dtype: torch.dtype = torch.float64) -> Preconditioner:
    blocks = scale * formula_blocks(DEPTH, LINES, SIZE)
    return Preconditioner(N, permutations=formula_permutations(DEPTH, LINES), blocks=blocks.to(dtype))


def slow(**options: Any) -> list[Tensor]:
    p = preconditioner()
    return SlowLODO(START, p.blocks, p.permutations, **options).run([bowl(c) for c in CENTRES])


def fast(
    parameters: list[Parameter], optimizer: torch.optim.Optimizer, centres: list[Tensor] = CENTRES
) -> list[Tensor]:
    points = []
    for centre in centres:
        x = torch.cat([p.reshape(-1) for p in parameters]).double()
        points.append(x.detach().clone())
        optimizer.zero_grad()
        bowl(centre)(x).backward()
        optimizer.step()
    return points


def split() -> list[Parameter]:
    return [Parameter(START[:1].clone()), Parameter(START[1:].clone().reshape(2, 2))]


SETTINGS: dict[str, Any] = {"alpha0": 0.1, "meta_lr": 0.01, "beta": 0.4}
# 20 steps of a loop whose errors grow by a small factor each; Adam divides by sqrt(V), which is near 0 in the beginning
TOLERANCE = {"sgd": 1e-9, "adam": 1e-7}


def distance(found: list[Tensor], wanted: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("meta", ["adam", "sgd"])
@pytest.mark.parametrize("beta", [0.0, 0.4])
def test_trajectory_is_the_published_loop(meta: Any, beta: float) -> None:
    settings = {**SETTINGS, "beta": beta}
    wanted = slow(**settings, meta=meta)
    parameters = split()
    optimizer = LODO(parameters, **settings, meta_optimizer=meta, preconditioner=preconditioner())
    found = fast(parameters, optimizer)
    assert distance(found, wanted) < TOLERANCE[meta]
    assert torch.equal(found[0], START)
    frozen = slow(**{**settings, "meta_lr": 0.0}, meta=meta)
    assert distance(frozen, wanted) > 1e-3  # learning shows in these 20 steps
