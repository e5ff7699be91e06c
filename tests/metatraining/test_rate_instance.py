"""The exact instance of `ntk/rate/displayed`, by autograd: the polynomials of the claim are what the model does."""

from __future__ import annotations

import pytest
import torch

from l2o_theory.metatraining.unrolled_loss import unrolled_loss
from l2o_theory.optimizers.step_size_network import StepSizeNetwork
from l2o_theory.problems.quadratic_programs import least_squares_programs


@pytest.mark.parametrize("unit", [1.0, 0.1, 0.01, 3.0])
def test_the_instance_of_the_displayed_rate(unit: float) -> None:
    c = unit
    matrix = torch.tensor([[[1.0, 0.0], [0.0, 0.5]]], dtype=torch.float64)
    targets, start = torch.tensor([[c, -2 * c]]).double(), torch.tensor([[c, 0.0]]).double()
    programs = least_squares_programs(matrix, targets, start)
    assert programs.step_sizes.tolist() == [[1.0]]
    assert (programs.beta, programs.beta_0) == pytest.approx((1.0, 0.25))
    weights = (torch.eye(2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64))
    network = StepSizeNetwork(weights, programs.step_sizes)
    features = network.hidden(start, programs.gradient(start))[0].T
    assert float(torch.linalg.svdvals(features)[-1]) == pytest.approx(c, rel=1e-6)  # alpha_0; c is rounded to float32
    for route in ("adjoint", "autograd"):
        found = unrolled_loss(network, programs, 1, route=route)  # type: ignore[arg-type]
        assert float(found.loss) == pytest.approx(9 * c**2 / 8, rel=1e-6)
        assert sum(float(g.square().sum()) for g in found.gradients) == pytest.approx(9 * c**6 / 64, rel=1e-6)
        assert not bool(found.gradients[0].any())
