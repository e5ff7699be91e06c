"""Statements: deciding instances, margins, alterations."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from l2o_theory.errors import ClaimError, InputError
from l2o_theory.rigor.statement import Parameter, Statement, from_json, links, to_json

SHARES = Statement(
    parameters=(Parameter("w_i", "share"), Parameter("t", "natural")),
    hypotheses={"positive": "w_i > 0"},
    definitions={"top": "max(w_i)"},
    conclusion="top**t < 1 and sum(w_i**2) <= 1",
)
EXPONENTIAL = Statement(
    parameters=(Parameter("x"), Parameter("y")),
    hypotheses={"total": "x + y == 1", "range": "x > 0"},
    conclusion="1 + x < exp(x)",
)


def thirds(t: str = "2") -> dict[str, object]:
    return dict(from_json({"w_i": ["1/3", "2/3"], "t": t}))


def test_a_rational_statement_is_decided_exactly() -> None:
    decision = SHARES.decide(thirds())
    assert (decision.admissible, decision.holds, decision.arithmetic) == (True, True, "rational")
    stronger = SHARES.altered(conclusion="top**t < 4/9")  # false by equality
    assert stronger.decide(thirds()).holds is False


@pytest.mark.parametrize(
    "values",
    [
        {"w_i": ["1/3", "1/3"], "t": "2"},
        {"w_i": ["4/3", "-1/3"], "t": "2"},
        {"w_i": ["1/3", "2/3"], "t": "1/2"},
        {"w_i": ["1/3", "2/3"], "t": "0"},
        {"w_i": ["1", "0"], "t": "2"},
    ],
)
def test_instances_of_the_wrong_kind_are_not_admissible(values: dict[str, object]) -> None:
    assert not SHARES.decide(from_json(values)).admissible


def test_equalities_between_values_are_exact_also_beside_functions() -> None:
    """1/3 + 2/3 is only probably 1 in balls."""
    decision = EXPONENTIAL.decide(from_json({"x": "1/3", "y": "2/3"}))
    assert decision.admissible
    assert decision.holds is True
    assert isinstance(decision.arithmetic, int)
    assert not EXPONENTIAL.decide(from_json({"x": "1/3", "y": "1/3"})).admissible


def test_what_cannot_be_decided_is_not_decided() -> None:
    tight = EXPONENTIAL.altered(conclusion="exp(x)*exp(-x) <= 1")
    assert tight.decide(from_json({"x": "1/3", "y": "2/3"}), max_bits=256).holds is None


def test_missing_and_surplus_names_are_refused() -> None:
    for values in ({"x": "1"}, {"x": "1", "y": "0", "z": "1"}):
        with pytest.raises(InputError, match="each of"):
            EXPONENTIAL.decide(from_json(values))


def test_the_margin_has_the_sign_of_the_slack() -> None:
    statement = Statement((Parameter("x"),), {"range": "x >= 0"}, "x <= 1")
    at = {value: statement.margin({"x": Fraction(value)}) for value in ("1/2", "1", "2", "-1")}
    assert at["1/2"] == pytest.approx(1 / 3)  # (1 - 1/2)/(1 + 1/2)
    assert at["1"] == 0
    assert at["2"] == pytest.approx(-1 / 3)
    assert math.isnan(at["-1"])


def test_altering_replaces_removes_and_leaves_the_original() -> None:
    changed = SHARES.altered(hypotheses={"positive": None, "new": "t >= 2"}, conclusion="top < 1")
    assert changed.hypotheses == {"new": "t >= 2"}
    assert changed.conclusion == "top < 1"
    assert SHARES.hypotheses == {"positive": "w_i > 0"}


def test_goals_are_single_comparisons() -> None:
    assert links("a < b <= c and d == e") == ["a < b", "b <= c", "d == e"]
    assert SHARES.goals() == ["top ** t < 1", "sum(w_i ** 2) <= 1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conclusion": "x +"}, "cannot read"),
        ({"conclusion": "z > 0"}, "no parameter"),
        ({"definitions": {"x": "1"}}, "twice"),
        ({"definitions": {"a": "b", "b": "x"}}, "no parameter or earlier"),
        ({"definitions": {"s_i": "x"}}, "index i"),
    ],
)
def test_unusable_statements_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ClaimError, match=message):
        EXPONENTIAL.altered(**change)


def test_json_round_trip() -> None:
    assert from_json(to_json(thirds())) == thirds()
