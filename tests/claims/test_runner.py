"""The runner: the strongest honest verdict, never an upgrade, and the same one again for the same seed."""

from typing import Any

import pytest
from claim_samples import ABSURD, LARGER, SQUARE, X, claim

from l2o_theory.claims import Measurement, Mutation, Status, Verdict
from l2o_theory.claims.runner import check
from l2o_theory.errors import InputError
from l2o_theory.rigor import kernel
from l2o_theory.rigor.boxes import Box
from l2o_theory.rigor.proof import Fact, Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

HALF_OPEN = Box(ranges={"x": ("0", "1")})


def alone(conclusion: str, **hypotheses: str) -> Statement:
    return Statement(parameters=(X,), hypotheses=hypotheses, conclusion=conclusion)


def one(statement: Statement, **changes: Any) -> Verdict:
    return check(claim(**{"formal": statement, "witness": {"x": "1"}, "mutations": (ABSURD,), **changes}))


def certificates(verdict: Verdict) -> list[Any]:
    return [piece.content for piece in verdict.evidence if piece.kind == "certificate"]


def test_a_sum_of_squares_is_proved_and_its_false_variants_fall() -> None:
    squares = Proof(steps=(Step("goal", SQUARE.conclusion, terms=(times(square="x - y"),)),))
    verdict = check(claim(proof=squares))
    assert verdict.status is Status.PROVED
    assert verdict.trust == "kernel"  # no fact, no name that stands for something: nothing else to trust
    assert [m.status for m in verdict.mutations] == [Status.FALSIFIED, Status.FALSIFIED]
    assert kernel.check(certificates(verdict)[0]) is None


def test_a_false_claim_is_falsified_with_a_certificate_that_the_kernel_accepts() -> None:
    verdict = one(SQUARE.altered(conclusion="3*x*y <= x**2 + y**2"), witness={"x": "0", "y": "1"})
    assert verdict.status is Status.FALSIFIED
    assert verdict.trust == "exact rationals"
    (certificate,) = certificates(verdict)
    assert certificate["kind"] == "cex"
    assert kernel.check(certificate) is None


def test_a_known_counterexample_is_reported_in_its_authors_numbers() -> None:
    false = SQUARE.altered(conclusion="3*x*y <= x**2 + y**2")
    verdict = one(false, witness={"x": "0", "y": "1"}, counterexample={"x": "17/3", "y": "6"})
    assert certificates(verdict)[0]["instance"] == {"x": "17/3", "y": "6"}


def test_a_witness_outside_its_hypotheses_makes_the_claim_vacuous() -> None:
    verdict = check(claim(witness={"x": "2", "y": "1"}))
    assert verdict.status is Status.VACUOUS
    assert "fails a hypothesis" in verdict.reason
    assert not verdict.is_as_expected


def test_what_is_only_searched_is_not_upgraded() -> None:
    statement = alone("exp(x) >= 1 + x")
    verdict = one(statement)
    assert verdict.status is Status.NOT_FALSIFIED
    assert certificates(verdict) == []
    log = verdict.evidence[-1].content
    assert log["examples_run"] > 1000
    assert log["smallest_margin"] == 0


@pytest.mark.parametrize("conclusion", ["abs(x) <= x", "1/(x**2 + 1) >= 1", "max(x, 1) <= x", "2*root(x**2, 2) <= x"])
def test_what_is_no_polynomial_is_still_searched(conclusion: str) -> None:
    assert one(alone(conclusion), witness={"x": "2"}).status is Status.FALSIFIED


def test_a_proof_that_fails_leaves_the_reason() -> None:
    wrong = Proof(steps=(Step("goal", SQUARE.conclusion, terms=(times(square="x + y"),)),))
    verdict = check(claim(proof=wrong))
    assert verdict.status is Status.NOT_FALSIFIED
    assert verdict.reason.startswith("no proof: the identity fails")


def test_a_misquoted_fact_is_not_believed() -> None:
    proof = Proof(facts={"tangent": Fact("x**2 >= 2*x", "a wrong tangent")}, steps=())
    verdict = one(alone("x**2 >= 2*x"), proof=proof, witness={"x": "3"})
    assert verdict.status is not Status.PROVED


def test_the_trust_names_the_textbook_facts_and_says_how_often_they_were_tested() -> None:
    square = Proof(facts={"even": Fact("x**2 >= 0", "squares are non-negative")}, steps=())
    trust = one(alone("x**2 >= 0"), proof=square).trust
    assert trust.startswith("kernel; modulo squares are non-negative; facts of the proof tested on ")


def test_facts_that_hardly_any_instance_tests_are_not_believed() -> None:
    """Pell's equation: random draws never hit its solutions, so the fact would be tested at the witness alone."""
    pell = Statement(
        parameters=(Parameter("x"), Parameter("y")),
        hypotheses={"thin": "x**2 - 61*y**2 == 1", "x": "x > 0", "y": "y > 0"},
        conclusion="y <= 226153980",
    )
    smallest = {"x": "1766319049", "y": "226153980"}
    verdict = one(pell, witness=smallest, proof=Proof(facts={"f": Fact("y <= 226153980", "Pell")}, steps=()))
    assert verdict.status is Status.NOT_FALSIFIED
    assert "only 1 instances" in verdict.reason


