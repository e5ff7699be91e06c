"""Solvers: answers about small polynomial statements; a stuck child is killed."""

from __future__ import annotations

from fractions import Fraction
from importlib.util import find_spec

import pytest

from l2o_theory.errors import ClaimError, InputError
from l2o_theory.rigor import smt
from l2o_theory.rigor.statement import Parameter, Statement

MEAN = Statement(
    parameters=(Parameter("x"), Parameter("y")), hypotheses={"a": "x > 0", "b": "y > 0"}, conclusion="x/y + y/x >= 2"
)
CASES = Statement((Parameter("x"), Parameter("y")), {}, "max(x, y) - min(x, y) == abs(x - y)")
HARD = Statement(
    parameters=(Parameter("x"), Parameter("y"), Parameter("z"), Parameter("t", "natural")),
    hypotheses={},
    conclusion="x**(2*t) + y**(2*t) + z**(2*t) - 3*x**t*y**t*z**(t-1)*z + 1/1000 > 0",
)


@pytest.fixture(params=["z3", "cvc5"])
def solver(request: pytest.FixtureRequest) -> smt.Solver:
    if find_spec(request.param) is None:
        pytest.skip(f"{request.param} comes with the extra smt")
    return request.param


def test_a_true_statement_is_unsatisfiable_negated(solver: smt.Solver) -> None:
    for statement in (MEAN, CASES):
        answer = smt.solve(statement, solver=solver)
        assert answer.status == "unsat"
        assert "(check-sat)" in answer.smtlib
        assert answer.evidence()["trust"].startswith(f"solver-trusted: {solver}")


@pytest.mark.parametrize(
    "statement",
    [
        MEAN.altered(conclusion="x/y + y/x >= 201/100"),
        MEAN.altered(conclusion="x/y + y/x > 2"),
        MEAN.altered(hypotheses={"b": None}, conclusion="x*y >= 0"),
        CASES.altered(conclusion="max(x, y) + min(x, y) == abs(x + y)"),
        CASES.altered(conclusion="positive(x) == positive(2*x - y)"),
    ],
)
def test_a_false_statement_gives_an_instance_that_is_confirmed_exactly(
    solver: smt.Solver, statement: Statement
) -> None:
    answer = smt.solve(statement, solver=solver)
    assert answer.status == "sat"
    decision = statement.decide(answer.instance)
    assert decision.admissible
    assert decision.holds is False


def test_irrational_models_give_no_instance(solver: smt.Solver) -> None:
    statement = Statement((Parameter("x"),), {"root": "x**2 == 2"}, "x <= 1")
    answer = smt.solve(statement, solver=solver)
    assert answer.status == "sat"
    assert answer.instance == {}


def test_contradictory_requirements_are_seen(solver: smt.Solver) -> None:
    """A goal mistyped as 0 <= 0, or hypotheses that exclude each other, would be "proved"."""
    empty = MEAN.altered(hypotheses={"c": "x + y < 0"})
    assert smt.solve(empty, solver=solver).status == "unsat"
    assert smt.satisfiable(empty, solver=solver).status == "unsat"
    assert smt.satisfiable(MEAN, solver=solver).status == "sat"


def test_fixed_steps_and_shares(solver: smt.Solver) -> None:
    statement = Statement(
        (Parameter("a", "share"), Parameter("b", "share"), Parameter("t", "natural")), {}, "a**t + b**t <= 1"
    )
    assert smt.solve(statement, fixed={"t": 2}, solver=solver).status == "unsat"
    assert smt.satisfiable(statement, fixed={"t": "1/2"}, solver=solver).status == "unsat"
    stronger = smt.solve(statement.altered(conclusion="a**t + b**t < 1"), fixed={"t": 2}, solver=solver)
    assert stronger.status == "sat"


def test_a_child_that_overruns_is_killed(solver: smt.Solver) -> None:
    answer = smt.solve(HARD, fixed={"t": 6}, timeout=0.01, solver=solver)  # less than a process needs to start
    assert answer.status == "unknown"
    assert answer.reason == "killed after 0.01 s"


def test_a_child_that_fails_is_reported(solver: smt.Solver) -> None:
    answer = smt.ask("(assert (> x 0))(check-sat)", timeout=30, solver=solver)
    assert answer.status == "unknown"
    assert answer.reason


def test_what_has_no_translation_is_refused() -> None:
    wrong = [
        Statement((Parameter("x"),), {}, "exp(x) > 0"),
        Statement((Parameter("x_i"),), {}, "sum(x_i) > 0"),
        Statement((Parameter("t", "natural"),), {}, "t >= 1"),
        Statement((Parameter("x"), Parameter("y")), {}, "x**y > 0"),
        Statement((Parameter("x"),), {}, "x**1000 > 0"),
    ]
    for statement in wrong:
        with pytest.raises(ClaimError):
            smt.smtlib(statement, {}, "negation")
    with pytest.raises(InputError, match="parameters"):
        smt.smtlib(MEAN, {"z": 1}, "negation")


def test_the_text_says_what_the_statement_says() -> None:
    text = smt.smtlib(MEAN, {"y": Fraction(-1, 3)}, "negation")
    assert "(declare-const x Real)" in text
    assert "declare-const y" not in text
    assert "(assert (and (> (- (/ 1.0 3.0)) 0.0)))" in text
    assert "(assert (not (= x 0.0)))" in text  # the statement divides by x


def test_solvers_must_be_known_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="must be one of"):
        smt.installed("coq")
    monkeypatch.setitem(smt._PACKAGES, "z3", "no-such-distribution")
    with pytest.raises(InputError, match=r'pip install "l2o-theory\[smt\]"'):
        smt.solve(MEAN, solver="z3")
