from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from l2o_theory.errors import InputError
from l2o_theory.optimizers import Adam, GradientDescent, HeavyBall, MathL2O
from l2o_theory.optimizers.learned import L2OScale, LSTMRule, MLPOptimizer, RNNprop
from l2o_theory.optimizers.torch_optimizer import TorchOptimizer

DATA = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(8, 3)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, after: Callable[[], object] = lambda: None
) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((model(DATA).squeeze(-1) - DATA.sum(1).sin()) ** 2).mean()
        loss.backward()
        optimizer.step()
        after()
        losses.append(loss.item())
    return losses


def test_equals_torch_adam_in_a_training_loop() -> None:
    ours, theirs = network(), network()
    got = train(ours, TorchOptimizer(ours.parameters(), Adam(), Adam().meta(0.02)), 50)
    expected = train(theirs, torch.optim.Adam(theirs.parameters(), lr=0.02), 50)
    # the same formulas in another order of operations, over 50 steps in float64
    assert got == pytest.approx(expected, rel=1e-10)
    planted = network()
    assert train(planted, torch.optim.Adam(planted.parameters(), lr=0.021), 50) != pytest.approx(expected, rel=1e-6)


LEARNED = (LSTMRule(), RNNprop(), MLPOptimizer(), L2OScale(), MathL2O(0.05))


@pytest.mark.parametrize("rule", LEARNED, ids=lambda rule: type(rule).__name__)
def test_learned_rules_run_and_continue_from_a_state_dict(rule: LSTMRule) -> None:
    weights = rule.meta(torch.Generator().manual_seed(1))
    model = network()
    optimizer = TorchOptimizer(model.parameters(), rule, weights)
    train(model, optimizer, 3)
    saved, twin = copy.deepcopy(optimizer.state_dict()), copy.deepcopy(model)
    rest = train(model, optimizer, 4)
    again = TorchOptimizer(twin.parameters(), rule, rule.meta(torch.Generator().manual_seed(2)))
    fresh = copy.deepcopy(twin)
    again.load_state_dict(saved)
    assert train(twin, again, 4) == rest
    assert train(fresh, TorchOptimizer(fresh.parameters(), rule, weights), 4) != rest  # planted: state forgotten


def test_schedulers_scale_the_step() -> None:
    model, plain = network(), network()
    optimizer = TorchOptimizer(model.parameters(), GradientDescent(), GradientDescent().meta(0.1))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    reference = torch.optim.SGD(plain.parameters(), lr=0.1)
    halved = torch.optim.lr_scheduler.StepLR(reference, step_size=2, gamma=0.5)
    got, expected = train(model, optimizer, 6, scheduler.step), train(plain, reference, 6, halved.step)
    assert got == pytest.approx(expected, rel=1e-12)


def test_lr_per_group() -> None:
    model = network()
    first, last = list(model[0].parameters()), list(model[2].parameters())
    before = [p.detach().clone() for p in first]
    groups = [{"params": first, "lr": 0.0}, {"params": last}]
    train(model, TorchOptimizer(groups, HeavyBall(), HeavyBall().meta(0.1)), 3)
    assert all(torch.equal(p, b) for p, b in zip(first, before, strict=True))
    assert not torch.equal(last[0], network()[2].weight)


def test_what_cannot_be_stepped_is_refused_and_left_alone() -> None:
    x = nn.Parameter(torch.ones(2))
    optimizer = TorchOptimizer([x], Adam(), Adam().meta(0.1))
    with pytest.raises(InputError, match="no gradient"):
        optimizer.step()
    x.grad = torch.tensor([float("nan"), 1.0])
    with pytest.raises(InputError, match="NaN or infinite; nothing was changed"):
        optimizer.step()
    assert torch.equal(x, torch.ones(2))
    assert float(optimizer.state_dict()["state"][0]["memory"]["step"]) == 0
    with pytest.raises(InputError, match="one floating dtype"):
        TorchOptimizer([x, nn.Parameter(torch.ones(1, dtype=torch.float64))], Adam(), Adam().meta(0.1))
    with pytest.raises(InputError, match="lr must be"):
        TorchOptimizer([x], Adam(), Adam().meta(0.1), lr=float("nan"))
    with pytest.raises(InputError, match="new optimizer"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})


def test_a_state_of_other_parameters_or_another_rule_is_refused() -> None:
    x, y = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    saved = TorchOptimizer([x], Adam(), Adam().meta(0.1)).state_dict()
    for other in (
        TorchOptimizer([y], Adam(), Adam().meta(0.1)), TorchOptimizer([x], RNNprop(), RNNprop().meta())
    ):  # fmt: skip
        before = copy.deepcopy(other.state_dict())
        with pytest.raises(InputError, match="build it as it was saved"):
            other.load_state_dict(saved)
        assert str(other.state_dict()) == str(before)
