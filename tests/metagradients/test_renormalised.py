"""The rescaled run: equal to the plain one where that is finite, right where it is not, and refusals."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from tiny_rules import INSTANCES, RELATIVE, Descent, Diagonal, HeavyBall, Instance, Regression, SmoothAdam

from l2o_theory.errors import InputError
from l2o_theory.metagradients import MetaObjective, log_renormalised, reverse

HEAVY = {"alpha": torch.tensor(0.2, dtype=torch.float64), "beta": torch.tensor(0.9, dtype=torch.float64)}
ONE = torch.ones(1, dtype=torch.float64)


def exact(case: Instance) -> float:
    """d log f(x_N)/d alpha in rationals."""
    pairs = list(zip(case.eigenvalues, case.start, strict=True))
    final = sum(lam * x**2 * (1 - case.alpha * lam) ** (2 * case.steps) for lam, x in pairs) / 2
    return float(-case.steps * case.slope(case.steps) / final)


@pytest.mark.parametrize("case", INSTANCES)
def test_equals_the_plain_run_and_the_closed_form(case: Instance) -> None:
    problem, start, alpha = case.tensors()
    found = log_renormalised(Descent(), problem, alpha, case.steps, start=start)
    plain = reverse(Descent(), problem, alpha, case.steps, start=start, objective=MetaObjective("log_final"))
    assert found.gradient.item() == pytest.approx(exact(case), rel=RELATIVE)  # type: ignore[union-attr]
    assert found.value.item() == pytest.approx(plain.value.item(), rel=1e-13)


@pytest.mark.parametrize("alpha", [Fraction(1, 2), Fraction(5)])  # f(x_N) = 4^-900/2 and 16^900/2
def test_far_outside_the_float_range(alpha: Fraction) -> None:
    """d log f/d alpha = -2 N lam/(1 - alpha lam) on one coordinate."""
    step_size = torch.tensor(float(alpha), dtype=torch.float64)
    found = log_renormalised(Descent(), Diagonal(ONE), step_size, 900, start=ONE).require_finite()
    assert found.gradient.item() == pytest.approx(float(-1800 / (1 - alpha)), rel=1e-12)  # type: ignore[union-attr]
    assert found.diagnostics.finite.all()
    plain = reverse(Descent(), Diagonal(ONE), step_size, 900, start=ONE, objective=MetaObjective("log_final"))
    assert not plain.gradient.isfinite()  # type: ignore[union-attr]  # planted: the plain run is no use here
    with pytest.raises(InputError, match="not finite"):
        plain.require_finite()


def test_momentum_batches_starts_of_any_size_and_vmap() -> None:
    problem = Diagonal(torch.tensor([1.0, 0.1], dtype=torch.float64))
    batches = lambda t: torch.tensor(1.0 + t % 3, dtype=torch.float64)  # noqa: E731  # random curvature
    plain_value: dict[str, Any] = {"objective": MetaObjective("log_final"), "batches": batches}
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    plain = reverse(HeavyBall(), problem, HEAVY, 60, start=start, **plain_value)
    for scale in (1.0, 1e-300, 1e300):
        found = log_renormalised(HeavyBall(), problem, HEAVY, 60, start=scale * start, batches=batches)
        for name in HEAVY:
            # a factor of the start does not move d log f
            torch.testing.assert_close(found.gradient[name], plain.gradient[name], rtol=1e-11, atol=0)
    together = torch.func.vmap(
        lambda x: log_renormalised(HeavyBall(), problem, HEAVY, 60, start=x, batches=batches).gradient
    )(torch.stack([start, 3 * start]))
    for name in HEAVY:
        torch.testing.assert_close(together[name], plain.gradient[name].expand(2), rtol=1e-11, atol=0)


def test_what_is_not_served_is_refused() -> None:
    class Shifted(Diagonal):
        def loss(self, params: Any, batch: Any = None) -> torch.Tensor:
            return super().loss(params - 1e-3)

    class Lifted(Diagonal):
        def loss(self, params: Any, batch: Any = None) -> torch.Tensor:
            return super().loss(params) + 1.0

    class Clipped(Descent):
        def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
            return params - meta * grads.clamp(-1, 1), state

    alpha = torch.tensor(0.1, dtype=torch.float64)
    for problem in (Shifted(ONE), Lifted(ONE)):
        with pytest.raises(InputError, match=r"f\(c x\) = c\^2 f\(x\)"):
            log_renormalised(Descent(), problem, alpha, 5, start=ONE)
    for rule in (SmoothAdam(), Clipped()):
        with pytest.raises(InputError, match="this rule is not of that kind"):
            log_renormalised(rule, Diagonal(ONE), alpha, 5, start=ONE)
    data = (torch.ones(4, 3, dtype=torch.float64), torch.ones(4, dtype=torch.float64))
    with pytest.raises(InputError, match="this loss is not of that kind"):
        log_renormalised(HeavyBall(), Regression(), HEAVY, 5, start=Regression().init(), batches=lambda t: data)
    with pytest.raises(InputError, match="needs MetaObjective"):
        log_renormalised(Descent(), Diagonal(ONE), alpha, 5, start=ONE, objective=MetaObjective())
