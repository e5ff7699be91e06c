"""Math-L2O P and PA against torch.nn.LSTM, its limits, and bad input."""

from __future__ import annotations

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.optimizers.math_l2o import MathL2O
from l2o_theory.problems.quadratic_programs import formula_given

PROGRAMS = formula_given(2, 3, 4)


def reordered(weight: torch.Tensor) -> torch.Tensor:
    """Gates (i, j, f, o) along the last axis to torch's (i, f, g, o)."""
    i, j, f, o = weight.chunk(4, -1)
    return torch.cat([i, f, j, o], -1)


@pytest.mark.parametrize("accelerate", [False, True])
def test_the_rule_is_torchs_lstm_with_the_published_heads(accelerate: bool) -> None:
    rule = MathL2O(PROGRAMS.step_sizes, accelerate, hidden=5, layers=2, state_seed=3)
    meta = rule.meta(torch.Generator().manual_seed(0))
    lstm = torch.nn.LSTM(2, 5, 2).double()
    with torch.no_grad():
        for layer, inputs in ((1, 2), (2, 5)):
            weight = reordered(meta[f"lstm{layer}.weight"])
            getattr(lstm, f"weight_ih_l{layer - 1}").copy_(weight[:inputs].T)
            getattr(lstm, f"weight_hh_l{layer - 1}").copy_(weight[inputs:].T)
            getattr(lstm, f"bias_ih_l{layer - 1}").copy_(reordered(meta[f"lstm{layer}.bias"]))
            getattr(lstm, f"bias_hh_l{layer - 1}").zero_()
    y, state = PROGRAMS.init(), rule.init(PROGRAMS.init())
    assert float(state["hidden1"].std()) == pytest.approx(1, abs=0.4)  # 40 standard normals
    memory = tuple(torch.stack([state[f"{kind}{k}"].reshape(8, 5) for k in (1, 2)]) for kind in ("hidden", "cell"))
    x_old = point = y
    for _ in range(4):
        g = PROGRAMS.gradient(point)
        top, memory = lstm(torch.stack((g, point), -1).reshape(1, 8, 2), memory)
        mixed = torch.relu(top[0] @ meta["mix.weight"] + meta["mix.bias"])
        p = 2 * torch.sigmoid(mixed @ meta["p.weight"] + meta["p.bias"]).reshape(2, 4)
        x = point - PROGRAMS.step_sizes * p * g
        a = 2 * torch.sigmoid(mixed @ meta["a.weight"] + meta["a.bias"]).reshape(2, 4) if accelerate else 0
        point, x_old = x + a * (x - x_old), x
        y, state = rule.update(y, PROGRAMS.gradient(y), state, meta)
        torch.testing.assert_close(y, point.detach(), rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(state["iterate"], x.detach(), rtol=1e-11, atol=1e-12)
    assert not torch.allclose(p, torch.ones_like(p), atol=1e-3)  # the network did something


def test_a_zero_head_is_gradient_descent_to_the_bit() -> None:
    rule = MathL2O(PROGRAMS.step_sizes)
    meta = rule.meta(torch.Generator().manual_seed(0))
    meta["p.weight"] = torch.zeros_like(meta["p.weight"])
    x, state, plain = PROGRAMS.init(), rule.init(PROGRAMS.init()), PROGRAMS.init()
    for _ in range(5):
        x, state = rule.update(x, PROGRAMS.gradient(x), state, meta)
        plain = plain - PROGRAMS.step_sizes * PROGRAMS.gradient(plain)
    assert torch.equal(x, plain)


@pytest.mark.parametrize("accelerate", [False, True])
def test_several_tensors_are_one_long_iterate(accelerate: bool) -> None:
    rule, shapes = MathL2O(0.05, accelerate, hidden=5, state_seed=3), {"a": (2, 3), "b": (), "c": (4,)}
    meta = rule.meta(torch.Generator().manual_seed(0))
    parts = {name: torch.randn(shape, generator=torch.Generator().manual_seed(1)) for name, shape in shapes.items()}
    parts = {name: part.double() for name, part in parts.items()}
    whole = torch.cat([part.reshape(-1) for part in parts.values()])
    state, alone = rule.init(parts), rule.init(whole)
    for _ in range(3):
        parts, state = rule.update(parts, {name: part**3 for name, part in parts.items()}, state, meta)
        whole, alone = rule.update(whole, whole**3, alone, meta)
    assert {name: tuple(part.shape) for name, part in parts.items()} == shapes
    assert torch.equal(torch.cat([part.reshape(-1) for part in parts.values()]), whole)
    assert not torch.equal(torch.cat([parts[name].reshape(-1) for name in "cba"]), whole)  # planted: another order


def test_it_learns_on_its_training_instances() -> None:
    rule = MathL2O(PROGRAMS.step_sizes, accelerate=True, hidden=6)
    meta = rule.meta(torch.Generator().manual_seed(1))

    def loss(meta: dict[str, torch.Tensor]) -> torch.Tensor:
        y, state = PROGRAMS.init(), rule.init(PROGRAMS.init())
        for _ in range(5):
            y, state = rule.update(y, PROGRAMS.gradient(y), state, meta)
        return PROGRAMS.loss(state["iterate"])

    losses = []
    for _ in range(30):
        gradient, value = torch.func.grad_and_value(loss)(meta)
        losses.append(float(value))
        meta = {name: weight - 0.5 * gradient[name] for name, weight in meta.items()}
    assert losses[-1] < 0.9 * losses[0]


def test_bad_input_is_refused() -> None:
    for options, message in (
        ({"step_size": 0.0}, "positive and finite"),
        ({"step_size": 1.0, "layers": 0}, "layers >= 1"),
        ({"step_size": 1.0, "hidden": 0}, "hidden >= 1"),
        ({"step_size": 1.0, "features": "half"}, "full or detached"),
    ):
        with pytest.raises(InputError, match=message):
            MathL2O(**options)  # type: ignore[arg-type]
    rule, x = MathL2O(1.0), PROGRAMS.init()
    with pytest.raises(InputError, match="meta must hold"):
        rule.update(x, x, rule.init(x), {"p.weight": x})
    with pytest.raises(InputError, match="step sizes by coordinate need an iterate of one tensor, got 2"):
        MathL2O(PROGRAMS.step_sizes).init({"a": x, "b": x})
