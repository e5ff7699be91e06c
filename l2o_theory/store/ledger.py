"""The ledger: one SQLite row per claim, budget and seed, with references to the evidence files beside it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from l2o_theory.errors import StoreError
from l2o_theory.store.evidence import Reference

SCHEMA = 1
LEDGER = "ledger.sqlite"
EVIDENCE = "evidence"
_PATIENCE = 60.0  # seconds to wait for another process that is writing one verdict
_TABLE = """
CREATE TABLE IF NOT EXISTS verdicts (
    sequence INTEGER NOT NULL,
    claim TEXT NOT NULL,
    budget TEXT NOT NULL,
    seed INTEGER NOT NULL,
    key TEXT NOT NULL,
    source TEXT NOT NULL,
    verdict TEXT NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (claim, budget, seed)
)
"""


@dataclass(frozen=True)
class Row:
    """One stored verdict.

    Attributes:
        claim, budget, seed: what was checked and how.
        key: digest of the whole run; a stored verdict is reused only under the same key.
        source: digest of the run without budget and seed.
        verdict: the verdict as plain data, without its evidence.
        evidence: where its evidence lies.
    """

    claim: str
    budget: str
    seed: int
    key: str
    source: str
    verdict: dict[str, Any]
    evidence: tuple[Reference, ...]


class Ledger:
    """The open ledger of one output folder; several processes may use it at once.

    Raises:
        StoreError: not a ledger, damaged, or written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._refusals():
            self._connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            with self._refusals():
                self._prepare()
        except StoreError:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA:
            raise StoreError(
                f"{self._path} has ledger version {found}, this version reads {SCHEMA}; "
                "upgrade l2o-theory or give another folder with --out DIR"
            )
        self._use_write_ahead_log()
        self._connection.execute("PRAGMA synchronous = FULL")
        if found < SCHEMA:
            with self.writing():
                self._connection.execute(_TABLE)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA}")

    def _use_write_ahead_log(self) -> None:
        """SQLite does not wait for others when it changes the journal mode; two first runs at once need it."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot use the ledger {self._path} ({error}); move it away or give another folder with --out DIR"
            ) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction that excludes every other writer, of any process; undone if the body raises."""
        with self._refusals():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite has already undone it when the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    def insert(self, row: Row) -> None:
        """Add or replace the row of its claim, budget and seed; call it inside `writing`."""
        sequence = "(SELECT coalesce(max(sequence), 0) + 1 FROM verdicts)"
        verdict = json.dumps(row.verdict, allow_nan=False)
        evidence = json.dumps([asdict(reference) for reference in row.evidence])
        self._connection.execute(
            f"INSERT OR REPLACE INTO verdicts VALUES ({sequence}, ?, ?, ?, ?, ?, ?, ?)",
            (row.claim, row.budget, row.seed, row.key, row.source, verdict, evidence),
        )

    def find(self, claim: str, budget: str, seed: int) -> Row | None:
        """The row of that claim, budget and seed, or None."""
        found = self._rows("WHERE claim = ? AND budget = ? AND seed = ?", (claim, budget, seed))
        return found[0] if found else None

    def rows(self) -> list[Row]:
        """All rows, the latest last."""
        return self._rows("", ())

    def _rows(self, where: str, values: tuple[object, ...]) -> list[Row]:
        columns = "claim, budget, seed, key, source, verdict, evidence"
        with self._refusals():
            found = self._connection.execute(f"SELECT {columns} FROM verdicts {where} ORDER BY sequence", values)
            rows = found.fetchall()
        try:
            return [
                Row(
                    run[0],
                    run[1],
                    run[2],
                    run[3],
                    run[4],
                    json.loads(verdict),
                    tuple(Reference(**item) for item in json.loads(evidence)),
                )
                for *run, verdict, evidence in rows
            ]
        except (ValueError, TypeError):
            raise StoreError(f"{self._path} holds a damaged row; move it away and check again") from None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def existing_ledger(folder: Path) -> Path:
    """Path of the ledger in the folder.

    Raises:
        StoreError: there is none.
    """
    path = folder / LEDGER
    if not path.is_file():
        raise StoreError(f"no results in {folder}; run `l2o-theory check` first, or name the folder with --out DIR")
    return path
