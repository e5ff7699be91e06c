"""The same numbers on a CUDA device; deselected unless asked for with -m gpu."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ntk_cases import case, relative
from torch import nn

from l2o_theory.ntk import empirical_ntk, feature_sigma_min, loss_gradient, residual_ntk

pytestmark = pytest.mark.gpu


def moved(network: Any, problem: Any) -> tuple[Any, Any]:
    step = network.step_size.cuda()
    weights = [weight.cuda() for weight in network.weights]
    device = SimpleNamespace(**{**vars(network), "weights": weights, "step_size": step})
    return device, SimpleNamespace(**{name: value.cuda() for name, value in vars(problem).items()})


@pytest.mark.parametrize("widths", [(2, 300), (8, 16)])
@pytest.mark.parametrize("mode", ["full", "detached"])
def test_unroll(widths: tuple[int, ...], mode: str) -> None:
    network, problem = case(3, 20, 30, widths, seed=1)
    there = moved(network, problem)
    ours, wanted = (loss_gradient(*pair, 5, features=mode) for pair in (there, (network, problem)))
    # float64 on both sides; atomic additions sum in another order
    assert relative([g.cpu() for g in ours.gradients], wanted.gradients) < 1e-12
    kernel, exact = (residual_ntk(*pair, 5, features=mode) for pair in (there, (network, problem)))
    assert isinstance(kernel, torch.Tensor)
    assert relative([kernel.cpu()], [exact]) < 1e-12  # type: ignore[list-item]
    assert feature_sigma_min(*there, 2).cone_rank == feature_sigma_min(network, problem, 2).cone_rank


def test_modules() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 2)
    ).double()
    x = torch.randn(7, 1, 6, 6).double()
    exact = empirical_ntk(module, x)
    assert relative([empirical_ntk(module.cuda(), x.cuda()).cpu()], [exact]) < 1e-12
