"""The output folder keeps what it says it keeps, and notices when a file is not what was written."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from l2o_theory.claims.verdict import Evidence, MutationResult, Status, Verdict
from l2o_theory.errors import StoreError
from l2o_theory.rigor import kernel
from l2o_theory.store import atomic, evidence, keys
from l2o_theory.store.ledger import EVIDENCE, LEDGER, SCHEMA, Ledger
from l2o_theory.store.results import Results

VERDICT = Verdict(
    "toy/one",
    Status.PROVED,
    Status.PROVED,
    scope="all x",
    trust="kernel",
    margin=0.25,
    margin_at={"x": "1/2"},
    evidence=(
        Evidence("certificate", {"kind": "psd", "matrix": [["1", "0"], ["0", "1"]]}),
        Evidence("search", {"examples": 7, "worst": 0.25}),
    ),
    mutations=(MutationResult("x -> -x", Status.FALSIFIED, "x < 0", {"x": "1"}, "rational", "example"),),
    run={"seconds": 0.5},
)
RUN = {"source": "digest of the source", "budget": "quick", "seed": 0}


def record(folder: Path, verdict: Verdict = VERDICT, **changes: object) -> None:
    with Results.create(folder) as results:
        results.record(verdict, **{**RUN, **changes})  # type: ignore[arg-type]


def reusable(folder: Path, **changes: object) -> Verdict | None:
    with Results.create(folder) as results:
        return results.reusable("toy/one", **{**RUN, **changes})  # type: ignore[arg-type]


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / EVIDENCE).iterdir()}


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    record(tmp_path)
    assert reusable(tmp_path) == VERDICT


@pytest.mark.parametrize("change", [{"source": "edited"}, {"budget": "full"}, {"seed": 1}])
def test_a_stored_verdict_is_not_reused_for_another_run(tmp_path: Path, change: dict[str, object]) -> None:
    record(tmp_path)
    assert reusable(tmp_path, **change) is None


def test_an_undecided_verdict_is_tried_again(tmp_path: Path) -> None:
    record(tmp_path, replace(VERDICT, status=Status.UNDECIDED))
    assert reusable(tmp_path) is None


def test_numbers_without_a_json_word_become_none(tmp_path: Path) -> None:
    record(tmp_path, replace(VERDICT, margin=float("nan"), run={"seconds": float("inf")}))
    stored = reusable(tmp_path)
    assert stored is not None
    assert stored.margin is None
    assert stored.run == {"seconds": None}


def test_evidence_is_named_by_the_digest_of_its_bytes(tmp_path: Path) -> None:
    record(tmp_path)
    assert len(files(tmp_path)) == 2
    for path in (tmp_path / EVIDENCE).iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] in path.name
        assert json.loads(path.read_text())["claim"] == "toy/one"


def test_a_certificate_keeps_the_order_of_its_definitions(tmp_path: Path) -> None:
    """Each definition may use earlier ones, in whatever order the alphabet has them: sorted, the kernel refuses it."""
    certificate = {
        "kind": "proof",
        "definitions": {"z": "x + 1", "a": "z + 1"},
        "assumptions": {"positive": "x > 0"},
        "goals": ["a > 0"],
        "steps": [
            {
                "name": "s",
                "by": "posit",
                "goal": "a > 0",
                "terms": [{"coef": "1", "of": {"positive": 1}}, {"coef": "2"}],
            }
        ],
        "witness": {"x": "1"},
    }
    kernel.check(certificate)
    with pytest.raises(kernel.Rejected):
        kernel.check({**certificate, "definitions": dict(sorted(certificate["definitions"].items()))})  # type: ignore[attr-defined]
    record(tmp_path, replace(VERDICT, evidence=(Evidence("certificate", certificate),)))
    stored = reusable(tmp_path)
    assert stored is not None
    kernel.check(stored.evidence[0].content)


@pytest.mark.parametrize("damage", ["edit", "cut", "delete"])
def test_damaged_evidence_is_never_reused(tmp_path: Path, damage: str) -> None:
    record(tmp_path)
    path = sorted((tmp_path / EVIDENCE).iterdir())[0]
    text = path.read_text()
    if damage == "delete":
        path.unlink()
    else:
        path.write_text(text.replace('"1"', '"2"').replace("7", "8") if damage == "edit" else text[: len(text) // 2])
    assert reusable(tmp_path) is None
    with Results.open(tmp_path) as results, pytest.raises(StoreError, match=r"check"):
        results.latest({"toy/one": RUN["source"]})


def test_replacing_a_verdict_removes_the_evidence_it_rested_on(tmp_path: Path) -> None:
    record(tmp_path)
    before = files(tmp_path)
    record(tmp_path, replace(VERDICT, evidence=(Evidence("search", {"examples": 8}),)))
    assert len(files(tmp_path)) == 1
    assert not files(tmp_path) & before


def test_evidence_shared_by_two_runs_stays_while_one_needs_it(tmp_path: Path) -> None:
    record(tmp_path)
    record(tmp_path, seed=1)
    before = files(tmp_path)
    record(tmp_path, replace(VERDICT, evidence=()), seed=1)
    assert files(tmp_path) == before
    assert reusable(tmp_path) == VERDICT


def test_leftovers_of_killed_runs_are_cleared_and_strangers_kept(tmp_path: Path) -> None:
    record(tmp_path)
    kept = files(tmp_path) | {"notes.txt"}
    (tmp_path / EVIDENCE / "notes.txt").write_text("mine")
    (tmp_path / EVIDENCE / ".tmpabc.tmp").write_text("{")
    (tmp_path / EVIDENCE / f"toy.two-{'0' * 16}.json").write_text("{}")  # evidence written, killed before its row
    with Results.create(tmp_path):
        assert files(tmp_path) == kept


def test_an_error_while_recording_leaves_nothing(tmp_path: Path) -> None:
    bad = replace(VERDICT, evidence=(Evidence("search", {"object": object()}),))
    with Results.create(tmp_path) as results, pytest.raises(StoreError, match="not plain JSON"):
        results.record(bad, source="s", budget="quick", seed=0)
    assert reusable(tmp_path) is None
    assert files(tmp_path) == set()


def test_latest_leaves_out_verdicts_of_an_older_program(tmp_path: Path) -> None:
    record(tmp_path)
    with Results.open(tmp_path) as results:
        assert results.latest({"toy/one": "another digest"}) == []
        assert results.latest({"toy/one": RUN["source"]}) == [VERDICT]


def test_a_newer_ledger_is_refused_untouched(tmp_path: Path) -> None:
    record(tmp_path)
    connection = sqlite3.connect(tmp_path / LEDGER)
    connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()
    before = (tmp_path / LEDGER).read_bytes()
    for way in (Results.create, Results.open):
        with pytest.raises(StoreError, match=r"version 2, this version reads 1; upgrade"):
            way(tmp_path)
    assert (tmp_path / LEDGER).read_bytes() == before


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="cannot use the ledger"):
        Results.create(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder is wanted; tests may run as root, whom no permission stops")
    with pytest.raises(StoreError, match="--out DIR"):
        Results.create(blocked / "results")
    with pytest.raises(StoreError, match="--out DIR"):
        Results.create(blocked)


def test_results_that_do_not_exist_are_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="run `l2o-theory check` first"):
        Results.open(tmp_path / "none")
    assert not (tmp_path / "none").exists()


class Killed(BaseException):
    """Stands for the end of the process at one point."""


@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_a_writer_killed_midway_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    path = tmp_path / "file.json"
    atomic.write_atomically(path, b"old")

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(os, at, die)
    with pytest.raises(Killed):
        atomic.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_planted_fault_a_store_that_writes_in_place_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer without the temporary file, killed halfway: the half-written evidence must not pass for evidence."""

    def write_half_in_place(path: Path, content: bytes) -> None:
        path.write_bytes(content[: len(content) // 2])

    monkeypatch.setattr(evidence, "write_atomically", write_half_in_place)
    with Results.create(tmp_path) as results, pytest.raises(StoreError, match="cut short"):
        results.record(VERDICT, source="s", budget="quick", seed=0)
    assert reusable(tmp_path, source="s") is None


def test_a_run_killed_between_evidence_and_row_leaves_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    with Results.create(tmp_path) as results:
        monkeypatch.setattr(Ledger, "insert", die)
        with pytest.raises(Killed):
            results.record(VERDICT, source="s", budget="quick", seed=0)
        assert len(files(tmp_path)) == 2
    monkeypatch.undo()
    assert reusable(tmp_path, source="s") is None
    assert files(tmp_path) == set()


_WRITER = """
import sys
from pathlib import Path
from l2o_theory.claims.verdict import Evidence, Status, Verdict
from l2o_theory.store.results import Results
name = sys.argv[2]
for k in range(12):
    with Results.create(Path(sys.argv[1])) as results:
        evidence = (Evidence("search", {"by": name, "k": k}), Evidence("search", {"shared": k}))
        verdict = Verdict(f"toy/{name}_{k % 5}", Status.PROVED, Status.PROVED, "", "", evidence=evidence)
        results.record(verdict, source="s", budget="quick", seed=0)
"""


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    """Each replaces rows and clears leftovers while the other writes; in the end every row has its files."""
    out = tmp_path / "out"
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(out), name]) for name in ("a", "b")]
    assert [writer.wait() for writer in writers] == [0, 0]
    with Results.open(out) as results:
        sources = {f"toy/{name}_{k}": "s" for name in ("a", "b") for k in range(5)}
        verdicts = results.latest(sources)
    assert len(verdicts) == 10
    by = {verdict.claim: verdict.evidence[0].content["k"] for verdict in verdicts}
    # the last k of each residue class modulo 5 among 0..11
    assert by == {f"toy/{name}_{k}": k + 10 if k < 2 else k + 5 for name in ("a", "b") for k in range(5)}


def test_the_source_digest_follows_everything_a_verdict_rests_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, shared, other = tmp_path / "claims.py", tmp_path / "_shared.py", tmp_path / "other.py"
    file.write_text("CLAIMS = []")
    digests = [keys.source_digest("toy/one", file)]
    other.write_text("x = 1")
    assert keys.source_digest("toy/one", file) == digests[0]
    digests.append(keys.source_digest("toy/two", file))
    file.write_text("CLAIMS = [] ")
    digests.append(keys.source_digest("toy/one", file))
    shared.write_text("x = 1")
    digests.append(keys.source_digest("toy/one", file))
    monkeypatch.setattr(keys, "library_versions", lambda: {"torch": "0"})
    keys.engine_digest.cache_clear()
    digests.append(keys.source_digest("toy/one", file))
    keys.engine_digest.cache_clear()
    assert len(set(digests)) == len(digests)


def test_run_keys_differ_by_budget_and_seed() -> None:
    runs = [("s", "quick", 0), ("s", "quick", 1), ("s", "full", 0), ("t", "quick", 0)]
    assert len({keys.run_key(*run) for run in runs}) == 4
