"""sigma_min of the features and its caps: equality cases, exact zeros, and caps that hold over random networks."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ntk_cases import case

from l2o_theory.errors import InputError
from l2o_theory.ntk.features import feature_sigma_min


def placed(points: list[tuple[float, float]], hidden: Any) -> tuple[Any, Any]:
    """A problem whose first network inputs are these (x_i, g_i): M = I, y = x - g."""
    z = torch.tensor(points, dtype=torch.float64)
    width = len(hidden)
    network = SimpleNamespace(
        weights=[torch.tensor(hidden, dtype=torch.float64), torch.zeros(1, width).double()],
        step_size=1.0,
        order="xg",
        features="full",
        activation="relu",
    )
    count = len(points)
    eye = torch.eye(count).double()[None]
    return network, SimpleNamespace(matrices=eye, targets=(z[:, 0] - z[:, 1])[None], start=z[None, :, 0])


def test_the_pair_bound_is_attained() -> None:
    # two unit vectors at an angle, features equal to the inputs: sigma_min = sqrt(2) sin(angle/2) = the bound
    angle = 0.3
    points = [(math.cos(0.5), math.sin(0.5)), (math.cos(0.5 + angle), math.sin(0.5 + angle))]
    found = feature_sigma_min(*placed(points, [[1, 0], [0, 1]]), 1)
    assert found.sigma_min == pytest.approx(math.sqrt(2) * math.sin(angle / 2), rel=1e-14)
    assert found.pair_bound == pytest.approx(found.sigma_min, rel=1e-13)
    assert (found.rank, found.cone_rank, found.zero_columns) == (2, 2, 0)
    assert found.decay_bound is None  # two coordinates: nothing forces a common sign
    # the planted fault: the bound without its factor sqrt(2) would be violated here
    assert found.sigma_min > found.pair_bound / math.sqrt(2)  # type: ignore[operator]


def test_exact_zeros_are_zeros() -> None:
    dead = feature_sigma_min(*placed([(1, 1), (-1, -1)], [[1, 0], [0, 1], [1, 1]]), 1)
    assert (dead.sigma_min, dead.zero_columns, dead.rank, dead.cone_rank) == (0.0, 1, 1, 1)
    narrow = feature_sigma_min(*placed([(1, 2), (2, 1), (1, 1)], [[1, 0], [0, 1]]), 1)
    assert (narrow.sigma_min, narrow.rank, narrow.cone_rank) == (0.0, 2, 2)
    parallel = feature_sigma_min(*placed([(1, 2), (2, 4)], [[1, 0], [0, 1]]), 1)
    assert parallel.sigma_min == "below resolution"
    assert parallel.pair_bound == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("widths", [(40,), (2, 40), (6, 40)])
@pytest.mark.parametrize("steps", [1, 3])
def test_every_cap_holds(widths: tuple[int, ...], steps: int) -> None:
    tight = 0
    for seed in range(8):
        network, problem = case(1, 3, 4, widths, seed=seed, last=0.5)
        found = feature_sigma_min(network, problem, steps)
        bottom = 0.0 if isinstance(found.sigma_min, str) else found.sigma_min
        assert found.rank <= found.cone_rank  # type: ignore[operator]
        for cap in (found.pair_bound, found.same_sign_bound, found.decay_bound):
            assert cap is not None
            assert bottom <= cap * (1 + 1e-12)  # both from float64 norms
        tight += bottom > 0.05 * min(found.pair_bound, found.same_sign_bound)  # type: ignore[operator,type-var]
    if widths == (40,):
        assert tight > 0  # caps that were twenty times too large would not be noticed otherwise


def test_the_decay_bound_at_the_start_is_the_formula() -> None:
    network, problem = case(1, 3, 4, (5, 7), seed=1, last=0.0)
    gram = torch.linalg.eigvalsh(problem.matrices[0] @ problem.matrices[0].T)
    lipschitz = math.prod(float(torch.linalg.svdvals(weight)[0]) for weight in network.weights[:-1])
    start = float((problem.matrices[0] @ problem.start[0] - problem.targets[0]).norm())
    bounds = [feature_sigma_min(network, problem, steps).decay_bound for steps in (1, 2, 6)]
    for steps, bound in zip((1, 2, 6), bounds, strict=True):
        exact = lipschitz * math.sqrt(float(gram[-1])) * float(1 - gram[0] / gram[-1]) ** (steps - 1) * start
        assert bound == pytest.approx(exact, rel=1e-12)
    assert bounds[2] < bounds[0]  # type: ignore[operator]  # exponentially fewer with every inner step


def test_a_smooth_network_has_no_cones() -> None:
    network, problem = case(1, 3, 4, (20,), activation="softplus")
    found = feature_sigma_min(network, problem, 2)
    assert found.cone_rank is None
    assert found.pair_bound is None
    assert found.rank >= 1


def test_bad_input() -> None:
    network, problem = case(1, 3, 4, (20,))
    with pytest.raises(InputError, match="cut"):
        feature_sigma_min(network, problem, 1, cut=1.0)
    with pytest.raises(InputError, match="width 20 needs"):
        feature_sigma_min(network, problem, 1, memory=10)
    network.weights = [torch.ones(1, 2).double()]
    with pytest.raises(InputError, match="hidden layer"):
        feature_sigma_min(network, problem, 1)
