"""Restated, the same trajectory: other units of the loss, lr in place of alpha0, another device."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lodo_reference import dense_preconditioner
from torch import Tensor
from torch.nn import Parameter

from l2o_theory.optimizers.lodo import LODO, Preconditioner

N = 6
CURVATURE = torch.linspace(0.1, 1, N, dtype=torch.float64)


def run(scale: float = 1.0, device: str = "cpu", **options: Any) -> Tensor:
    """The end of 25 steps on scale * f."""
    p = Preconditioner(N, 4, 4, generator=torch.Generator().manual_seed(2))
    p.to(torch.device(device))
    x = Parameter(torch.ones(N, dtype=torch.float64, device=device))
    optimizer = LODO([x], preconditioner=p, **{"meta_lr": 0.01, "beta": 0.3, **options})
    for t in range(25):
        centre = torch.cos(torch.arange(N, dtype=torch.float64) * (t + 1))
        x.grad = (scale * CURVATURE * (x.detach().cpu() - centre)).to(device)
        optimizer.step()
    return x.detach().cpu()


@pytest.mark.parametrize("scale", [1e-3, 7.0, 1e4])
def test_the_unit_of_the_loss_goes_into_alpha0(scale: float) -> None:
    """f -> c f with alpha0 -> alpha0/c: m grows by c, G shrinks by c, and h grows by c, which Adam divides out."""
    found = run(scale, alpha0=0.3 / scale, meta_eps=1e-7 * scale)
    assert torch.allclose(found, run(alpha0=0.3), rtol=1e-10)
    assert not torch.allclose(run(scale, alpha0=0.3 / scale, meta_eps=1e-7 * scale, meta_lr=0.02), found, rtol=1e-3)


def test_with_sgd_the_unit_goes_into_the_meta_rate_too() -> None:
    found = run(5.0, alpha0=0.06, meta_lr=0.002, meta_optimizer="sgd")
    assert torch.allclose(found, run(alpha0=0.3, meta_lr=0.01, meta_optimizer="sgd"), rtol=1e-10)
    assert not torch.allclose(run(5.0, alpha0=0.06, meta_lr=0.01, meta_optimizer="sgd"), found, rtol=1e-3)


def test_lr_of_all_groups_is_the_same_as_alpha0() -> None:
    """With one lr the step is (lr alpha0) G m, and so is its derivative."""
    assert torch.allclose(run(alpha0=0.6, lr=0.5), run(alpha0=0.3, lr=1.0), rtol=1e-10)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(1, 6),
    st.sampled_from(["program", "round_up"]),
    st.integers(0, 999),
)
def test_any_shape_is_the_product_of_its_layers(n: int, depth: int, size: int, padding: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    p = Preconditioner(n, depth, size, 0.7, padding=padding, generator=generator)
    p.blocks.add_(torch.randn(p.blocks.shape, generator=generator, dtype=torch.float64) / 4)
    wanted = dense_preconditioner(p.blocks, p.permutations, n, 0.7)
    assert p.lines % size == 0
    assert p.lines >= 2 * n
    assert (p.dense() - wanted).abs().max() < 1e-12 * wanted.abs().max()
    m, g = torch.randn(2, n, generator=generator, dtype=torch.float64)
    leaf = p.blocks.clone().requires_grad_()
    loss = -g @ (dense_preconditioner(leaf, p.permutations, n, 0.7) @ m)
    if depth:
        (h,) = torch.autograd.grad(loss, leaf)
        assert (p.hypergradient(m, g) - h).abs().max() <= 1e-12 * (1 + h.abs().max())


@pytest.mark.gpu
@pytest.mark.parametrize("meta", ["adam", "sgd"])
def test_cuda_takes_the_same_steps(meta: str) -> None:
    assert torch.allclose(run(device="cuda", alpha0=0.3, meta_optimizer=meta), run(alpha0=0.3, meta_optimizer=meta))


@pytest.mark.gpu
def test_a_model_that_moves_to_cuda_takes_its_optimizer_along() -> None:
    model = torch.nn.Linear(4, 2)
    optimizer = LODO(model.parameters())
    for device in ("cpu", "cuda", "cuda", "cpu"):
        model.to(device)
        optimizer.zero_grad()
        model(torch.ones(3, 4, device=device)).square().sum().backward()
        optimizer.step()
        assert optimizer.momentum.device.type == device
        assert optimizer.preconditioner.blocks.device.type == device
