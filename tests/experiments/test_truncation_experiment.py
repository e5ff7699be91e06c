"""The experiment on truncation: a quick run meets its predictions, repeats to the byte, and a fault would be seen."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures import ExperimentResult, list_experiments, reproduce
from l2o_theory.figures.configuration import load_configuration
from l2o_theory.figures.expectation import compare, load_expectations
from l2o_theory.problems import Quadratic

SOURCE = list_experiments()["truncation"]
FIGURES = ("windows", "tuned_step", "variance", "learned")


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return reproduce("truncation", out=tmp_path_factory.mktemp("out"), quick=True)


@pytest.fixture(scope="module")
def windows() -> ModuleType:
    return load_plugin(SOURCE / "windows.py")


def test_the_quick_run_meets_every_prediction_that_applies(quick: ExperimentResult) -> None:
    missed = {c.expectation.quantity: c.measured for c in quick.comparisons if c.outcome == "not met"}
    assert missed == {}
    assert sum(c.outcome == "met" for c in quick.comparisons) >= 30


@pytest.mark.slow
@pytest.mark.timeout(1800)  # the published sizes: minutes on a core of its own, more on a shared one
def test_the_full_run_meets_every_prediction(tmp_path: Path) -> None:
    result = reproduce("truncation", out=tmp_path)
    assert {c.expectation.quantity: c.measured for c in result.comparisons if c.outcome != "met"} == {}


def test_every_figure_comes_as_pdf_png_and_csv(quick: ExperimentResult) -> None:
    assert {path.name for path in quick.figures} == {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert {path.name for path in quick.tables} == {f"{name}.csv" for name in FIGURES}
    assert all(path.stat().st_size > 200 for path in quick.figures + quick.tables)


def test_a_second_run_reuses_every_piece_and_gives_the_same_bytes(quick: ExperimentResult, tmp_path: Path) -> None:
    shutil.copytree(quick.folder, tmp_path / quick.folder.name)
    again = reproduce("truncation", out=tmp_path, quick=True)
    assert again.computed == 0
    for path in quick.tables + quick.figures:
        assert (again.folder / path.name).read_bytes() == path.read_bytes()


def test_a_planted_wrong_prediction_is_not_met(quick: ExperimentResult, tmp_path: Path) -> None:
    text = (SOURCE / "expected.toml").read_text()
    (tmp_path / "expected.toml").write_text(text.replace("value = 0.78136", "value = 0.78236"))
    for path, outcomes in ((SOURCE / "expected.toml", {"met"}), (tmp_path / "expected.toml", {"met", "not met"})):
        found = compare(load_expectations(path), quick.numbers, seed=quick.seed, quick=True)
        assert {comparison.outcome for comparison in found} - {"not applicable"} == outcomes


def test_a_window_that_forgets_to_cut_is_seen(windows: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The closed form is no copy of the estimate: without the cut the two part."""
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS, quick=True)
    setting = windows.settings(config)["convergent"]
    assert setting.estimated(5) == pytest.approx(setting.exact([5])[0], rel=1e-12)
    monkeypatch.setattr("l2o_theory.metagradients.trajectory.detached", lambda tree: tree)
    assert setting.estimated(5) != pytest.approx(setting.exact([5])[0], rel=0.1)


def test_the_root_of_the_estimate_minimises_the_loss() -> None:
    """K = N: against the least loss on a grid, which needs no derivative."""
    tuned = load_plugin(SOURCE / "tuned_step.py")
    problem = Quadratic([1.0, 0.02], start=[1.0, 1.0])
    root = tuned.root_of_estimate(problem, 20, 20)
    sizes = torch.linspace(1.0, 1.2, 2001, dtype=torch.float64)
    x, total = problem.init().expand(len(sizes), 2), torch.zeros_like(sizes)
    for _ in range(20):
        x = x * (1 - sizes[:, None] * torch.tensor([1.0, 0.02], dtype=torch.float64))
        total = total + torch.func.vmap(problem.loss)(x)
    assert root == pytest.approx(float(sizes[total.argmin()]), abs=1e-4)  # spacing of the grid
    assert tuned.root_of_estimate(problem, 20, 1) < root - 1e-3


def test_sampled_meta_gradients_are_those_of_the_path_formula() -> None:
    """g = -sum_s l_s r_s prod_{u != s} r_u^2, draw by draw."""
    variance = load_plugin(SOURCE / "variance.py")
    config = dict(load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS, quick=True))
    config["variance.draws"] = 50
    found = variance.sampled(config, 3, 3)
    generator = torch.Generator().manual_seed(3)
    curvatures = torch.tensor([0.1, 1.0, 2.0], dtype=torch.float64)[torch.randint(3, (50, 3), generator=generator)]
    residuals = 1 - 0.8 * curvatures
    expected = -sum(
        curvatures[:, s] * residuals[:, s] * (residuals[:, [u for u in range(3) if u != s]] ** 2).prod(1)
        for s in range(3)
    )
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-15)  # type: ignore[arg-type]
