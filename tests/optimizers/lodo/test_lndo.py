"""LNDO against dense matrices and autograd, the identity that its slopes obey, and the whitening it is made for."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo import ABLATIONS, LNDO

N, DEPTH, SIZE = 5, 3, 2


def made(**options: Any) -> tuple[LNDO, Parameter]:
    x = Parameter(torch.linspace(-1, 1, N, dtype=torch.float64))
    options = {"generator": torch.Generator().manual_seed(2), "alpha0": 0.1, "beta": 0.4, "meta_lr": 0.01, **options}
    return LNDO([x], depth=DEPTH, block_size=SIZE, **options), x


def gradient(x: Tensor, step: int) -> Tensor:
    return torch.tensor([1.0, 0.5, 0.2, 0.1, 2.0]).double() * (x.detach() - torch.cos(torch.arange(N) + step).double())


def run(optimizer: LNDO, x: Parameter, steps: range) -> Tensor:
    for step in steps:
        x.grad = gradient(x, step)
        optimizer.step()
    return x.detach().clone()


def dense(blocks: Tensor, permutations: Tensor) -> Tensor:
    """Gt, multiplied out; differentiable in the blocks."""
    product = torch.eye(permutations.shape[1], dtype=torch.float64)
    for layer, row in zip(blocks, permutations, strict=True):
        product = product @ torch.block_diag(*layer) @ torch.eye(len(row), dtype=torch.float64)[row]
    return product


def by_hand(steps: int, *, penalty: float = 1.0) -> Tensor:
    """The loop of the docstring with dense matrices, slogdet and autograd."""
    optimizer, x = made()
    p, noise = optimizer.preconditioner, copy.deepcopy(optimizer._noise)
    theta, point = p.blocks.clone(), x.detach().clone()
    first, second = torch.zeros_like(theta), torch.zeros_like(theta)
    seen, m = [], torch.zeros(N, dtype=torch.float64)
    for step in range(steps):
        g = gradient(point, step)
        seen.append(g * g)
        ages = 0.999 ** torch.arange(len(seen) - 1, -1, -1, dtype=torch.float64)
        s = ((ages[:, None] * torch.stack(seen)).sum(0) / ages.sum() + 1e-8).sqrt()
        leaf = theta.clone().requires_grad_()
        matrix = dense(leaf, p.permutations)
        u = matrix @ torch.cat([g / s, torch.randn(p.lines - N, generator=noise, dtype=torch.float64)])
        (h,) = torch.autograd.grad(u @ u / 2 - penalty * torch.linalg.slogdet(matrix).logabsdet, leaf)
        m = 0.4 * m + 0.6 * 0.1 * (matrix.T @ u).detach()[:N]
        point = point - m
        first, second = 0.9 * first + 0.1 * h, 0.999 * second + 0.001 * h * h
        rate = 0.01 * math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
        theta = theta - rate * first / (second.sqrt() + 1e-7)
    return point


def test_the_loop_by_hand() -> None:
    """Planted: the determinant counted twice."""
    found = run(*made(), range(15))
    assert (found - by_hand(15)).abs().max() < 1e-7  # Adam divides by sqrt V, near 0 in some entries
    assert (found - by_hand(15, penalty=2.0)).abs().max() > 1e-3


def test_slopes_obey_the_identity_of_scaling() -> None:
    """B_i -> c B_i changes |u|^2/2 by c^2 and log|det Gt| by nt log c: <B_i, h_i> = |u|^2 - nt in every layer."""
    optimizer, x = made()
    run(optimizer, x, range(5))
    p = optimizer.preconditioner
    whole = torch.sin(torch.arange(p.lines) + 1.0).double()
    h, _ = optimizer._slopes(whole)
    u = dense(p.blocks, p.permutations) @ whole
    for layer in range(DEPTH):
        assert float((p.blocks[layer] * h[layer]).sum()) == pytest.approx(float(u @ u) - p.lines, abs=1e-12 * p.lines)
    assert abs(float((p.blocks[0] * h[1]).sum()) - float(u @ u) + p.lines) > 1e-3  # planted: slopes of another layer


def test_gradients_become_white() -> None:
    """Correlated gradients: the second moment of (g/s, z), seen through Gt, comes closer to I."""
    root = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [-0.8, 0.4, 0.3]]).double()
    scale = (root @ root.T).diagonal().sqrt()
    moment = root @ root.T / scale[:, None] / scale
    x = Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = LNDO([x], depth=6, block_size=2, meta_lr=0.01, generator=torch.Generator().manual_seed(1))

    def gap() -> float:
        p = optimizer.preconditioner
        matrix = dense(p.blocks, p.permutations)
        whole = torch.block_diag(moment, torch.eye(p.lines - 3, dtype=torch.float64))
        return float((matrix @ whole @ matrix.T - torch.eye(p.lines, dtype=torch.float64)).norm())

    draws, start = torch.Generator().manual_seed(0), gap()
    for meta_lr, steps in ((0.01, 300), (0.003, 300), (0.001, 300), (0.0, 10)):
        optimizer.param_groups[0]["meta_lr"], before = meta_lr, gap()
        for _ in range(steps):
            x.grad = root @ torch.randn(3, generator=draws, dtype=torch.float64)
            optimizer.step()
    assert gap() == before  # planted: nothing is learned at rate 0
    assert gap() < 0.5 * start


def test_stored_copied_and_loaded_it_goes_on_bit_for_bit() -> None:
    first, x = made()
    run(first, x, range(5))
    twin = copy.deepcopy(first)
    y = Parameter(x.detach().clone())
    second = LNDO([y], depth=DEPTH, block_size=SIZE)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    wanted = run(first, x, range(5, 12))
    assert torch.equal(run(second, y, range(5, 12)), wanted)
    assert torch.equal(run(twin, twin.param_groups[0]["params"][0], range(5, 12)), wanted)
    third, z = made()
    run(third, z, range(5))
    third._noise.manual_seed(0)  # planted: the padding is part of the state
    assert not torch.equal(run(third, z, range(5, 12)), wanted)


@pytest.mark.parametrize("fault", ["nan", "huge", "singular"])
def test_what_it_cannot_step_with_is_refused_and_nothing_changes(fault: str) -> None:
    optimizer, x = made()
    run(optimizer, x, range(3))
    x.grad = torch.full_like(x, {"nan": float("nan"), "huge": 1e200, "singular": 1.0}[fault])
    if fault == "singular":
        optimizer.preconditioner.blocks[1, 0] = 0
    before = copy.deepcopy((optimizer.state_dict()["state"][0], x.detach()))
    with pytest.raises(InputError, match="nothing was changed"):
        optimizer.step()
    after = (optimizer.state_dict()["state"][0], x.detach())
    assert torch.equal(before[1], after[1])
    assert all(torch.equal(value, after[0][name]) for name, value in before[0].items() if isinstance(value, Tensor))
    optimizer.nonfinite = "skip"
    optimizer.step()
    assert optimizer.skipped == 1


def test_a_state_of_lodo_is_refused() -> None:
    optimizer, x = made()
    lodo = ABLATIONS["LODO"]([Parameter(x.detach().clone())], depth=DEPTH, block_size=SIZE)
    with pytest.raises(InputError, match="must have shape"):
        optimizer.load_state_dict(lodo.state_dict())
