"""Verdicts travel as JSON without loss, and say whether they are what the claim records."""

import json

import pytest

from l2o_theory.claims import Evidence, MutationResult, Status, Verdict

FALLEN = MutationResult("strict", Status.FALSIFIED, "x < x", {"x": "1/3"}, "rational", "examples")
STANDING = MutationResult("weaker", Status.NOT_FALSIFIED, "x <= x + 1")
VERDICT = Verdict(
    claim="toy/means",
    status=Status.PROVED,
    expected=Status.PROVED,
    scope="all x",
    trust="kernel",
    margin=0.0,
    margin_at={"x": "1/3", "l_i": ["1", "2"]},
    evidence=(Evidence("certificate", {"kind": "proof", "goals": ["x <= x"]}),),
    mutations=(FALLEN, STANDING),
    run={"seed": 0},
)


def test_json_and_back_is_the_same_verdict() -> None:
    assert Verdict.from_json(json.loads(json.dumps(VERDICT.to_json()))) == VERDICT


@pytest.mark.parametrize("damage", [{"status": "TRUE"}, {"evidence": [{"kind": "log"}]}, {"surprise": 1}])
def test_damaged_json_is_not_read(damage: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        Verdict.from_json({**VERDICT.to_json(), **damage})


def test_the_recorded_status_is_the_expected_one() -> None:
    assert VERDICT.is_as_expected
    assert not Verdict("toy/means", Status.CERTIFIED, Status.PROVED, "all x", "kernel").is_as_expected


def test_a_check_without_power_is_told() -> None:
    def verdict(*mutations: MutationResult) -> Verdict:
        return Verdict("toy/means", Status.PROVED, Status.PROVED, "all x", "kernel", mutations=mutations)

    assert verdict(STANDING).is_untested
    assert not verdict(STANDING, FALLEN).is_untested


def test_every_status_has_a_meaning() -> None:
    meanings = {status.meaning for status in Status}
    assert len(meanings) == len(Status)
    assert all(len(meaning) > 10 for meaning in meanings)
