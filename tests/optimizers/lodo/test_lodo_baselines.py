"""StochasticLBFGS against inverse Hessians built densely, and the door to the other baselines."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo import BASELINES, StochasticLBFGS, baseline

N = 5
HESSIAN = torch.diag(torch.tensor([1.0, 0.7, 0.4, 0.2, 0.1], dtype=torch.float64)) + 0.05
IDENTITY = torch.eye(N, dtype=torch.float64)


def centre(t: int) -> Tensor:
    return torch.cos(torch.arange(N, dtype=torch.float64) * (t + 1))


def closure_at(x: Parameter, t: int) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        with torch.no_grad():
            x.grad = HESSIAN @ (x - centre(t))
            return (x - centre(t)) @ x.grad / 2

    return closure


def dense_trajectory(scaling: str, steps: int, eta0: float, tau: float, memory: int) -> list[Tensor]:
    """H_t by the product form H <- (I - s y'/y's) H (I - y s'/y's) + s s'/y's from the oldest pair on."""
    x, pairs, points = torch.ones(N, dtype=torch.float64), [], []
    for t in range(steps):
        g = HESSIAN @ (x - centre(t))
        if pairs:
            ratios = [float(s @ y / (y @ y)) for s, y in pairs]
            s, y = pairs[0][0], pairs[-1][1]
            first = {"newest": ratios[-1], "average": sum(ratios) / len(ratios), "published": float(s @ y / (y @ y))}
            inverse = first[scaling] * IDENTITY
            for s, y in pairs:
                left = IDENTITY - torch.outer(s, y) / (y @ s)
                inverse = left @ inverse @ left.T + torch.outer(s, s) / (y @ s)
        else:
            inverse = 1e-10 * IDENTITY
        s = -eta0 * tau / (tau + t) * inverse @ g
        x = x + s
        pairs = [*pairs, (s, HESSIAN @ s)][-memory:]
        points.append(x)
    return points


@pytest.mark.parametrize("scaling", ["newest", "average", "published"])
@pytest.mark.parametrize("memory", [1, 3, 48])
def test_two_loops_are_the_product_form(scaling: Any, memory: int) -> None:
    x = Parameter(torch.ones(N, dtype=torch.float64))
    optimizer = StochasticLBFGS([x], 0.5, 50.0, memory=memory, scaling=scaling)
    wanted = dense_trajectory(scaling, 8, 0.5, 50.0, memory)
    for t in range(8):
        before = closure_at(Parameter(x.detach().clone()), t)()
        assert torch.equal(optimizer.step(closure_at(x, t)), before)
        # the first pair is 1e-10 long and y is a difference of gradients of size 1: six digits of it are right
        assert torch.allclose(x, wanted[t], rtol=1e-4, atol=1e-5)
    assert optimizer.losses is not None
    assert torch.equal(optimizer.losses[1], closure_at(x, 7)())


def test_the_scalings_differ() -> None:
    """Planted: taking one for another would be seen."""
    ends = [dense_trajectory(scaling, 8, 0.5, 50.0, 48)[-1] for scaling in ("newest", "average", "published")]
    for i in range(3):
        assert (ends[i] - ends[i - 1]).abs().max() > 1e-3


def test_stored_and_loaded_it_goes_on() -> None:
    x = Parameter(torch.ones(N, dtype=torch.float64))
    one = StochasticLBFGS([x], 0.5)
    for t in range(4):
        one.step(closure_at(x, t))
    y = Parameter(x.detach().clone())
    other = StochasticLBFGS([y], 0.1)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for t in range(4, 7):
        one.step(closure_at(x, t))
        other.step(closure_at(y, t))
    assert torch.equal(x, y)


def test_a_pair_of_negative_curvature_is_left_out() -> None:
    x = Parameter(torch.ones(2))
    optimizer = StochasticLBFGS([x], 0.5, eps=0.1)

    def closure() -> Tensor:
        with torch.no_grad():
            x.grad = -x.clone()  # concave
            return -(x @ x) / 2

    for _ in range(3):
        optimizer.step(closure)
    assert optimizer.state_dict()["state"][0]["s"].shape == (0, 2)
    assert torch.isfinite(x).all()


def test_bad_input() -> None:
    x = Parameter(torch.ones(2))
    with pytest.raises(InputError, match="must be positive"):
        StochasticLBFGS([x], eta0=0.0)
    with pytest.raises(InputError, match="scaling must be"):
        StochasticLBFGS([x], scaling="oldest")  # type: ignore[arg-type]
    optimizer = StochasticLBFGS([x])
    with pytest.raises(InputError, match="needs a closure"):
        optimizer.step()
    with pytest.raises(InputError, match="must return the loss"):
        optimizer.step(lambda: None)

    def broken() -> Tensor:
        x.grad = torch.full_like(x, float("nan"))
        return torch.tensor(0.0)

    with pytest.raises(InputError, match="NaN or infinite"):
        optimizer.step(broken)
    assert torch.equal(x, torch.ones(2))


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in ("Yogi", "LARS")])
def test_every_baseline_descends(name: str) -> None:
    x = Parameter(torch.ones(2))
    options = {"eta0": 0.5} if "BFGS" in name else {"lr": 0.05}
    optimizer = baseline(name, [x], **options)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (x * x).sum() / 2
        loss.backward()
        return loss.detach()

    first = float(closure())
    for _ in range(40):
        optimizer.step(closure)
    assert float(closure()) < 0.5 * first


def test_baselines_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)  # importing it fails then
    with pytest.raises(InputError, match=r"l2o-theory\[baselines\]"):
        baseline("Yogi", [Parameter(torch.ones(2))])
    with pytest.raises(InputError, match="there is no baseline 'Lion'"):
        baseline("Lion", [Parameter(torch.ones(2))])
