"""falsify and replay: long searches that continue, and counterexamples that are decided again."""

from __future__ import annotations

import json
from pathlib import Path


def test_falsify_finds_what_is_false_and_replay_confirms_it(call, book):
    answer = call("falsify", "--claims", book, "toy/parabola/strict", "--rounds", 1, "--json")
    assert answer.code == 0  # recorded as FALSIFIED
    (found,) = json.loads(answer.out)
    assert found["falsified"] is True
    assert found["counterexample"] == {"x": "1/2"}
    replayed = call("replay", found["replay"])
    assert replayed.code == 0
    for words in ("x = 1/2", "holds: 0 < x", "FAILS: x * (1 - x) < 1 / 4", "left  = 1/4", "right = 1/4"):
        assert words.replace("0 < x", "x > 0") in replayed.out
    document = json.loads(call("replay", found["replay"], "--json").out)
    assert document["conclusion"][0]["holds"] is False
    assert document["arithmetic"] == "rational"


def test_check_writes_replay_files_too(call, book, results):
    answer = call("check", "--claims", book, "toy/parabola/strict")
    line = next(line for line in answer.out.splitlines() if line.startswith("replay toy/parabola/strict: "))
    assert call("replay", line.rsplit(" ", 1)[1]).code == 0


def test_a_campaign_continues(call, book):
    command = ("falsify", "--claims", book, "toy/parabola/bound", "--json", "--rounds")
    first = call(*command, 1)
    assert first.code == 0
    assert "nothing found, which is no proof" in first.err
    before, after = json.loads(first.out)[0], json.loads(call(*command, 2).out)[0]
    assert (before["rounds"], after["rounds"]) == (1, 2)
    assert after["examples"] > before["examples"]
    assert json.loads(call(*command, 1, "--fresh").out)[0] == before


def test_a_claim_that_should_stand_and_falls(call, book):
    mutated = 'expected=Status.PROVED, mutations=(Mutation("sign", {"conclusion": "x < 0"}),)'
    book.write_text(book.read_text().replace("expected=Status.FALSIFIED", mutated))
    answer = call("falsify", "--claims", book, "--rounds", 1)
    assert answer.code == 1
    assert "toy/parabola/strict: FALSIFIED, recorded as PROVED" in answer.out


def test_a_claim_that_should_fall_and_stands(call, book):
    call("falsify", "--claims", book, "toy/parabola/strict", "--rounds", 1)
    book.write_text(book.read_text().replace('"x*(1 - x) < 1/4"', '"x*(1 - x) < 1/2"'))
    answer = call("falsify", "--claims", book, "toy/parabola/strict", "--rounds", 1)
    assert answer.code == 2  # the campaign in the folder searched another statement
    assert call("falsify", "--claims", book, "toy/parabola/strict", "--rounds", 1, "--fresh").code == 3


def test_measured_claims_have_nothing_to_search(call, book):
    answer = call("falsify", "--claims", book, "toy/measured")
    assert answer.code == 2
    assert "only measured claims match" in answer.err


def test_an_edited_replay_file_is_refused(call, results):
    (path,) = (results / "replays").iterdir()
    path.write_text(path.read_text().replace('"1/2"', '"1/3"'))
    answer = call("replay", path)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert answer.err.startswith("error: ")
    missing = call("replay", Path("nowhere.json"))
    assert missing.code == 2
    assert "nowhere.json" in missing.err
