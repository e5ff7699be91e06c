"""The hand-written adjoint against autograd, differences and an exact instance; both modes, both evaluations."""

from __future__ import annotations

import warnings
from fractions import Fraction
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from ntk_cases import case, plain_gradient, plain_jacobian, plain_residual, relative

from l2o_theory.errors import InputError, LongStepWarning
from l2o_theory.ntk import convergence_certificate, feature_sigma_min, residual_ntk
from l2o_theory.ntk.adjoint import loss_gradient, pull_back, push_forward
from l2o_theory.ntk.network import Angular, Dense, network_of
from l2o_theory.ntk.unroll import LOOP_FROM, unroll

WIDTHS = [(16,), (2, 60), (5, 7), (3, 2, 50), (4, 3, 5)]
# both sides sum the same few thousand products in float64, in another order
ROUNDING = 1e-12


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("mode", ["full", "detached"])
@pytest.mark.parametrize(("activation", "order"), [("relu", "gx"), ("softplus", "xg")])
def test_gradient_is_that_of_autograd(widths: tuple[int, ...], mode: str, activation: str, order: str) -> None:
    network, problem = case(2, 3, 4, widths, activation=activation, order=order, seed=3)
    loss, gradients = plain_gradient(network, problem, 5, mode)
    angular = activation == "relu" and (2, *widths)[-2] == 2
    for evaluation in ["dense", "angular"] if angular else ["dense"]:
        ours = loss_gradient(network, problem, 5, features=mode, evaluation=evaluation)
        assert float(ours.loss) == pytest.approx(float(loss), rel=ROUNDING)
        assert relative(ours.gradients, gradients) < ROUNDING
        assert float(ours.squared_norm) == pytest.approx(sum(float((g * g).sum()) for g in gradients), rel=1e-11)


def test_the_modes_differ_and_only_full_is_the_gradient() -> None:
    network, problem = case(2, 3, 4, (16, 8), seed=4, activation="softplus")
    full = loss_gradient(network, problem, 4, features="full").gradients
    detached = loss_gradient(network, problem, 4, features="detached").gradients
    generator = torch.Generator().manual_seed(1)
    direction = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in network.weights]
    h = 1e-5  # central differences: error h^2 times third derivatives, and rounding 1e-16/h

    def loss(sign: float) -> float:
        moved = [w + sign * h * v for w, v in zip(network.weights, direction, strict=True)]
        return float(plain_residual(network, problem, 4, "full", moved).square().sum() / 2)

    slope = (loss(1) - loss(-1)) / (2 * h)
    along = [
        sum(float((g * v).sum()) for g, v in zip(gradient, direction, strict=True)) for gradient in (full, detached)
    ]
    assert along[0] == pytest.approx(slope, rel=1e-7)
    assert abs(along[1] - slope) > 1e-3 * abs(slope)  # the planted fault: a detached gradient


def test_modes_agree_where_the_last_layer_is_zero() -> None:
    network, problem = case(2, 3, 4, (16, 8), seed=5, last=0.0)
    full, detached = (loss_gradient(network, problem, 4, features=mode) for mode in ("full", "detached"))
    assert bool((full.trajectory.multipliers == 1).all())  # 2 sigmoid(0) = 1 exactly
    assert relative(full.gradients, detached.gradients) == 0
    assert all(not gradient.any() for gradient in full.gradients[:-1])  # the first update moves W_L only
    assert bool(full.gradients[-1].any())


def test_pull_back_and_push_forward_are_the_jacobian() -> None:
    for widths, mode in [((2, 60), "full"), ((2, 60), "detached"), ((6, 5), "full"), ((6, 5), "detached")]:
        network, problem = case(3, 3, 4, widths, seed=6)
        jacobian = plain_jacobian(network, problem, 4, mode)
        run = unroll(network, problem, 4, features=mode)
        assert isinstance(run.network, Angular if widths[0] == 2 else Dense)
        trajectory, generator = run.run(), torch.Generator().manual_seed(2)
        vector = torch.randn(3, 3, generator=generator, dtype=torch.float64)
        direction = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in network.weights]
        pulled = torch.cat([part.flatten() for part in pull_back(run, trajectory, vector)])
        assert relative([pulled], [jacobian.T @ vector.flatten()]) < ROUNDING
        pushed = push_forward(run, trajectory, direction).flatten()
        assert relative([pushed], [jacobian @ torch.cat([v.flatten() for v in direction])]) < ROUNDING


