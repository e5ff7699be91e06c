"""The hand-written rules: values of torch.optim, derivatives that are finite and right, bad input refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from trajectories_of_torch import by_rule, by_torch

from l2o_theory.errors import InputError
from l2o_theory.optimizers import Adam, AdamW, GradientDescent, HeavyBall, Nesterov, RMSprop, UpdateRule

STEPS = 100
PAIRS: list[tuple[Any, dict[str, float], Any, dict[str, Any]]] = [
    (GradientDescent(), {"step_size": 0.02}, torch.optim.SGD, {"lr": 0.02}),
    (GradientDescent(), {"step_size": 0.02, "weight_decay": 0.1}, torch.optim.SGD, {"lr": 0.02, "weight_decay": 0.1}),
    (HeavyBall(), {"step_size": 0.02, "momentum": 0.8}, torch.optim.SGD, {"lr": 0.02, "momentum": 0.8}),
    (
        HeavyBall(),
        {"step_size": 0.02, "momentum": 0.8, "weight_decay": 0.1},
        torch.optim.SGD,
        {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.1},
    ),
    (
        Nesterov(),
        {"step_size": 0.02, "momentum": 0.8, "weight_decay": 0.1},
        torch.optim.SGD,
        {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.1, "nesterov": True},
    ),
    (RMSprop(), {"step_size": 0.02}, torch.optim.RMSprop, {"lr": 0.02}),
    (
        RMSprop(),
        {"step_size": 0.001, "decay": 0.9, "momentum": 0.5, "weight_decay": 0.1},  # close to the minimum it is chaotic
        torch.optim.RMSprop,
        {"lr": 0.001, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.1},
    ),
    (Adam(), {"step_size": 0.05}, torch.optim.Adam, {"lr": 0.05}),
    (
        Adam(),
        {"step_size": 0.05, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.1},
        torch.optim.Adam,
        {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    (AdamW(), {"step_size": 0.05, "weight_decay": 0.2}, torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.2}),
    (AdamW(), {"step_size": 0.05}, torch.optim.AdamW, {"lr": 0.05}),
]
RULES = [GradientDescent(), HeavyBall(), Nesterov(), RMSprop(), Adam(), AdamW()]


def greatest_distance(ours: list[dict[str, Tensor]], theirs: list[dict[str, Tensor]]) -> float:
    return max(
        float((mine[name] - other[name]).abs().max()) for mine, other in zip(ours, theirs, strict=True) for name in mine
    )


@pytest.mark.parametrize(("rule", "meta", "make", "options"), PAIRS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_iterates_are_those_of_torch(
    rule: UpdateRule, meta: dict[str, float], make: Any, options: dict[str, Any]
) -> None:
    theirs = by_torch(lambda params: make(params, **options), STEPS)
    for values in ({k: torch.tensor(v, dtype=torch.float64) for k, v in meta.items()}, rule.meta(**meta)):  # type: ignore[attr-defined]
        # iterates are of size 1; 100 steps of a dozen roundings of 1e-16 each, not amplified by this loss
        assert greatest_distance(by_rule(rule, values, STEPS), theirs) < 1e-12
    # planted: one step size away in the twelfth digit from the right one is seen, so the tolerance has teeth
    wrong = rule.meta(**{**meta, "step_size": meta["step_size"] * (1 + 1e-9)})  # type: ignore[attr-defined]
    assert greatest_distance(by_rule(rule, wrong, STEPS), theirs) > 1e-12


def test_the_velocity_carries_the_step_size() -> None:
    """x_2 = x_1 + b v_1 - a_2 g_2 with v_1 = -a_1 g_1: where the step size changes, torch's buffer gives a_2 b g_1."""
    rule, x = HeavyBall(), torch.tensor([1.0], dtype=torch.float64)
    state = rule.init(x)
    for step_size in (0.5, 0.25):
        x, state = rule.update(x, torch.ones_like(x), state, rule.meta(step_size, momentum=0.5))
    assert x.item() == 1 - 0.5 - (0.5 * 0.5 + 0.25)
    assert x.item() != 1 - 0.5 - 0.25 * (0.5 + 1)


