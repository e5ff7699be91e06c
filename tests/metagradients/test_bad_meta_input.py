"""Bad input is refused at the door, and what leaves the float range is named; never a silent zero."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_rules import Descent, Diagonal, HeavyBall, Regression

from l2o_theory.errors import InputError
from l2o_theory.metagradients import (
    MetaObjective,
    Sweep,
    checkpointed,
    detached_params,
    first_order,
    forward,
    reverse,
    truncated,
    unroll,
)

ONE = torch.ones(1, dtype=torch.float64)
ALPHA = torch.tensor(0.1, dtype=torch.float64)
PROBLEM = Diagonal(ONE)
EVERY = (reverse, forward, first_order)


@pytest.mark.parametrize("estimator", [truncated, detached_params, first_order])
@pytest.mark.parametrize("window", [0, -1, 6, 2.0, True])
def test_window_outside_the_horizon(estimator: Any, window: Any) -> None:
    with pytest.raises(InputError, match="window must be"):
        estimator(Descent(), PROBLEM, ALPHA, 5, start=ONE, window=window)
    assert estimator(Descent(), PROBLEM, ALPHA, 5, start=ONE, window=5).gradient < 0


@pytest.mark.parametrize("steps", [0, -3, 1.5, "4"])
def test_steps(steps: Any) -> None:
    with pytest.raises(InputError, match="steps must be"):
        reverse(Descent(), PROBLEM, ALPHA, steps, start=ONE)


@pytest.mark.parametrize(
    ("meta", "start", "message"),
    [
        (torch.tensor(1), ONE, "meta must be floating point"),
        (ALPHA, torch.ones(1, dtype=torch.int64), "start must be floating point"),
        (ALPHA, ONE.float(), "one dtype and one device"),
        (ALPHA.float(), ONE, "one dtype and one device"),
        (torch.tensor(0.1, device="meta", dtype=torch.float64), ONE, "one dtype and one device"),
        (0.1, ONE, "meta must be a tensor"),
        ({}, ONE, "meta must be a tensor"),
        ({"alpha": 0.1}, ONE, "tensors only"),
        (ALPHA, torch.ones(0, dtype=torch.float64), "empty"),
    ],
)
def test_tensors_that_do_not_fit(meta: Any, start: Any, message: str) -> None:
    for estimator in EVERY:
        with pytest.raises(InputError, match=message):
            estimator(Descent(), PROBLEM, meta, 3, start=start)


def test_batches_of_another_dtype() -> None:
    batch = (torch.ones(5, 3), torch.ones(5))
    with pytest.raises(InputError, match=r"batch: torch\.float32"):
        reverse(HeavyBall(), Regression(), BOTH, 3, start=Regression().init(), batches=lambda t: batch)


class ChangesState(HeavyBall):
    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        state.mul_(meta["beta"]).sub_(meta["alpha"] * grads)
        return params + state, state


class ChangesParamsUnseen(Descent):
    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        params.data.sub_(meta * grads)  # .data hides from the version counter
        return params.clone(), state


class Remembers(Descent):
    calls = 0

    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        self.calls += 1
        return params - meta / self.calls * grads, state


class Reshapes(Descent):
    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        return (params - meta * grads).reshape(1, 1), state


class ForgetsState(HeavyBall):
    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        return params - meta["alpha"] * grads, None


class ReturnsParamsOnly(Descent):
    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        return params - meta * grads


class ChangesItsMind(HeavyBall):
    """Pure up to step 2, the only ones that a look at the door sees; then each of the faults above."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def init(self, params: Any) -> Any:
        return {"v": torch.zeros_like(params), "t": torch.zeros((), dtype=params.dtype)}

    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        late, v = state["t"] > 2, state["v"]
        if late and self.fault == "state in place":
            v.mul_(0.5)
        if late and self.fault == "gradient in place":
            grads.mul_(0.5)
        v = meta["beta"] * v - meta["alpha"] * grads
        after = {"v": v, "t": state["t"] + 1}
        if late and self.fault == "params in place":
            return params.add_(v), after
        if late and self.fault == "key":
            after["w"] = v
        if late and self.fault == "shape":
            after["v"] = v.mean()
        moved = params + v
        return (moved.float() if late and self.fault == "dtype" else moved), after


BOTH = {"alpha": ALPHA, "beta": torch.tensor(0.9, dtype=torch.float64)}


@pytest.mark.parametrize(
    ("rule", "meta", "message"),
    [
        (ChangesState(), BOTH, "changed state in place"),
        (ChangesParamsUnseen(), ALPHA, "changed params in place"),
        (Remembers(), ALPHA, "two answers"),
        (Reshapes(), ALPHA, "must return params"),
        (ForgetsState(), BOTH, "must return state"),
        (ReturnsParamsOnly(), ALPHA, r"must return \(params, state\)"),
    ],
)
def test_rules_that_are_not_pure_or_lose_the_structure(rule: Any, meta: Any, message: str) -> None:
    for estimator in (*EVERY, unroll):
        with pytest.raises(InputError, match=message):
            estimator(rule, PROBLEM, meta, 3, start=ONE)


