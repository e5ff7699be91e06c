"""reproduce: predictions beside measurements, and an exit code that tells a missed one."""

from __future__ import annotations

import json

import pytest

RUN = """
from l2o_theory.figures.configuration import Parameter
from l2o_theory.figures.experiment import Measurements

PARAMETERS = {"size": Parameter(int, least=1)}

def run(config, out, *, pieces, progress):
    progress("counting", 1, 1)
    return Measurements(numbers={"answer": 42.0}, files=())
"""
EXPECTED = """
[[expected]]
quantity = "answer"
describes = "the [bold]answer[/bold]"
value = 42.0
tolerance = 0.5
reason = "counted"
source = "derived here"
"""


@pytest.fixture
def experiment(tmp_path):
    folder = tmp_path / "counting"
    folder.mkdir()
    (folder / "run.py").write_text(RUN)
    (folder / "config.toml").write_text("seed = 0\nsize = 1\n")
    (folder / "expected.toml").write_text(EXPECTED)
    return folder


def test_a_prediction_that_is_met(call, experiment):
    answer = call("reproduce", experiment, "--json")
    (document,) = json.loads(answer.out)
    assert answer.code == 0
    assert document["outcome"] == "met"
    assert document["numbers"] == {"answer": 42.0}
    assert "the [bold]answer[/bold]" in answer.err
    assert "counting: 1 predictions met, 0 not met" in answer.err


def test_a_planted_wrong_prediction(call, experiment):
    (experiment / "expected.toml").write_text(EXPECTED.replace("value = 42.0", "value = 41.0"))
    answer = call("reproduce", experiment)
    assert answer.code == 1
    assert "not met" in answer.out


def test_an_unknown_experiment_is_refused(call, tmp_path):
    answer = call("reproduce", "step_size_quadratik")
    assert answer.code == 2
    assert "did you mean step_size_quadratic" in answer.err
    assert len(answer.err.splitlines()) == 1
