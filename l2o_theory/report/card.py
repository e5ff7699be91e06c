"""Cards: everything the page shows of one claim, read from its verdict and, where it is known, the claim itself."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from l2o_theory.claims.claim import Claim
from l2o_theory.claims.verdict import Evidence, MutationResult, Status, Verdict
from l2o_theory.report import attachments, counterexample, numerals, outline, plot, wording
from l2o_theory.rigor.proof import Fact

_EQUALITY = 1e-290  # a margin this small is the mark of equality in a strict relation, not a violation seen


@dataclass(frozen=True)
class Card:
    """One claim on the page.

    Attributes:
        verdict: what was found.
        claim: the claim; None if its file is gone, then only the verdict is shown.
        links: its evidence files.
        relations: ids of claims that correct or refine this one, or that it corrects, under the words for it.
        figure: an image as a data: address, empty if there is none.
    """

    verdict: Verdict
    claim: Claim | None
    links: tuple[attachments.Link, ...] = ()
    relations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    figure: str = ""
    certificates: tuple[Mapping[str, Any], ...] = field(init=False)

    def __post_init__(self) -> None:
        found = tuple(e.content for e in self.verdict.evidence if e.kind == "certificate")
        object.__setattr__(self, "certificates", found)

    @property
    def id(self) -> str:
        """The claim's id, also the card's anchor."""
        return self.verdict.claim

    @property
    def title(self) -> str:
        """The claim's title, or its id if the claim is gone."""
        return self.claim.title if self.claim else self.id

    @property
    def area(self) -> str:
        """The id without its last part, such as "step_size/theorem3"."""
        return self.id.rpartition("/")[0]

    @property
    def kind(self) -> str:
        """The claim's kind, empty if the claim is gone."""
        return self.claim.kind if self.claim else ""

    @property
    def is_surprising(self) -> bool:
        """Whether a reader should look: another verdict than recorded, a false variant let through, or no power."""
        accepted = any(m.status in (Status.PROVED, Status.CERTIFIED) for m in self.verdict.mutations)
        return not self.verdict.is_as_expected or self.verdict.is_untested or accepted

    @property
    def survivors(self) -> tuple[MutationResult, ...]:
        """The false variants that were not refuted."""
        return tuple(m for m in self.verdict.mutations if m.status is not Status.FALSIFIED)

    @property
    def searchable(self) -> str:
        """The text that the page's search looks at, in lower case."""
        words = [self.id, self.title, self.verdict.scope, self.verdict.trust]
        words += [self.claim.statement, self.claim.source, self.claim.notes] if self.claim else []
        return " ".join(words).lower()

    @property
    def commands(self) -> tuple[str, ...]:
        """Command lines that produce this verdict again."""
        run = self.verdict.run
        options = "".join(f" --{name} {shlex.quote(str(run[name]))}" for name in ("budget", "seed") if name in run)
        return (f"l2o-theory check {shlex.quote(self.id)}{options} --fresh",)

    @property
    def paragraphs(self) -> tuple[tuple[bool, str], ...]:
        """The statement in blocks of lines: (is a formula, text); indented lines are formulas."""
        return wording.blocks(self.claim.statement) if self.claim else ()

    @property
    def facts(self) -> Mapping[str, tuple[Mapping[str, str], ...]]:
        """What the proof takes for granted, textbook facts apart from definitions."""
        facts = [{"name": name, **fact} for c in self.certificates for name, fact in c.get("facts", {}).items()]
        restated = [Fact(fact["relation"], fact["because"]).is_definition for fact in facts]
        groups = {
            "Textbook facts, taken for granted": tuple(
                f for f, known in zip(facts, restated, strict=True) if not known
            ),
            "By definition": tuple(f for f, known in zip(facts, restated, strict=True) if known),
        }
        return {words: group for words, group in groups.items() if group}

    @property
    def proof(self) -> tuple[outline.Line, ...]:
        """The steps of the proof, if there is one."""
        return tuple(line for certificate in self.certificates for line in outline.read(certificate))

    @property
    def atoms(self) -> Mapping[str, str]:
        """What the proof's opaque names stand for."""
        return {name: text for c in self.certificates for name, text in c.get("atoms", {}).items()}

    @property
    def cover(self) -> Mapping[str, Any] | None:
        """The box that interval arithmetic covered: ranges, fixed values, number of leaves."""
        for c in self.certificates:
            if c.get("kind") == "cover":
                return {"box": c["box"], "fixed": wording.pairs(c.get("fixed", {})), "leaves": _leaves(c["tree"])}
        return None

    @property
    def counterexample(self) -> counterexample.Counterexample | None:
        """The confirmed counterexample, if there is one."""
        return next((found for c in self.certificates if (found := counterexample.read(c))), None)

    @property
    def margin(self) -> float | None:
        """The verdict's margin; None for nan, 0 for the tiny mark of equality in a strict relation."""
        margin = self.verdict.margin
        if margin is None or math.isnan(margin):
            return None
        return 0.0 if abs(margin) < _EQUALITY else margin

    def changes(self, mutation: MutationResult) -> Mapping[str, str]:
        """What a false variant changes beside the conclusion: name of the hypothesis or definition -> its new text."""
        declared = next((m for m in self.claim.mutations if m.name == mutation.name), None) if self.claim else None
        merged = [
            entries for entries in (declared.changes if declared else {}).values() if isinstance(entries, Mapping)
        ]
        return {name: text or "dropped" for entries in merged for name, text in entries.items()}

    @property
    def measurements(self) -> tuple[Mapping[str, Any], ...]:
        """Per measurement: its columns, rows of text, and plot."""
        return tuple(_measurement(e) for e in self.verdict.evidence if e.kind == "measurement" and e.content["table"])

    @property
    def searches(self) -> tuple[tuple[str, str], ...]:
        """The plain entries of the search logs, as (name, text)."""
        logs = [e.content for e in self.verdict.evidence if e.kind == "search"]
        return tuple((name.replace("_", " "), text) for log in logs for name, v in log.items() if (text := _plain(v)))


def _leaves(tree: Any) -> int:
    waiting, count = [tree], 0
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            count += 1
        else:
            waiting += node[1:]
    return count


def _measurement(evidence: Evidence) -> Mapping[str, Any]:
    table: Sequence[Mapping[str, Any]] = evidence.content["table"]
    columns = list(dict.fromkeys(name for row in table for name in row))
    rows = [[numerals.cell(row.get(name)) for name in columns] for row in table]
    numeric = [all(_is_number(row.get(name)) for row in table) for name in columns]
    return {
        "columns": list(zip(columns, numeric, strict=True)),
        "rows": rows,
        "plot": plot.predicted_against_observed(table),
        "arithmetic": evidence.content.get("arithmetic", ""),
    }


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _plain(value: Any) -> str:
    """A search log's entry as text; empty for what is shown elsewhere (instances) or is not there."""
    match value:
        case bool() | int() | float():
            return numerals.cell(value) if math.isfinite(value) else ""
        case str():
            return value
        case [*items] if items and all(isinstance(item, list | tuple) and len(item) == 2 for item in items):
            return ", ".join(f"{name} {count}" for name, count in items)
        case dict() if value and all(isinstance(v, int) for v in value.values()):
            return ", ".join(f"{name} {count}" for name, count in value.items())
        case None | dict() | []:
            return ""
    return json.dumps(value, default=str)
