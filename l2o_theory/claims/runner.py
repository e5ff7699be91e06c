"""The runner: from a claim to its verdict, by the strongest method that works, never upgraded."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from random import Random
from typing import Any, Literal

from l2o_theory.claims.claim import Claim, Mutation
from l2o_theory.claims.verdict import Evidence, MutationResult, Status, Verdict
from l2o_theory.errors import CertificateError, ClaimError
from l2o_theory.rigor import boxes, kernel
from l2o_theory.rigor.language import Malformed, Undecided
from l2o_theory.rigor.proof import Proof, Step, named_links
from l2o_theory.rigor.statement import Instance, Statement, from_json, to_json
from l2o_theory.search.compiled import compile_margin
from l2o_theory.search.confirm import certify
from l2o_theory.search.hunt import Budget, Hunt, hunt
from l2o_theory.search.instances import RandomChoices, draw_instance
from l2o_theory.search.scope import needed
from l2o_theory.search.scout import GIVEN

_FACT_INSTANCES = {"quick": 40, "full": 400}  # exact instances on which the facts of a proof are tested
_DRAWS = 50  # per instance wanted, at most
_FEWEST_INSTANCES = 10  # a fact that was tested on fewer is believed, not tested
_MUTATION_LEAVES = 2000  # a false variant that search missed burns every leaf it is given
_RESOLUTION = 1e-12  # relative slack that 64-bit balls resolve with some cancellation; below it the sides touch
_AUTOMATIC_HYPOTHESES = 8  # beyond this many, products of hypotheses are too many to try without being asked
_NO_PROOF = (CertificateError, kernel.Rejected, Malformed, Undecided, ArithmeticError, TypeError, ValueError)


@dataclass(frozen=True)
class _Finding:
    """What one method concluded about a statement."""

    status: Status
    trust: str
    evidence: tuple[Evidence, ...] = ()
    reason: str = ""


def check(claim: Claim, *, budget: Literal["quick", "full"] = "quick", seed: int = 0) -> Verdict:
    """Check a claim: witness, search, proof, box, and every mutation.

    A counterexample beats everything; one beside an accepted proof is reported as UNDECIDED, because one of the two
    must be wrong. Deterministic for given claim, budget, seed and versions, up to the time it took.

    Args:
        claim: what to check.
        budget: "quick" (seconds) or "full" (a minute and more).
        seed: the one seed of the run; every stream is derived from it.

    Raises:
        ClaimError: the witness is not exact text.
    """
    start = time.perf_counter()
    verdict = _measured(claim, seed) if claim.formal is None else _formal(claim, claim.formal, budget, seed)
    seconds = round(time.perf_counter() - start, 3)
    return replace(verdict, run={**verdict.run, "seed": seed, "budget": budget, "seconds": seconds, **_versions()})


def _formal(claim: Claim, statement: Statement, budget: Literal["quick", "full"], seed: int) -> Verdict:
    witness = from_json(claim.witness)
    if not statement.decide(witness).admissible:
        reason = f"the witness {to_json(witness)} fails a hypothesis, or a definition is undefined there"
        return Verdict(claim.id, Status.VACUOUS, claim.expected, claim.scope, trust="exact rationals", reason=reason)
    known = [from_json(example) for example in (claim.counterexample, claim.witness) if example]
    search = _hunted(statement, known, budget, seed)
    finding = _strongest(claim, statement, witness, search, budget, seed)
    mutations = tuple(_mutate(claim, mutation, witness, budget, seed) for mutation in claim.mutations)
    unsound = [m.name for m in mutations if m.status in (Status.PROVED, Status.CERTIFIED)]
    if unsound:
        finding = _Finding(Status.UNDECIDED, finding.trust, finding.evidence, f"false variants accepted: {unsound}")
    return Verdict(
        claim=claim.id,
        status=finding.status,
        expected=claim.expected,
        scope=_scope(claim, finding.status),
        trust=finding.trust,
        margin=_slack(finding.status, search),
        margin_at=to_json(search.margin_at) if search.margin_at is not None else None,
        evidence=(*finding.evidence, Evidence("search", _log(search))),
        mutations=mutations,
        reason=finding.reason,
        run={"examples": search.examples_run},
    )


def _hunted(statement: Statement, known: Sequence[Instance], budget: Literal["quick", "full"], seed: int) -> Hunt:
    """The search, with the known instances decided in any case: rounding may hide from it that two sides are equal."""
    search = hunt(statement, seed=seed, budget=Budget.named(budget), examples=known)
    if search.counterexample is None and (certain := [c for c in (certify(statement, i) for i in known) if c]):
        return replace(search, counterexample=certain[0], strategies=(*search.strategies, (GIVEN, len(known))))
    return search


def _scope(claim: Claim, status: Status) -> str:
    """What the claim says of itself; a cover speaks of its box alone, whatever the claim says."""
    if status is not Status.CERTIFIED or claim.box is None:
        return claim.scope
    ranges = [f"{name} in [{low}, {high}]" for name, (low, high) in claim.box.ranges.items()]
    fixed = [f"{name} = {value}" for name, value in claim.box.fixed.items()]
    return f"the box {', '.join(ranges + fixed)} (claim: {claim.scope})"


def _slack(status: Status, search: Hunt) -> float | None:
    """Smallest margin; what holds has none below 0: the search lets hypotheses pass by a rounding error too."""
    margin = _readable(search.smallest_margin)
    return max(margin, 0.0) if margin is not None and status in (Status.PROVED, Status.CERTIFIED) else margin


def _readable(margin: float) -> float | None:
    """The margin as searched in 64-bit balls: nothing below their resolution is claimed."""
    if math.isnan(margin):
        return None
    return 0.0 if abs(margin) < _RESOLUTION else margin


def _log(search: Hunt) -> dict[str, Any]:
    return {
        "examples_run": search.examples_run,
        "admissible": search.admissible,
        "strategies": dict(search.strategies),
        "float_only_violations": search.float_only_violations,
        "smallest_margin": _readable(search.smallest_margin),
        "margin_at": to_json(search.margin_at) if search.margin_at is not None else None,
        "seed": search.seed,
    }


def _strongest(
    claim: Claim, statement: Statement, witness: Instance, search: Hunt, budget: Literal["quick", "full"], seed: int
) -> _Finding:
    proved = None
    if claim.expected is not Status.FALSIFIED:
        proved = _proved(claim, statement, witness, budget, seed, search.closest)
    if search.counterexample is not None:
        found = search.counterexample
        trust = "exact rationals" if found.arithmetic == "rational" else f"ball arithmetic, {found.arithmetic} bits"
        evidence = (Evidence("certificate", found.certificate),)
        if proved is not None and proved.status is Status.PROVED:
            reason = "a proof was accepted and a counterexample confirmed: one of the two is wrong"
            return _Finding(Status.UNDECIDED, trust, evidence + proved.evidence, reason)
        return _Finding(Status.FALSIFIED, trust, evidence)
    if proved is not None and proved.status is Status.PROVED:
        return proved
    if claim.box is not None:
        return _certified(statement, claim.box)
    reason = proved.reason if proved is not None else ""
    return _Finding(Status.NOT_FALSIFIED, "search in ball arithmetic; nothing confirmed", (), reason)


def _proved(
    claim: Claim,
    statement: Statement,
    witness: Instance,
    budget: Literal["quick", "full"],
    seed: int,
    closest: Sequence[Instance],
) -> _Finding | None:
    """The verdict of the kernel on the claim's proof, whose facts and names are first tested on instances."""
    proof = claim.proof or _automatic(statement)
    if proof is None:
        return None
    try:
        if redefined := {p.name for p in statement.parameters} & {*proof.atoms, *proof.definitions}:
            raise CertificateError(f"it gives the parameters {sorted(redefined)} another meaning; rename these atoms")
        if strays := proof.strays(statement):
            raise CertificateError(f"it reads {strays} in another sense than the statement; use the same expressions")
        at = from_json(proof.witness) if proof.witness is not None else witness
        certificate = proof.certificate(statement, at)
        kernel.check(certificate)
    except _NO_PROOF as error:
        return _Finding(Status.UNDECIDED, "kernel", (), f"no proof: {error}") if claim.proof else None
    evidence = (Evidence("certificate", certificate),)
    if not (proof.facts or proof.atoms or proof.definitions != statement.definitions):
        return _Finding(Status.PROVED, "kernel", evidence)
    instances = _admissible(statement, _FACT_INSTANCES[budget], seed, [witness, at, *closest])
    misquoted = proof.misquoted(statement, instances)
    if misquoted:
        return _Finding(Status.UNDECIDED, "kernel", (), f"misquoted: {'; '.join(misquoted)}")
    if len(instances) < _FEWEST_INSTANCES:
        reason = f"only {len(instances)} instances of the hypotheses were found to test the facts of the proof on"
        return _Finding(Status.UNDECIDED, "kernel", (), f"{reason}; give the parameters ranges and landmarks")
    textbook = "".join(f"; modulo {', '.join(facts)}" for facts in [proof.textbook_facts()] if facts)
    restated = sum(fact.is_definition for fact in proof.facts.values())
    textbook += f"; {restated} facts that restate definitions" if restated else ""
    tested = f"; facts of the proof tested on {len(instances)} instances"
    return _Finding(Status.PROVED, f"kernel{textbook}{tested}", evidence)


