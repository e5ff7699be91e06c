"""The output folder: the ledger, the evidence it refers to, and the rule that a stored verdict is complete."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from l2o_theory.claims.verdict import Status, Verdict
from l2o_theory.errors import StoreError
from l2o_theory.store import evidence
from l2o_theory.store.atomic import TEMPORARY
from l2o_theory.store.keys import run_key
from l2o_theory.store.ledger import EVIDENCE, LEDGER, Ledger, Row, existing_ledger


class Results:
    """The results of an output folder; a context manager.

    A verdict is stored evidence first, then its row, under a lock that excludes other writers. So a row never refers to
    a file that is not there, and whatever no row refers to is left over from a killed run.
    """

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self._evidence = folder / EVIDENCE
        self._ledger = ledger

    @classmethod
    def create(cls, folder: Path) -> Results:
        """Open for writing; makes the folder, and clears away what killed runs left behind.

        Raises:
            StoreError: the folder cannot be written, or its ledger is of a newer version or damaged.
        """
        try:
            (folder / EVIDENCE).mkdir(parents=True, exist_ok=True)
            for place in (folder, folder / EVIDENCE):
                with tempfile.TemporaryFile(dir=place):
                    pass
        except OSError as error:
            raise StoreError(
                f"cannot write to the folder {folder} ({error.strerror}); give a writable one with --out DIR"
            ) from None
        results = cls(folder, Ledger(folder / LEDGER))
        results._clear_leftovers()
        return results

    @classmethod
    def open(cls, folder: Path) -> Results:
        """Open results that exist.

        Raises:
            StoreError: there are none, or the ledger is of a newer version or damaged.
        """
        return cls(folder, Ledger(existing_ledger(folder)))

    def __enter__(self) -> Results:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ledger.close()

    def __len__(self) -> int:
        return len(self._ledger.rows())

    def record(self, verdict: Verdict, *, source: str, budget: str, seed: int) -> Verdict:
        """Store a verdict with its evidence; replaces an earlier one of the same claim, budget and seed.

        Returns:
            The verdict as it will be read back.

        Raises:
            StoreError: the disk is full or read-only, or the evidence is not plain data.
        """
        before = self._ledger.find(verdict.claim, budget, seed)
        data = evidence.finite({**verdict.to_json(), "evidence": []})
        with self._ledger.writing():
            written = tuple(
                evidence.write(self._evidence, verdict.claim, item.kind, item.content) for item in verdict.evidence
            )
            row = Row(verdict.claim, budget, seed, run_key(source, budget, seed), source, data, written)
            self._ledger.insert(row)
        if before is not None and set(before.evidence) - set(written):
            self._clear_leftovers()
        return self._verdict(row)

    def reusable(self, claim: str, *, source: str, budget: str, seed: int) -> Verdict | None:
        """The stored verdict of exactly this run, if it is complete; an undecided one is worth another try."""
        row = self._ledger.find(claim, budget, seed)
        if row is None or row.key != run_key(source, budget, seed):
            return None
        try:
            verdict = self._verdict(row)
        except StoreError:
            return None  # its evidence was lost or edited: check it again
        return None if verdict.status is Status.UNDECIDED else verdict

    def latest(self, sources: Mapping[str, str]) -> list[Verdict]:
        """The latest verdict of each claim, where claim and program are still those of `sources` (claim -> digest).

        Raises:
            StoreError: a piece of evidence is missing or was edited.
        """
        rows = {row.claim: row for row in self._ledger.rows() if sources.get(row.claim) == row.source}
        return [self._verdict(rows[claim]) for claim in sorted(rows)]

    def evidence_files(self, claims: Iterable[str]) -> dict[str, list[Path]]:
        """Evidence files of the latest verdict of each claim, as paths inside the folder."""
        rows = {row.claim: row for row in self._ledger.rows()}
        return {
            claim: [Path(EVIDENCE, reference.file) for reference in rows[claim].evidence]
            for claim in claims
            if claim in rows
        }

    def _verdict(self, row: Row) -> Verdict:
        pieces = [evidence.read(self._evidence / item.file, item.digest) for item in row.evidence]
        data = {**row.verdict, "evidence": [{"kind": p["kind"], "content": p["content"]} for p in pieces]}
        try:
            return Verdict.from_json(data)
        except (KeyError, ValueError, TypeError) as error:
            raise StoreError(f"the stored verdict of {row.claim} is damaged ({error}); check it with --fresh") from None

    def _clear_leftovers(self) -> None:
        """Remove files of ours that no row refers to; the lock keeps other processes from writing meanwhile."""
        with self._ledger.writing():
            wanted = {reference.file for row in self._ledger.rows() for reference in row.evidence}
            for path in self._evidence.iterdir():
                ours = evidence.is_evidence_name(path.name) or (path.name.startswith(".") and path.suffix == TEMPORARY)
                if ours and path.name not in wanted:
                    path.unlink(missing_ok=True)
