"""The closed forms against the package's own meta-gradient estimators: two routes that share no code."""

from __future__ import annotations

import pytest
import torch

from l2o_theory.metagradients import MetaObjective, first_order, reverse, truncated
from l2o_theory.optimizers.gradient_descent import GradientDescent
from l2o_theory.problems import DoubleWell, Quadratic
from l2o_theory.quadratic import DoubleWellDescent, TruncatedDescent

# eigenvalues, start, step size, N; the step sizes are exact in float64, so that both routes mean the same number
INSTANCES = [
    ([1.0, 0.125], [1.0, 2.0], 0.5, 20),
    ([2.0, 0.375, 0.125], [0.5, 1.0, -2.0], 0.75, 30),
    ([1.0, 0.25, 0.015625], [1.0, -1.0, 3.0], 1.5, 47),
    ([1.0, 0.03125], [1.0, 1.0], 2.125, 40),
    ([4.0], [3.0], 0.0625, 13),
]
WINDOWS = (1, 3, 5, 12, 13)
RELATIVE = 1e-10  # the bar; rounding of a float64 unroll of 50 steps is near 1e-14 times the cancellation


def setting(
    eigenvalues: list[float], start: list[float], eta: float
) -> tuple[TruncatedDescent, Quadratic, torch.Tensor, dict[str, torch.Tensor]]:
    closed = TruncatedDescent(eigenvalues, [x * x for x in start])
    meta = {"step_size": torch.tensor(eta, dtype=torch.float64)}
    return closed, Quadratic(eigenvalues, start=start), torch.tensor(start, dtype=torch.float64), meta


@pytest.mark.parametrize(("eigenvalues", "start", "eta", "horizon"), INSTANCES)
@pytest.mark.parametrize("window", WINDOWS)
def test_truncated_is_full_with_fewer_surviving_steps(
    eigenvalues: list[float], start: list[float], eta: float, horizon: int, window: int
) -> None:
    closed, problem, x, meta = setting(eigenvalues, start, eta)
    rule = GradientDescent()
    pairs = [
        (reverse(rule, problem, meta, horizon, start=x), closed.meta_gradient(eta, horizon)),
        (
            truncated(rule, problem, meta, horizon, window=window, start=x),
            closed.meta_gradient(eta, horizon, window),
        ),
        (first_order(rule, problem, meta, horizon, start=x), closed.first_order(eta, horizon)),
        (
            first_order(rule, problem, meta, horizon, window=window, start=x),
            closed.first_order(eta, horizon, window),
        ),
    ]
    for found, wanted in pairs:
        assert float(found.gradient["step_size"]) == pytest.approx(wanted, rel=RELATIVE, abs=0)
    other = window % horizon + 1
    assert abs(closed.meta_gradient(eta, horizon, other) / pairs[1][1] - 1) > RELATIVE  # another window shows


@pytest.mark.parametrize("window", [1, 4, 7, 11])
def test_final_loss(window: int) -> None:
    eigenvalues, start, eta, _ = INSTANCES[1]
    closed = TruncatedDescent(eigenvalues, [x * x for x in start], "final")
    _, problem, x, meta = setting(eigenvalues, start, eta)
    found = truncated(GradientDescent(), problem, meta, 11, window=window, start=x, objective=MetaObjective("final"))
    assert float(found.gradient["step_size"]) == pytest.approx(
        closed.meta_gradient(eta, 11, window), rel=RELATIVE, abs=0
    )
    if window < 11:
        assert float(found.gradient["step_size"]) != pytest.approx(closed.meta_gradient(eta, 11), rel=RELATIVE)


@pytest.mark.parametrize(("horizon", "window"), [(12, 12), (12, 6), (12, 3), (5, 5)])
def test_double_well(horizon: int, window: int) -> None:
    """Windows that divide N, so that the last one has K steps, as in the closed form."""
    meta = {"step_size": torch.tensor(2.0, dtype=torch.float64)}
    problem = DoubleWell(angle=1.0)
    found = truncated(
        GradientDescent(), problem, meta, horizon, window=window, start=problem.init(), objective=MetaObjective("final")
    )
    wanted = float(DoubleWellDescent(1).meta_gradient(horizon, window))
    # rounding grows like 3^N: 3^12 eps = 1e-10, times a few
    assert float(found.gradient["step_size"]) == pytest.approx(wanted, rel=1e-8, abs=0)
    assert abs(float(DoubleWellDescent(1).meta_gradient(horizon, max(1, window - 1))) / wanted - 1) > 1e-8