@pytest.mark.parametrize("mode", ["full", "detached"])
def test_twenty_training_steps_stay_together(mode: str) -> None:
    network, problem = case(2, 3, 4, (2, 60), seed=9)
    reference, _ = case(2, 3, 4, (2, 60), seed=9)
    for _ in range(20):
        ours = loss_gradient(network, problem, 4, features=mode)
        loss, gradients = plain_gradient(reference, problem, 4, mode)
        # the bar is 1e-6 after training; rounding grows by a factor per step at most
        assert float(ours.loss) == pytest.approx(float(loss), rel=1e-10)
        assert relative(ours.gradients, gradients) < 1e-9
        for net, found in ((network, ours.gradients), (reference, gradients)):
            net.weights = [w - 0.5 * g for w, g in zip(net.weights, found, strict=True)]
    first = plain_gradient(case(2, 3, 4, (2, 60), seed=9)[0], problem, 4, mode)[0]
    assert float(loss) < 0.99 * float(first)  # something was learned


def test_losses_are_exact_on_a_rational_instance() -> None:
    # M = [3/4], y = 1/2, x_0 = 2, tau = 1, W_L = 0: r_t = (1 - 9/16)^t (3/2 - 1/2), every number dyadic
    network = SimpleNamespace(
        weights=[torch.ones(3, 2).double(), torch.zeros(1, 3).double()],
        step_size=1.0,
        order="xg",
        features="full",
        activation="relu",
    )
    problem = SimpleNamespace(
        matrices=torch.tensor([[[0.75]]]).double(),
        targets=torch.tensor([[0.5]]).double(),
        start=torch.tensor([[2.0]]).double(),
    )
    losses = loss_gradient(network, problem, 6).trajectory.losses.tolist()
    exact = [Fraction(7, 16) ** (2 * t) / 2 for t in range(7)]
    assert [Fraction(loss) for loss in losses[:4]] == exact[:4]  # 7^6 and 16^6 fit the mantissa
    assert losses == pytest.approx([float(value) for value in exact], rel=1e-15)


def test_large_matrices_take_the_loop_and_give_the_same() -> None:
    network, problem = case(2, 128, 129, (2, 50), seed=7)
    assert problem.matrices[0].numel() >= LOOP_FROM
    loss, gradients = plain_gradient(network, problem, 3, "full")
    ours = loss_gradient(network, problem, 3, features="full")
    assert float(ours.loss) == pytest.approx(float(loss), rel=ROUNDING)
    assert relative(ours.gradients, gradients) < ROUNDING


def test_float32_stays_float32() -> None:
    network, problem = case(2, 3, 4, (2, 60), dtype=torch.float32, seed=8)
    ours = loss_gradient(network, problem, 3)
    assert all(gradient.dtype == torch.float32 for gradient in ours.gradients)
    exact, same = case(2, 3, 4, (2, 60), seed=8)
    # a unit whose kink lies within 1e-7 of an input could flip; none does here
    assert relative([g.double() for g in ours.gradients], plain_gradient(exact, same, 3, "full")[1]) < 1e-5


