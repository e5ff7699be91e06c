"""Confirming: a lead becomes a counterexample only as small exact rationals that certainly violate the statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from l2o_theory.rigor import balls, kernel, language
from l2o_theory.rigor.statement import Arithmetic, Instance, Statement, to_json
from l2o_theory.search.compiled import TOLERANCE, Point, Slack, compile_margin, touches
from l2o_theory.search.cube import exactly
from l2o_theory.search.instances import fits
from l2o_theory.search.scope import names, needed
from l2o_theory.search.shrink import refilled, rounded, shrunk, slots

DENOMINATORS = (10, 100, 1000, 10**4, 10**6)
"""Rounding is tried coarsest first, so that what is found is readable; then come the values themselves."""

_DYADIC = (2, 4, 16, 256, 1 << 20)  # exact in balls, where shares of 1/3 cannot be seen to sum to 1
_QUICK_BITS = (128, 512)
_BITS = 1 << 12  # separates sides that differ by a relative 10^-1000; what needs more is an equality in all likelihood


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


def certify(statement: Statement, instance: Instance) -> Counterexample | None:
    """The instance as it stands, decided exactly or in balls; None unless it certainly violates the statement."""
    judge = Judge(statement, compile_margin(statement))
    return judge.counterexample(instance) if fits(statement, instance) else None


class Judge:
    """Decides instances: by the 64-bit margin what is hopeless, then by balls, then in exact rationals."""

    def __init__(self, statement: Statement, margin: Callable[[Point], Slack]) -> None:
        self.decisions = 0
        self._statement = statement
        self._margin = margin
        self._doubt = TOLERANCE if touches(statement) else 0.0  # equality may be a violation, or noise hide one
        self._algebraic = not _mentioned(statement) & set(balls.FUNCTIONS)

    def is_violation(self, instance: Instance) -> bool:
        """Whether the instance certainly violates the statement."""
        if not fits(self._statement, instance):
            return False
        slack = self._margin(instance)
        if not (slack.hypotheses >= 0 and slack.conclusion <= self._doubt):
            return False
        self.decisions += 1
        if not self._algebraic:
            return self._certificate(instance) is not None
        hypotheses = self._statement.hypotheses.values()
        return self._holds(self._statement.conclusion, instance) is False and all(
            self._holds(text, instance) for text in hypotheses
        )

    def counterexample(self, instance: Instance) -> Counterexample | None:
        """The violation with its certificate; None if the kernel does not follow."""
        found = self._certificate(instance)
        if found is None:
            return None
        return Counterexample(instance, min(self._margin(instance).conclusion, 0.0), *found)

    def _holds(self, text: str, instance: Instance) -> bool | None:
        """Truth of one relation: in balls (a hundred times faster at large powers), else exactly; None if neither."""
        for bits in _QUICK_BITS:
            try:
                with balls.precision(bits):
                    return language.holds(text, self._statement.world(instance, bits))
            except (language.Undecided, ZeroDivisionError):
                continue
            except (language.Malformed, ValueError, TypeError):
                return None
        try:
            values = {name: list(v) if isinstance(v, tuple) else v for name, v in instance.items()}
            return language.holds(text, language.instance(values, needed(self._statement.definitions, [text])))
        except (language.Malformed, ArithmeticError, ValueError, TypeError):
            return None

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
            "hypotheses": self._statement.requirements(),
            "conclusion": self._statement.conclusion,
        }
        if decision.arithmetic != "rational":
            certificate["bits"] = decision.arithmetic
        try:
            kernel.check(certificate)
        except kernel.Rejected:
            return None
        return decision.arithmetic, certificate


def _mentioned(statement: Statement) -> set[str]:
    texts = [*statement.definitions.values(), *statement.hypotheses.values(), statement.conclusion]
    return {name for text in texts for name in names(text)}


def roundings(statement: Statement, instance: Instance) -> Iterator[Instance]:
    """The instance rounded to small denominators, the coarsest first; to binary ones; and at last itself."""
    seen: list[Instance] = []
    numbers = slots(instance)
    for denominator in DENOMINATORS:
        coarse = {slot: rounded(value, denominator) for slot, value in numbers.items()}
        seen.append(refilled(statement, instance, coarse))
    for scale in _DYADIC:
        coarse = {slot: Fraction(round(value * scale), scale) for slot, value in numbers.items()}
        seen.append(refilled(statement, instance, coarse))
    seen.append(instance)
    return (candidate for i, candidate in enumerate(seen) if candidate not in seen[:i])
