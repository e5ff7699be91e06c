"""Proofs and product certificates: what is found is accepted by the kernel, what is misquoted is found out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from l2o_theory.errors import CertificateError
from l2o_theory.rigor import kernel, products
from l2o_theory.rigor.proof import Fact, Proof, Step
from l2o_theory.rigor.statement import Parameter, Statement, from_json
from l2o_theory.rigor.symbols import Symbols

HYPOTHESES = {"h0": "w >= 0", "h1": "l >= 0", "h2": "l <= L", "h3": "x <= 1"}
READ = Symbols({}).relation
KNOWN = {name: READ(text) for name, text in HYPOTHESES.items()}

# x^2 >= 0 and e^x >= 1 + x give e^x + x^2 >= 1 + x
EXPONENTIAL = Statement(
    parameters=(Parameter("x"),), hypotheses={"range": "x >= 0"}, conclusion="exp(x) + x**2 >= 1 + x"
)
WITNESS = from_json({"x": "0"})
STEPS = (Step("goal", "E + x**2 >= 1 + x", terms=({"coef": "1", "of": {"tangent": 1}}, {"coef": "1", "square": "x"})),)


def exponential(relation: str = "E >= 1 + x", atom: str = "exp(x)") -> Proof:
    return Proof(steps=STEPS, atoms={"E": atom}, facts={"tangent": Fact(relation, "the tangent of exp at 0")})


def test_the_lower_bound_step_of_theorem_3_is_found() -> None:
    terms = products.find_posit(READ("L**2*w - l**2*w*x >= 0"), KNOWN, degree=4)
    assert terms is not None
    certificate = {
        "kind": "posit",
        "assumptions": HYPOTHESES,
        "goals": ["L**2*w - l**2*w*x >= 0"],
        "terms": terms,
        "witness": {"w": "1", "l": "1", "L": "1", "x": "1"},
    }
    assert kernel.check(certificate) is None


@pytest.mark.parametrize(
    "goal",
    ["L**2*w - 2*l**2*w*x >= 0", "l**2*w*x - L**2*w >= 0", "w - 1 >= 0", "L**2*w - l**2*w*x > 0", "w == l"],
)
def test_what_is_false_has_no_certificate(goal: str) -> None:
    assert products.find_posit(READ(goal), KNOWN, degree=4) is None


def test_strict_goals_need_a_strict_product() -> None:
    known = {"a": READ("x > 0"), "b": READ("y >= 0")}
    assert products.find_posit(READ("x + y > 0"), known) is not None
    assert products.find_posit(READ("y > 0"), known) is None


def test_too_many_products_are_refused_with_advice() -> None:
    known = {f"h{k}": READ(f"x{k} >= 0") for k in range(30)}
    with pytest.raises(CertificateError, match="name fewer relations"):
        products.find_posit(READ("x0 >= 0"), known, degree=4)


def test_a_step_that_leaves_its_combination_open_is_closed() -> None:
    statement = Statement(tuple(Parameter(n) for n in "wlLx"), HYPOTHESES, "L**2*w >= l**2*w*x")
    proof = Proof(steps=(Step("goal", "L**2*w >= l**2*w*x", using=tuple(HYPOTHESES), degree=4),))
    certificate = proof.certificate(statement, {n: Fraction(1) for n in "wlLx"})
    assert kernel.check(certificate) is None
    with pytest.raises(CertificateError, match="no combination"):
        Proof(steps=(Step("goal", "L**2*w >= l**2*w*x", using=("h0", "h1")),)).certificate(
            statement, {n: Fraction(1) for n in "wlLx"}
        )
    with pytest.raises(CertificateError, match="not known"):
        Proof(steps=(Step("goal", "L**2*w >= l**2*w*x", using=("h0", "nothing")),)).certificate(
            statement, {n: Fraction(1) for n in "wlLx"}
        )


@pytest.mark.parametrize("definitions", [{}, {"E": "exp(x)"}])
def test_a_witness_that_leaves_the_rationals_is_refused_with_advice(definitions: dict[str, str]) -> None:
    with pytest.raises(CertificateError, match="rational roots"):
        exponential().certificate(EXPONENTIAL.altered(definitions=definitions), WITNESS)


def test_a_proof_over_an_atom() -> None:
    """|x| as an atom: A >= x and A >= -x give 2 A >= 0."""
    statement = Statement((Parameter("x"),), {}, "2*A >= 0", {"A": "abs(x)"})
    facts = {"up": Fact("A >= x", "triangle inequality"), "down": Fact("A >= -x", "triangle inequality")}
    proof = Proof(steps=(Step("goal", "2*A >= 0", using=("up", "down")),), atoms={"A": "abs(x)"}, facts=facts)
    certificate = proof.certificate(statement, from_json({"x": "-1/2"}))
    assert certificate["witness"] == {"x": "-1/2", "A": "1/2"}
    assert kernel.check(certificate) is None


INSTANCES = [from_json({"x": value}) for value in ("0", "1/2", "3", "10")]


def test_a_true_fact_is_not_misquoted() -> None:
    assert exponential().misquoted(EXPONENTIAL, INSTANCES) == []
    assert exponential("E >= E").misquoted(EXPONENTIAL, INSTANCES) == []  # equality: not refuted by balls


@pytest.mark.parametrize("relation", ["E >= 1 + 2*x", "E > E + 1", "E <= 1 + x", "log(-1 - x) >= 0"])
def test_a_misquoted_fact_is_found(relation: str) -> None:
    failures = exponential(relation).misquoted(EXPONENTIAL, INSTANCES)
    assert [text.split(" fails")[0] for text in failures] == ["fact tangent"]


def test_an_atom_cannot_redefine_a_name_of_the_statement() -> None:
    statement = EXPONENTIAL.altered(definitions={"E": "exp(x)"})
    assert exponential().misquoted(statement, INSTANCES) == []
    assert exponential(atom="exp(x) + 1").misquoted(statement, INSTANCES)[0].startswith("atom E fails")


def test_a_definition_cannot_change_its_meaning() -> None:
    statement = EXPONENTIAL.altered(definitions={"y": "x + 1"})
    assert Proof(steps=(), definitions={"y": "1 + x"}).misquoted(statement, INSTANCES) == []
    found = Proof(steps=(), definitions={"y": "1 + 2*x"}).misquoted(statement, INSTANCES)
    assert found[0].startswith("definition y fails")


def test_textbook_facts_are_named_once_and_definitions_are_not() -> None:
    facts = {"a": Fact("x >= 0", "Hoelder"), "b": Fact("y >= 0", "Hoelder"), "c": Fact("z == 1", "definition of z")}
    assert Proof(steps=(), facts=facts).textbook_facts() == ["Hoelder"]


def test_a_proof_reads_definitions_as_the_statement_does() -> None:
    """Exactly, not on instances: the same polynomial once every atom's meaning has its name."""
    statement = Statement(
        (Parameter("x"), Parameter("t", "natural")), {}, "s >= 0", {"s": "3*(1-x)**(2*t) + (1-x)**(2*t)"}
    )
    atoms = {"E": "(1-x)**(2*t)"}
    assert Proof(steps=(), atoms=atoms, definitions={"s": "4*E"}).strays(statement) == []
    assert Proof(steps=(), atoms=atoms, definitions={"s": "5*E"}).strays(statement) == ["s"]  # planted: wrong factor
    far = {"E": "(1-x)**(2*t) + 0*t"}  # planted: the same numbers, but not the same expression
    assert Proof(steps=(), atoms=far, definitions={"s": "4*E"}).strays(statement) == ["s"]
    assert Proof(steps=(), atoms={"s": "(1-x)**(2*t)"}).strays(statement) == ["s"]  # planted: an atom that redefines s
