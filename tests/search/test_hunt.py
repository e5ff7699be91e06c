import math
from fractions import Fraction

import pytest
from planted_statements import FALSE, TRUE

from l2o_theory.errors import InputError
from l2o_theory.rigor import kernel
from l2o_theory.rigor.statement import Parameter, Statement
from l2o_theory.search import Budget, hunt
from l2o_theory.search.shrink import complexity

QUICK = Budget.named("quick")
SMALL = Budget(drawn=30, random=200, evolved=400, climbed=100, confirmations=12, seconds=60)
X = Parameter("x")


@pytest.mark.parametrize("seed", [1, 2])  # of the seeds 0..39, only 11 misses "constant 1.9"
@pytest.mark.parametrize("name", sorted(FALSE))
def test_planted_falsehoods_are_found_and_confirmed(name: str, seed: int) -> None:
    statement, refuted = FALSE[name]
    found = hunt(statement, seed=seed, budget=QUICK)
    assert found.counterexample is not None, found
    assert refuted(found.counterexample.instance)
    assert found.counterexample.arithmetic == "rational"
    kernel.check(found.counterexample.certificate)
    assert complexity(found.counterexample.instance) <= 109  # that of the published one for 1.9
    assert found.float_only_violations == 0


@pytest.mark.parametrize("name", sorted(set(TRUE) - {"constant 2"}))
def test_true_statements_yield_nothing(name: str) -> None:
    found = hunt(TRUE[name], seed=1, budget=SMALL)
    assert found.counterexample is None
    assert found.admissible > 100
    assert found.smallest_margin >= 0


def test_the_tight_constant_survives_the_whole_quick_budget() -> None:
    found = hunt(TRUE["constant 2"], seed=1, budget=QUICK)
    assert found.counterexample is None
    assert 0 < found.smallest_margin < 0.02  # the bound is tight in the limit, and the search comes close
    assert {name for name, _ in found.strategies} == {"hypothesis", "random", "snap", "evolution", "climb"}
    assert sum(count for _, count in found.strategies) == found.examples_run > 5000


def test_rounding_noise_of_an_identity_is_counted_but_never_reported() -> None:
    found = hunt(TRUE["identity"], seed=3, budget=SMALL)
    assert found.counterexample is None
    assert found.float_only_violations > 0
    assert found.smallest_margin == 0


def test_one_seed_one_search() -> None:
    first, second = (hunt(FALSE["1/28"][0], seed=4, budget=SMALL) for _ in range(2))
    other = hunt(FALSE["1/28"][0], seed=5, budget=SMALL)
    assert first.counterexample == second.counterexample
    assert first.strategies == second.strategies
    assert (first.strategies, first.margin_at) != (other.strategies, other.margin_at)


def test_a_known_counterexample_is_tried_first_and_reported_as_given() -> None:
    given = {"L": Fraction(1), "eta": Fraction(129, 64), "l": Fraction(5, 16), "t": Fraction(1)}
    found = hunt(FALSE["1/28"][0], seed=0, budget=QUICK, examples=[given])
    assert found.strategies == (("examples", 1),)
    assert found.counterexample is not None
    assert found.counterexample.instance == given


def test_an_example_that_is_none_does_not_stop_the_search() -> None:
    given = {"L": Fraction(1), "eta": Fraction(3), "l": Fraction(1, 100), "t": Fraction(1)}
    found = hunt(FALSE["1/28"][0], seed=0, budget=QUICK, examples=[given])
    assert found.counterexample is not None
    assert found.examples_run > 1


def test_what_fails_only_on_a_boundary_is_reached_by_snapping() -> None:
    inside = {"x": Fraction(1, 7)}
    statement = Statement((Parameter("x", low="0", high="1", landmarks=("1/3",)),), {}, "x != 1/3")
    nothing = Budget(drawn=0, random=0, evolved=0, climbed=0, confirmations=12, seconds=60)
    found = hunt(statement, seed=0, budget=nothing, examples=[inside])
    assert found.counterexample is not None
    assert found.counterexample.instance == {"x": Fraction(1, 3)}
    unmarked = Statement((Parameter("x", low="0", high="1"),), {}, "x != 1/3")
    assert hunt(unmarked, seed=0, budget=nothing, examples=[inside]).counterexample is None


def test_a_violation_that_hypothesis_comes_across_again_is_no_error() -> None:
    drawn_only = Budget(drawn=150, random=0, evolved=0, climbed=0, confirmations=12, seconds=60)
    coarse = Statement((Parameter("t", "natural"),), {}, "t != 40")
    found = [hunt(coarse, seed=seed, budget=drawn_only) for seed in range(20)]
    assert all(f.counterexample is not None for f in found)
    assert all(f.examples_run < 150 for f in found)


@pytest.mark.parametrize("example", [{}, {"x": 0.5}, {"x": Fraction(1), "y": Fraction(1)}])
def test_an_unfit_example_is_refused_in_one_line(example: dict) -> None:
    with pytest.raises(InputError, match="correct it"):
        hunt(Statement((X,), {}, "x <= 1"), seed=0, budget=SMALL, examples=[example])


def test_hypotheses_that_cannot_be_met_leave_nan_and_no_place() -> None:
    found = hunt(Statement((X,), {"never": "x**2 < 0"}, "x <= 1"), seed=0, budget=SMALL)
    assert found.counterexample is None
    assert found.admissible == 0
    assert math.isnan(found.smallest_margin)
    assert found.margin_at is None


def test_a_statement_without_parameters_is_evaluated() -> None:
    assert hunt(Statement((), {}, "1 <= 2"), seed=0, budget=SMALL).counterexample is None
    assert hunt(Statement((), {}, "2 <= 1"), seed=0, budget=SMALL).counterexample is not None


def test_the_time_limit_ends_every_strategy() -> None:
    found = hunt(TRUE["constant 2"], seed=0, budget=Budget(10**6, 10**6, 10**6, 10**6, 12, seconds=0.0))
    assert found.examples_run == 0


def test_progress_is_told_counts_that_grow() -> None:
    heard: list[tuple[str, int, float]] = []
    hunt(TRUE["1/27"], seed=0, budget=SMALL, progress=lambda *told: heard.append(told))
    assert len(heard) >= 2
    assert [count for _, count, _ in heard] == sorted(count for _, count, _ in heard)


def test_budgets_refuse_nonsense() -> None:
    with pytest.raises(InputError, match="quick"):
        Budget.named("huge")
    with pytest.raises(InputError, match=">= 0"):
        Budget(-1, 0, 0, 0, 0, 1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_two_parameter_tie_far_from_any_landmark_is_found_by_evolution(seed: int) -> None:
    box = {"low": "0", "high": "1"}
    bump = Statement(
        (Parameter("x", **box), Parameter("y", **box)),
        {},
        "1 - 100*((x - 31415/100000)**2 + (y - 27182/100000)**2) <= 9999/10000",
    )
    alone = Budget(drawn=0, random=0, evolved=4000, climbed=0, confirmations=12, seconds=60)
    assert hunt(bump, seed=seed, budget=alone).counterexample is not None
    drawn_only = Budget(drawn=30, random=500, evolved=0, climbed=0, confirmations=12, seconds=60)
    assert hunt(bump, seed=seed, budget=drawn_only).counterexample is None
