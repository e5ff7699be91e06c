"""`l2o-theory metatrain`, as a newcomer calls it, and what it does with bad input: one line, the last good state."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from test_bad_input import refused

from l2o_theory.optimizers import LSTMRule, TorchOptimizer
from l2o_theory.optimizers.learned import load_weights

RECIPE = """
[optimizer]
name = "l2o_dm"
hidden = 4
[tasks]
name = "quadratics"
dimension = 3
start_std = 0.1
[training]
updates = 24
tasks = 2
window = 5
runs = 4
rate = 0.01
[curriculum]
horizons = [10, 20]
period = 2
least = 2
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "l2o_results" / "metatrain" / "tiny"


def contents(folder: Path) -> dict[str, bytes]:
    names = ("weights.safetensors", "updates.csv", "judgements.csv", "summary.json")
    return {name: (folder / name).read_bytes() for name in names}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_run_and_what_it_leaves(call, recipe, folder):
    answer = call("metatrain", recipe)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert lines[0] == "l2o_dm with 261 weights, on quadratics: 24 meta-updates at most"
    assert lines[1].startswith("[1/2] horizon 10: up to meta-update")
    assert lines[-1].startswith("trained l2o_dm with 24 meta-updates")
    for words in (
        "mean loss of 4 fresh tasks",
        "untrained",
        "Adam, tuned",
        "rule = LSTMRule(hidden=4",
        "95 % over tasks",
    ):
        assert words in answer.out
    updates, judgements = rows(folder / "updates.csv"), rows(folder / "judgements.csv")
    assert [int(row["updates"]) for row in updates] == list(range(1, 25))
    summary = json.loads((folder / "summary.json").read_text())
    assert [float(row["loss"]) for row in judgements] == [entry["loss"] for entry in summary["judgements"]]
    assert summary["updates"] == 24
    assert summary["first_look"]["trained"] < summary["first_look"]["untrained"]
    rule = LSTMRule(hidden=4)
    model = torch.nn.Linear(2, 1)
    TorchOptimizer(model.parameters(), rule, load_weights(folder / "weights.safetensors", rule, rule.meta()))

    before = contents(folder)
    again = call("metatrain", recipe, "--quiet", "--json")
    assert json.loads(again.out)["resumed_at"] == 24
    assert len(again.err.splitlines()) == 1
    assert contents(folder) == before
    anew = call("metatrain", recipe, "--fresh", "--json")
    assert json.loads(anew.out)["resumed_at"] == 0
    assert contents(folder) == before
    other = call("metatrain", recipe, "--fresh", "--seed", 1, "--dtype", "float32", "--json")
    assert json.loads(other.out)["dtype"] == "float32"
    assert contents(folder) != before  # planted: another seed
    recipe.write_text(RECIPE.replace("rate = 0.01", "rate = 1e308\nskips = 1"))
    assert call("metatrain", recipe, "--fresh").code == 2
    assert not (folder / "weights.safetensors").exists()  # those of another training would pass for this one's


def test_a_stage_that_ends_is_told_once(call, recipe):
    recipe.write_text(RECIPE.replace("updates = 24", "updates = 200"))
    out = call("metatrain", recipe).out
    assert sum(line.startswith("[1/2] horizon 10: ") for line in out.splitlines()) == 1
    assert sum(line.startswith("[2/2] horizon 20: ") for line in out.splitlines()) == 1


def test_interrupted_and_continued(call, recipe, folder, monkeypatch, tmp_path):
    whole = call("metatrain", recipe, "--out", "whole")
    assert whole.code == 0
    from l2o_theory.metatraining import meta_training

    update = meta_training._Run._update

    def interrupt(run, *arguments):
        update(run, *arguments)
        if run.state.updates == 13:
            raise KeyboardInterrupt

    monkeypatch.setattr(meta_training._Run, "_update", interrupt)
    monkeypatch.setattr(meta_training, "_PATIENCE", 0.0)  # a checkpoint after every epoch of two meta-updates
    answer = call("metatrain", recipe, "--quiet")
    assert answer.code == 130
    assert "stopped at meta-update 13, 12 of them are in" in answer.out
    assert "run the same command again" in answer.out
    assert not (folder / "weights.safetensors").exists()
    assert len(rows(folder / "updates.csv")) == 13  # one more than the checkpoint has: it is taken back
    monkeypatch.setattr(meta_training._Run, "_update", update)
    resumed = call("metatrain", recipe)
    assert "going on from the checkpoint, at meta-update 12 of 24" in resumed.out
    assert contents(folder) == contents(tmp_path / "whole" / "metatrain" / "tiny")


def test_interrupted_before_the_first_checkpoint(call, recipe, folder, monkeypatch):
    from l2o_theory.metatraining import meta_training

    def interrupt(run, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(meta_training._Run, "_update", interrupt)
    answer = call("metatrain", recipe)
    assert answer.code == 130
    assert "stopped at meta-update 0, before the first checkpoint: the same command begins anew" in answer.out
    assert not (folder / "checkpoint.pt").exists()


def test_evolution_and_imitation_by_a_recipe(call, recipe, folder):
    recipe.write_text(
        RECIPE.replace("tasks = 2", 'tasks = 2\nestimator = "pes"\npairs = 3\nsigma = 0.05')
        + '[imitation]\nshares = [0.5]\nteachers = [{ name = "sgd", step_size = 0.01 }]\n'
    )
    assert call("metatrain", recipe).code == 0
    assert {row["kind"] for row in rows(folder / "updates.csv")} == {"descend", "imitate"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("l2o_dm", "l2o_md", "[optimizer] unknown name 'l2o_md'; did you mean l2o_dm"),
        ("quadratics", "quadratic", "[tasks] unknown name 'quadratic'; did you mean quadratics"),
        ("window", "widow", "[training] unknown key 'widow'; did you mean window"),
        ("updates = 24", 'updates = "many"', "[training] updates must be an integer, got 'many'"),
        ('"quadratics"', '"mnist"\ndata = "nowhere"', "nowhere lacks train-images-idx3-ubyte"),
        ("[optimizer]", 'device = "cuda:77"\n[optimizer]', "device 'cuda:77' is not available"),
    ],
)
def test_a_bad_recipe_is_one_line_before_any_work(call, recipe, tmp_path, old, new, words):
    recipe.write_text(RECIPE.replace(old, new))
    refused(call("metatrain", recipe), "tiny.toml", words)
    assert not (tmp_path / "l2o_results").exists()


