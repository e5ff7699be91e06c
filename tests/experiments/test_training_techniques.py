"""The experiment on training techniques: small runs repeat to the byte, arms differ as their recipes say."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from l2o_theory.claims.discovery import load_plugin, plugin_folder
from l2o_theory.errors import InputError
from l2o_theory.figures import ExperimentResult, list_experiments, reproduce
from l2o_theory.figures.configuration import load_configuration
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.optimizers import Adam

SOURCE = list_experiments()["training_techniques"]
FIGURES = ("horizons", "differences", "stages")
TINY = """
[quick]
training.updates = 20
training.period = 1
training.judged = 4
training.window = 5
arms.seeds = 2
plain.horizon = 10
aug.horizon = 20
cl.horizons = [10, 20, 40]
clil.shares = [0.5]
test.problems = 8
test.block = 4
test.horizons = [10, 40]
test.steps = [0, 5, 10, 20, 40]
adam.rates = [0.1]
"""
EXPECTED = """
[[expected]]
quantity = "adam0.1.N=10.over_adam"
describes = "Adam relative to itself"
value = 0
tolerance = 0
reason = "the same number"
source = "derived here"
"""


def copied(folder: Path) -> Path:
    copy = shutil.copytree(SOURCE, folder / "training_techniques", ignore=shutil.ignore_patterns("__pycache__"))
    config = copy / "config.toml"
    config.write_text(config.read_text().split("[quick]")[0] + TINY)
    (copy / "expected.toml").write_text(EXPECTED)
    return copy


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def result(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return reproduce(str(tiny), out=tmp_path_factory.mktemp("out"), quick=True)


def test_every_figure_comes_as_pdf_png_and_csv(result: ExperimentResult) -> None:
    assert result.outcome == "met"
    assert {path.name for path in result.figures} == {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert {path.name for path in result.tables} == {f"{name}.csv" for name in FIGURES}
    assert all(path.stat().st_size > 200 for path in result.figures + result.tables)


def test_a_killed_run_goes_on_where_it_was(result: ExperimentResult, tiny: Path, tmp_path: Path) -> None:
    """One arm lost: it alone is computed anew, to the same bytes."""
    shutil.copytree(result.folder, tmp_path / result.folder.name)
    (lost,) = (tmp_path / result.folder.name / "pieces").glob("cl_1-*.json")
    lost.unlink()
    again = reproduce(str(tiny), out=tmp_path, quick=True)
    assert (again.computed, again.reused) == (1, result.computed - 1)
    for path in result.tables + result.figures:
        assert (again.folder / path.name).read_bytes() == path.read_bytes()
    lost.write_text(lost.read_text().replace('"losses": [', '"losses": [1.0, ', 1))  # planted: a damaged number shows
    with pytest.raises(Exception, match=r"shape|dimension|inhomogeneous"):
        reproduce(str(tiny), out=tmp_path, quick=True)


def test_more_meta_seeds_keep_those_that_are_there(tiny: Path, result: ExperimentResult, tmp_path: Path) -> None:
    config = tiny / "config.toml"
    copy = shutil.copytree(tiny, tmp_path / "training_techniques")
    text = config.read_text().replace(
        'names = ["plain", "aug", "cl", "clsame", "il", "clil"]', 'names = ["plain", "cl"]'
    )
    (copy / "config.toml").write_text(text)
    shutil.copytree(result.folder, tmp_path / "out" / "training_techniques")
    fewer = reproduce(str(copy), out=tmp_path / "out", quick=True)
    assert fewer.computed == 0
    assert fewer.numbers.items() <= result.numbers.items()


def test_every_arm_ends_in_weights_of_its_own(result: ExperimentResult) -> None:
    levels = [result.numbers[f"{arm}.N=40"] for arm in ("plain", "aug", "cl", "il", "clil")]
    assert len(set(levels)) == 5
    assert all(result.numbers[f"{arm}.most_updates"] <= 20 for arm in ("plain", "aug", "cl", "il", "clil"))
    assert result.numbers["plain.least_updates"] == 20


def test_adam_alone_in_a_loop_has_the_same_losses() -> None:
    training = load_plugin(SOURCE / "training.py")
    config = dict(load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS))
    config |= {"test.problems": 3, "test.steps": (0, 7)}
    found = training.tested(config, Adam(), Adam().meta(0.1, dtype=torch.float32))
    draw = training.test_draw(config, 3)
    batch = draw.batches(0)
    for place in range(3):
        x = draw.starts[place].clone().requires_grad_()
        other = torch.optim.Adam([x], lr=0.1)
        W, y = batch["matrix"][place], batch["target"][place]
        for _ in range(7):
            other.zero_grad()
            ((W @ x - y) ** 2).sum().backward()
            other.step()
        assert float(found[1, place]) == pytest.approx(
            float(((W @ x.detach() - y) ** 2).sum()), rel=1e-4
        )  # 7 steps, float32
    assert not torch.allclose(found[0], found[1], rtol=1e-2)  # planted: the losses at the start


def test_test_problems_are_the_same_for_every_count() -> None:
    training = load_plugin(SOURCE / "training.py")
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS)
    few, many = training.test_draw(config, 2), training.test_draw(config, 5)
    assert torch.equal(few.starts, many.starts[:2])
    assert torch.equal(few.batches(0)["matrix"], many.batches(0)["matrix"][:2])
    assert not torch.equal(many.starts[0], many.starts[1])
    rule, problem = Adam(), training.family(config).problem
    losses = run_rule(rule, problem, Adam().meta(0.1, dtype=torch.float32), many, 0, at=(0,))
    assert bool((losses > 0).all())


def test_interval_and_test_are_those_of_student() -> None:
    """Three differences -1, -2, -3: mean -2, t = -2/(1/sqrt 3), and t with 2 degrees of freedom is in closed form."""
    differences = load_plugin(SOURCE / "differences.py")
    mean, low, high = differences.interval(np.array([-1.0, -2.0, -3.0]))
    quantile = 0.95 * math.sqrt(2 / (1 - 0.95**2))  # P(T <= q) = (1 + q/sqrt(2 + q^2))/2 at 0.975
    assert (mean, low, high) == pytest.approx((-2, -2 - quantile / 3**0.5, -2 + quantile / 3**0.5))
    t = -2 * 3**0.5
    assert differences.one_sided_p(np.array([-1.0, -2.0, -3.0])) == pytest.approx((1 + t / math.sqrt(2 + t * t)) / 2)
    assert differences.one_sided_p(np.array([1.0, 2.0, 3.0])) > 0.95  # planted: the other side


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"il", "clil"]', '"ill"]', "arms.names has 'ill'"),
        ('names = ["plain", ', "names = [", "lacks plain"),
        ("test.steps = [0, 5, 10, 20, 40]", "test.steps = [0, 5, 10]", "test.steps lacks 40"),
        ("test.block = 4", "test.block = 8", "multiple of test.block"),
        ("adam.rates = [0.1]", "adam.rates = [0.2]", r"lacks adam.reference"),
    ],
)
def test_bad_configurations_are_refused_before_any_work(tmp_path: Path, old: str, new: str, told: str) -> None:
    copy = copied(tmp_path)
    config = copy / "config.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=told):
        reproduce(str(copy), out=tmp_path / "out", quick=True)


def test_committed_levels_are_those_of_this_configuration() -> None:
    """What the claims read is what a full run wrote: same parameters, all meta-seeds."""
    record = load_plugin(plugin_folder("proofs_checks") / "training" / "_quadratics.py").RECORD
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
    assert {**plain, "arms.names": record["config"]["arms.names"]} == record["config"]
    assert {"plain", "aug", "cl", "clsame"} <= set(record["config"]["arms.names"])
    claims = load_plugin(plugin_folder("proofs_checks") / "training" / "quadratics.py")
    for arm in record["config"]["arms.names"]:
        for horizon in config["test.horizons"]:
            levels = claims.levels(arm, horizon)
            assert np.mean(levels) == pytest.approx(record["numbers"][f"{arm}.N={horizon}"], abs=1e-12)
            assert claims.paired(arm, arm, horizon) == [0.0] * config["arms.seeds"]


def test_the_test_of_the_claims_is_student_s() -> None:
    claims = load_plugin(plugin_folder("proofs_checks") / "training" / "quadratics.py")
    differences = load_plugin(SOURCE / "differences.py")
    values = np.array([-0.3, -0.1, -0.25])
    found = claims.tested(list(values))
    assert (found["mean"], found["low"], found["high"]) == pytest.approx(differences.interval(values))
    assert found["p"] == pytest.approx(differences.one_sided_p(values))
    assert found["p"] < 0.05 < claims.tested([-0.3, 0.2, -0.1])["p"]  # planted: differences of both signs


@pytest.mark.slow
def test_the_full_run_meets_its_predictions_and_gives_the_committed_levels(tmp_path: Path) -> None:
    """Other versions and processors round otherwise, and 1500 meta-updates amplify that: only statistics agree."""
    result = reproduce("training_techniques", out=tmp_path)
    assert {c.expectation.quantity: c.measured for c in result.comparisons if c.outcome != "met"} == {}
    committed = load_plugin(plugin_folder("proofs_checks") / "training" / "_quadratics.py").RECORD["numbers"]
    for arm in ("plain", "aug", "cl", "clsame"):
        name = f"{arm}.N=1000"
        spread = math.hypot(committed[f"{name}.sd"], result.numbers[f"{name}.sd"])
        assert abs(committed[name] - result.numbers[name]) <= 4 * max(spread, 0.05)


@pytest.mark.slow
def test_the_quick_run_meets_its_predictions(tmp_path: Path) -> None:
    quick = reproduce("training_techniques", out=tmp_path, quick=True)
    assert {c.expectation.quantity: c.measured for c in quick.comparisons if c.outcome == "not met"} == {}
