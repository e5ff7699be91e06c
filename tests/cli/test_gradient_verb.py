"""`l2o-theory doctor gradient`, as a newcomer calls it; the faults themselves are in tests/audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

RULES = Path(__file__).parents[1] / "audit" / "planted_rules.py"
SHORT = ("--steps", 8, "--window", 4, "--limit", 8)


def test_an_honest_rule(call, tmp_path):
    answer = call("doctor", "gradient", f"{RULES}:Momentum", *SHORT, "--out", "kept", "--json")
    assert answer.code == 0
    document = json.loads(answer.out)
    assert document["healthy"] is True
    assert json.loads((tmp_path / "kept/doctor/gradient_Momentum_quadratic.json").read_text()) == document
    for word in ("truncated, K = 4", "biased by", "agrees", "Lyapunov", "float32", "no fault found"):
        assert word in answer.err


def test_a_faulty_rule(call):
    answer = call("doctor", "gradient", f"{RULES}:InPlace", *SHORT, "--quiet")
    assert answer.code == 1
    assert "in place" in answer.out
    assert answer.out.splitlines()[-1].startswith("1 fault: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.py:Rule",), "no file"),
        ((f"{RULES}:Momentum", "--meta", "step_size"), "NAME=VALUE"),
        ((f"{RULES}:Momentum", "--meta", "step_size=nan"), "finite number"),
        ((f"{RULES}:Momentum", "--steps", 3, "--window", 4), "window must be between 1 and the number of steps, 3"),
        ((f"{RULES}:Momentum", "--problem", "rosenbroc"), "did you mean rosenbrock"),
    ],
)
def test_bad_input_is_one_line(call, arguments, words):
    answer = call("doctor", "gradient", *arguments)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 1
    assert words in answer.err
