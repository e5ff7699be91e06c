"""Training of the step-size network: against torch.optim, the published gains, resumption, prediction, bad input."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from l2o_theory.errors import InputError, StoreError
from l2o_theory.metatraining.factor_statistics import factor_statistics
from l2o_theory.metatraining.step_size_training import TrainingPlan, train_step_size_network
from l2o_theory.metatraining.unrolled_loss import unrolled_loss
from l2o_theory.optimizers import initialization
from l2o_theory.optimizers.step_size_network import StepSizeNetwork
from l2o_theory.problems.quadratic_programs import LongStepWarning, formula_given, program_law

PROGRAMS = formula_given(2, 3, 4)
PLAN = TrainingPlan(steps=4, iterations=12, rate=0.02)


def small(features: str = "detached", activation: str = "relu") -> StepSizeNetwork:
    weights = initialization.orthogonal((2, 4, 16, 1), 2.0, dtype=torch.float64)
    return StepSizeNetwork(weights, features=features, activation=activation, step_size=PROGRAMS.step_sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("features", ["full", "detached"])
@pytest.mark.parametrize("route", ["adjoint", "autograd"])
def test_training_is_that_of_torch_optim(optimizer: str, features: str, route: str) -> None:
    network = small(features)
    run = train_step_size_network(network, PROGRAMS, replace(PLAN, optimizer=optimizer, route=route))
    weights = [weight.clone().requires_grad_() for weight in network.weights]
    torch_rule = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](weights, lr=PLAN.rate)
    losses = []
    for _ in range(PLAN.iterations + 1):
        x = PROGRAMS.init()
        for _ in range(PLAN.steps):
            g = torch.einsum(
                "nbd,nb->nd", PROGRAMS.matrices, torch.einsum("nbd,nd->nb", PROGRAMS.matrices, x) - PROGRAMS.targets
            )
            layer = torch.stack((x, g), -1)
            layer = layer.detach() if features == "detached" else layer
            for weight in weights[:-1]:
                layer = torch.relu(layer @ weight.T)
            x = x - PROGRAMS.step_sizes * 2 * torch.sigmoid(layer @ weights[-1].T)[..., 0] * g
        loss = PROGRAMS.loss(x)
        losses.append(float(loss.detach()))
        torch_rule.zero_grad()
        loss.backward()
        torch_rule.step()
    assert run.losses == pytest.approx(losses, rel=1e-11)
    assert losses[-1] < losses[0]
    other = train_step_size_network(network, PROGRAMS, replace(PLAN, optimizer=optimizer, rate=0.021))
    assert other.losses[-1] != pytest.approx(losses[-1], rel=1e-6)  # planted: another rate


@pytest.mark.parametrize("features", ["full", "detached"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_predicted_ratio_is_first_order_exact_for_a_smooth_network(features: str, optimizer: str) -> None:
    """Halving the rate quarters the error of the prediction: it is O(eta^2), by the true gradient in either mode."""
    start, errors = small(features, "softplus"), []
    # off W_L = 0, where the detached gradient is not that of F and would predict another ratio
    network = start.with_weights((*start.weights[:-1], torch.cos(torch.arange(16).double())[None]))
    for rate in (1e-3, 5e-4):
        run = train_step_size_network(
            network,
            PROGRAMS,
            TrainingPlan(4, 3, rate, optimizer=optimizer),  # type: ignore[arg-type]
        )
        errors.append([abs(run.losses[k + 1] / run.losses[k] - run.records[k].predicted_ratio) for k in range(3)])
        # far smaller than the change it predicts, which a prediction of no change would miss
        assert all(e < 0.05 * abs(r.predicted_ratio - 1) for e, r in zip(errors[-1], run.records, strict=False))
    ratios = [a / b for a, b in zip(*errors, strict=True)]
    assert ratios == pytest.approx([4, 4, 4], rel=0.2)  # third-order terms


def test_the_gains_are_the_published_ones() -> None:
    """32 x 25, T = 20, float32, e = 50, after one training step (100 steps: the experiment)."""
    programs = program_law(32, 25, 32)
    network = StepSizeNetwork(
        initialization.orthogonal((2, 2, 1024, 1), 50.0), order="gx", step_size=programs.step_sizes
    )
    run = train_step_size_network(network, programs, TrainingPlan(20, 1, 1e-3))
    assert run.losses[0] == pytest.approx(3.0596673, rel=1e-6)
    assert run.losses[1] == pytest.approx(3.1151, abs=6e-5)
    assert run.records[0].exactly_one == 1.0
    saturated = run.records[1].near_two + run.records[1].near_zero + run.records[1].exactly_one
    assert saturated > 0.95
    assert run.records[1].exactly_one > 0.3


def test_a_killed_training_continues_to_the_same_bits(tmp_path: Path) -> None:
    for optimizer in ("sgd", "adam"):
        plan, path = replace(PLAN, optimizer=optimizer), tmp_path / f"{optimizer}.pt"
        whole = train_step_size_network(small(), PROGRAMS, plan)
        calls = []

        def kill(done: int, total: int, calls: list[int] = calls) -> None:
            calls.append(done)
            if len(calls) == 8:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train_step_size_network(small(), PROGRAMS, plan, checkpoint=path, checkpoint_every=3, progress=kill)
        again: list[int] = []

        def note(done: int, total: int, again: list[int] = again) -> None:
            again.append(done)

        run = train_step_size_network(small(), PROGRAMS, plan, checkpoint=path, checkpoint_every=3, progress=note)
        assert again[0] == 7  # six evaluations were kept
        assert run.losses == whole.losses
        assert repr(run.records) == repr(whole.records)  # repr: nan is not equal to itself
        assert all(map(torch.equal, run.network.weights, whole.network.weights))
        assert not list(tmp_path.glob("*.tmp"))
        finished = train_step_size_network(small(), PROGRAMS, plan, checkpoint=path)
        assert finished.losses == whole.losses


def test_a_checkpoint_of_another_run_or_no_checkpoint_at_all_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train_step_size_network(small(), PROGRAMS, PLAN, checkpoint=path)
    for network, plan in ((small(), replace(PLAN, rate=0.03)), (small("full"), PLAN)):
        with pytest.raises(InputError, match="another run"):
            train_step_size_network(network, PROGRAMS, plan, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match="delete it"):
        train_step_size_network(small(), PROGRAMS, PLAN, checkpoint=path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="writable folder"):
        train_step_size_network(small(), PROGRAMS, PLAN, checkpoint=tmp_path / "file" / "run.pt")


def test_a_rate_that_overflows_ends_the_training_and_says_where() -> None:
    weights = initialization.orthogonal((2, 4, 16, 1), 1e6, dtype=torch.float64)  # gradients beyond 1
    network = StepSizeNetwork(weights, PROGRAMS.step_sizes)
    run = train_step_size_network(network, PROGRAMS, TrainingPlan(4, 5, 1e308))
    assert run.diverged_at is not None
    assert len(run.losses) == run.diverged_at + 1
    assert all(bool(torch.isfinite(weight).all()) for weight in run.network.weights)


def test_statistics_count_saturated_and_dead_factors() -> None:
    factors = torch.tensor([[[0.0, 1.0], [2.0, 1.995]], [[0.5, 1.0], [1.0, 0.005]]])
    found = factor_statistics(factors)
    assert (found.near_zero, found.near_two, found.exactly_one) == (0.25, 0.25, 0.375)
    assert found.by_step == ((0.25, 0.5, 0.25), (0.25, 0.0, 0.5))


def test_records_are_kept_where_asked() -> None:
    run = train_step_size_network(small(), PROGRAMS, replace(PLAN, record_every=5))
    assert [record.iteration for record in run.records] == [0, 5, 10, 12]
    assert run.records[0].drift == 0.0
    assert run.records[0].gradient_norm == pytest.approx(
        math.sqrt(sum(float(g.square().sum()) for g in unrolled_loss(small(), PROGRAMS, 4).gradients)), rel=1e-12
    )
    assert math.isnan(run.records[-1].predicted_ratio)
    assert run.gain == run.gain_at(12) > 0


def test_the_kernel_moves_with_the_weights() -> None:
    """Second route: Jacobians of the last residual by torch.func, at the first and the last weights."""
    network = small("full", "softplus")
    run = train_step_size_network(network, PROGRAMS, replace(PLAN, record_every=6, measure_ntk=True))

    def residual(meta: dict[str, torch.Tensor]) -> torch.Tensor:
        x = PROGRAMS.init()
        for _ in range(PLAN.steps):
            x, _ = network.update(x, PROGRAMS.gradient(x), (), meta)
        return PROGRAMS.residual(x).flatten()

    kernels = []
    for meta in (network.meta, run.network.meta):
        blocks = torch.func.jacrev(residual)(meta)
        kernels.append(sum(block.flatten(1) @ block.flatten(1).T for block in blocks.values()))
    expected = float((kernels[1] - kernels[0]).norm() / kernels[0].norm())
    assert run.records[0].ntk_drift == 0.0
    assert run.records[-1].ntk_drift == pytest.approx(expected, rel=1e-8)
    assert expected > 1e-3  # it did move
    assert math.isnan(train_step_size_network(network, PROGRAMS, PLAN).records[0].ntk_drift)


def test_bad_plans_are_refused() -> None:
    for change, message in (
        ({"steps": 0}, "T >= 1"),
        ({"steps": 1.5}, "an integer"),
        ({"steps": "3"}, "an integer"),
        ({"iterations": 1.5}, "integers"),
        ({"iterations": 0}, "iterations"),
        ({"record_every": 0}, "record_every"),
        ({"rate": 0.0}, "learning rates"),
        ({"rate": float("nan")}, "learning rates"),
        ({"rate": ()}, "learning rates"),
        ({"optimizer": "lion"}, "sgd"),
        ({"optimizer": "adam", "rate": (1.0, 2.0)}, "one rate"),
    ):
        with pytest.raises(InputError, match=message):
            replace(PLAN, **change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one per layer"):
        train_step_size_network(small(), PROGRAMS, replace(PLAN, rate=(0.1, 0.1)))


def test_long_inner_steps_are_taken_only_when_asked_and_with_a_warning() -> None:
    network = replace(small(), step_size=1.1 / PROGRAMS.smoothness.unsqueeze(-1))
    with pytest.raises(InputError, match="allow_long_steps=True"):
        train_step_size_network(network, PROGRAMS, PLAN)
    with pytest.warns(LongStepWarning, match="may grow"):
        train_step_size_network(network, PROGRAMS, PLAN, allow_long_steps=True)


@pytest.mark.gpu
def test_training_on_cuda_is_that_on_the_cpu() -> None:
    programs = PROGRAMS.to(device="cuda")
    network = StepSizeNetwork(tuple(w.cuda() for w in small().weights), programs.step_sizes)
    run = train_step_size_network(network, programs, PLAN)
    # float64 with other orders of summation, twelve training steps
    assert run.losses == pytest.approx(train_step_size_network(small(), PROGRAMS, PLAN).losses, rel=1e-9)