def final_loss(rule: UpdateRule, meta: dict[str, Tensor], frozen: bool) -> Tensor:
    """Three coordinates; at the third the gradient is 0 in all 5 steps, or nearly so."""
    x = torch.tensor([1.0, -2.0, 0.0 if frozen else 1e-9], dtype=torch.float64)
    state = rule.init(x)
    for _ in range(5):
        x, state = rule.update(x, torch.func.grad(lambda z: 0.5 * (z**2).sum())(x), state, meta)
    return 0.5 * (x**2).sum()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_meta_gradients_are_finite_where_a_gradient_stays_zero_and_equal_differences(rule: Any) -> None:
    meta = rule.meta(step_size=0.1)
    slopes = torch.func.grad(lambda phi: final_loss(rule, phi, frozen=True))(meta)
    for name, slope in slopes.items():
        assert torch.isfinite(slope), name
        h = 1e-6 if name != "eps" else 1e-9  # below eps = 1e-8 itself

        def shifted(by: float, name: str = name) -> float:
            return float(final_loss(rule, {**meta, name: meta[name] + by}, frozen=True))

        difference = (shifted(h) - shifted(-h)) / (2 * h)
        # central differences are right to about h^2 + 1e-16/h: 1e-10, or 1e-7 for eps
        assert slope.item() == pytest.approx(difference, rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("rule", [Adam(), AdamW(), RMSprop()], ids=lambda rule: type(rule).__name__)
def test_planted_plain_square_root_gives_nan(rule: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2o_theory.optimizers.adam.root", torch.sqrt)
    slopes = torch.func.grad(lambda phi: final_loss(rule, phi, frozen=True))(rule.meta(step_size=0.1))
    assert any(torch.isnan(slope) for slope in slopes.values())


@pytest.mark.parametrize("size", [1e-3, 1e-6])
def test_the_derivative_at_a_zero_gradient_is_that_of_the_mean_over_eps(size: float) -> None:
    """d(step)/dg at g = 0 for Adam's first step m^/(sqrt(v^) + eps) = g/(|g| + eps) is 1/eps."""
    rule = Adam()

    def first(g: Tensor) -> Tensor:
        x = torch.zeros(1, dtype=torch.float64)
        return rule.update(x, g, rule.init(x), rule.meta(step_size=1.0, eps=size))[0].sum()  # type: ignore[union-attr]

    slope = torch.func.grad(first)(torch.zeros(1, dtype=torch.float64))
    assert slope.item() == pytest.approx(-1 / size, rel=1e-12)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_many_tasks_at_once_are_the_tasks_one_by_one(rule: Any) -> None:
    starts = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sizes = torch.tensor([0.01, 0.02, 0.05, 0.1], dtype=torch.float64)

    def run(x: Tensor, step_size: Tensor) -> Tensor:
        meta = {**rule.meta(), "step_size": step_size}
        state = rule.init(x)
        for _ in range(4):
            x, state = rule.update(x, torch.sin(x), state, meta)
        return x

    together = torch.func.vmap(run)(starts, sizes)
    one_by_one = torch.stack([run(x, size) for x, size in zip(starts, sizes, strict=True)])
    assert torch.allclose(together, one_by_one, rtol=1e-14, atol=0)  # the same operations in the same order
    assert not torch.allclose(together, one_by_one.flip(0))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_rules_are_pure(rule: Any) -> None:
    x, g = torch.ones(3), torch.full((3,), 0.5)
    _, state = rule.update(x, g, rule.init(x), rule.meta(dtype=torch.float32))
    before = [value.clone() for value in (x, g)], {k: v.clone() for k, v in state.items()} if state else ()
    new, _ = rule.update(x, g, state, rule.meta(dtype=torch.float32))
    assert new.dtype == torch.float32
    assert torch.equal(x, before[0][0])
    assert torch.equal(g, before[0][1])
    assert all(torch.equal(state[name], value) for name, value in dict(before[1]).items())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_bad_input_is_refused(rule: Any) -> None:
    x = torch.ones(2)
    with pytest.raises(InputError, match="did you mean step_size"):
        rule.update(x, x, rule.init(x), {"stepsize": torch.tensor(0.1)})
    with pytest.raises(InputError, match="lacks 'step_size'"):
        rule.update(x, x, rule.init(x), {})
    with pytest.raises(InputError, match="floating dtype, got torch"):
        rule.init(torch.ones(2, dtype=torch.int64))
    with pytest.raises(InputError, match="tensor or a dict of tensors"):
        rule.init({})


def test_a_bare_tensor_is_the_step_size() -> None:
    x = torch.tensor([2.0])
    assert GradientDescent().update(x, x, (), torch.tensor(0.5))[0].item() == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize("rule", [Adam(), HeavyBall(), RMSprop()], ids=lambda rule: type(rule).__name__)
def test_an_update_compiles_to_one_graph_and_counts_its_steps(rule: Any) -> None:
    """fullgraph=True refuses any break; a counter that were a Python number would be frozen or compiled per step."""
    compiled = torch.compile(rule.update, backend="eager", fullgraph=True)
    x = y = torch.tensor([1.0, -2.0], dtype=torch.float64)
    state = other = rule.init(x)
    meta = rule.meta(step_size=0.1)
    for _ in range(3):
        x, state = rule.update(x, torch.sin(x), state, meta)
        y, other = compiled(y, torch.sin(y), other, meta)
    assert torch.equal(x, y)
    if "step" in state:
        assert other["step"].item() == 3
