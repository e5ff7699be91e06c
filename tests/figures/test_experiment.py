"""The runner, on a small experiment: found by name or path, resumed after an interruption, compared as promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from l2o_theory.errors import ClaimError, InputError, StoreError
from l2o_theory.figures import list_experiments, reproduce

RUN = """
from l2o_theory.figures.configuration import Parameter
from l2o_theory.figures.experiment import Measurements
from l2o_theory.figures.table import write_table

PARAMETERS = {"count": Parameter(int, least=1)}


def run(config, out, *, pieces, progress):
    squares = []
    for i in range(config["count"]):
        squares.append(pieces.get("square", {"i": i, "seed": config["seed"]}, lambda i=i: i * i + config["seed"]))
        progress("squares", i + 1, config["count"])
    return Measurements({"sum": float(sum(squares))}, (write_table(out / "squares.csv", {"square": squares}),))
"""
EXPECTED = """
[[expected]]
quantity = "sum"
describes = "0 + 1 + 4 + 9"
value = 14
tolerance = 0
seed = 0
full = true
reason = "integers"
source = "derived here"
"""


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    folder = tmp_path / "squares"
    folder.mkdir()
    (folder / "run.py").write_text(RUN)
    (folder / "config.toml").write_text("seed = 0\ncount = 4\n[quick]\ncount = 2\n")
    (folder / "expected.toml").write_text(EXPECTED)
    return folder


def test_a_prediction_that_holds_is_met_and_recorded(squares: Path, tmp_path: Path) -> None:
    result = reproduce(str(squares), out=tmp_path / "out")
    assert (result.outcome, result.numbers, result.computed, result.reused) == ("met", {"sum": 14.0}, 4, 0)
    record = json.loads((result.folder / "result.json").read_text())
    assert record["outcome"] == "met"
    assert record["comparisons"][0]["measured"] == 14
    assert record["tables"] == ["squares.csv"]
    assert str(tmp_path) not in json.dumps(record)


def test_a_planted_wrong_prediction_is_not_met(squares: Path, tmp_path: Path) -> None:
    (squares / "expected.toml").write_text(EXPECTED.replace("value = 14", "value = 15"))
    result = reproduce(str(squares), out=tmp_path / "out")
    assert result.outcome == "not met"
    assert (result.comparisons[0].measured, str(result.comparisons[0].expectation)) == (14, "15")


def test_another_seed_or_a_quick_run_meets_nothing_it_was_not_promised(squares: Path, tmp_path: Path) -> None:
    assert reproduce(str(squares), out=tmp_path / "out", seed=1).outcome == "not applicable"
    quick = reproduce(str(squares), out=tmp_path / "out", quick=True)
    assert (quick.outcome, quick.numbers) == ("not applicable", {"sum": 1.0})


def test_an_interrupted_run_continues_and_ends_like_an_undisturbed_one(squares: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        assert (stage, total) == ("squares", 4)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(str(squares), out=tmp_path / "out", progress=interrupt)
    unfinished = json.loads((tmp_path / "out" / "squares" / "result.json").read_text())
    assert unfinished["outcome"] == "unfinished"
    resumed = reproduce(str(squares), out=tmp_path / "out")
    assert (resumed.reused, resumed.computed) == (2, 2)
    undisturbed = reproduce(str(squares), out=tmp_path / "other")
    for name in ("squares.csv", "result.json"):
        assert (resumed.folder / name).read_bytes() == (undisturbed.folder / name).read_bytes()


def test_nothing_is_reused_when_fresh_or_when_the_code_has_changed(squares: Path, tmp_path: Path) -> None:
    reproduce(str(squares), out=tmp_path / "out")
    assert reproduce(str(squares), out=tmp_path / "out").reused == 4
    assert reproduce(str(squares), out=tmp_path / "out", fresh=True).reused == 0
    (squares / "run.py").write_text(RUN.replace("i * i", "i * i * i"))
    changed = reproduce(str(squares), out=tmp_path / "out")
    assert (changed.reused, changed.outcome) == (0, "not met")


def test_an_unknown_name_suggests_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean step_size_quadratic") as caught:
        reproduce("step_size_quadratics", out=tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_its_parts_is_refused(squares: Path, tmp_path: Path) -> None:
    (squares / "run.py").write_text("PARAMETERS = {}\n")
    with pytest.raises(ClaimError, match=r"run\.py: no run; define"):
        reproduce(str(squares), out=tmp_path / "out")
    (squares / "run.py").write_text("1 / 0\n")
    with pytest.raises(ClaimError, match=r"run\.py:1: ZeroDivisionError"):
        reproduce(str(squares), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(squares: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def never(stage: str, done: int, total: int) -> None:
        raise AssertionError("work was done")

    with pytest.raises(StoreError, match="choose another folder"):
        reproduce(str(squares), out=tmp_path / "file", progress=never)


def test_the_folders_with_a_run_are_the_experiments(squares: Path) -> None:
    (squares.parent / "notes").mkdir()
    assert list_experiments(squares.parent) == {"squares": squares}
    assert "step_size_quadratic" in list_experiments()
    with pytest.raises(InputError, match="no folder"):
        list_experiments(squares / "absent")
