"""Replay files in the folder of results: one per falsified claim."""

from __future__ import annotations

from pathlib import Path

from l2o_theory.claims.claim import Claim
from l2o_theory.claims.verdict import Status, Verdict
from l2o_theory.errors import ClaimError
from l2o_theory.rigor.statement import Instance, from_json
from l2o_theory.search.confirm import certify
from l2o_theory.search.replay import write_replay


def write_verdict(out: Path, claim: Claim, verdict: Verdict) -> Path | None:
    """Write the counterexample of a falsified claim; None if there is none to replay (measured claims, for instance).

    Raises:
        StoreError: the folder cannot be written.
    """
    if verdict.status is not Status.FALSIFIED or claim.formal is None:
        return None
    certificates = (piece.content for piece in verdict.evidence if piece.kind == "certificate")
    instance = next((c["instance"] for c in certificates if c["kind"] == "cex"), None)
    return None if instance is None else write_counterexample(out, claim, from_json(instance))


def write_counterexample(out: Path, claim: Claim, instance: Instance) -> Path:
    """Write the replay file of an instance that refutes the claim.

    Raises:
        ClaimError: it does not.
        StoreError: the folder cannot be written.
    """
    confirmed = certify(claim.formal, instance) if claim.formal is not None else None
    if claim.formal is None or confirmed is None:
        raise ClaimError(f"{claim.id} is not refuted at {instance}; check it with --fresh")
    path = out / "replays" / f"{claim.id.replace('/', '.')}.json"
    write_replay(path, claim.id, claim.formal, confirmed)
    return path