def test_a_device_that_is_not_there(call, recipe, tmp_path, monkeypatch):
    from l2o_theory.metatraining import recipe_file

    def absent(*_, device):
        raise RuntimeError(device)

    monkeypatch.setattr(recipe_file.torch, "empty", absent)
    refused(call("metatrain", recipe, "--device", "cuda"), "device 'cuda' is not available to torch here")
    assert not (tmp_path / "l2o_results").exists()


def test_no_recipe_and_no_folder(call, recipe, tmp_path):
    refused(call("metatrain", "missing.toml"), "cannot read the recipe missing.toml")
    (tmp_path / "file").write_text("a file where a folder is wanted")
    refused(call("metatrain", recipe, "--out", "file"), "cannot write", "--out DIR")
    assert (tmp_path / "file").read_text() == "a file where a folder is wanted"
    assert not (tmp_path / "l2o_results").exists()


def test_a_checkpoint_of_another_architecture_or_plan(call, recipe, folder):
    assert call("metatrain", recipe).code == 0
    before = contents(folder), (folder / "checkpoint.pt").read_bytes()
    for old, new, words in (
        ("hidden = 4", "hidden = 6", "rule LSTMRule(hidden=4, layers=2, "),
        ("rate = 0.01", "rate = 0.02", "recipe's rate 0.01 there, 0.02 here"),
        ("dimension = 3", "dimension = 4", "other tasks"),
    ):
        recipe.write_text(RECIPE.replace(old, new))
        refused(call("metatrain", recipe), "checkpoint.pt continues another run", words)
        assert (contents(folder), (folder / "checkpoint.pt").read_bytes()) == before


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_truncated_checkpoint(call, recipe, folder, size):
    assert call("metatrain", recipe).code == 0
    before = contents(folder)
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:size])
    refused(call("metatrain", recipe), "checkpoint.pt", "delete it to start over")
    assert contents(folder) == before
    assert call("metatrain", recipe, "--fresh").code == 0
    assert contents(folder) == before


def test_a_teacher_that_diverges_leaves_the_last_good_checkpoint(call, recipe, folder):
    text = RECIPE.replace("updates = 24", "updates = 400").replace("[10, 20]", "[10, 400]")
    teacher = '[imitation]\nshares = [0, 1]\nteachers = [{ name = "sgd", step_size = 10 }]\n'
    recipe.write_text(text.replace("period = 2", "period = 4") + teacher)
    answer = call("metatrain", recipe)
    assert answer.code == 2
    assert "the teacher GradientDescent left the float range at step" in answer.err
    assert "lower its step size" in answer.err
    assert (folder / "checkpoint.pt").exists()
    again = call("metatrain", recipe)  # the checkpoint is good: it goes on to the same place
    assert "going on from the checkpoint" in again.out
    assert again.err == answer.err


def test_meta_gradients_that_are_not_finite_end_it_with_the_step_and_the_norm(call, recipe, folder, monkeypatch):
    """A learning rate that throws the weights out of the float range after some steps."""
    from l2o_theory.metatraining import meta_training

    monkeypatch.setattr(meta_training, "_PATIENCE", 0.0)  # a checkpoint after every epoch
    recipe.write_text(RECIPE.replace("rate = 0.01", "rate = 1e308\nskips = 3").replace("updates = 24", "updates = 90"))
    answer = call("metatrain", recipe)
    refused(answer, "4 meta-gradients were not finite, the last at meta-update", "of norm", "checkpointed is intact")
    assert [row["is_skipped"] for row in rows(folder / "updates.csv")].count("True") == 3
    again = call("metatrain", recipe)
    assert "going on from the checkpoint" in again.out
    assert again.err == answer.err


def test_tensorboard_that_is_not_installed(call, recipe, folder, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    refused(call("metatrain", recipe, "--tensorboard"), "pip install 'l2o-theory[tensorboard]'")
    assert not (tmp_path / "l2o_results").exists()
    call("metatrain", recipe)
    before = contents(folder)
    refused(call("metatrain", recipe, "--tensorboard", "--fresh"), "tensorboard is not installed")
    assert contents(folder) == before  # refused before anything was thrown away


def test_tensorboard_by_a_writer_of_the_tests(call, recipe, monkeypatch):
    import sys
    import types

    points: list[tuple[str, float, int]] = []
    opened: list[int] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            assert folder.endswith("tiny/tensorboard")
            opened.append(purge_step)

        def add_scalar(self, tag: str, value: float, step: int) -> None:
            points.append((tag, value, step))

        def flush(self) -> None: ...

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    assert call("metatrain", recipe, "--tensorboard").code == 0
    assert [step for tag, _, step in points if tag == "window/descend"] == list(range(1, 25))
    assert {tag for tag, _, _ in points} >= {"gradient norm/descend", "evaluation/loss after 20 steps", "stage"}
    assert call("metatrain", recipe, "--tensorboard").code == 0
    assert opened == [1, 25]  # what came after the checkpoint is void
