"""Claims: one statement about learning to optimize, with all that is needed to check it and to doubt the check."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from l2o_theory.claims.verdict import Status
from l2o_theory.errors import ClaimError, InputError
from l2o_theory.rigor.boxes import Box
from l2o_theory.rigor.proof import Proof
from l2o_theory.rigor.statement import Statement, from_json

Kind = Literal["tight", "upper", "lower", "identity", "uniqueness", "rate", "statistical", "measurement"]
_ID = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)+")


@dataclass(frozen=True)
class Mutation:
    """A stronger variant that is known to be false: the check must refute it.

    Attributes:
        name: what was changed, for instance "constant 4 -> 1".
        changes: fields of the statement to replace (`conclusion`, or entries of `hypotheses` and `definitions`).
        example: a known counterexample, tried first, as exact text; empty if the search must find one.
    """

    name: str
    changes: Mapping[str, Any]
    example: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """Result of a claim that is measured rather than derived (a program's behaviour, a statistic).

    Attributes:
        holds: whether the prediction was met within its stated tolerance.
        table: rows of what was predicted and what was observed; plain JSON values.
        margin: relative slack of the worst row.
        arithmetic: what computed the observation ("float32 torch", "200 seeds, one-sided t-test", ...).
        refuted_faults: planted faults (wrong predictions) that the same measurement rejected.
        accepted_faults: planted faults that slipped through; must be empty.
    """

    holds: bool
    table: tuple[Mapping[str, Any], ...]
    margin: float
    arithmetic: str
    refuted_faults: tuple[str, ...] = ()
    accepted_faults: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim.

    Attributes:
        id: lower-case path, such as "step_size/theorem3/lower_bound".
        title: one line.
        source: where it is stated, such as "Wang et al. 2021, Theorem 3" or "derived here".
        statement: the claim in words and formulas, as a mathematician would read it.
        kind: tight, upper, lower, identity, uniqueness, rate, statistical or measurement.
        scope: for which parameters.
        expected: the verdict it should get.
        formal: the same statement for the machine; None only for measured claims.
        witness: exact values that satisfy all hypotheses.
        mutations: false variants that must be refuted.
        proof: a proof for all parameters, if there is one.
        box: a closed box on which interval arithmetic can certify it, if there is one.
        counterexample: a known counterexample (exact text), tried first.
        measure: measures the claim from a seed; only for measured claims.
        corrects: id of the claim that this one corrects or refines.
        notes: remarks for the reader: why it fails, what is known about the gap.

    Raises:
        ClaimError: malformed id, no way to check it, or a formal claim without witness or mutations.
    """

    id: str
    title: str
    source: str
    statement: str
    kind: Kind
    scope: str
    expected: Status
    formal: Statement | None = None
    witness: Mapping[str, Any] = field(default_factory=dict)
    mutations: tuple[Mutation, ...] = ()
    proof: Proof | None = None
    box: Box | None = None
    counterexample: Mapping[str, Any] = field(default_factory=dict)
    measure: Callable[[int], Measurement] | None = None
    corrects: str | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ClaimError(f"claim id must look like area/theorem/part in lower case, got {self.id!r}; rename it")
        if (self.formal is None) == (self.measure is None):
            raise ClaimError(f"{self.id}: give exactly one of `formal` (a statement) and `measure` (a function)")
        if self.formal is not None and not self.witness:
            raise ClaimError(f"{self.id}: a formal claim needs a witness that satisfies its hypotheses; add one")
        for name, values in (("witness", self.witness), ("counterexample", self.counterexample)):
            try:
                from_json(values)
            except InputError as error:
                raise ClaimError(f"{self.id}: the {name} is not exact text: {error}") from None
        if self.formal is not None and self.expected is not Status.FALSIFIED and not self.mutations:
            raise ClaimError(f"{self.id}: add at least one mutation (a stronger variant that is false)")

        self._read_mutations()

    def _read_mutations(self) -> None:
        known = {field.name for field in fields(Statement)}
        for mutation in self.mutations:
            if unknown := sorted(mutation.changes.keys() - known):
                raise ClaimError(
                    f"{self.id}: the mutation {mutation.name!r} changes {unknown}, but a statement has {sorted(known)}"
                )
            try:
                from_json(mutation.example)
            except InputError as error:
                raise ClaimError(
                    f"{self.id}: the example of the mutation {mutation.name!r} is not exact text: {error}"
                ) from None

    def mutated(self, mutation: Mutation) -> Statement:
        """The false variant as a statement."""
        if self.formal is None:
            raise ClaimError(f"{self.id}: a measured claim has no formal mutations")
        return self.formal.altered(**mutation.changes)
