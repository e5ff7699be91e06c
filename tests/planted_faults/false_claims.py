"""Planted falsehoods: every mutation of every built-in claim without its known example, and more by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from l2o_theory.claims import Claim, Mutation, Status
from l2o_theory.claims.discovery import load_claims, plugin_folder
from l2o_theory.quadratic import lemmas, setting
from l2o_theory.quadratic.setting import gradient, loss, total
from l2o_theory.rigor.boxes import Box
from l2o_theory.rigor.proof import Fact, Proof
from l2o_theory.rigor.statement import Parameter, Statement, from_json

ROOMS = ("step_size", "truncation", "train_vs_validation", "ntk", "lodo", "training")
WITNESSES = {"lodo/fixed_point/attracts: towards the inverse Hessian": {"beta": "1/5", "s2": "1", "u": "2"}}
"""For mutations whose hypotheses the witness of the claim does not satisfy, and that state no example."""

ABSURD = Mutation("absurd", {"conclusion": "0 >= 1"})
X, Y = Parameter("x", landmarks=("0", "1")), Parameter("y", landmarks=("0", "1"))
ENTRIES = (Parameter("x_i", landmarks=("0", "1")), Parameter("y_i", landmarks=("0", "1")))


def planted() -> dict[str, Claim]:
    """Name -> the mutated statement as a claim that hopes to be proved, with the proof and the box of its original."""
    return {**_mutated(), **_by_hand()}


def _mutated() -> dict[str, Claim]:
    found = {}
    claims = load_claims([plugin_folder("proofs_checks") / room for room in ROOMS]).claims.values()
    for claim in claims:
        if claim.formal is None or claim.expected is Status.VACUOUS:  # nothing is false under hypotheses that clash
            continue
        for k, mutation in enumerate(claim.mutations):
            name = f"{claim.id}: {mutation.name}"
            statement = claim.mutated(mutation)
            fits = statement.decide(from_json(claim.witness)).admissible
            found[name] = replace(
                claim,
                id=f"{claim.id}/planted_{k}",
                formal=statement,
                witness=claim.witness if fits else WITNESSES.get(name, mutation.example),
                mutations=(ABSURD,),
                counterexample={},
            )
    return found


def _claim(
    name: str, parameters: Any, hypotheses: dict[str, str], conclusion: str, witness: dict[str, Any], **more: Any
) -> tuple[str, Claim]:
    definitions = more.pop("definitions", {})
    statement = Statement(tuple(parameters), hypotheses, conclusion, definitions)
    return name, Claim(
        id=f"planted/{re.sub('[^a-z0-9]+', '_', name.lower())}",
        title=name,
        source="planted, false",
        statement=conclusion,
        kind="upper",
        scope="all",
        expected=more.pop("expected", Status.PROVED),
        formal=statement,
        witness=witness,
        mutations=(ABSURD,),
        **more,
    )


def _quadratic(name: str, conclusion: str, definitions: dict[str, str], eta: str = "1", **hypotheses: str) -> Any:
    return _claim(
        name,
        (*setting.SPECTRUM, setting.STEP_SIZE),
        {**setting.HYPOTHESES, **hypotheses},
        conclusion,
        {**setting.WITNESS, "eta": eta},
        definitions=definitions,
    )


def _by_hand() -> dict[str, Claim]:
    slope = {"N": lemmas.NUMERATOR, "D": lemmas.DENOMINATOR, "x": "min(w1, wd)"}
    ratio = {"m": lemmas.LARGEST_RATIO}
    pair = {"x_i": ["1", "0"], "y_i": ["0", "1"]}
    unit = Box(ranges={"x": ("0", "1")})
    states = {"before": loss(), "after": loss(steps="(t+1)")}
    legal = {"legal": "eta >= 0"}
    growth = {"slope": gradient(), "M": "(eta*L-1)**(2*t-1)"}
    return dict(
        [
            _quadratic("K is 39/20", "abs(2*N)*x*alpha*(L-alpha) <= (39/20)*L**3*D", slope),
            _quadratic("K is 3/2", "abs(2*N)*x*alpha*(L-alpha) <= (3/2)*L**3*D", slope),
            _quadratic("K 2 without alpha", "abs(2*N)*x*(L-alpha) <= 2*L**2*D", slope),
            _quadratic("K 4 with the sum of weights", "abs(2*N)*(w1+wd)*alpha*(L-alpha) <= 4*L**3*D", slope),
            _quadratic("B2 without alpha", "abs(N)*(L-alpha) <= L**2*root(L/(x*alpha), 2*t)*D", slope),
            _quadratic("B2 with a third root", "abs(N)*(L-alpha) <= L*(L+alpha)*root(L/(x*alpha), 3*t)*D", slope),
            _quadratic("B2 without the root", "abs(N)*(L-alpha) < L*(L+alpha)*D", slope, **legal),
            _quadratic("log step with 2", "abs(eta*N)*(L-alpha) <= L*root(L/(x*alpha), 2*t)*D", slope, **legal),
            _quadratic("1/28", "slope >= w1*L**2*t*M - (1-w1)*L**2/28", growth, "3", beyond="eta*L > 2"),
            _quadratic("squared weight", "slope >= w1*L**2*t*M - (1-w1)**2*L**2/27", growth, "3", beyond="eta*L > 2"),
            _quadratic("minimiser below 2/L", "late > 0", {"late": gradient("(2/L)")}),
            _quadratic("minimiser above the centre", "centre < 0", {"centre": gradient("(2/(L+alpha))")}),
            _quadratic("descent at 2/L", "after < before", states, r="0 < eta*L <= 2"),
            _quadratic("descent at eta = 0", "after < before", states, r="0 <= eta*L < 2"),
            _quadratic("F' < 0 up to 1.01/L", "slope < 0", {"slope": gradient()}, "1/2", early="eta*L < 101/100"),
            _quadratic("ratio a permille larger", "m >= (L-alpha)/(L+alpha)*(1+1/1000)", ratio),
            _quadratic("between is strictly above", "l_i > alpha", {}),
            _quadratic("between is strictly below", "all(l_i < L)", {}),
            _quadratic("t is at least 2", "t >= 2", {}),
            _quadratic("strict triangle", f"abs(N) < {total('w*l**2*abs(1-eta*l)**(2*t-1)')}", slope),
            _claim("positive for non-negative", (X,), {"h": "x >= 0"}, "x > 0", {"x": "1"}),
            _claim("squares are positive", (X,), {}, "x**2 > 0", {"x": "1"}),
            _claim("order flipped", (X, Y), {"a": "x >= 0", "b": "y >= x"}, "x >= y", {"x": "1", "y": "1"}),
            _claim("means, factor 99/100", (X, Y), {}, "100*x*y <= 50*x**2 + 49*y**2", {"x": "0", "y": "1"}),
            _claim("means, strict", (X, Y), {"a": "x > 0", "b": "y > 0"}, "x + y > 2*root(x*y, 2)",
                   {"x": "1", "y": "4"}),
            _claim("Bernoulli from -3", (Parameter("x", low="-3"), setting.STEPS), {"a": "x >= -3"},
                   "(1+x)**t >= 1 + t*x", {"x": "1", "t": "2"}),
            _claim("tangent of exp, strict", (X,), {}, "exp(x) > 1 + x", {"x": "1"}),
            _claim("exp above its second order", (X,), {}, "exp(x) >= 1 + x + x**2/2", {"x": "1"}),
            _claim("absolute value dropped", (X,), {}, "abs(x) <= x", {"x": "2"}),
            _claim("root of a square", (X,), {}, "root(x**2, 2) == x", {"x": "2"}),
            _claim("chain with a false end", (X, Y), {"a": "0 < x < y"}, "0 < x < y < x + 1", {"x": "1", "y": "3/2"}),
            _claim("reciprocal", (X,), {"a": "x > 0"}, "r <= 1", {"x": "2"}, definitions={"r": "1/x"}),
            _claim("sum of positives, empty", ENTRIES, {"p": "x_i > 0"}, "sum(x_i) > 0", pair | {"x_i": ["1", "1"]}),
            _claim("product, empty", ENTRIES, {"p": "x_i > 2"}, "prod(x_i) > 2", pair | {"x_i": ["3", "3"]}),
            _claim("Cauchy-Schwarz, strict", ENTRIES, {}, "sum(x_i*y_i)**2 < sum(x_i**2)*sum(y_i**2)", pair),
            _claim("norms with 3", ENTRIES, {}, "sum(x_i)**2 <= 3*sum(x_i**2)", pair),
            _claim("integers beyond a bound", (setting.STEPS,), {}, "t <= 1000", {"t": "2"},
                   proof=Proof(facts={"f": Fact("t <= 1000", "no experiment is longer")}, steps=())),
            _claim("index carried over", (X, *ENTRIES), {"p": "x_i >= x", "q": "y_i <= 5"}, "x <= 5",
                   {**pair, "x": "-1"}, proof=Proof(facts={"f": Fact("x_i <= 5", "as y_i")}, steps=())),
            _claim("strict at the edge of a box", (X,), {"h": "0 <= x <= 1"}, "x < 1", {"x": "0"}, box=unit,
                   expected=Status.CERTIFIED),
            _claim("natural edge of a box", (setting.STEPS,), {"h": "t <= 4"}, "t <= 3", {"t": "1"},
                   box=Box(ranges={"t": ("1", "4")}), expected=Status.CERTIFIED),
        ]
    )  # fmt: skip
