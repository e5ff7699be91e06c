"""A meta-training that is killed with SIGKILL goes on with the same command, and ends in the same bytes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from l2o_theory.cli.main import main

RECIPE = """
dtype = "float32"
[optimizer]
name = "l2o_dm"
hidden = 8
[tasks]
name = "quadratics"
[training]
updates = 160
tasks = 2
window = 5
runs = 4
same_tasks = true
estimator = "{estimator}"
[curriculum]
horizons = [10, 20]
period = 2
least = 6
[imitation]
shares = [0.2]
teachers = [{{ name = "adam", step_size = 0.1 }}]
"""
FILES = ("weights.safetensors", "updates.csv", "judgements.csv", "summary.json")


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / "metatrain" / "recipe" / name).read_bytes() for name in FILES}


def kill_once_there_is_a_checkpoint(recipe: Path, out: Path) -> None:
    """SIGKILL as soon as there is a checkpoint, or one that is newer than before."""
    checkpoint = out / "metatrain" / "recipe" / "checkpoint.pt"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
    program = [sys.executable, "-m", "l2o_theory.cli.main", "metatrain", str(recipe), "--out", str(out)]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if checkpoint.exists() and checkpoint.stat().st_mtime_ns != before:
            break
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -9, "it was done before it was killed: make it longer"
    assert not (out / "metatrain" / "recipe" / "weights.safetensors").exists()


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The same command in this process; what it printed."""

    def run(recipe: Path, out: Path, *more: str) -> str:
        monkeypatch.setattr(sys, "argv", ["l2o-theory", "metatrain", str(recipe), "--out", str(out), *more])
        with contextlib.suppress(SystemExit):
            main()
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("estimator", ["backprop", "pes"])
def test_killed_and_continued(tmp_path: Path, train: Callable[..., str], estimator: str) -> None:
    recipe, out, calm = tmp_path / "recipe.toml", tmp_path / "killed", tmp_path / "calm"
    recipe.write_text(RECIPE.format(estimator=estimator))
    kill_once_there_is_a_checkpoint(recipe, out)
    assert "going on from the checkpoint, at meta-update" in train(recipe, out)
    train(recipe, calm)
    assert contents(out) == contents(calm)
    if estimator == "backprop":
        recipe.write_text(recipe.read_text().replace("shares = [0.2]", "shares = [0.3]"))
        train(recipe, calm, "--fresh")
        assert contents(out) != contents(calm)  # planted: another recipe
