"""Sample claims and verdicts of every kind, small and realistic; the certificates are accepted by the real kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from l2o_theory.claims.claim import Claim, Measurement, Mutation
from l2o_theory.claims.verdict import Evidence, MutationResult, Status, Verdict
from l2o_theory.rigor.proof import Fact, Proof, Step
from l2o_theory.rigor.statement import Parameter, Statement, from_json

GENERATED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
RUN: Mapping[str, Any] = {"seed": 0, "budget": "quick", "seconds": 1.25, "python": "3.11.9", "l2o-theory": "0.1.0"}
MARKUP_TITLE = 'Markup stays <b>text</b> <script>window.injected = true</script> & "quotes"'

_CONTRACTION = Statement(
    parameters=(
        Parameter("eta", low="0", meaning="step size, in units of 1/curvature"),
        Parameter("L", low="0", meaning="smoothness"),
        Parameter("l", low="0", high="L", meaning="an eigenvalue"),
    ),
    definitions={"r": "1 - eta*l"},
    hypotheses={"eta_positive": "eta > 0", "l_positive": "l > 0", "below_L": "L - l >= 0", "stable": "2 - eta*L >= 0"},
    conclusion="1 - r**2 >= 0",
)
_PROOF = Proof(
    definitions={"r": "1 - eta*l"},
    facts={
        "amgm": Fact("eta*l >= 0", "a product of positive numbers is positive"),
        "r_means": Fact("r == 1 - eta*l", "definition of r"),
    },
    steps=(
        Step("gap", "2 - eta*l >= 0", using=("stable", "below_L", "eta_positive"), degree=2),
        Step("contraction", "1 - r**2 >= 0", using=("gap", "eta_positive", "l_positive"), degree=3),
    ),
)
_WITNESS = {"eta": "1", "L": "1", "l": "1/2"}
_DESCENT_CEX = {
    "kind": "cex",
    "definitions": {"r": "1 - eta*l"},
    "hypotheses": {"eta_nonnegative": "eta >= 0", "l_positive": "l > 0"},
    "conclusion": "0 < eta*l and r**(2*t) < 1",
    "instance": {"eta": "0", "l": "1/3", "t": "40", "c_i": ["3/5", "4/5"]},
}
_BALL_CEX = {
    "kind": "cex",
    "bits": 128,
    "definitions": {},
    "hypotheses": {"positive": "x > 0"},
    "conclusion": "log(x) <= 9*(x - 1)/10",
    "instance": {"x": "11/10"},
}


def contraction() -> tuple[Claim, Verdict]:
    claim = Claim(
        id="step_size/contraction/stable",
        title="Gradient descent contracts every coordinate while 0 < η ≤ 2/L",
        source="derived here",
        statement="For a quadratic with eigenvalues in (0, L] and a step size in (0, 2/L],\n\n"
        "    |1 - eta l| <= 1    for every eigenvalue l,\n\nso no coordinate of the iterate grows.",
        kind="upper",
        scope="all eta in (0, 2/L], all l in (0, L]",
        expected=Status.PROVED,
        formal=_CONTRACTION,
        witness=_WITNESS,
        proof=_PROOF,
        mutations=(Mutation("2/L -> 3/L", {"hypotheses": {"stable": "3 - eta*L >= 0"}}),),
        corrects="step_size/contraction/always",
        notes="Equality at η = 2/L with l = L.",
    )
    certificate = _PROOF.certificate(_CONTRACTION, from_json(_WITNESS))
    verdict = Verdict(
        claim=claim.id,
        status=Status.PROVED,
        expected=Status.PROVED,
        scope=claim.scope,
        trust="kernel; modulo a product of positive numbers is positive",
        margin=3.2e-7,
        margin_at={"eta": "199999/100000", "L": "1", "l_i": ["1", "1/2"]},
        evidence=(
            Evidence("certificate", certificate),
            Evidence("search", {"examples_run": 412, "strategies": [["boundary", 400], ["evolution", 12]], "seed": 0}),
        ),
        mutations=(
            MutationResult(
                "2/L -> 3/L",
                Status.FALSIFIED,
                "1 - r**2 >= 0",
                {"eta": "3", "L": "1", "l": "1"},
                "rational",
                "stated example",
            ),
            MutationResult("strict", Status.NOT_FALSIFIED, "1 - r**2 > 0"),
        ),
        run=RUN,
    )
    return claim, verdict


def descent() -> tuple[Claim, Verdict]:
    claim = Claim(
        id="step_size/contraction/always",
        title="The loss shrinks for every η ≥ 0",
        source="Wang et al. 2021, remark after Theorem 3",
        statement="The loss after t steps is smaller than at the start for every step size eta >= 0 below 2/L.",
        kind="rate",
        scope="all eta >= 0",
        expected=Status.FALSIFIED,
        formal=replace(_CONTRACTION, conclusion="1 - r**2 > 0"),
        witness=_WITNESS,
        notes="It fails at η = 0, where nothing moves.",
    )
    evidence = (Evidence("certificate", _DESCENT_CEX),)
    return claim, _verdict(claim, Status.FALSIFIED, "exact rationals", margin=-0.25, evidence=evidence)


def logarithm() -> tuple[Claim, Verdict]:
    claim = _simple("step_size/logarithm/slope", "log x ≤ 0.9 (x − 1), a slope too small", Status.NOT_FALSIFIED)
    evidence = (Evidence("certificate", _BALL_CEX),)
    trust = "ball arithmetic, 128 bits"
    return claim, _verdict(claim, Status.FALSIFIED, trust, margin=-2e-2, evidence=evidence)


def boxed() -> tuple[Claim, Verdict]:
    cover = {"kind": "cover", "box": {"eta": ["1/2", "2"]}, "fixed": {"t": "1000"}, "conclusion": "eta > 0", "bits": 64}
    claim = _simple("step_size/theorem4/box", "The slope of log F is at most 4 L³/(c² α (L − α))", Status.CERTIFIED)
    tree = ["eta", ["eta", "leaf", "leaf"], "leaf"]
    evidence = (Evidence("certificate", {**cover, "tree": tree}),)
    return claim, _verdict(
        claim, Status.CERTIFIED, "interval arithmetic (python-flint)", margin=0.11, evidence=evidence
    )


def measured() -> tuple[Claim, Verdict]:
    claim = Claim(
        id="step_size/corollary1/breakdown",
        title="Reverse mode returns nan, −inf or a silent 0 from the predicted step on",
        source="derived here",
        statement="The first t at which reverse mode through the naive graph fails is the predicted one, to within 1.",
        kind="measurement",
        scope="spectrum (1, 1/2), c = (3/5, 4/5)",
        expected=Status.NOT_FALSIFIED,
        measure=lambda seed: Measurement(True, (), 0.0, f"torch, seed {seed}"),
    )
    rows = [
        ("float32", "1", 66, 66),
        ("float64", "1", 516, 516),
        ("float32", "3", 65, 65),
        ("float64", "3", 513, 512.5),
    ]
    table = [
        {"dtype": d, "eta": e, "predicted_t": p, "observed_t": o, "silent_zero_gradient": o == 65}
        for d, e, p, o in rows
    ]
    evidence = (Evidence("measurement", {"table": table, "arithmetic": "float32 and float64 torch, CPU"}),)
    mutations = (MutationResult("thresholds off by 10", Status.FALSIFIED, "planted fault", found_by="measurement"),)
    verdict = _verdict(
        claim, Status.NOT_FALSIFIED, "measurement: torch", margin=0.0, evidence=evidence, mutations=mutations
    )
    return claim, verdict


def markup() -> tuple[Claim, Verdict]:
    claim = _simple("step_size/theorem3/markup", MARKUP_TITLE, Status.NOT_FALSIFIED)
    return claim, _verdict(claim, Status.NOT_FALSIFIED, "search <i>only</i>", margin=float("nan"))


def undecided() -> tuple[Claim, Verdict]:
    claim = _simple("step_size/theorem3/unique", "F has one minimiser, below 2/L", Status.PROVED)
    reason = "no proof: step gap: no combination of ['stable'] gives 2 - eta*l >= 0"
    return claim, replace(_verdict(claim, Status.UNDECIDED, "kernel"), reason=reason)


def vacuous() -> tuple[Claim, Verdict]:
    claim = _simple("momentum/heavy_ball/vacuous", "A claim whose witness fails", Status.VACUOUS)
    return claim, replace(_verdict(claim, Status.VACUOUS, "exact rationals"), reason="the witness fails a hypothesis")


def out_of_scope() -> tuple[Claim, Verdict]:
    claim = _simple("momentum/heavy_ball/oracle", "A statement about all algorithms", Status.OUT_OF_SCOPE)
    return claim, _verdict(claim, Status.OUT_OF_SCOPE, "nothing")


SAMPLES: tuple[Callable[[], tuple[Claim, Verdict]], ...] = (
    contraction,
    descent,
    logarithm,
    boxed,
    measured,
    markup,
    undecided,
    vacuous,
    out_of_scope,
)


def samples() -> tuple[list[Verdict], dict[str, Claim]]:
    pairs = [make() for make in SAMPLES]
    return [verdict for _, verdict in pairs], {claim.id: claim for claim, _ in pairs}


def _simple(name: str, title: str, expected: Status) -> Claim:
    return Claim(
        id=name,
        title=title,
        source="derived here",
        statement=f"{title}.",
        kind="tight",
        scope="d = 2, t = 1000",
        expected=expected,
        formal=_CONTRACTION,
        witness=_WITNESS,
        mutations=(Mutation("strict", {"conclusion": "1 - r**2 > 0"}),),
    )


def _verdict(claim: Claim, status: Status, trust: str, **more: Any) -> Verdict:
    return Verdict(
        claim=claim.id, status=status, expected=claim.expected, scope=claim.scope, trust=trust, run=RUN, **more
    )