def _admissible(statement: Statement, count: int, seed: int, known: Sequence[Instance]) -> list[Instance]:
    """The known instances that satisfy the hypotheses and up to `count` random ones, each once."""
    used = needed(statement.definitions, statement.hypotheses.values())
    # Without the conclusion: an equality that holds has no margin, and exact sides may have millions of digits.
    hypotheses = Statement(statement.parameters, statement.hypotheses, "0 <= 1", used)
    margin, choices = compile_margin(hypotheses), RandomChoices(Random(seed))
    found: dict[str, Instance] = {str(to_json(i)): i for i in known if hypotheses.decide(i).admissible}
    most = len(found) + count
    for _ in range(_DRAWS * count):
        if len(found) == most:
            break
        instance = draw_instance(statement, choices)
        if margin(instance).hypotheses >= 0 and hypotheses.decide(instance).admissible:
            found[str(to_json(instance))] = instance
    return list(found.values())


def _automatic(statement: Statement) -> Proof | None:
    """A one-step product certificate from all hypotheses, for polynomial statements with few of them."""
    if len(statement.hypotheses) > _AUTOMATIC_HYPOTHESES:
        return None
    names = tuple(key for name, text in statement.hypotheses.items() for key in named_links(name, text))
    steps = tuple(Step(f"goal{k}", goal, using=names) for k, goal in enumerate(statement.goals()))
    return Proof(steps=steps, definitions=statement.definitions)


