"""Confirming: a lead becomes a counterexample only as small exact rationals that certainly violate the statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from l2o_theory.rigor import kernel
from l2o_theory.rigor.statement import Arithmetic, Instance, Statement, to_json
from l2o_theory.search.compiled import TOLERANCE, Point, Slack, compile_margin, touches
from l2o_theory.search.cube import exactly
from l2o_theory.search.instances import fits
from l2o_theory.search.shrink import refilled, rounded, shrunk, slots

DENOMINATORS = (10, 100, 1000, 10**4, 10**6)
"""Rounding is tried coarsest first, so that what is found is readable; then come the values themselves."""

_BITS = 1 << 12  # enough to separate sides that differ by a relative 10^-1000; more is an equality in all likelihood


@dataclass(frozen=True)
class Counterexample:
    """An instance that certainly satisfies the hypotheses and certainly violates the conclusion.

    Attributes:
        instance: exact values of all parameters.
        margin: (right - left)/(|left| + |right|) of the conclusion, negative; in floats, for reading.
        arithmetic: "rational", or the bits of the balls that decided it.
        certificate: of kind "cex", as `kernel.check` accepts it.
    """

    instance: Instance
    margin: float
    arithmetic: Arithmetic
    certificate: Mapping[str, Any]


def confirm(
    statement: Statement,
    lead: Point,
    *,
    decisions: int = 100,
    margin: Callable[[Point], Slack] | None = None,
) -> Counterexample | None:
    """Confirm a lead in exact or ball arithmetic, as readable as can be; None if nothing near it is a violation.

    Args:
        statement: what the lead seems to violate.
        lead: values of all parameters, exact or float.
        decisions: how many exact decisions shrinking may cost.
        margin: the compiled margin of the statement, if the caller has it.
    """
    judge = Judge(statement, margin or compile_margin(statement))
    for instance in roundings(statement, exactly(statement, lead)):
        if judge.is_violation(instance):
            return judge.counterexample(shrunk(statement, instance, judge, decisions))
    return None


class Judge:
    """Decides instances, the cheap 64-bit margin first."""

    def __init__(self, statement: Statement, margin: Callable[[Point], Slack]) -> None:
        self.decisions = 0
        self._statement = statement
        self._margin = margin
        self._doubt = TOLERANCE if touches(statement) else 0.0  # equality may be a violation, or noise hide one

    def is_violation(self, instance: Instance) -> bool:
        """Whether the instance certainly violates the statement."""
        if not fits(self._statement, instance):
            return False
        slack = self._margin(instance)
        if not (slack.hypotheses >= 0 and slack.conclusion <= self._doubt):
            return False
        self.decisions += 1
        return self._certificate(instance) is not None

    def counterexample(self, instance: Instance) -> Counterexample:
        """The confirmed violation with its certificate."""
        found = self._certificate(instance)
        assert found is not None  # only called on confirmed violations
        arithmetic, certificate = found
        return Counterexample(instance, min(self._margin(instance).conclusion, 0.0), arithmetic, certificate)

    def _certificate(self, instance: Instance) -> tuple[Arithmetic, dict[str, Any]] | None:
        try:
            decision = self._statement.decide(instance, max_bits=_BITS)
        except (ValueError, TypeError):  # an empty maximum, vectors of different lengths
            return None
        if not decision.admissible or decision.holds is not False:
            return None
        certificate: dict[str, Any] = {
            "kind": "cex",
            "instance": to_json(instance),
            "definitions": dict(self._statement.definitions),
            "hypotheses": dict(self._statement.hypotheses),
            "conclusion": self._statement.conclusion,
        }
        if decision.arithmetic != "rational":
            certificate["bits"] = decision.arithmetic
        try:
            kernel.check(certificate)
        except kernel.Rejected:
            return None
        return decision.arithmetic, certificate


def roundings(statement: Statement, instance: Instance) -> Iterator[Instance]:
    """The instance rounded to small denominators, the coarsest first, and at last itself."""
    seen: list[Instance] = []
    for denominator in DENOMINATORS:
        candidate = refilled(statement, instance, {s: rounded(v, denominator) for s, v in slots(instance).items()})
        if candidate not in seen:
            seen.append(candidate)
            yield candidate
    if instance not in seen:
        yield instance
