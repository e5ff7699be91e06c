"""What LODO refuses, and that it is then as it was."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from l2o_theory.errors import InputError
from l2o_theory.optimizers import LODO, Preconditioner


def optimizer_after_two_steps(engine: str = "auto", **options: Any) -> tuple[LODO, list[Parameter]]:
    parameters = [Parameter(torch.ones(2)), Parameter(torch.ones(3, 1))]
    options = {"depth": 2, "generator": torch.Generator().manual_seed(0), **options}
    optimizer = LODO(parameters, engine=engine, **options)  # type: ignore[arg-type]
    for _ in range(2):
        for p in parameters:
            p.grad = p.detach() / 3
        optimizer.step()
    return optimizer, parameters


def snapshot(optimizer: LODO, parameters: list[Parameter]) -> Any:
    return copy.deepcopy((optimizer.state_dict(), [p.detach() for p in parameters]))


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other


def missing(parameters: list[Parameter]) -> None:
    parameters[1].grad = None


def none_at_all(parameters: list[Parameter]) -> None:
    for p in parameters:
        p.grad = None


def sparse(parameters: list[Parameter]) -> None:
    parameters[1].grad = torch.ones(3, 1).to_sparse()


def entry(value: float) -> Callable[[list[Parameter]], None]:
    def spoil(parameters: list[Parameter]) -> None:
        gradient = parameters[1].grad
        assert gradient is not None
        gradient[2, 0] = value

    return spoil


def huge(parameters: list[Parameter]) -> None:
    for p in parameters:
        p.grad = torch.full_like(p, 1e25)  # finite, but its square is not


FAULTS = {
    "missing": (missing, r"parameter 1 of group 0, of shape \(3, 1\), has no gradient"),
    "none at all": (none_at_all, "has no gradient"),
    "sparse": (sparse, "sparse gradient"),
    "NaN": (entry(float("nan")), "NaN or infinite"),
    "infinite": (entry(float("-inf")), "NaN or infinite"),
    "huge": (huge, "overflows"),
}


@pytest.mark.parametrize("engine", ["auto", "tensors"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_gradient_is_refused_and_nothing_changes(name: str, engine: str) -> None:
    spoil, message = FAULTS[name]
    optimizer, parameters = optimizer_after_two_steps(engine)
    before = snapshot(optimizer, parameters)
    spoil(parameters)
    with pytest.raises(InputError, match=message):
        optimizer.step()
    assert_same(snapshot(optimizer, parameters), before)
    for p in parameters:  # and the next step is the one that would have been
        p.grad = torch.ones_like(p)
    optimizer.step()
    twin, others = optimizer_after_two_steps(engine)
    for p in others:
        p.grad = torch.ones_like(p)
    twin.step()
    assert_same(snapshot(twin, others), snapshot(optimizer, parameters))


def test_a_changed_state_is_seen() -> None:
    """Planted: a step that does take place."""
    optimizer, parameters = optimizer_after_two_steps()
    before = snapshot(optimizer, parameters)
    optimizer.step()
    with pytest.raises(AssertionError):
        assert_same(snapshot(optimizer, parameters), before)


@pytest.mark.parametrize("name", ["NaN", "infinite", "huge"])
def test_such_steps_can_be_skipped(name: str) -> None:
    optimizer, parameters = optimizer_after_two_steps(nonfinite="skip")
    before = snapshot(optimizer, parameters)
    FAULTS[name][0](parameters)
    assert optimizer.step(lambda: torch.tensor(3.0)) == 3
    assert optimizer.skipped == 1
    assert_same(snapshot(optimizer, parameters), before)


def test_a_huge_first_gradient_is_no_poison() -> None:
    x = Parameter(torch.zeros(3))
    optimizer = LODO([x], nonfinite="skip")
    for _ in range(3):
        x.grad = torch.full_like(x, 1e30)
        optimizer.step()
    assert torch.isfinite(optimizer.preconditioner.blocks).all()
    assert torch.isfinite(x).all()
    assert optimizer.skipped == 2


def test_a_step_that_overflows_does_not_move_the_point() -> None:
    x = Parameter(torch.zeros(3))
    optimizer = LODO([x], alpha0=1e30)
    x.grad = torch.full_like(x, 1e30)
    with pytest.raises(InputError, match="the step is not finite"):
        optimizer.step()
    assert torch.equal(x, torch.zeros_like(x))


def test_a_step_that_half_precision_cannot_hold_does_not_move_the_point() -> None:
    """1e6 is finite in float32, where LODO computes, and infinite in the parameter. Planted: a step that fits."""
    for size, moves in ((1e3, True), (6e4, False)):
        x = Parameter(torch.zeros(3, dtype=torch.float16))
        optimizer = LODO([x], alpha0=20.0, beta=0.0)
        x.grad = torch.full_like(x, size)
        if moves:
            optimizer.step()
            assert float(x.detach().max()) == pytest.approx(-20 * size, rel=1e-3)
        else:
            with pytest.raises(InputError, match="the step is not finite"):
                optimizer.step()
            assert torch.equal(x, torch.zeros_like(x))


@pytest.mark.parametrize("name", ["lr", "weight_decay", "meta_lr", "beta", "alpha0"])
def test_a_setting_that_has_become_nan_is_refused(name: str) -> None:
    optimizer, parameters = optimizer_after_two_steps()
    kept = optimizer.param_groups[0][name]
    before = snapshot(optimizer, parameters)
    optimizer.param_groups[0][name] = float("nan")
    with pytest.raises(InputError, match=f"{name} of a group is now nan"):
        optimizer.step()
    optimizer.param_groups[0][name] = kept
    assert_same(snapshot(optimizer, parameters), before)


def test_missing_gradients_can_count_as_zero() -> None:
    optimizer, parameters = optimizer_after_two_steps(missing="zero")
    twin, others = optimizer_after_two_steps()
    missing(parameters)
    others[1].grad = torch.zeros_like(others[1])
    optimizer.step()
    twin.step()
    assert_same(snapshot(twin, others), snapshot(optimizer, parameters))
    none_at_all(parameters)
    with pytest.raises(InputError, match="no parameter has a gradient"):
        optimizer.step()


@pytest.mark.parametrize("shapes", [((2,), (4, 1)), ((3,), (2, 1)), ((2,), (1, 3))])
def test_a_parameter_that_changed_its_shape_is_refused(shapes: tuple[tuple[int, ...], ...]) -> None:
    optimizer, parameters = optimizer_after_two_steps()
    before = [optimizer.preconditioner.blocks.clone(), optimizer.momentum.clone()]
    for p, shape in zip(parameters, shapes, strict=True):
        p.data = torch.zeros(shape)
        p.grad = torch.ones(shape)
    with pytest.raises(InputError, match="make a new optimizer"):
        optimizer.step()
    assert_same([optimizer.preconditioner.blocks, optimizer.momentum], before)


def test_a_parameter_given_twice_is_refused() -> None:
    """torch warns of it only, and would then move the parameter twice."""
    x = Parameter(torch.zeros(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match=r"parameter 1 of group 0, .* comes twice"):
            LODO([x, x])


def test_a_closure_without_loss_is_refused() -> None:
    optimizer, parameters = optimizer_after_two_steps()
    before = snapshot(optimizer, parameters)
    with pytest.raises(InputError, match="must return the loss"):
        optimizer.step(lambda: None)
    assert_same(snapshot(optimizer, parameters), before)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([Parameter(torch.zeros(2, dtype=torch.complex64))], "is complex"),
        ([Parameter(torch.zeros(2, dtype=torch.int64), requires_grad=False)], "floating-point"),
        ([Parameter(torch.zeros(0))], "nothing to optimize"),
        ([Parameter(torch.zeros(2)), Parameter(torch.zeros(2, device="meta"))], "on one device"),
        ([Parameter(torch.zeros(2, device="meta"))], "meta device"),
        (
            [{"params": [Parameter(torch.zeros(2))], "beta": 0.1}, {"params": [Parameter(torch.zeros(2))]}],
            "beta must be the same",
        ),
        ([{"params": [Parameter(torch.zeros(2))], "beta": 2.0}], "beta must be below 1"),
        ([{"params": [Parameter(torch.zeros(2))], "alpha0": -1.0}], "alpha0 must be"),
        ([{"params": [Parameter(torch.zeros(2))], "lr": float("nan")}], "lr must be"),
    ],
)
def test_parameters_that_cannot_be_optimized(parameters: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LODO(parameters)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha0": 0.0}, "alpha0 must be positive"),
        ({"alpha0": float("nan")}, "alpha0 must be"),
        ({"alpha0": None}, "alpha0 must be a number"),
        ({"meta_lr": "fast"}, "meta_lr must be a number"),
        ({"meta_lr": -1.0}, "meta_lr must be"),
        ({"beta": 1.0}, "beta must be below 1"),
        ({"lr": float("inf")}, "lr must be"),
        ({"weight_decay": -0.1}, "weight_decay must be"),
        ({"meta_optimizer": "lamb"}, "meta_optimizer must be 'adam' or 'sgd'"),
        ({"meta_betas": (0.9, 1.0)}, "meta_betas"),
        ({"meta_eps": 0.0}, "meta_eps"),
        ({"missing": "ignore"}, "missing must be"),
        ({"nonfinite": "ignore"}, "nonfinite must be"),
        ({"block_size": 0}, "block_size must be"),
        ({"dtype": "float64"}, "dtype must be one of torch"),
        ({"preconditioner": Preconditioner(4)}, "of size 5, got 4"),
        ({"preconditioner": torch.eye(5)}, "must be a Preconditioner, got Tensor"),
        (
            {"preconditioner": Preconditioner(5), "depth": 4},
            "preconditioner has depth 16, got depth=4; leave depth out",
        ),
        ({"preconditioner": Preconditioner(5), "block_size": 2}, "has block_size 4, got block_size=2"),
        ({"preconditioner": Preconditioner(5), "dtype": torch.float32}, "has dtype torch.float64, got"),
        ({"preconditioner": Preconditioner(5), "blocks": Preconditioner(5).blocks}, "has blocks other than those"),
        (
            {"preconditioner": Preconditioner(5), "permutations": Preconditioner(5).permutations},
            "has permutations other",
        ),
        ({"preconditioner": Preconditioner(5), "permutations": [0, 1]}, "has permutations other"),
        ({"blocks": torch.zeros(2, 1, 4, 4)}, "at least n=5 lines"),
        ({"permutations": torch.zeros(2, 12, dtype=torch.long)}, r"each of 0..11 once"),
    ],
)
def test_options_out_of_range(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LODO([Parameter(torch.zeros(5))], **options)


def test_a_group_cannot_be_added_later() -> None:
    optimizer, parameters = optimizer_after_two_steps()
    before = snapshot(optimizer, parameters)
    with pytest.raises(InputError, match="one vector of fixed size"):
        optimizer.add_param_group({"params": [Parameter(torch.zeros(1))]})
    assert_same(snapshot(optimizer, parameters), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LODO([Parameter(torch.zeros(2)), Parameter(torch.zeros(1, 3))], depth=2),
            r"shapes \[\[2\], \[3, 1\]\]",
        ),
        (lambda: LODO([Parameter(torch.zeros(2)), Parameter(torch.zeros(3, 1))], depth=3), "must have shape"),
        (
            lambda: LODO([Parameter(torch.zeros(2)), Parameter(torch.zeros(3, 1))], depth=2, block_size=2),
            "must have shape",
        ),
        (
            lambda: LODO([Parameter(torch.zeros(2)), Parameter(torch.zeros(3, 1))], depth=2, meta_optimizer="sgd"),
            "the state has None",
        ),
        (
            lambda: torch.optim.Adam([Parameter(torch.zeros(2)), Parameter(torch.zeros(3, 1))]),
            "not one of this optimizer",
        ),
        (lambda: torch.optim.SGD([Parameter(torch.zeros(2))], momentum=0.9), "not one of this optimizer"),
    ],
)
def test_a_state_of_something_else_is_refused(make: Callable[[], Any], message: str) -> None:
    stranger = make()
    for p in stranger.param_groups[0]["params"]:
        p.grad = torch.ones_like(p)
    stranger.step()
    optimizer, parameters = optimizer_after_two_steps()
    before = snapshot(optimizer, parameters)
    with pytest.raises(InputError, match=message):
        optimizer.load_state_dict(stranger.state_dict())
    assert_same(snapshot(optimizer, parameters), before)
    optimizer.load_state_dict(before[0])  # its own is welcome


def broken_groups(state: Any) -> None:
    state["param_groups"].append(state["param_groups"][0])


SPOILED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "empty": (lambda state: state.clear(), "not one of this optimizer"),
    "another group": (broken_groups, r"groups of \[2\] parameters"),
    "a row that points nowhere": (lambda state: state["state"][0]["permutations"].add_(10**6), "once, it does not"),
    "NaN weights": (lambda state: state["state"][0]["weights"].fill_(float("nan")), "weights of the state"),
    "infinite moments": (lambda state: state["state"][0]["exp_avg"].fill_(float("inf")), "exp_avg of the state"),
    "rates of another vector": (lambda state: state["state"][0].update(rates=torch.ones(7)), "rates must be"),
    "alpha0 out of range": (lambda state: state["param_groups"][0].update(alpha0=-1.0), "alpha0 must be"),
    "beta left out": (lambda state: state["param_groups"][0].pop("beta"), "beta must be"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_state_is_refused(name: str) -> None:
    """A file from elsewhere: its permutations would be where the compiled sweeps read and write."""
    spoil, message = SPOILED[name]
    optimizer, parameters = optimizer_after_two_steps()
    before = snapshot(optimizer, parameters)
    state = copy.deepcopy(before[0])
    spoil(state)
    with pytest.raises(InputError, match=message):
        optimizer.load_state_dict(state)
    assert_same(snapshot(optimizer, parameters), before)
