"""Every verb on a small book of claims: words, documents and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from l2o_theory import __version__

Call = Callable[..., object]
FIELDS = {
    "claim", "status", "expected", "as_expected", "scope", "trust", "textbook_facts", "reason", "margin", "margin_at",
    "evidence", "replay", "mutations", "seconds", "run",
}  # fmt: skip


def check(call, book, *more):
    return call("check", "--claims", book, "--jobs", 2, *more)


def test_help_names_every_verb_and_the_exit_codes(call):
    answer = call("--help")
    assert answer.code == 0
    for word in (
        "list",
        "show",
        "check",
        "falsify",
        "replay",
        "recheck",
        "reproduce",
        "report",
        "doctor",
        "Exit codes",
    ):
        assert word in answer.out


def test_version(call):
    assert call("--version").out.strip() == f"l2o-theory {__version__}"


def test_list_and_show_leave_markup_alone(call, book):
    listed = call("list", "--claims", book)
    assert listed.code == 0
    assert "[bold]A parabola[/bold] <b>below</b>" in listed.out
    assert "3 claims" in listed.out
    shown = call("show", "--claims", book, "toy/parabola/bound")
    for words in ("[bold]A parabola[/bold]", "x*(1 - x) <= 1", "constant 1 -> 1/5", "x: 1/2", "none; run"):
        assert words in shown.out
    assert "toy/measured" not in shown.out


def test_show_tells_the_stored_verdict_and_its_evidence(call, book, results):
    shown = call("show", "--claims", book, "toy/parabola/strict")
    for words in ("FALSIFIED (exact rationals)", "l2o_results/evidence/toy.parabola.strict-", "nobody says so"):
        assert words in shown.out


def test_list_and_show_as_documents(call, book):
    listed = json.loads(call("list", "--claims", book, "--json").out)
    assert [claim["id"] for claim in listed] == ["toy/measured", "toy/parabola/bound", "toy/parabola/strict"]
    shown = json.loads(call("show", "--claims", book, "toy/parabola/*", "--json").out)
    assert [claim["expected"] for claim in shown] == ["PROVED", "FALSIFIED"]
    assert shown[0]["verdict"] is None


def test_check_ends_as_recorded_with_a_table_and_a_report(checked_once):
    folder, answer = checked_once
    assert answer.code == 0, answer.err
    assert "3 claims: 1 PROVED, 1 NOT_FALSIFIED, 1 FALSIFIED; each as recorded" in answer.out
    assert "mutations: 2 of 2 planted false variants refuted" in answer.out
    assert "report: l2o_results/report.html" in answer.out
    assert (folder / "report.html").is_file()
    progress = [line for line in answer.out.splitlines() if line.startswith("[")]
    assert [line[:5] for line in progress] == ["[1/3]", "[2/3]", "[3/3]"]
    assert "\x1b" not in answer.out


def test_the_document_of_a_check(call, book, results):
    answer = check(call, book, "--json")
    verdicts = json.loads(answer.out)
    assert [verdict["claim"] for verdict in verdicts] == ["toy/measured", "toy/parabola/bound", "toy/parabola/strict"]
    for verdict in verdicts:
        assert set(verdict) == FIELDS
        assert verdict["as_expected"] is True
        assert verdict["evidence"]
        for path in verdict["evidence"]:
            assert json.loads((results.parent / path).read_text())["claim"] == verdict["claim"]
    assert "3 claims" in answer.err
    assert [verdict["status"] for verdict in verdicts] == ["NOT_FALSIFIED", "PROVED", "FALSIFIED"]
    assert verdicts[1]["mutations"][0]["status"] == "FALSIFIED"
    assert [verdict["replay"] is not None for verdict in verdicts] == [False, False, True]


def test_quiet_says_one_line_and_with_json_only_the_document(call, book, results):
    answer = check(call, book, "--quiet")
    assert len(answer.out.splitlines()) == 1
    answer = check(call, book, "--quiet", "--json")
    assert len(json.loads(answer.out)) == 3
    assert len(answer.err.splitlines()) == 1


def test_a_second_check_uses_what_is_stored_unless_told_otherwise(call, book, results):
    first = check(call, book, "--json")
    assert first.err.count("(stored)") == 3
    assert check(call, book, "--json").out == first.out  # even the seconds are those of the run that did the work
    for change in (["--fresh"], ["--seed", 1]):
        assert check(call, book, "toy/measured", *change).out.count("(stored)") == 0


def test_a_changed_claim_file_is_checked_again(call, book, results):
    book.write_text(book.read_text() + "\n# a remark\n")
    assert check(call, book, "toy/measured").out.count("(stored)") == 0


def test_globs_select(call, book, results):
    assert "2 claims" in check(call, book, "toy/parabola/*").out
    assert "2 claims" in check(call, book, "toy/parabola").out
    assert "1 claim:" in check(call, book, "toy/measured").out


MUTATED = 'expected=Status.PROVED, mutations=(Mutation("sign", {"conclusion": "x < 0"}),)'


@pytest.mark.parametrize(
    ("claim", "before", "after", "code", "words"),
    [
        ("toy/parabola/strict", "expected=Status.FALSIFIED", MUTATED, 1, ": FALSIFIED, recorded as PROVED"),
        ("toy/measured", "Measurement(True", "Measurement(False", 1, ": FALSIFIED, recorded as NOT_FALSIFIED"),
        ("toy/measured", "Measurement(True", "Measurement(1 / 0", 3, ": UNDECIDED, recorded as NOT_FALSIFIED: ZeroDiv"),
        ("toy/measured", '("wrong by two",)', '(), ("wrong by two",)', 3, "survivor: toy/measured: wrong by two"),
    ],
)
def test_surprises_have_their_exit_code_and_are_told(call, book, claim, before, after, code, words):
    assert before in book.read_text()
    book.write_text(book.read_text().replace(before, after))
    answer = check(call, book, claim)
    assert words in answer.out
    assert answer.code == code


def test_an_accepted_false_variant_is_an_alarm(capsys):
    """Even if every verdict is as recorded."""
    from l2o_theory.claims.verdict import MutationResult, Status, Verdict
    from l2o_theory.cli import table
    from l2o_theory.cli.output import Output

    false = MutationResult("dropped factor", Status.PROVED, "1 <= 0")
    verdict = Verdict("toy/one", Status.PROVED, Status.PROVED, "all", "kernel", mutations=(false,))
    assert table.exit_code([verdict]) == 1
    table.print_attention(Output(), [verdict])
    told = capsys.readouterr().out
    assert "UNSOUND: the false variant 'dropped factor' was accepted" in told
    assert "untested" in told


def test_the_table_fits_a_narrow_window(call, book, results, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = check(call, book).out.splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("claim "))
    table = lines[start : start + 4]
    assert max(map(len, table)) <= 80
    for row, claim in zip(table[1:], ("toy/measured", "toy/parabola/bound", "toy/parabola/strict"), strict=True):
        assert row.startswith(claim)


def test_report_is_rebuilt_from_the_ledger(call, book, results):
    page = results / "report.html"
    page.unlink()
    answer = call("report", "--claims", book)
    assert answer.code == 0
    assert answer.out == "report: l2o_results/report.html\n"
    assert "toy/measured" in page.read_text()


def test_report_leaves_out_verdicts_of_another_claim_file(call, book, results):
    book.write_text(book.read_text() + "# a remark")
    answer = call("report", "--claims", book)
    assert "3 of 3 claims have no current verdict; `l2o-theory check` adds them" in answer.out


def test_recheck_accepts_what_check_stored(call, results):
    answer = call("recheck", "--json")
    outcomes = json.loads(answer.out)
    assert answer.code == 0
    assert {outcome["claim"] for outcome in outcomes} == {"toy/parabola/bound", "toy/parabola/strict"}
    assert all(outcome["rejected"] is None for outcome in outcomes)
    assert "2 certificates accepted, 0 rejected" in answer.err
    assert "trusted: kernel, language" in answer.err


def test_recheck_rejects_a_false_certificate_with_a_true_digest(call, tmp_path):
    """A faulty prover, not a faulty disk: the digest fits, the mathematics does not."""
    from l2o_theory.claims.verdict import Evidence, Status, Verdict
    from l2o_theory.store.results import Results

    false = Evidence("certificate", {"kind": "psd", "matrix": [["1", "2"], ["2", "1"]]})
    verdict = Verdict("toy/false", Status.PROVED, Status.PROVED, "all", "kernel", evidence=(false,))
    with Results.create(tmp_path / "l2o_results") as results:
        results.record(verdict, source="s", budget="quick", seed=0)
    answer = call("recheck")
    assert answer.code == 1
    assert "rejected" in answer.out
    assert "pivot 1" in answer.out


def test_doctor_finds_a_working_house(call):
    findings = {finding["name"]: finding for finding in json.loads(call("doctor", "--json").out)}
    assert findings["kernel"] == {
        "name": "kernel",
        "state": "ok",
        "detail": "accepts a true certificate, refuses a false one",
    }
    assert findings["ball arithmetic"]["state"] == "ok"
    assert findings["torch"]["state"] == "ok"


def test_doctor_notices_a_kernel_that_accepts_everything(call, monkeypatch):
    from l2o_theory.rigor import kernel

    monkeypatch.setattr(kernel, "check", lambda certificate: None)
    answer = call("doctor", "--quiet")
    assert answer.code == 1
    assert "accepts a false certificate" in answer.out


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["recheck"]])
def test_light_verbs_load_nothing_heavy(arguments, results, tmp_path):
    """Time depends on the machine; what is loaded does not. Heavy: what takes longer than half a second to import."""
    program = (
        "import sys; from l2o_theory.cli.main import main\n"
        f"sys.argv = ['l2o-theory', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'scipy', 'sympy', 'hypothesis', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = run.stdout.splitlines()[-1]
    allowed = {"list": ["[]", "['numpy', 'scipy']", "['numpy']"]}.get(arguments[0], ["[]"])
    assert loaded in allowed
