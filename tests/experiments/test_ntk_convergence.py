"""The experiment on tiny programs: files, reuse, numbers by a second route, bad input; the quick run itself is slow."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures import ExperimentResult, list_experiments, reproduce
from l2o_theory.figures.configuration import load_configuration
from l2o_theory.figures.expectation import compare, load_expectations
from l2o_theory.figures.pieces import Pieces, fingerprint
from l2o_theory.figures.table import read_table
from l2o_theory.problems.quadratic_programs import program_law

SOURCE = list_experiments()["ntk_convergence"]
SEED = 119  # the predictions speak of the published seed alone
FIGURES = ("gains", "expansions", "plateau", "horizons", "unseen", "spectrum", "factors", "drift")
TINY = """
[quick]
program.instances = 2
program.equations = 3
program.unknowns = 4
program.width = 64
program.steps = 3
training.iterations = 6
training.rates = [1e-7, 1e-5]
training.expansions = [5, 50]
training.kernel_every = 3
large.instances = 2
large.equations = 4
large.unknowns = 5
large.width = 64
large.horizons = [2, 4]
large.iterations = 2
large.curve = 3
large.unseen = 2
large.unseen_steps = 9
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    folder = tmp_path_factory.mktemp("tiny") / "ntk_convergence"
    shutil.copytree(SOURCE, folder)
    text = (SOURCE / "config.toml").read_text()
    (folder / "config.toml").write_text(text[: text.index("[quick]")] + TINY)
    return reproduce(str(folder), out=folder.parent / "out", seed=SEED, quick=True)


@pytest.fixture(scope="module")
def lines() -> ModuleType:
    return load_plugin(SOURCE / "lines.py")


@pytest.mark.slow
def test_the_quick_run_meets_every_prediction_that_applies(tmp_path: Path) -> None:
    result = reproduce("ntk_convergence", out=tmp_path, quick=True)
    assert [c.expectation.quantity for c in result.comparisons if c.outcome == "not met"] == []
    assert sum(c.outcome == "met" for c in result.comparisons) >= 20


def test_every_figure_comes_as_pdf_png_and_csv(tiny: ExperimentResult) -> None:
    assert {path.name for path in tiny.figures} == {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert {path.name for path in tiny.tables} == {f"{name}.csv" for name in FIGURES}
    assert all(path.stat().st_size > 200 for path in tiny.figures + tiny.tables)


def test_a_figure_drawn_again_reuses_every_piece_and_gives_the_same_bytes(
    tiny: ExperimentResult, tmp_path: Path
) -> None:
    source = tiny.folder.parent.parent / "ntk_convergence"
    parameters = load_plugin(source / "run.py").PARAMETERS
    config = load_configuration(source / "config.toml", parameters, seed=SEED, quick=True)
    pieces = Pieces(tiny.folder / "pieces", fingerprint(source))
    plateau = load_plugin(source / "plateau.py")
    again = plateau.run(config, tmp_path, pieces=pieces, progress=lambda stage, done, total: None)
    assert (pieces.computed, pieces.reused) == (0, 7)
    for path in again.files:
        assert path.read_bytes() == (tiny.folder / path.name).read_bytes()


def test_gains_are_those_of_plain_autograd_and_torch_sgd(tiny: ExperimentResult) -> None:
    """Another program for one curve of the figure: torch modules, torch.optim, no code of the package but the data."""
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS, quick=True)
    config = dict(config) | {"program.instances": 2, "program.equations": 3, "program.unknowns": 4, "seed": SEED}
    programs = load_plugin(SOURCE / "lines.py").programs_of(config, "program")
    torch.manual_seed(SEED)
    layers = []
    for fan_in, fan_out in ((2, 2), (2, 64)):
        weight = torch.empty(fan_in, fan_out)
        torch.nn.init.kaiming_uniform_(weight)
        layers.append((torch.nn.init.orthogonal_(weight) * 50).requires_grad_())
    layers.append(torch.zeros(64, 1, requires_grad=True))
    optimizer, losses = torch.optim.SGD(layers, lr=1e-5), []
    for _ in range(7):
        x = torch.zeros(2, 4, 1)
        for _ in range(3):
            g = programs.matrices.mT @ (programs.matrices @ x - programs.targets[..., None])
            hidden = torch.relu(torch.relu(torch.cat((g, x), 2).detach() @ layers[0]) @ layers[1])
            x = x - 2 * torch.sigmoid(hidden @ layers[2]) * programs.step_sizes[..., None] * g
        loss = 0.5 * (programs.matrices @ x - programs.targets[..., None]).square().sum()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    table = read_table(next(path for path in tiny.tables if path.name == "gains.csv"))
    rows = zip(table["e"], table["rate"], table["iteration"], table["gain"], strict=True)
    curve = {int(k): float(gain) for e, rate, k, gain in rows if float(e) == 50 and float(rate) == 1e-5}
    for k, loss in enumerate(losses):
        assert curve[k] == pytest.approx(1 - loss / losses[0], abs=2e-5)  # float32 along different sums
    assert abs(curve[6]) > 1e-3  # something was learned, and a wrong rate would show


