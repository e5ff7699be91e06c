"""The ablations of LODO against dense matrices and autograd, and the published wiring."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo import (
    ABLATIONS,
    AS_PUBLISHED,
    LODO,
    DiagonalPreconditioner,
    ResidualPreconditioner,
    ScalarPreconditioner,
    beta_sweep,
    block_size_sweep,
    depth_sweep,
)

N = 4
M, G = torch.tensor([1.0, -2.0, 0.5, 3.0]).double(), torch.tensor([0.3, 0.7, -1.1, 0.2]).double()


def dense_diagonal(p: Any, w: Tensor) -> Tensor:
    return p.alpha0 * torch.diag(w)


def dense_scalar(p: Any, w: Tensor) -> Tensor:
    return p.alpha0 * w * torch.eye(N, dtype=torch.float64)


def dense_residuals(p: Any, w: Tensor) -> Tensor:
    product = torch.eye(2 * N, dtype=torch.float64)
    for gate, permutation in zip(w[:-1], p.indices.tolist(), strict=True):
        matrix = torch.zeros(2 * N, 2 * N, dtype=torch.float64)
        for j, source in enumerate(permutation):
            matrix[j, source] = 1
        product = product @ (torch.eye(2 * N, dtype=torch.float64) + gate[:, None] * matrix)
    left = product[:, :N]
    return p.alpha0 * left.T @ torch.diag(w[-1]) @ left


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


CASES: list[tuple[Callable[[], Any], Callable[[Any, Tensor], Tensor]]] = [
    (lambda: DiagonalPreconditioner(N, 0.3), dense_diagonal),
    (lambda: ScalarPreconditioner(N, 0.3), dense_scalar),
    (lambda: ResidualPreconditioner(N, 0.3, generator=seeded()), dense_residuals),
    (lambda: ResidualPreconditioner(N, 0.3, layers=3, generator=seeded()), dense_residuals),
]


@pytest.mark.parametrize(("make", "dense"), CASES)
def test_product_and_hypergradient_against_dense_matrices(make: Any, dense: Any) -> None:
    p = make()
    p.weights.add_(torch.linspace(-1, 1, p.weights.numel()).double().reshape(p.weights.shape) / 3)
    w = p.weights.clone().requires_grad_()
    wanted = dense(p, w) @ M
    scale = wanted.abs().max().detach()
    assert (p.apply(M) - wanted).abs().max() < 1e-12 * scale  # 128 layers in float64
    (h,) = torch.autograd.grad(-G @ wanted, w)
    found = p.hypergradient(M, G)
    assert found.shape == h.shape
    assert (found - h).abs().max() < 1e-12 * h.abs().max()
    assert (p.hypergradient(M, M) - h).abs().max() > 0.1 * h.abs().max()  # planted


def test_residuals_are_not_positive_semidefinite() -> None:
    p = ResidualPreconditioner(N, generator=seeded())
    assert p.weights.shape == (65, 2 * N)
    values = torch.linalg.eigvalsh(torch.stack([p.apply(row) for row in torch.eye(N, dtype=torch.float64)]))
    assert values.min() > 0  # at the start q = 1
    p.weights[-1, :] = -1
    assert (M @ p.apply(M)) < 0


def test_random_gates_have_variance_one_over_the_number_of_layers() -> None:
    gates = ResidualPreconditioner(2000, generator=seeded()).weights[:-1]
    assert gates.numel() == 256_000
    assert abs(float(gates.var()) * 64 - 1) < 5 * (2 / gates.numel()) ** 0.5  # five standard errors


def run(optimizer: torch.optim.Optimizer, steps: int = 12, start: int = 0) -> Tensor:
    (x,) = optimizer.param_groups[0]["params"]
    for t in range(start, steps):
        x.grad = torch.tensor([1.0, 0.5, 0.2, 0.1]).double() * (x.detach() - torch.cos(torch.arange(N) + t).double())
        optimizer.step()
    return x.detach().clone()


def fresh() -> Parameter:
    return Parameter(torch.ones(N, dtype=torch.float64))


SETTINGS: dict[str, Any] = {"alpha0": 0.3, "meta_lr": 0.05}


@pytest.mark.parametrize("name", ABLATIONS)
def test_each_steps_and_stores(name: str) -> None:
    options = {} if name in ("LODO-Diagonal", "LODO-Global") else {"generator": seeded()}
    one = ABLATIONS[name]([fresh()], **SETTINGS, **options)
    run(one, 5)
    other = ABLATIONS[name]([Parameter(one.param_groups[0]["params"][0].detach().clone())], **SETTINGS)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    assert torch.equal(run(one, 12, 5), run(other, 12, 5))
    assert torch.isfinite(one.preconditioner.weights).all()


def test_the_diagonal_loop_by_hand() -> None:
    x, w, m = torch.ones(N).double(), torch.ones(N).double(), torch.zeros(N).double()
    for t in range(12):
        x = x - 0.3 * w * m
        g = torch.tensor([1.0, 0.5, 0.2, 0.1]).double() * (x - torch.cos(torch.arange(N) + t).double())
        w = w + 0.05 * 0.3 * g * m
        m = 0.9 * m + 0.1 * g
    found = run(ABLATIONS["LODO-Diagonal"]([fresh()], meta_optimizer="sgd", **SETTINGS))
    assert torch.allclose(found, x - 0.3 * w * m, rtol=1e-12)


def test_names_promise_what_they_make() -> None:
    no_momentum = ABLATIONS["LODO-No-Momentum"]([fresh()], **SETTINGS, generator=seeded())
    assert torch.equal(run(no_momentum), run(LODO([fresh()], beta=0.0, **SETTINGS, generator=seeded())))
    plain = LODO([fresh()], meta_optimizer="sgd", **SETTINGS, generator=seeded())
    assert torch.equal(run(ABLATIONS["LODO-SGD"]([fresh()], **SETTINGS, generator=seeded())), run(plain))


def test_the_published_wiring_is_another_one() -> None:
    assert torch.equal(
        run(AS_PUBLISHED["LODO-Global"]([fresh()], **SETTINGS)), run(ABLATIONS["LODO-Diagonal"]([fresh()], **SETTINGS))
    )
    assert not torch.equal(
        run(AS_PUBLISHED["LODO-Global"]([fresh()], **SETTINGS)), run(ABLATIONS["LODO-Global"]([fresh()], **SETTINGS))
    )
    tuned = AS_PUBLISHED["LODO-No-Momentum, tuning"]([fresh()])
    assert isinstance(tuned.preconditioner, ResidualPreconditioner)
    assert tuned.param_groups[0]["beta"] == 0
    assert AS_PUBLISHED["LNDO"]([fresh()]).preconditioner.alpha0 == 0.001


def test_depth_zero_is_heavy_ball_with_an_average() -> None:
    x, m = torch.ones(N).double(), torch.zeros(N).double()
    for t in range(12):
        m = 0.9 * m + 0.1 * torch.tensor([1.0, 0.5, 0.2, 0.1]).double() * (x - torch.cos(torch.arange(N) + t).double())
        x = x - 0.3 * m
    assert torch.allclose(run(LODO([fresh()], depth=0, **SETTINGS)), x, rtol=1e-13)


def test_block_size_one_is_a_square_and_the_diagonal_is_signed() -> None:
    block = LODO([fresh()], depth=2, block_size=1, **SETTINGS)
    run(block)
    assert torch.linalg.eigvalsh(block.preconditioner.dense()).min() >= 0
    signed = DiagonalPreconditioner(N)
    signed.weights.fill_(-1)
    assert (M @ signed.apply(M)) < 0


def test_sweeps() -> None:
    betas = [run["beta"] for run in beta_sweep(0.9343)]
    assert betas[0] == 0
    assert betas[-1] == pytest.approx(0.9343, rel=1e-14)
    ratios = [(1 - b) / (1 - a) for a, b in itertools.pairwise(betas)]
    assert ratios == pytest.approx([ratios[0]] * 7)
    assert [run["depth"] for run in depth_sweep()] == [0, 4, 8, 12, 16, 20, 24, 28]
    assert [(run["block_size"], run["depth"]) for run in block_size_sweep()][:3] == [(2, 32), (3, 21), (4, 16)]
    with pytest.raises(InputError, match="best must be"):
        beta_sweep(1.0)
