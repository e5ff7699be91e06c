"""A claim refuses at the door what could not be checked later."""

from typing import Any

import pytest
from claim_samples import LARGER, SQUARE, STRICT, claim

from l2o_theory.claims import Measurement, Mutation, Status
from l2o_theory.errors import ClaimError


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"id": "Toy/Means"}, "lower case"),
        ({"id": "means"}, "area/theorem/part"),
        ({"id": "toy//means"}, "area/theorem/part"),
        ({"formal": None}, "exactly one"),
        ({"measure": lambda seed: Measurement(True, (), 0.0, "none")}, "exactly one"),
        ({"witness": {}}, "needs a witness"),
        ({"witness": {"x": "one", "y": "2"}}, "the witness is not exact text"),
        ({"counterexample": {"x": "nan", "y": "2"}}, "the counterexample is not exact text"),
        ({"mutations": ()}, "at least one mutation"),
        ({"mutations": (Mutation("m", {"konclusion": "x < y"}),)}, "changes .'konclusion'., but a statement has"),
        ({"mutations": (Mutation("m", {"conclusion": "x < y"}, {"x": "zz"}),)}, "example of the mutation 'm'"),
    ],
)
def test_what_cannot_be_checked_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ClaimError, match=told) as caught:
        claim(**changes)
    assert "\n" not in str(caught.value)


def test_a_claim_recorded_as_false_needs_no_mutation() -> None:
    assert claim(mutations=(), expected=Status.FALSIFIED).mutations == ()


def test_a_measured_claim_has_no_formal_mutations() -> None:
    measured = claim(formal=None, witness={}, mutations=(), measure=lambda seed: Measurement(True, (), 0.0, "none"))
    with pytest.raises(ClaimError, match="no formal mutations"):
        measured.mutated(STRICT)


def test_a_mutation_replaces_one_field_and_keeps_the_rest() -> None:
    changed = claim().mutated(LARGER)
    assert changed.conclusion == "3*x*y <= x**2 + y**2"
    assert (changed.parameters, changed.hypotheses) == (SQUARE.parameters, SQUARE.hypotheses)


def test_a_mutation_merges_hypotheses_and_none_removes_one() -> None:
    merged = claim().mutated(Mutation("more", {"hypotheses": {"sign": "x >= 0"}}))
    assert merged.hypotheses == {"order": "x <= y", "sign": "x >= 0"}
    assert claim().mutated(Mutation("fewer", {"hypotheses": {"order": None}})).hypotheses == {}


def test_a_mutation_with_an_unknown_name_is_refused() -> None:
    with pytest.raises(ClaimError, match=r"uses \['z'\]"):
        claim().mutated(Mutation("typing error", {"conclusion": "z <= y"}))