def test_adam_over_all_pairs_is_that_of_torch() -> None:
    unseen = load_plugin(SOURCE / "unseen.py")
    programs = program_law(3, 4, 6, dtype=torch.float64)
    curves = []
    for betas in itertools.product((0.1, 0.3, 0.5, 0.7, 0.9), repeat=2):
        points = [start.clone().requires_grad_() for start in programs.start]
        taus = programs.step_sizes.flatten().tolist()
        groups = [{"params": [x], "lr": tau} for x, tau in zip(points, taus, strict=True)]
        optimizer, losses = torch.optim.Adam(groups, betas=betas), []
        for _ in range(8):
            optimizer.zero_grad()
            residuals = [m @ x - y for m, x, y in zip(programs.matrices, points, programs.targets, strict=True)]
            loss = sum(r.square().sum() for r in residuals) / 2
            losses.append(float(loss.detach()) / 3)
            loss.backward()
            optimizer.step()
        curves.append(losses)
    found = unseen.adam_losses(programs, 7)
    assert found["Adam, mean over pairs"] == pytest.approx([sum(column) / 25 for column in zip(*curves, strict=True)])
    assert found["Adam, best pair"] == pytest.approx(min(curves, key=lambda curve: curve[-1]))


def test_a_planted_wrong_prediction_is_not_met(tiny: ExperimentResult, tmp_path: Path) -> None:
    text = (SOURCE / "expected.toml").read_text()
    quantity = "plateau.lowest_at_one_step_over_floor"
    true = [e for e in load_expectations(SOURCE / "expected.toml") if e.quantity == quantity]
    (tmp_path / "expected.toml").write_text(re.sub(r"at_least = 1\nseed", "at_least = 1000\nseed", text))
    false = [e for e in load_expectations(tmp_path / "expected.toml") if e.quantity == quantity]
    outcomes = [compare(tuple(es), tiny.numbers, seed=118, quick=True)[0].outcome for es in (true, false)]
    assert outcomes == ["met", "not met"]


def test_every_prediction_names_a_quantity_of_the_quick_or_the_full_configuration() -> None:
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS)
    known = {f"{e:g}" for e in config["training.expansions"]}
    for expectation in load_expectations(SOURCE / "expected.toml"):
        found = re.match(r"gain\.e=([^.]+)\.rate=(\S+)\.k=(\d+)", expectation.quantity)
        if found:
            assert found[1] in known
            assert float(found[2]) in config["training.rates"]
            assert int(found[3]) <= config["training.iterations"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the refusal needs a machine without a CUDA device")
def test_a_device_that_is_not_there_is_refused(lines: ModuleType, tmp_path: Path) -> None:
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS)
    with pytest.raises(InputError, match="no CUDA device"):
        lines.programs_of(dict(config) | {"device": "cuda"}, "program")
    with pytest.raises(InputError, match="no CUDA device"):
        reproduce("ntk_convergence", out=tmp_path, quick=True, device="cuda")  # replaces the entry of config.toml
