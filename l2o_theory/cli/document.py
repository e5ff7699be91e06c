"""Claims and verdicts as the plain data that `--json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l2o_theory.claims.claim import Claim
from l2o_theory.claims.verdict import Evidence, Verdict
from l2o_theory.store.evidence import finite


def claim_document(claim: Claim, file: Path) -> dict[str, Any]:
    """A claim: its words, its formal statement as text, and where it is defined."""
    formal = claim.formal
    return {
        "id": claim.id,
        "title": claim.title,
        "source": claim.source,
        "statement": claim.statement,
        "kind": claim.kind,
        "scope": claim.scope,
        "expected": claim.expected.value,
        "definitions": dict(formal.definitions) if formal else {},
        "hypotheses": dict(formal.hypotheses) if formal else {},
        "conclusion": formal.conclusion if formal else None,
        "witness": dict(claim.witness),
        "counterexample": dict(claim.counterexample),
        "mutations": [mutation.name for mutation in claim.mutations],
        "textbook_facts": claim.proof.textbook_facts() if claim.proof else [],
        "corrects": claim.corrects,
        "notes": claim.notes,
        "file": str(file),
    }


def verdict_document(verdict: Verdict, evidence: Sequence[Path], *, replay: Path | None = None) -> dict[str, Any]:
    """A verdict, with the evidence as paths; numbers that are not finite become null."""
    document = {
        "claim": verdict.claim,
        "status": verdict.status.value,
        "expected": verdict.expected.value,
        "as_expected": verdict.is_as_expected,
        "scope": verdict.scope,
        "trust": verdict.trust,
        "textbook_facts": [fact for piece in verdict.evidence for fact in _textbook_facts(piece)],
        "reason": verdict.reason,
        "margin": verdict.margin,
        "margin_at": dict(verdict.margin_at) if verdict.margin_at is not None else None,
        "evidence": [str(path) for path in evidence],
        "replay": str(replay) if replay is not None else None,
        "mutations": [
            {
                "name": mutation.name,
                "status": mutation.status.value,
                "conclusion": mutation.conclusion,
                "instance": dict(mutation.instance) if mutation.instance is not None else None,
                "found_by": mutation.found_by,
            }
            for mutation in verdict.mutations
        ],
        "seconds": verdict.run.get("seconds"),
        "run": dict(verdict.run),
    }
    return dict(finite(document))


def _textbook_facts(piece: Evidence) -> list[str]:
    reasons = [fact["because"] for fact in piece.content.get("facts", {}).values()]
    return list(dict.fromkeys(reason for reason in reasons if not reason.startswith("definition")))
