"""Starts and weights on any device from one generator; "meta" stands in for CUDA, where no test runs here."""

from __future__ import annotations

import pytest
import torch

from l2o_theory.optimizers import LSTMRule
from l2o_theory.problems import MLP, ConvNet, DoubleWell, Quadratic, RandomQuadratics, Rosenbrock
from l2o_theory.problems.draws import normal
from l2o_theory.problems.trees import tensors


def test_a_generator_of_one_device_serves_all() -> None:
    generator = torch.Generator().manual_seed(0)
    dtype = torch.float32
    family = RandomQuadratics(3, device="meta")
    made = (
        MLP((3, 2)).init(generator, dtype, "meta"),
        ConvNet((1, 2), 4, 3).init(generator, dtype, "meta"),
        LSTMRule().meta(generator, dtype=dtype, device="meta"),
        family.sample(generator),
        family.init(generator),
        Rosenbrock(device="meta").init(generator),
        DoubleWell(None, device="meta").init(generator),
        DoubleWell(device="meta").init(),
    )
    assert {leaf.device.type for leaf in tensors(made)} == {"meta"}


def test_the_draw_is_that_of_the_generator() -> None:
    one, two = (normal((5,), torch.Generator().manual_seed(3), torch.float64) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(one, torch.randn(5, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    assert not torch.equal(one, normal((5,), torch.Generator().manual_seed(4), torch.float64))


@pytest.mark.gpu
def test_the_same_start_on_the_cpu_and_on_cuda() -> None:
    starts = [
        Quadratic(torch.ones(4, device=device)).init(torch.Generator().manual_seed(0)) for device in ("cpu", "cuda")
    ]
    assert torch.equal(starts[0], starts[1].cpu())
