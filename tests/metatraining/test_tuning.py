"""Tuning within a budget: what is spent is counted, the best step is found, and no task of a test is looked at."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator

from l2o_theory.errors import InputError
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.tasks import QuadraticTasks
from l2o_theory.metatraining.tuning import Tuned, tune
from l2o_theory.optimizers import Adam, GradientDescent, HeavyBall
from l2o_theory.problems import RandomQuadratics

FAMILY = QuadraticTasks(RandomQuadratics(2, start_std=0.0))
RATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class Counting:
    """Quadratic tasks that count the gradients taken of them: one per task and step."""

    def __init__(self) -> None:
        self.taken = 0

    @property
    def problem(self) -> RandomQuadratics:
        return FAMILY.problem

    def draw(self, tasks: int, steps: int, generator: Generator):  # type: ignore[no-untyped-def]
        draw = FAMILY.draw(tasks, steps, generator)

        def counted(step: int):  # type: ignore[no-untyped-def]
            self.taken += tasks * (step < steps)  # the last loss needs no gradient
            return draw.batches(step)

        return type(draw)(draw.starts, counted)


def found(budget: int = 7 * 30 * 40, **options: object) -> Tuned:
    arguments = {"steps": 30, "budget": budget, "refine": 1, "generator": Generator().manual_seed(1), **options}
    return tune(GradientDescent(), GradientDescent().meta(1.0), FAMILY, RATES, **arguments)  # type: ignore[arg-type]


def test_the_budget_is_spent_and_counted() -> None:
    counting = Counting()
    tuned = tune(
        GradientDescent(), GradientDescent().meta(1.0), counting, RATES,
        steps=30, budget=7 * 30 * 40 + 100, refine=1, generator=Generator().manual_seed(1),
    )  # fmt: skip
    assert (tuned.tasks, tuned.inner_steps) == (40, 7 * 30 * 40)
    assert counting.taken == tuned.inner_steps
    assert counting.taken != len(RATES) * 30 * 40  # planted: the refinement is not counted
    assert len(tuned.rates) == len(tuned.scores) == 7


@pytest.mark.parametrize("last", [1, 20])
def test_the_score_is_the_mean_over_the_last_steps(last: int) -> None:
    tuned, rule = found(last=last), GradientDescent()
    draw = FAMILY.draw(tuned.tasks, 30, Generator().manual_seed(1))
    losses = run_rule(rule, FAMILY.problem, rule.meta(1e-2), draw, 30, at=range(31))
    score = tuned.scores[tuned.rates.index(1e-2)]
    assert score == pytest.approx(float(losses[31 - last :].mean()), rel=1e-12)
    assert score != pytest.approx(float(losses[30 - last :].mean()), rel=1e-6)  # planted: one step too many


def test_gradient_descent_gets_the_step_of_a_scan() -> None:
    """The same tasks in closed form: residual (I - 2 eta W W^T)^t y, eigenvalue by eigenvalue."""
    tuned = found(last=1)
    draw = FAMILY.draw(tuned.tasks, 30, Generator().manual_seed(1))
    task = draw.batches(0)
    squares, basis = torch.linalg.eigh(task["matrix"] @ task["matrix"].mT)
    weights = (basis.mT @ task["target"].unsqueeze(-1)).squeeze(-1) ** 2

    def loss(rate: float) -> float:
        return float((weights * (1 - 2 * rate * squares) ** 60).sum(1).mean())

    for rate, score in zip(tuned.rates, tuned.scores, strict=True):
        assert score == pytest.approx(loss(rate), rel=1e-6)
    assert tuned.rate == min(tuned.rates, key=loss)
    assert not tuned.is_at_edge
    assert float(tuned.meta["step_size"]) == pytest.approx(tuned.rate)


def test_refined_rates_lie_evenly_between_coarse_ones() -> None:
    tuned = found(refine=1)
    best = min(tuned.rates[:5], key=lambda rate: tuned.scores[tuned.rates.index(rate)])
    assert tuned.rates[5:] == pytest.approx([best * 10**-0.5, best * 10**0.5])


def test_a_search_that_is_too_narrow_says_so() -> None:
    narrow = tune(
        Adam(), Adam().meta(1.0), FAMILY, (1e-6, 1e-5), steps=10, budget=400, refine=1,
        generator=Generator().manual_seed(0),
    )  # fmt: skip
    assert narrow.is_at_edge
    assert not found().is_at_edge


def test_other_hyper_parameters_stay_and_divergence_loses() -> None:
    start = HeavyBall().meta(1.0, momentum=0.5)
    tuned = tune(
        HeavyBall(), start, FAMILY, (1e-2, 1e2), steps=300, budget=600 * 4, refine=0,
        generator=Generator().manual_seed(0),
    )  # fmt: skip
    assert (tuned.rate, float(tuned.meta["momentum"]), float(start["step_size"])) == (1e-2, 0.5, 1.0)
    assert tuned.scores[1] == math.inf
    with pytest.raises(InputError, match="diverges"):
        tune(
            HeavyBall(), start, FAMILY, (1e2, 1e3), steps=300, budget=600, refine=0,
            generator=Generator().manual_seed(0),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rates": (1.0,)}, "at least two"),
        ({"rates": (1.0, 0.1)}, "rise"),
        ({"rates": (0.0, 0.1)}, "rise"),
        ({"budget": 59}, "the budget is 59"),
        ({"refine": -1}, "refine"),
        ({"last": 0}, "last"),
    ],
)
def test_bad_searches_are_refused(change: dict[str, object], told: str) -> None:
    arguments = {"rates": (0.01, 0.1), "steps": 30, "budget": 1000, "refine": 0, **change}
    rates = arguments.pop("rates")
    with pytest.raises(InputError, match=told):
        tune(Adam(), Adam().meta(1.0), FAMILY, rates, generator=Generator(), **arguments)  # type: ignore[arg-type]
