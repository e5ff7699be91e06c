"""Rules around rules: what they compute by hand, under vmap, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers import Adam, Coordinatewise, Fixed, GradientDescent, Reparametrised, Scheduled, UpdateRule
from l2o_theory.problems import Params


def run(rule: UpdateRule, x: Params, meta: Params, steps: int) -> Params:
    state = rule.init(x)
    for _ in range(steps):
        x, state = rule.update(x, x, state, meta)  # f = |x|^2/2
    return x


def number(x: Params) -> float:
    assert isinstance(x, Tensor)
    return float(x.sum())


def test_a_schedule_is_used_step_by_step_and_its_last_entry_stays() -> None:
    sizes = torch.tensor([0.5, 0.25, 0.1], dtype=torch.float64)
    x = torch.ones(1, dtype=torch.float64)
    for steps in (1, 2, 3, 5):
        expected = math.prod(1 - float(sizes[min(t, 2)]) for t in range(steps))
        assert number(run(Scheduled(GradientDescent()), x, {"step_size": sizes}, steps)) == pytest.approx(
            expected, rel=1e-15
        )
    assert number(run(Scheduled(GradientDescent()), x, sizes.flip(0), 2)) != pytest.approx(0.5 * 0.75)


def test_the_gradient_in_a_schedule_is_the_product_rule() -> None:
    sizes = torch.tensor([0.5, 0.25, 0.1], dtype=torch.float64)
    x = torch.ones(1, dtype=torch.float64)
    slopes = torch.func.grad(lambda phi: run(Scheduled(GradientDescent()), x, phi, 3).sum())(sizes)  # type: ignore[union-attr]
    residuals = 1 - sizes
    expected = -residuals.prod() / residuals
    assert torch.allclose(slopes, expected, rtol=1e-14, atol=0)


def test_schedules_differ_between_tasks_under_vmap() -> None:
    sizes = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.ones(1, dtype=torch.float64)
    together = torch.func.vmap(lambda phi: run(Scheduled(GradientDescent()), x, phi, 3))(sizes)
    assert torch.allclose(together.squeeze(1), (1 - sizes).prod(1), rtol=1e-14, atol=0)


def test_log_and_logit_scales() -> None:
    rule = Reparametrised(Adam(), log=("step_size", "eps"), logit=("beta1",))
    plain = Adam().meta(0.1, beta1=0.7)
    scaled = rule.meta(plain)
    assert set(scaled) == {"log_step_size", "log_eps", "logit_beta1", "beta2", "weight_decay"}
    x = torch.tensor([1.0, -3.0], dtype=torch.float64)
    # exp(log) costs some roundings
    assert torch.allclose(run(rule, x, scaled, 5), run(Adam(), x, plain, 5), rtol=1e-13)  # type: ignore[arg-type]
    one = torch.ones(1, dtype=torch.float64)
    # d/d(log a) (1 - a)^2 = -2 a (1 - a)
    slope = torch.func.grad(lambda s: run(Reparametrised(GradientDescent()), one, {"log_step_size": s}, 2).sum())  # type: ignore[union-attr]
    assert slope(torch.tensor(0.25, dtype=torch.float64).log()).item() == pytest.approx(-2 * 0.25 * 0.75, rel=1e-14)


def test_step_sizes_per_coordinate() -> None:
    x = torch.tensor([1.0, 1.0], dtype=torch.float64)
    assert run(GradientDescent(), x, torch.tensor([0.5, 0.25], dtype=torch.float64), 1).tolist() == [0.5, 0.75]  # type: ignore[union-attr]
    tree: dict[str, Tensor] = {"a": x, "b": torch.ones(2, 2, dtype=torch.float64)}
    meta: dict[str, Tensor] = {
        "step_size": torch.tensor(0.1, dtype=torch.float64),
        "step_size.b": torch.tensor([[0.5, 0.25], [0.0, 1.0]], dtype=torch.float64),
    }
    moved = run(Coordinatewise(GradientDescent()), tree, meta, 1)
    assert isinstance(moved, dict)
    assert moved["a"].tolist() == [0.9, 0.9]
    assert moved["b"].tolist() == [[0.5, 0.75], [1.0, 0.0]]
    same = run(Coordinatewise(Adam()), tree, {"step_size": meta["step_size"]}, 7)
    plain = run(Adam(), tree, {"step_size": meta["step_size"]}, 7)
    assert isinstance(same, dict)
    assert isinstance(plain, dict)
    assert all(torch.equal(same[name], plain[name]) for name in tree)


def test_fixed_values_are_not_learned() -> None:
    x = torch.ones(2, dtype=torch.float64)
    rule = Fixed(Adam(), {"beta1": torch.tensor(0.5, dtype=torch.float64)})
    meta = {"step_size": torch.tensor(0.1, dtype=torch.float64)}
    found, plain = run(rule, x, meta, 3), run(Adam(), x, Adam().meta(0.1, beta1=0.5), 3)
    assert number(found) == pytest.approx(number(plain), rel=1e-15)
    assert number(found) != number(run(Adam(), x, meta, 3))


def test_bad_input_is_refused() -> None:
    x, tree = torch.ones(2), {"a": torch.ones(2)}
    with pytest.raises(InputError, match="one value per step"):
        run(Scheduled(GradientDescent()), x, torch.tensor(0.1), 1)
    with pytest.raises(InputError, match="lacks 'momentum'"):
        run(Scheduled(GradientDescent(), ("momentum",)), x, torch.tensor([0.1]), 1)
    with pytest.raises(InputError, match="lacks 'log_step_size'"):
        run(Reparametrised(GradientDescent()), x, {"step_size": torch.tensor(0.1)}, 1)
    with pytest.raises(InputError, match="bare tensor"):
        run(Reparametrised(GradientDescent()), x, torch.tensor(0.1), 1)
    with pytest.raises(InputError, match="> 0"):
        Reparametrised(GradientDescent()).meta(torch.tensor(-0.1))
    with pytest.raises(InputError, match="held fixed"):
        run(Fixed(Adam(), {"eps": torch.tensor(0.1)}), x, {"eps": torch.tensor(0.1), "step_size": torch.tensor(1.0)}, 1)
    with pytest.raises(InputError, match="dicts of tensors"):
        Coordinatewise(GradientDescent()).init(x)
    with pytest.raises(InputError, match="no hyper-parameter 'step_size"):
        run(Coordinatewise(GradientDescent()), tree, {"step_size": x.sum(), "step_size.b": x}, 1)
