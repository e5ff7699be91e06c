"""The estimators on the package's own rules and problems, whose conventions they have to meet."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from l2o_theory.metagradients import checkpointed, forward, log_renormalised, reverse
from l2o_theory.optimizers import Adam, AdamW, GradientDescent, HeavyBall, LSTMRule, Nesterov, RMSprop
from l2o_theory.problems import MLP, Classification, Dataset, DoubleWell, Quadratic, Rosenbrock
from l2o_theory.problems.flat import Flat

RULES = [GradientDescent(), HeavyBall(), Nesterov(), RMSprop(), Adam(), AdamW()]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize(
    "problem", [Quadratic([1.0, 0.1], start=[1.0, -2.0]), Rosenbrock(), DoubleWell()], ids=lambda p: type(p).__name__
)
def test_reverse_forward_and_checkpointed_agree(rule: Any, problem: Any) -> None:
    meta = rule.meta(0.001)
    start = problem.init(torch.Generator().manual_seed(0))
    found = [
        estimator(rule, problem, meta, 12, start=start).require_finite()
        for estimator in (reverse, forward, checkpointed)
    ]
    for name in meta:
        for other in found[1:]:
            # three orders of summation of the same derivatives, some of them sums that nearly cancel
            torch.testing.assert_close(other.gradient[name], found[0].gradient[name], rtol=1e-9, atol=1e-12)
    wrong = reverse(rule, problem, meta, 11, start=start)
    assert not torch.allclose(wrong.gradient["step_size"], found[0].gradient["step_size"], rtol=1e-6)  # planted


def classification() -> Classification:
    generator = torch.Generator().manual_seed(4)
    features = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    return Classification(MLP((3, 4, 2)), Dataset(features, torch.arange(12) % 2, 2))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_a_coordinatewise_rule_takes_the_same_steps_on_one_vector(rule: Any) -> None:
    problem, meta = classification(), rule.meta(0.05)
    start = problem.init(torch.Generator().manual_seed(1))
    flat = Flat(problem, start)  # type: ignore[arg-type]
    apart = reverse(rule, problem, meta, 9, start=start)
    together = reverse(rule, flat, meta, 9, start=flat.ravel(start))
    torch.testing.assert_close(together.value, apart.value, rtol=1e-13, atol=0)
    for name in meta:
        torch.testing.assert_close(together.gradient[name], apart.gradient[name], rtol=1e-10, atol=1e-13)


def test_a_learned_rule_with_many_weights() -> None:
    rule, problem = LSTMRule(), Quadratic([1.0, 0.1], start=[1.0, -2.0])
    meta = rule.meta(torch.Generator().manual_seed(3))
    found = reverse(rule, problem, meta, 7, start=problem.init()).require_finite()
    saved = checkpointed(rule, problem, meta, 7, start=problem.init())
    for name in meta:
        torch.testing.assert_close(saved.gradient[name], found.gradient[name], rtol=1e-9, atol=1e-12)
    assert found.norm > 0


def test_linear_rules_are_served_by_the_rescaled_run_far_away() -> None:
    problem = Quadratic([1.0, 0.1], start=[1.0, -2.0])
    for rule in (GradientDescent(), HeavyBall(), Nesterov()):
        found = log_renormalised(rule, problem, rule.meta(8.0), 600, start=problem.init()).require_finite()
        assert found.value > 709  # f(x_N) itself is above the float range, e^709.8