LATER = [
    ("state in place", "changed state in place at step 3"),
    ("params in place", "changed params in place at step 3"),
    ("gradient in place", "changed grads in place at step 3"),
    ("key", r"at step 3: wanted \{'v': float64 \(1,\), 't': float64 \(\)\}, got \{.*'w': float64 \(1,\)\}"),
    ("shape", r"return state .* at step 3: .* got \{'v': float64 \(\)"),
    ("dtype", r"return params .* at step 3: wanted float64 \(1,\), got float32 \(1,\)"),
]


@pytest.mark.parametrize(("fault", "message"), LATER)
def test_a_fault_at_a_later_step_is_named_with_its_step(fault: str, message: str) -> None:
    rule = ChangesItsMind(fault)
    for estimator in (*EVERY, checkpointed, unroll):
        with pytest.raises(InputError, match=message):
            estimator(rule, PROBLEM, BOTH, 5, start=ONE.clone())
    with pytest.raises(InputError, match=message.removesuffix(" at step 3")):
        Sweep(rule, PROBLEM).reverse(BOTH, 5, start=ONE.clone())
    assert reverse(ChangesItsMind(fault), PROBLEM, BOTH, 3, start=ONE).gradient["alpha"] < 0  # type: ignore[index]


def test_an_in_place_update_is_seen_under_vmap() -> None:
    with pytest.raises(InputError, match="changed state in place"):
        torch.func.vmap(lambda x: reverse(ChangesState(), PROBLEM, BOTH, 3, start=x).gradient)(
            torch.ones(2, 1).double()
        )


def test_objectives_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="kind must be"):
        MetaObjective("last")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="weights belong"):
        MetaObjective("final", [1.0])
    for weights, message in [([1.0], "one number for each of the 3"), ([0.0] * 3, "nothing is minimised")]:
        with pytest.raises(InputError, match=message):
            reverse(Descent(), PROBLEM, ALPHA, 3, start=ONE, objective=MetaObjective(weights=weights))


def test_losses_that_cannot_be_differentiated() -> None:
    class Vector(Diagonal):
        def loss(self, params: Any, batch: Any = None) -> torch.Tensor:
            return params**2

    class Cut(Diagonal):
        def loss(self, params: Any, batch: Any = None) -> torch.Tensor:
            return (params.detach() ** 2).sum()

    with pytest.raises(InputError, match=r"shape \(\)"):
        reverse(Descent(), Vector(ONE), ALPHA, 3, start=ONE)
    with pytest.raises(InputError, match="does not depend on params"):
        reverse(Descent(), Cut(ONE), ALPHA, 3, start=ONE)


def test_meta_parameters_without_effect_are_named() -> None:
    class Ignores(Descent):
        def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
            return params - 0.1 * grads, state

    class Detaches(Descent):
        def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
            return params - meta.detach() * grads, state

    for rule in (Ignores(), Detaches()):
        with pytest.raises(InputError, match="does not depend on any meta-parameter"):
            reverse(rule, PROBLEM, ALPHA, 3, start=ONE)
    found = reverse(Descent(), PROBLEM, BOTH, 3, start=ONE)
    assert found.unconnected == ("beta",)
    assert found.gradient["beta"] == 0  # type: ignore[index]
    assert found.gradient["alpha"] < 0  # type: ignore[index]


def test_the_step_that_left_the_float_range_is_named() -> None:
    """|x_t| = 99^t: f(x_t) = x_t^2/2 leaves float32 at t = 10 (99^20/2 = 4e39), x_t itself at t = 20."""
    single = Diagonal(torch.ones(1))
    found = reverse(Descent(), single, torch.tensor(100.0), 24, start=torch.ones(1))
    run = found.diagnostics
    assert (run.loss_left.item(), run.iterate_left.item(), run.gradient_left.item()) == (10, 20, 20)
    assert run.finite.tolist() == [True] * 9 + [False] * 15
    with pytest.raises(InputError, match="loss left the float range at x_10; the iterate"):
        found.require_finite()
    fine = reverse(Descent(), single, torch.tensor(0.1), 24, start=torch.ones(1))
    assert fine.require_finite() is fine
    assert (fine.diagnostics.loss_left.item(), fine.diagnostics.gradient_left.item()) == (0, -1)


def test_a_root_at_zero_is_told_apart_from_explosion() -> None:
    class Rooted(HeavyBall):
        def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
            square = state + meta["beta"] * grads**2
            return params - meta["alpha"] * grads / (square.sqrt() + 1e-8), square

    start = torch.tensor([1.0, 0.0], dtype=torch.float64)  # the second gradient is 0 for ever
    found = reverse(Rooted(), Diagonal(torch.ones(2, dtype=torch.float64)), BOTH, 4, start=start)
    assert found.diagnostics.finite.all()
    with pytest.raises(InputError, match="sqrt or a division at 0"):
        found.require_finite()


def test_under_vmap_each_task_has_its_own_exit() -> None:
    rates = torch.tensor([0.1, 100.0])
    together = torch.func.vmap(lambda a: reverse(Descent(), Diagonal(torch.ones(1)), a, 24, start=torch.ones(1)))(rates)
    assert together.diagnostics.loss_left.tolist() == [0, 10]


def test_dicts_of_tensors_go_through() -> None:
    batch = (torch.ones(5, 3, dtype=torch.float64), torch.ones(5, dtype=torch.float64))
    found = reverse(HeavyBall(), Regression(), BOTH, 3, start=Regression().init(), batches=lambda t: batch)
    assert set(found.gradient) == {"alpha", "beta"}
    assert found.norm > 0
