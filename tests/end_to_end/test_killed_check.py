"""A check that is killed with SIGKILL continues where it was, and ends with the verdicts of an undisturbed run."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from l2o_theory.store import evidence

BOOK = """
import hashlib
from l2o_theory.claims.claim import Claim, Measurement, Mutation
from l2o_theory.claims.verdict import Status
from l2o_theory.rigor.statement import Parameter, Statement

ROUNDS = {rounds}
X = Parameter("x", low="0", high="1")

def slow_search(seed):
    digest = str(seed).encode()
    for _ in range(ROUNDS):
        digest = hashlib.sha256(digest).digest()
    return Measurement(True, tuple({{"row": k, "hash": digest.hex()}} for k in range(200)), digest[0] / 256, "sha256")

def measured(k):
    return Claim(id=f"toy/slow_{{k}}", title="slow", source="test", statement="", kind="measurement", scope="all",
                 expected=Status.NOT_FALSIFIED, measure=lambda seed: slow_search(seed + k))

def bound(k):
    return Claim(
        id=f"toy/bound_{{k}}", title="bound", source="test", statement="", kind="upper", scope="all x in (0, 1)",
        expected=Status.PROVED, witness={{"x": "1/2"}},
        formal=Statement((X,), {{"low": "x > 0", "high": "x < 1"}}, f"x*(1 - x) <= {{k}}"),
        mutations=(Mutation("smaller", {{"conclusion": "x*(1 - x) <= 1/5"}}, {{"x": "1/2"}}),),
    )

CLAIMS = [bound(k) for k in range(1, {count} // 2 + 1)] + [measured(k) for k in range(1, {count} // 2 + 1)]
"""


def write_book(folder: Path, *, rounds: int, count: int) -> Path:
    path = folder / "book.py"
    path.write_text(BOOK.format(rounds=rounds, count=count))
    return path


def start(book: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "l2o_theory.cli.main", "check", "--claims", book, "--out", out, "--jobs", "2", *more],
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(book: Path, out: Path) -> list[dict[str, Any]]:
    process = start(book, out, "--json", "--quiet")
    document, _ = process.communicate()
    assert process.returncode == 0
    return list(json.loads(document))


def essence(document: list[dict[str, Any]], out: Path) -> list[dict[str, Any]]:
    """A verdict without the times it took; evidence by content, certificates by name, which holds their digest."""
    found = []
    for verdict in document:
        pieces = [evidence.read(Path(path)) for path in verdict["evidence"]]
        for piece in pieces:
            piece["content"].pop("seconds", None)
        names = [Path(p).name for p, e in zip(verdict["evidence"], pieces, strict=True) if e["kind"] == "certificate"]
        rest = {name: value for name, value in verdict.items() if name not in ("seconds", "run", "evidence")}
        found.append({**rest, "evidence": pieces, "certificates": names})
    return found


def assert_nothing_is_half_written(out: Path) -> int:
    """Every evidence file is whole by the digest in its name, and every row has its files; returns the rows."""
    for path in (out / "evidence").glob("*.json"):
        evidence.read(path)
    if not (out / "ledger.sqlite").exists():
        return 0
    connection = sqlite3.connect(out / "ledger.sqlite")
    try:
        rows = connection.execute("SELECT evidence FROM verdicts").fetchall()
    except sqlite3.OperationalError:
        rows = []  # killed before the table was there
    finally:
        connection.close()
    for (references,) in rows:
        for reference in json.loads(references):
            evidence.read(out / "evidence" / reference["file"], reference["digest"])
    return len(rows)


def test_a_check_killed_after_each_second_verdict(tmp_path: Path) -> None:
    book = write_book(tmp_path, rounds=20_000, count=6)
    undisturbed = essence(finish(book, tmp_path / "calm"), tmp_path / "calm")
    out = tmp_path / "killed"
    for round_ in (1, 2):
        process = start(book, out)
        assert process.stdout is not None
        news = (line for line in process.stdout if line.startswith("[") and "(stored)" not in line)
        assert [next(news), next(news)]
        process.kill()
        process.communicate()
        assert assert_nothing_is_half_written(out) >= 2 * round_
    assert essence(finish(book, out), out) == undisturbed


@pytest.mark.slow
def test_a_check_killed_five_times_at_random_moments(tmp_path: Path) -> None:
    book = write_book(tmp_path, rounds=1_500_000, count=8)
    began = time.monotonic()
    undisturbed = essence(finish(book, tmp_path / "calm"), tmp_path / "calm")
    length = time.monotonic() - began
    out = tmp_path / "killed"
    moments = random.Random(0)
    killed, rows = 0, 0
    while killed < 5:
        process = start(book, out)
        try:
            process.communicate(timeout=moments.uniform(0.1, 0.6) * length)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
        else:  # it was done before: begin anew, with --fresh work for the remaining kills
            out = tmp_path / f"killed_after_{killed}"
            rows = 0
        found = assert_nothing_is_half_written(out) if out.exists() else 0
        assert found >= rows, "a resumed run lost verdicts"
        rows = found
    assert essence(finish(book, out), out) == undisturbed
