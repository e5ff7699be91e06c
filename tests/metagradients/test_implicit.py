"""Implicit differentiation at a fixed point against its closed form and against a long unroll."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from tiny_rules import Descent, Diagonal, HeavyBall, SmoothAdam

from l2o_theory.errors import InputError
from l2o_theory.metagradients import MetaObjective, implicit, reverse
from l2o_theory.metagradients.implicit import solved


@dataclass(frozen=True)
class Decayed:
    """Heavy ball on f(x) + w |x|^2/2, whose fixed point is (grad f)(x) = -w x."""

    def init(self, params: Any) -> Any:
        return torch.zeros_like(params)

    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        speed = 0.5 * state - meta["alpha"] * (grads + meta["decay"] * params)
        return params + speed, speed


@dataclass(frozen=True)
class Shifted(Diagonal):
    """1/2 sum lam (x - centre)^2."""

    centre: Any = 1.0

    def loss(self, params: Any, batch: Any = None) -> torch.Tensor:
        return super().loss(params - self.centre)


LAM = torch.tensor([1.0, 0.5, 0.2], dtype=torch.float64)
CENTRE = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
META = {"alpha": torch.tensor(0.7, dtype=torch.float64), "decay": torch.tensor(0.3, dtype=torch.float64)}
JUDGE = Shifted(torch.tensor([2.0, 1.0, 0.4], dtype=torch.float64), centre=0.25)
OBJECTIVE = MetaObjective("final", problem=JUDGE)
START = torch.zeros(3, dtype=torch.float64)


def test_weight_decay_against_the_closed_form_and_a_long_unroll() -> None:
    """x* = lam c/(lam + w), dx*/dw = -lam c/(lam + w)^2."""
    found = implicit(Decayed(), Shifted(LAM, centre=CENTRE), META, 200, start=START, objective=OBJECTIVE)
    limit = LAM * CENTRE / (LAM + META["decay"])
    slope = -LAM * CENTRE / (LAM + META["decay"]) ** 2
    expected = (JUDGE.eigenvalues * (limit - 0.25) * slope).sum()
    # the default tolerance 1e-6 bounds the residual of the linear system; three dimensions are solved exactly
    torch.testing.assert_close(found.gradient["decay"], expected, rtol=1e-9, atol=0)
    assert abs(found.gradient["alpha"]) < 1e-12  # type: ignore[index]  # a step size moves no fixed point
    long = reverse(Decayed(), Shifted(LAM, centre=CENTRE), META, 200, start=START, objective=OBJECTIVE)
    torch.testing.assert_close(found.gradient["decay"], long.gradient["decay"], rtol=1e-9, atol=0)
    short = reverse(Decayed(), Shifted(LAM, centre=CENTRE), META, 5, start=START, objective=OBJECTIVE)
    assert abs(short.gradient["decay"] / expected - 1) > 1e-3  # type: ignore[index]  # planted: not yet the limit


def test_refuses_what_has_not_come_to_rest() -> None:
    problem = Shifted(LAM, centre=CENTRE)
    with pytest.raises(InputError, match="still moves x or its state"):
        implicit(Decayed(), problem, META, 5, start=START, objective=OBJECTIVE)
    # with a tolerance that lets it pass the number is off, which is why the door is there
    loose = implicit(Decayed(), problem, META, 5, start=START, objective=OBJECTIVE, tolerance=0.5)
    tight = implicit(Decayed(), problem, META, 200, start=START, objective=OBJECTIVE)
    assert abs(loose.gradient["decay"] / tight.gradient["decay"] - 1) > 1e-3  # type: ignore[index]
    with pytest.raises(InputError, match="count steps"):
        implicit(SmoothAdam(), problem, META, 3000, start=START, objective=OBJECTIVE)


def test_refuses_a_fixed_point_that_is_not_isolated() -> None:
    """lam = 0 in one direction: every point of it is at rest, and the limit depends on the start."""
    flat = Diagonal(torch.tensor([1.0, 0.0], dtype=torch.float64))
    heavy = {"alpha": torch.tensor(0.2, dtype=torch.float64), "beta": torch.tensor(0.5, dtype=torch.float64)}
    judge = MetaObjective("final", problem=Diagonal(torch.ones(2, dtype=torch.float64)))
    with pytest.raises(InputError, match="not isolated"):
        implicit(HeavyBall(), flat, heavy, 300, start=torch.ones(2, dtype=torch.float64), objective=judge)


def test_refuses_sums_and_transforms() -> None:
    problem, alpha = Diagonal(LAM), torch.tensor(0.5, dtype=torch.float64)
    with pytest.raises(InputError, match="the limit has a final loss only"):
        implicit(Descent(), problem, alpha, 5, start=CENTRE, objective=MetaObjective())
    with pytest.raises(InputError, match="cannot run inside"):
        torch.func.vmap(lambda x: implicit(Descent(), problem, alpha, 5, start=x).gradient)(CENTRE[None])


def test_gmres_against_a_dense_solve() -> None:
    generator = torch.Generator().manual_seed(5)
    matrix = torch.eye(40, dtype=torch.float64) + 0.1 * torch.randn(40, 40, generator=generator, dtype=torch.float64)
    right = torch.randn(40, generator=generator, dtype=torch.float64)
    found = solved(lambda v: matrix @ v, right, 1e-10, 40)
    # the residual is 1e-10 and the condition number below 100
    torch.testing.assert_close(found, torch.linalg.solve(matrix, right), rtol=0, atol=1e-8)
    with pytest.raises(InputError, match="relative residual"):
        solved(lambda v: matrix @ v, right, 1e-10, 3)
    assert not solved(lambda v: matrix @ v, torch.zeros_like(right), 1e-10, 3).any()
