"""Restating a claim changes nothing: other units, another order of the eigenvalues, other names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from random import Random
from typing import Any

import pytest

from l2o_theory.claims import Claim, Status
from l2o_theory.claims.discovery import load_claims, plugin_folder
from l2o_theory.claims.runner import check
from l2o_theory.rigor.statement import Instance, Statement, from_json, to_json
from l2o_theory.search.instances import RandomChoices, draw_instance

CLAIMS = load_claims([plugin_folder("proofs_checks") / "step_size"]).claims
EIGENVALUES, INVERSE = {"L", "alpha", "l_i"}, {"eta", "zeta"}  # what is measured in a unit, and in its inverse
SETTING = sorted(
    name
    for name, claim in CLAIMS.items()
    if claim.formal is not None
    and {"L", "alpha", "l_i", "w_i"} <= {p.name for p in claim.formal.parameters}
    and "p" not in {p.name for p in claim.formal.parameters}  # p bounds a norm whose unit is a root of L
)
CHECKED = (
    "step_size/theorem3/remark_small_below",
    "step_size/theorem4/bound_norm",
)
"""Whole checks are repeated for these: one that is false, one proved with powers, one proved with roots."""

NAMES = {
    "L": "largest",
    "alpha": "smallest",
    "eta": "pace",
    "zeta": "faster",
    "w1": "share_a",
    "wd": "share_d",
    "w_i": "share_i",
    "l_i": "value_i",
    "t": "count",
}
_NAME = re.compile(rf"(?<![\w])({'|'.join(NAMES)})(?!\w)")


def scaled(instance: Mapping[str, Any], unit: Fraction) -> dict[str, Any]:
    """Eigenvalues in another unit; step sizes in its inverse."""

    def converted(name: str, value: Any) -> Any:
        factor = unit if name in EIGENVALUES else 1 / unit if name in INVERSE else Fraction(1)
        return tuple(v * factor for v in value) if isinstance(value, tuple) else value * factor

    return {name: converted(name, value) for name, value in instance.items()}


def permuted(instance: Mapping[str, Any], random: Random) -> dict[str, Any]:
    """The entries of all vectors in one other order, the weights with their eigenvalues."""
    count = max((len(value) for value in instance.values() if isinstance(value, tuple)), default=0)
    order = random.sample(range(count), count)
    return {n: tuple(v[k] for k in order) if isinstance(v, tuple) else v for n, v in instance.items()}


def renamed(value: Any) -> Any:
    """Every string below `value`, keys too, with the parameters under other names."""
    if isinstance(value, str) and not isinstance(value, Status):
        return _NAME.sub(lambda match: NAMES[match.group(1)], value)
    if isinstance(value, Mapping):
        return {renamed(key): renamed(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return tuple(renamed(entry) for entry in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: renamed(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name != "kind"}
        return dataclasses.replace(value, **fields)
    return value


def drawn(statement: Statement, count: int, seed: int) -> list[Instance]:
    """Admissible random instances with small horizons, so that exact powers stay short."""
    choices, found = RandomChoices(Random(seed)), list[Instance]()
    for _ in range(3000):
        instance = draw_instance(statement, choices)
        if instance["t"] <= 10 and statement.decide(instance).admissible:
            found.append(instance)
        if len(found) == count:
            break
    return found


@cache
def of_the_original(name: str) -> tuple[Any, ...]:
    return summary(with_one_mutation(name))


def with_one_mutation(name: str) -> Claim:
    return dataclasses.replace(CLAIMS[name], mutations=CLAIMS[name].mutations[:1])


def summary(claim: Claim) -> tuple[Any, ...]:
    verdict = check(claim)
    return verdict.status, verdict.trust, [mutation.status for mutation in verdict.mutations]


@pytest.mark.parametrize("name", SETTING)
def test_truth_at_an_instance_does_not_depend_on_the_unit_or_the_order(name: str) -> None:
    statement = CLAIMS[name].formal
    assert statement is not None
    random = Random(name)
    instances = drawn(statement, 6, seed=1)
    assert len(instances) >= 4
    if CLAIMS[name].counterexample:
        instances.append(from_json(CLAIMS[name].counterexample))
    for instance in instances:
        truth = statement.decide(instance).holds
        for unit in (Fraction(7, 3), Fraction(1, 1000)):
            assert statement.decide(scaled(instance, unit)).holds is truth, (to_json(instance), unit)
        assert statement.decide(permuted(instance, random)).holds is truth, to_json(instance)


def test_the_relations_see_a_claim_that_breaks_them() -> None:
    """Planted: a bound of the wrong unit depends on the unit, one that weighs the first entry more on the order."""
    statement = CLAIMS["step_size/theorem3/upper_bound"].formal
    assert statement is not None
    wrong = statement.altered(conclusion="slope <= t*L")
    instances = drawn(wrong, 20, seed=2)
    changed = [i for i in instances if wrong.decide(i).holds is not wrong.decide(scaled(i, Fraction(1000))).holds]
    assert changed


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("restated", ["unit", "order", "names"])
def test_a_restated_claim_gets_the_same_verdict(name: str, restated: str) -> None:
    claim = with_one_mutation(name)
    if restated == "names":
        other = dataclasses.replace(renamed(dataclasses.replace(claim, id="toy/renamed")), id=claim.id)
        assert "largest" in {p.name for p in other.formal.parameters}
    else:
        change = (lambda i: scaled(i, Fraction(3))) if restated == "unit" else (lambda i: permuted(i, Random(5)))
        known = {
            field: to_json(change(from_json(values)))
            for field in ("witness", "counterexample")
            if (values := getattr(claim, field))
        }
        other = dataclasses.replace(claim, **known)
    assert summary(other) == of_the_original(name)
