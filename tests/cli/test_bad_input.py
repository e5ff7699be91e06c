"""Bad input: one line that names the remedy, exit code 2, nothing half-written."""

from __future__ import annotations

import sqlite3

import pytest


def refused(answer, *words):
    """Whether an answer is a one-line error with those words."""
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in answer.err
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("verb", ["list", "show", "check", "falsify"])
def test_an_unknown_claim_gets_near_misses(call, book, tmp_path, verb):
    refused(call(verb, "--claims", book, "toy/parabola/bond"), "toy/parabola/bond", "did you mean toy/parabola/bound")
    assert not (tmp_path / "l2o_results").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CLAIMS = [", "broken.py:1: SyntaxError"),
        ("x = 1\nx / 0\n", "broken.py:2: ZeroDivisionError"),
        ("x = 1\n", "defines CLAIMS"),
        ("import no_such_module_anywhere\n", "ModuleNotFoundError"),
    ],
)
@pytest.mark.parametrize("verb", ["list", "check", "report"])
def test_a_broken_claim_file(call, tmp_path, verb, text, words):
    (tmp_path / "broken.py").write_text(text)
    refused(call(verb, "--claims", "broken.py"), words)
    assert not (tmp_path / "l2o_results").exists()


def test_a_missing_claim_file(call):
    refused(call("check", "--claims", "nowhere.py"), "nowhere.py", "check the path")


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(call, book, tmp_path):
    (tmp_path / "file").write_text("a file where a folder is wanted; root can write to read-only folders")
    for verb in ("check", "falsify"):
        answer = call(verb, "--claims", book, "toy/parabola/bound", "--out", "file/results")
        refused(answer, "cannot write", "--out DIR")
        assert answer.out == ""  # not one claim was checked first


def test_a_newer_ledger(call, book, results):
    connection = sqlite3.connect(results / "ledger.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for arguments in (["check", "--claims", book], ["recheck"], ["report", "--claims", book]):
        refused(call(*arguments), "version 99", "upgrade l2o-theory")


def test_no_results_yet(call, book):
    refused(call("recheck"), "run `l2o-theory check` first")
    refused(call("report", "--claims", book), "run `l2o-theory check` first")


def certificate(results):
    """The file that proves the bound."""
    found = (results / "evidence").glob("toy.parabola.bound-*")
    return next(path for path in found if '"kind": "certificate"' in path.read_text())


def edit(path):
    text = path.read_text()
    assert '"x": "1/2"' in text
    path.write_text(text.replace('"x": "1/2"', '"x": "1/3"'))  # as true as before, but not what was written


def cut(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("spoil", [edit, cut, lambda path: path.unlink()], ids=["edited", "half-written", "missing"])
def test_a_spoiled_certificate(call, book, results, spoil):
    spoil(certificate(results))
    answer = call("recheck")
    refused(answer, "toy.parabola.bound-", "l2o-theory check")
    assert "1 certificates accepted, 0 rejected" in answer.out
    refused(call("report", "--claims", book), "toy.parabola.bound-")
    again = call("check", "--claims", book)
    assert again.code == 0
    assert again.out.count("(stored)") == 2
    assert call("recheck").code == 0


def test_a_certificate_edited_together_with_its_digest_is_still_checked(call, results, tmp_path):
    """Handed to a stranger as a lone file, renamed to fit: then the kernel itself has to say no."""
    import hashlib

    found = certificate(results)
    text = (
        found.read_text()
        .replace("x*(1 - x) <= 1", "x*(1 - x) <= 1/5")
        .replace("x * (1 - x) <= 1", "x * (1 - x) <= 1/5")
    )
    assert text != found.read_text()
    forged = tmp_path / f"toy.parabola.bound-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    forged.write_text(text)
    answer = call("recheck", forged)
    assert answer.code == 1
    assert "rejected" in answer.out
    assert call("recheck", found).code == 0


def test_files_that_are_no_certificates(call, results, tmp_path):
    (tmp_path / "notes.json").write_text("[]")
    refused(call("recheck", "notes.json"), "not an evidence file")
    refused(call("recheck", "nowhere.json"), "cannot read")
    log = next((results / "evidence").glob("toy.measured-*"))
    refused(call("recheck", log), "no certificate")


@pytest.mark.parametrize(
    "arguments",
    [["check", "--jobs", "0"], ["check", "--seed", "-1"], ["check", "--budget", "huge"], ["chek"], ["show"]],
)
def test_usage_errors(call, arguments):
    answer = call(*arguments)
    assert answer.code == 2
    assert "Traceback" not in answer.err
    assert answer.out == ""