@pytest.mark.parametrize("shadow", [{"definitions": {"x": "0"}}, {"atoms": {"x": "min(x, 10)"}}])
def test_a_proof_may_not_change_the_meaning_of_a_parameter(shadow: dict[str, Any]) -> None:
    rare = alone("(x - 1234577/1000003)**2 > 0")  # false at one point that no search visits
    verdict = one(rare, proof=Proof(steps=(), **shadow))
    assert verdict.status is Status.NOT_FALSIFIED
    assert "another meaning" in verdict.reason


def test_a_cover_speaks_of_its_box_alone() -> None:
    rare = alone("(x - 1234577/1000003)**2 > 0")  # false outside the box, where no search visits
    verdict = one(rare, box=HALF_OPEN, expected=Status.CERTIFIED, scope="all real x")
    assert verdict.status is Status.CERTIFIED
    assert verdict.scope == "the box x in [0, 1] (claim: all real x)"
    assert "flint" in verdict.trust


def test_atoms_without_a_rational_witness_are_no_proof() -> None:
    proof = Proof(
        atoms={"E": "exp(x)"},
        facts={"tangent": Fact("E >= 1 + x", "the tangent of exp at 0")},
        steps=(Step("goal", "x**2 >= 0", terms=(times(square="x"),)),),
    )
    assert "the witness leaves the rationals" in one(alone("x**2 >= 0"), proof=proof).reason


def test_a_box_without_all_parameters_is_undecided() -> None:
    awkward = SQUARE.altered(conclusion="abs(2*x*y) <= x**2 + y**2 + 1")
    verdict = check(claim(formal=awkward, box=HALF_OPEN, mutations=(ABSURD,)))
    assert verdict.status is Status.UNDECIDED
    assert "the box is not covered" in verdict.reason


def test_a_counterexample_ends_a_proof_from_a_false_fact() -> None:
    rare, point = alone("(x - 1234577/1000003)**2 > 0"), {"x": "1234577/1000003"}
    belief = Proof(facts={"f": Fact(rare.conclusion, "an author's belief")}, steps=())
    assert "modulo an author's belief" in one(rare, proof=belief).trust  # no search sees the point: that is trust
    verdict = one(rare, proof=belief, counterexample=point)
    assert verdict.status in (Status.FALSIFIED, Status.UNDECIDED)  # the latter if balls cannot tell equality there
    assert any(certificate["kind"] == "cex" for certificate in certificates(verdict))


def test_a_false_variant_that_is_accepted_spoils_the_claim() -> None:
    squares = Proof(steps=(Step("goal", SQUARE.conclusion, terms=(times(square="x - y"),)),))
    verdict = check(claim(proof=squares, mutations=(LARGER, Mutation("no change", {"hypotheses": {}}))))
    assert verdict.status is Status.UNDECIDED
    assert verdict.reason == "false variants accepted: ['no change']"


def test_an_expected_falsehood_is_never_proved() -> None:
    assert check(claim(expected=Status.FALSIFIED)).status is Status.NOT_FALSIFIED


def test_a_misfit_example_is_an_input_error() -> None:
    with pytest.raises(InputError, match="every parameter"):
        check(claim(counterexample={"x": "1"}))


@pytest.mark.parametrize(("holds", "status"), [(True, Status.NOT_FALSIFIED), (False, Status.FALSIFIED)])
def test_a_measurement_is_never_more_than_not_falsified(holds: bool, status: Status) -> None:
    def measure(seed: int) -> Measurement:
        return Measurement(holds, ({"seed": seed},), 0.25, "float32 torch", ("halved",))

    verdict = check(claim(formal=None, witness={}, mutations=(), measure=measure), seed=7)
    assert verdict.status is status
    assert verdict.trust == "measurement: float32 torch"
    assert verdict.evidence[0].content["table"] == [{"seed": 7}]
    assert {m.name: m.status for m in verdict.mutations} == {"halved": Status.FALSIFIED}


def test_a_measurement_that_lets_a_planted_fault_pass_decides_nothing() -> None:
    def measure(seed: int) -> Measurement:
        return Measurement(True, ({"seed": seed},), 0.25, "float32 torch", ("halved",), ("doubled",))

    verdict = check(claim(formal=None, witness={}, mutations=(), measure=measure))
    assert verdict.status is Status.UNDECIDED
    assert "doubled" in verdict.reason
    assert {m.name: m.status for m in verdict.mutations} == {
        "halved": Status.FALSIFIED,
        "doubled": Status.NOT_FALSIFIED,
    }


def test_one_seed_one_verdict() -> None:
    def without_time(seed: int) -> dict[str, Any]:
        verdict = check(claim(expected=Status.NOT_FALSIFIED), seed=seed).to_json()
        return {**verdict, "run": {name: value for name, value in verdict["run"].items() if name != "seconds"}}

    assert without_time(3) == without_time(3)
    assert without_time(3) != without_time(4)
