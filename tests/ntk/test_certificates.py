"""Certificates: exact constants on a scalar instance, what they promise along runs, and when they must stay silent."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import flint
import pytest
import torch
from ntk_cases import case, plain_residual

from l2o_theory.claims.verdict import Status
from l2o_theory.errors import InputError
from l2o_theory.ntk import enclosures
from l2o_theory.ntk.certificates import along_run, convergence_certificate
from l2o_theory.ntk.unroll import unroll


def scalar(tau: float) -> tuple[Any, Any]:
    """M = 1, x_0 = 1, y = 0, G = (1, 2): r_0 = g_0 = 1, and r_1 = 1 - tau at W_L = 0."""
    network = SimpleNamespace(
        weights=[torch.tensor([[1.0, 0.0], [1.0, 1.0]]).double(), torch.zeros(1, 2).double()],
        step_size=tau,
        order="xg",
        features="detached",
        activation="relu",
    )
    one = torch.ones(1, 1).double()
    return network, SimpleNamespace(matrices=one[None], targets=0 * one, start=one)


def test_constants_are_exact_on_a_scalar_instance() -> None:
    tau = 0.9375
    found = convergence_certificate(*scalar(tau), kind="D3")
    # |G|^2 = 1 + 4 = 5, so s0 = Kc = tau sqrt(5)/2, Lam = 5 tau/(3 sqrt 3)
    exact = {"s0": tau * math.sqrt(5) / 2, "Kc": tau * math.sqrt(5) / 2, "Lam": 5 * tau / 27**0.5, "residual": 1 - tau}
    for name, value in exact.items():
        assert found.constants[name] == pytest.approx(value, rel=3e-6)  # the enclosures are 1e-6 wide
    # the ends lie on the safe sides, decided in rationals: s0^2 <= 5 tau^2/4 <= Kc^2
    square = Fraction(5, 4) * Fraction(tau) ** 2
    assert Fraction(found.constants["s0"]) ** 2 <= square <= Fraction(found.constants["Kc"]) ** 2
    assert Fraction(found.constants["residual"]) >= 1 - Fraction(tau)
    assert "balls" in found.arithmetic


@pytest.mark.parametrize(
    ("tau", "status"), [(0.96875, Status.CERTIFIED), (0.9375, Status.CERTIFIED), (0.875, Status.VACUOUS)]
)
def test_the_condition_turns_where_the_formula_says(tau: float, status: Status) -> None:
    # tau^3 5^{3/2}/8 >= 16 (5 tau/sqrt 27)(tau sqrt(5)/2)(1 - tau)  <=>  tau >= 64/(64 + sqrt 27)
    assert (tau > 64 / (64 + 27**0.5)) == (status is Status.CERTIFIED)
    found = convergence_certificate(*scalar(tau), kind="D3")
    assert found.status is status
    assert (found.lower > found.upper) == (status is Status.CERTIFIED)


def nearly_solved(seed: int = 0) -> tuple[Any, Any]:
    """Rows that are nearly orthonormal and a step of almost 1/L: one step leaves little of the residual."""
    network, problem = case(1, 2, 4, (40,), seed=seed, last=0.0)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))[0][:2]
    noise = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    problem.matrices = (rows + 1e-4 * noise)[None]
    network.step_size = float(1 / torch.linalg.matrix_norm(problem.matrices[0], 2) ** 2)
    return network, problem


def last_layer_run(network: Any, problem: Any, rate: float, updates: int) -> tuple[list[float], list[float]]:
    """|r_k| and |w_k - w_0| of training W_L alone, by autograd."""
    w = network.weights[-1].clone().requires_grad_()
    norms, moved = [], []
    for _ in range(updates):
        r = plain_residual(network, problem, 1, "detached", [*network.weights[:-1], w])
        norms.append(float(r.detach().norm()))
        moved.append(float((w.detach() - network.weights[-1]).norm()))
        w = (w - rate * torch.autograd.grad(r.square().sum() / 2, w)[0]).detach().requires_grad_()
    return norms, moved


def test_what_d3_certifies_happens() -> None:
    certified = 0
    for seed in range(4):
        network, problem = nearly_solved(seed)
        found = convergence_certificate(network, problem, kind="D3")
        if found.status is not Status.CERTIFIED:
            continue
        certified += 1
        norms, moved = last_layer_run(network, problem, found.learning_rate, 60)
        for k, norm in enumerate(norms):
            assert norm <= found.residual_bound(k) + 1e-14  # r is a difference of numbers of size 1
        assert max(moved) <= found.radius * (1 + 1e-9)  # type: ignore[operator]
        # the planted fault: the largest singular value in place of the smallest promises what does not happen
        wrong = (1 - found.learning_rate * found.constants["Kc"] ** 2 * 0.999) ** 59
        assert norms[-1] > wrong * norms[0]
    assert certified >= 2


def test_d3_is_silent_beyond_its_learning_rate_and_where_rows_depend() -> None:
    network, problem = scalar(0.96875)
    largest = convergence_certificate(network, problem, kind="D3").constants["largest_learning_rate"]
    assert convergence_certificate(network, problem, kind="D3", learning_rate=largest * 0.99).status is Status.CERTIFIED
    assert convergence_certificate(network, problem, kind="D3", learning_rate=largest * 1.01).status is Status.VACUOUS
    network, problem = case(2, 3, 4, (5,))  # 6 rows, 5 trained weights: sigma_min(J) = 0
    found = convergence_certificate(network, problem, kind="D3")
    assert (found.status, found.constants["s0"], found.radius) == (Status.VACUOUS, 0.0, math.inf)


def test_expansion_cannot_help() -> None:
    network, problem = nearly_solved()
    before = convergence_certificate(network, problem, kind="D3")
    network.weights[0] = 16 * network.weights[0]  # a power of 2: every product scales exactly
    after = convergence_certificate(network, problem, kind="D3")
    assert after.status is before.status
    assert after.lower / after.upper == pytest.approx(before.lower / before.upper, rel=1e-5)


def test_constants_match_the_jacobian_away_from_the_start() -> None:
    network, problem = case(2, 2, 4, (30,), seed=2, last=0.7)
    ends = enclosures.one_step(unroll(network, problem, 1), 30)
    w = network.weights[-1].clone().requires_grad_()
    r = plain_residual(network, problem, 1, "detached", [*network.weights[:-1], w]).flatten()
    jacobian = torch.stack([torch.autograd.grad(value, w, retain_graph=True)[0].flatten() for value in r])
    values = torch.linalg.svdvals(jacobian)
    assert ends.s0 <= float(values[-1]) * (1 + 1e-12)
    assert ends.s0 == pytest.approx(float(values[-1]), rel=1e-5)
    assert ends.s0_above == pytest.approx(float(values[-1]), rel=1e-5)
    assert float(values[0]) <= ends.bound
    assert ends.residual == pytest.approx(float(r.detach().norm()), rel=1e-12)


def test_definite_matrices_and_others() -> None:
    gram = flint.arb_mat([[2, 1], [1, 2]])  # eigenvalues 1 and 3
    assert enclosures.positive_definite(gram, flint.arb("0.99"), 1)
    assert not enclosures.positive_definite(gram, flint.arb(1), 1)
    assert enclosures.positive_definite(gram, flint.arb("3.01"), -1)
    assert not enclosures.positive_definite(gram, flint.arb("2.99"), -1)


def test_d2_with_the_constants_of_d3() -> None:
    network, problem = scalar(0.96875)
    third = convergence_certificate(network, problem, kind="D3")
    # at W_L = 0 and G fixed the full kernel is that of W_L alone
    second = convergence_certificate(
        network, problem, kind="D2", jacobian_bound=third.constants["Kc"], jacobian_lipschitz=third.constants["Lam"]
    )
    assert second.status is Status.NOT_FALSIFIED  # the constants are the caller's: never CERTIFIED
    assert second.lower == pytest.approx(third.lower, rel=1e-5)
    assert second.rate == pytest.approx(third.rate, rel=1e-5)
    loose = convergence_certificate(network, problem, kind="D2", jacobian_bound=100.0, jacobian_lipschitz=1.0)
    assert loose.status is Status.VACUOUS


@pytest.mark.parametrize(("bound", "lipschitz"), [(2.0, 3.0), (2.0, 1e-3)])  # which limit on eta is the lesser
def test_d2_is_its_formula(bound: float, lipschitz: float) -> None:
    network, problem = scalar(0.75)
    found = convergence_certificate(network, problem, kind="D2", jacobian_bound=bound, jacobian_lipschitz=lipschitz)
    s0, start = 0.75 * math.sqrt(5) / 2, 0.25  # see the exact constants of this instance above
    largest = min(1 / bound**2, s0**2 / (4 * lipschitz * bound**2 * start))
    assert (found.lower, found.upper) == (pytest.approx(s0**3), pytest.approx(16 * lipschitz * bound * start))
    assert found.learning_rate == pytest.approx(largest)
    assert found.rate == pytest.approx(1 - largest * s0**2 / 8)
    assert found.radius == pytest.approx(8 * bound * start / s0**2)


def test_d1_along_training() -> None:
    network, problem = case(2, 3, 4, (16, 8), seed=3, activation="softplus")
    found = convergence_certificate(network, problem, 3, kind="D1", learning_rate=1e-4, updates=5, features="full")
    assert found.status is Status.NOT_FALSIFIED
    assert len(found.steps) == 5
    for _, mu, factor in found.steps:
        assert factor == pytest.approx(1 - 2e-4 * mu, abs=1e-4 * 1e-4 * mu * 100)  # second order in eta
    far = convergence_certificate(network, problem, 3, kind="D1", learning_rate=1e4, updates=2, features="full")
    assert far.status is Status.VACUOUS  # so long a step gains less than predicted
    with pytest.raises(InputError, match="later ones"):
        found.residual_bound(3)


def test_d1_from_a_log() -> None:
    assert along_run([1.0, 0.9], [2.0], 0.1).status is Status.NOT_FALSIFIED  # exactly on the bound
    assert along_run([1.0, 0.91], [2.0], 0.1).status is Status.VACUOUS
    assert along_run([0.0, 0.0], [0.0], 0.1).status is Status.NOT_FALSIFIED
    with pytest.raises(InputError, match="one loss more"):
        along_run([1.0], [], 0.1)
    with pytest.raises(InputError, match="diverged"):
        along_run([1.0, math.inf], [1.0], 0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "D4"}, "kind"),
        ({"kind": "D1"}, "learning_rate"),
        ({"kind": "D1", "learning_rate": 0.0}, "positive"),
        ({"kind": "D1", "learning_rate": 0.1, "updates": 0}, "updates"),
        ({"kind": "D2", "jacobian_bound": 1.0}, "jacobian_lipschitz"),
        ({"kind": "D2", "jacobian_bound": 1e-3, "jacobian_lipschitz": 1.0}, "not a bound"),
        ({"kind": "D3", "steps": 2}, "T = 1"),
        ({"kind": "D3", "digits": 0}, "digits"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        convergence_certificate(*scalar(0.875), **arguments)


def test_d3_refuses_smooth_features() -> None:
    network, problem = scalar(0.875)
    network.activation = "softplus"
    with pytest.raises(InputError, match="ReLU"):
        convergence_certificate(network, problem, kind="D3")


@pytest.mark.parametrize("end", ["s0", "bound", "lipschitz", "residual"])
def test_d3_decides_by_the_safe_ends_alone(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An enclosure that straddles the threshold: the condition may hold or not, so it is not certified."""
    run = unroll(*scalar(0.96875), 1, features="detached", evaluation="dense")
    ends = enclosures.one_step(run, 30)
    wide = dataclasses.replace(ends, **{end: getattr(ends, end) * (0.1 if end == "s0" else 1000)})
    monkeypatch.setattr(enclosures, "one_step", lambda run, digits: wide)
    assert convergence_certificate(*scalar(0.96875), kind="D3").status is Status.UNDECIDED