def _certified(statement: Statement, box: boxes.Box) -> _Finding:
    try:
        certificate = boxes.cover(statement, box)
        kernel.check(certificate)
    except _NO_PROOF as error:
        return _Finding(Status.UNDECIDED, "interval arithmetic", (), f"the box is not covered: {error}")
    trust = "interval arithmetic (python-flint); the kernel checks the split tree and every leaf"
    return _Finding(Status.CERTIFIED, trust, (Evidence("certificate", certificate),))


def _mutate(
    claim: Claim, mutation: Mutation, witness: Instance, budget: Literal["quick", "full"], seed: int
) -> MutationResult:
    """Treat the false variant as a claim of its own: it must fall, and no proof may carry it."""
    statement = claim.mutated(mutation)
    known = [from_json(mutation.example)] if mutation.example else []
    search = _hunted(statement, [*known, witness], budget, seed)
    if search.counterexample is not None:
        found = search.counterexample
        kernel.check(found.certificate)
        by = search.strategies[-1][0]
        return MutationResult(
            mutation.name, Status.FALSIFIED, statement.conclusion, to_json(found.instance), found.arithmetic, by
        )
    proved = _proved(claim, statement, witness, budget, seed, search.closest)
    status = proved.status if proved is not None else Status.NOT_FALSIFIED
    if status is not Status.PROVED and claim.box is not None:
        status = _certified(statement, replace(claim.box, max_leaves=_MUTATION_LEAVES)).status
    accepted = status in (Status.PROVED, Status.CERTIFIED)
    return MutationResult(mutation.name, status if accepted else Status.NOT_FALSIFIED, statement.conclusion)


def _measured(claim: Claim, seed: int) -> Verdict:
    if claim.measure is None:
        raise ClaimError(f"{claim.id}: nothing to measure; give `measure` or `formal`")
    measured = claim.measure(seed)
    table: Mapping[str, Any] = {"table": [dict(row) for row in measured.table], "arithmetic": measured.arithmetic}
    faults = [(name, Status.FALSIFIED) for name in measured.refuted_faults]
    faults += [(name, Status.NOT_FALSIFIED) for name in measured.accepted_faults]
    blind = bool(measured.accepted_faults)
    status = Status.UNDECIDED if blind else Status.NOT_FALSIFIED if measured.holds else Status.FALSIFIED
    return Verdict(
        claim=claim.id,
        expected=claim.expected,
        scope=claim.scope,
        status=status,
        trust=f"measurement: {measured.arithmetic}",
        reason=f"the measurement lets planted faults pass: {list(measured.accepted_faults)}" if blind else "",
        margin=measured.margin,
        evidence=(Evidence("measurement", table),),
        mutations=tuple(
            MutationResult(name, status, "planted fault", found_by="measurement") for name, status in faults
        ),
    )


def _versions() -> dict[str, str]:
    names = ("l2o-theory", "python-flint", "numpy", "scipy", "hypothesis", "torch")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
