"""Verdicts: what was found about a claim, how strong it is, and what it rests on."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


class Status(enum.StrEnum):
    """The ladder of verdicts; the text says what each means and what to do next."""

    PROVED = "PROVED"
    CERTIFIED = "CERTIFIED"
    NOT_FALSIFIED = "NOT_FALSIFIED"
    FALSIFIED = "FALSIFIED"
    VACUOUS = "VACUOUS"
    UNDECIDED = "UNDECIDED"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"

    @property
    def meaning(self) -> str:
        """One sentence for a reader, with the remedy where there is one."""
        return _MEANINGS[self]


_MEANINGS = {
    Status.PROVED: "holds for all parameters in scope; the kernel accepted the certificate",
    Status.CERTIFIED: "holds on the stated closed box; a rigorous interval check of every leaf",
    Status.NOT_FALSIFIED: "searched, nothing found; this is not a proof",
    Status.FALSIFIED: "a concrete instance violates it, exactly confirmed (replay it with `l2o-theory replay FILE`); "
    "for a measured claim: its own measurement contradicts it",
    Status.VACUOUS: "the witness fails a hypothesis, so the claim says nothing as stated; mend the hypotheses",
    Status.UNDECIDED: "time ran out, a tool failed or enclosures overlapped; raise --budget",
    Status.OUT_OF_SCOPE: "not checkable as stated",
}


@dataclass(frozen=True)
class Evidence:
    """One re-checkable piece: kind "certificate" (for the kernel), "search" (a log) or "measurement"."""

    kind: str
    content: Mapping[str, Any]


@dataclass(frozen=True)
class MutationResult:
    """What became of one planted false variant of a claim."""

    name: str
    status: Status
    conclusion: str
    instance: Mapping[str, Any] | None = None
    arithmetic: str | int | None = None
    found_by: str = ""


@dataclass(frozen=True)
class Verdict:
    """The answer for one claim.

    Attributes:
        claim: the claim's id.
        status: the rung of the ladder.
        expected: what the claim records.
        scope: for which parameters the status holds.
        trust: what it rests on: kernel, named textbook facts, solver, floating point.
        margin: smallest relative slack seen (negative: violated), None if not measured.
        margin_at: the instance at which it was seen.
        evidence: certificates, search logs, measurements.
        mutations: what became of the planted false variants.
        reason: why undecided, vacuous or contradicted; empty otherwise.
        run: seed, budget, examples, versions, seconds: what produced it.
    """

    claim: str
    status: Status
    expected: Status
    scope: str
    trust: str
    margin: float | None = None
    margin_at: Mapping[str, Any] | None = None
    evidence: tuple[Evidence, ...] = ()
    mutations: tuple[MutationResult, ...] = ()
    reason: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_as_expected(self) -> bool:
        """Whether the status is the recorded one."""
        return self.status is self.expected

    @property
    def is_untested(self) -> bool:
        """Whether there were mutations and none was refuted: then the check has shown no power."""
        return bool(self.mutations) and not any(m.status is Status.FALSIFIED for m in self.mutations)

    def to_json(self) -> dict[str, Any]:
        """Plain data, versioned; inverse of `from_json`."""
        return {"format": 1, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Read what `to_json` wrote.

        Raises:
            KeyError, ValueError: not such data; the store turns these into a StoreError that names the file.
        """
        fields = {name: value for name, value in data.items() if name != "format"}
        fields["status"], fields["expected"] = Status(data["status"]), Status(data["expected"])
        fields["evidence"] = tuple(Evidence(**item) for item in data["evidence"])
        fields["mutations"] = tuple(
            MutationResult(**{**item, "status": Status(item["status"])}) for item in data["mutations"]
        )
        return cls(**fields)