def test_ties_and_zeros_follow_the_layers() -> None:
    # inputs on the axes or 0, units on the axes, parallel, opposite or 0: as the program's first layer makes them
    z = torch.tensor([[1.0, 0], [0, 2], [0, 0], [-1, 0], [0, -3], [1, 1], [-2, 2], [0.5, -0.5]]).double()
    units = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1], [0, 0], [2, 0], [1, 1], [-1, 1], [1, -1]]).double()
    outer = torch.linspace(-1, 2, 9).double()[None]
    dense, angular = (network_of([units, outer], evaluation=kind) for kind in ("dense", "angular"))
    c = torch.linspace(1, -2, 8).double()
    for found, wanted in zip(angular.value_and_slope(z), dense.value_and_slope(z), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-15)  # sums of nine numbers below 4
    for found, wanted in zip(angular.gradient(z, c), dense.gradient(z, c), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=4e-15)
    # the planted fault: a unit that is active on its boundary, too
    closed = torch.where(z @ units.T >= 0, 1.0, 0.0).double() @ (outer.T * units)
    assert not torch.allclose(closed, dense.value_and_slope(z)[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "T"),
        ({"steps": 2.0}, "T"),
        ({"features": "half"}, "features"),
        ({"evaluation": "fast"}, "evaluation"),
        ({"evaluation": "angular"}, "width 2"),
    ],
)
def test_bad_arguments(change: dict[str, object], message: str) -> None:
    network, problem = case(2, 3, 4, (5, 4))
    with pytest.raises(InputError, match=message):
        loss_gradient(network, problem, **{"steps": 2, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("weights", [], "at least one"),
        ("weights", [torch.zeros(0, 2).double(), torch.zeros(1, 0).double()], "width >= 1"),
        ("weights", [torch.zeros(3, 2).double(), torch.zeros(1, 4).double()], "W_2"),
        ("weights", [torch.zeros(3, 2).double()], "one output"),
        ("weights", [torch.full((1, 2), torch.nan).double()], "finite"),
        ("weights", [torch.zeros(1, 2).float()], "float32"),
        ("order", "xy", "order"),
        ("activation", "tanh", "activation"),
        ("step_size", torch.ones(3, 1).double(), "broadcast"),
        ("step_size", float("inf"), "finite"),
    ],
)
def test_bad_networks(attribute: str, value: object, message: str) -> None:
    network, problem = case(2, 3, 4, (5, 4))
    setattr(network, attribute, value)
    with pytest.raises(InputError, match=message):
        loss_gradient(network, problem, 2)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("matrices", torch.zeros(2, 3).double(), "instances"),
        ("targets", torch.zeros(2, 4).double(), "targets"),
        ("start", torch.full((2, 4), torch.inf).double(), "finite"),
    ],
)
def test_bad_problems(attribute: str, value: object, message: str) -> None:
    network, problem = case(2, 3, 4, (5, 4))
    setattr(problem, attribute, value)
    with pytest.raises(InputError, match=message):
        loss_gradient(network, problem, 2)


def test_steps_beyond_one_over_the_smoothness_only_where_the_problem_allows_them() -> None:
    network, problem = case(2, 3, 4, (5, 4))
    network.step_size = network.step_size * torch.tensor([[1.0], [1.1]])
    calls = (loss_gradient, residual_ntk, feature_sigma_min, partial(convergence_certificate, learning_rate=0.1))
    for call in calls:
        with pytest.raises(InputError, match="allow_long=True"):
            call(network, problem, 2)
    problem.allow_long = True
    for call in calls[:3]:
        with pytest.warns(LongStepWarning, match="may grow"):
            call(network, problem, 2)


def test_what_long_steps_lose() -> None:
    # f(x) = x^2/2 from x = 1, P = 2 to rounding: |r_1| = |1 - 2 tau|, 1 at tau = 1/L = 1, and 1.2 at 1.1/L
    one = torch.ones(1, 1).double()
    problem = SimpleNamespace(matrices=one[None], targets=0 * one, start=one, allow_long=True)
    network = SimpleNamespace(weights=[torch.tensor([[0.0, 99.0]]).double()], order="xg", features="full")
    network.activation, grown = "relu", {}
    for tau in (1.0, 1.1):
        network.step_size = tau
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run = loss_gradient(network, problem, 1).trajectory
        assert [w.category for w in caught] == [LongStepWarning] * (tau > 1)
        grown[tau] = float(run.residuals[1].norm() / run.residuals[0].norm())
    assert grown == pytest.approx({1.0: 1.0, 1.1: 1.2}, rel=1e-15)  # P = 2 - 2e-43


def test_a_run_that_does_not_fit_is_refused_with_what_it_needs() -> None:
    network, problem = case(2, 3, 4, (5, 4))
    with pytest.raises(InputError, match=r"a run of 1000000000000 steps of 2 x 4 unknowns needs 1.18e\+06 GB.* fewer"):
        loss_gradient(network, problem, 10**12)  # 10^12 x 2 x (17 x 4 + 2 x 3) x 8 bytes
