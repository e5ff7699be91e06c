from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import optimize

from l2o_theory.errors import InputError
from l2o_theory.problems import DoubleWell, Problem, Rosenbrock


def test_rosenbrock_is_that_of_scipy() -> None:
    x = np.array([0.3, -1.2, 2.0, 0.7])
    problem = Rosenbrock(4)
    at = torch.from_numpy(x)
    assert problem.loss(at).item() == pytest.approx(optimize.rosen(x), rel=1e-14)
    assert np.allclose(torch.func.grad(problem.loss)(at), optimize.rosen_der(x), rtol=1e-13)
    assert problem.init().tolist() == [-1.2, 1.0, -1.2, 1.0]


@pytest.mark.parametrize("problem", [Rosenbrock(3), DoubleWell(), DoubleWell(dimension=3)])
def test_the_minimiser_is_one(problem: Problem) -> None:
    known = problem.constants
    assert isinstance(known.minimiser, torch.Tensor)
    assert known.optimum is not None
    assert problem.loss(known.minimiser).item() == pytest.approx(known.optimum, abs=1e-15)
    assert float(torch.func.grad(problem.loss)(known.minimiser).abs().max()) < 1e-15
    random = torch.randn(1000, len(known.minimiser), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(torch.func.vmap(problem.loss)(random).min()) >= known.optimum
    assert problem.loss(known.minimiser * 0.9).item() > known.optimum + 1e-3


def test_gradient_descent_on_the_double_well_is_a_chebyshev_map() -> None:
    problem = DoubleWell(1.0)
    x = problem.init()
    for step in range(13):
        # errors grow like 3^t
        assert x.item() == pytest.approx((-1) ** step * math.cos(3**step * 1.0), abs=1e-15 * 3**step * 10)
        x = x - 2 * torch.func.grad(problem.loss)(x)
    assert x.item() != pytest.approx(math.cos(3**13), abs=0.1)  # planted: without the sign


def test_random_angles_are_seeded() -> None:
    problem = DoubleWell(None, dimension=2)
    one, same, other = (problem.init(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    with pytest.raises(InputError, match="finite"):
        DoubleWell(math.inf)
    with pytest.raises(InputError, match="dimension"):
        Rosenbrock(1)
