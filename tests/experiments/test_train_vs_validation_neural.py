"""Train-by-train against train-by-validation on a network: small runs repeat, arms and tests are what they say."""

from __future__ import annotations

import math
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from l2o_theory.claims.discovery import load_plugin, plugin_folder
from l2o_theory.errors import InputError
from l2o_theory.figures import ExperimentResult, list_experiments, reproduce
from l2o_theory.figures.configuration import load_configuration
from l2o_theory.figures.table import read_table
from l2o_theory.least_squares import conditional
from l2o_theory.optimizers import GradientDescent

SOURCE = list_experiments()["train_vs_validation_neural"]
FIGURES = ("curves", "differences", "prediction")
TINY = """
[quick]
network.hidden = [4]
tasks.samples = 40
training.updates = 3
training.tasks = 1
training.least_windows = 1
training.more_windows = 1.0
training.least_steps = 2
training.more_steps = 1.0
arms.seeds = 2
test.runs = 2
test.horizon = 3
test.steps = [0, 3, 5]
baselines.sgd = [0.1, 0.5]
baselines.adam = [0.01]
baselines.tasks = 2
"""
EXPECTED = """
[[expected]]
quantity = "sgd.noise=0.rate"
describes = "three steps want the larger step size"
value = 0.5
tolerance = 0
reason = "one of the two that are tried"
source = "derived here"
"""


def copied(folder: Path) -> Path:
    copy = shutil.copytree(SOURCE, folder / SOURCE.name, ignore=shutil.ignore_patterns("__pycache__"))
    config = copy / "config.toml"
    config.write_text(config.read_text().split("[quick]")[0] + TINY)
    (copy / "expected.toml").write_text(EXPECTED)
    return copy


def plugin(name: str) -> Any:
    return load_plugin(SOURCE / f"{name}.py")


def configuration(**changes: Any) -> dict[str, Any]:
    """The full configuration, with changes ("section__name")."""
    config = dict(load_configuration(SOURCE / "config.toml", plugin("run").PARAMETERS))
    return {**config, **{name.replace("__", "."): value for name, value in changes.items()}}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def result(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ExperimentResult:
    return reproduce(str(tiny), out=tmp_path_factory.mktemp("out"), quick=True)


def test_every_figure_comes_as_pdf_png_and_csv_and_there_is_a_table(result: ExperimentResult) -> None:
    assert result.outcome == "met"
    assert {path.name for path in result.figures} == {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert {path.name for path in result.tables} == {f"{name}.csv" for name in (*FIGURES, "accuracies")}
    table = read_table(result.folder / "accuracies.csv")
    assert list(zip(table["optimizer"], table["all_data"], table["noise"], strict=True)) == [
        *((arm, "False", "0.0") for arm in ("tbt", "tbt2", "tbv", "sgd", "adam")),
        *((arm, "False", "0.2") for arm in ("tbt", "tbt2", "tbv", "sgd", "adam")),
        *((arm, "True", "0.0") for arm in ("tbt_all", "tbv_all", "sgd", "adam")),
    ]
    assert float(table["test_accuracy"][2]) == result.numbers["tbv.noise=0.test_accuracy"]


def test_a_killed_run_goes_on_where_it_was(result: ExperimentResult, tiny: Path, tmp_path: Path) -> None:
    """One training and its test lost: these alone are computed anew, to the same bytes, and no checkpoint stays."""
    shutil.copytree(result.folder, tmp_path / result.folder.name)
    pieces = tmp_path / result.folder.name / "pieces"
    assert not list(pieces.glob("*.pt"))
    for kind in ("training", "test"):
        next(pieces.glob(f"{kind}_tbt2_1-*.json")).unlink()
    again = reproduce(str(tiny), out=tmp_path, quick=True)
    assert (again.computed, again.reused) == (2, result.computed - 2)
    for path in result.tables + result.figures:
        assert (again.folder / path.name).read_bytes() == path.read_bytes()
    lost = next(pieces.glob("test_tbt2_1-*.json"))
    lost.write_text(lost.read_text().replace('"test_accuracy": [[', '"test_accuracy": [[1.0, ', 1))  # planted: damage
    with pytest.raises(Exception, match=r"shape|dimension|inhomogeneous"):
        reproduce(str(tiny), out=tmp_path, quick=True)


def test_every_arm_ends_in_an_optimizer_of_its_own(result: ExperimentResult) -> None:
    arms = [
        ("tbt", 0),
        ("tbt2", 0),
        ("tbv", 0),
        ("tbt_all", 0),
        ("tbv_all", 0),
        ("tbt", 0.2),
        ("tbt2", 0.2),
        ("tbv", 0.2),
    ]
    losses = [result.numbers[f"{arm}.noise={noise:g}.test_loss"] for arm, noise in arms]
    assert len(set(losses)) == len(arms)
    seeds = [result.numbers[f"tbv.noise=0.2.test_loss.meta_seed={seed}"] for seed in (0, 1)]
    assert seeds[0] != seeds[1]
    assert np.mean(seeds) == pytest.approx(result.numbers["tbv.noise=0.2.test_loss"], rel=1e-12)


def test_samples_and_judge_of_every_arm() -> None:
    setting, arms, config = plugin("setting"), plugin("arms"), configuration()
    data = setting.load(config)
    sizes = {}
    for arm in arms.ARMS:
        family = data.family(
            config, everything=arms.is_all(arm), doubled=arm == "tbt2", held_out=arm.startswith("tbv"), noise=0.2
        )
        sizes[arm] = (family.training, family.validation, arms.recipe(config, arm).loss.data)
    assert sizes == {
        "tbt": (200, 0, "training"),
        "tbt2": (400, 0, "training"),
        "tbv": (200, 200, "validation"),
        "tbt_all": (1297, 0, "training"),
        "tbv_all": (1081, 216, "validation"),
    }
    assert arms.contests({**config, "tasks.noise": (0.0, 0.2), "arms.names": ("tbt", "tbt_all")}) == [
        ("tbt", 0.0), ("tbt_all", 0.0), ("tbt", 0.2)
    ]  # fmt: skip


def test_held_out_digits_are_in_no_subset() -> None:
    data = plugin("setting").load(configuration())
    pool, test = ({row.numpy().tobytes() for row in part.features} for part in (data.problem.data, data.test))
    assert (len(data.problem.data), len(data.test)) == (1297, 500)
    assert not pool & test  # no two digits are alike, so this is what being disjoint means
    assert len(pool) == 1297


def test_test_labels_are_clean_unless_those_of_the_original_are_asked_for() -> None:
    setting, config = plugin("setting"), configuration()
    data = setting.load(config)
    clean = data.test_batch(config, 0.2)["labels"]
    assert torch.equal(clean, data.test.labels)
    noisy = data.test_batch({**config, "test.noisy": 1}, 0.2)["labels"]
    assert 75 <= int((noisy != clean).sum()) <= 100  # 100 drawn anew, of which 10 +- 3 keep their value


def test_curves_are_those_of_torch_in_a_loop() -> None:
    """SGD on the first test task with torch's modules, optimizer and loss."""
    setting, meta_test = plugin("setting"), plugin("meta_test")
    config = configuration(test__runs=2, test__steps=(0, 7))
    data, rule = setting.load(config), GradientDescent()
    found = meta_test.curves(config, data, rule, rule.meta(0.3, dtype=torch.float32), everything=False, noise=0.2)
    draw = meta_test.test_draw(config, data, everything=False, noise=0.2)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
    with torch.no_grad():
        for layer, module in ((1, net[1]), (2, net[3])):
            module.weight.copy_(draw.starts[f"weight{layer}"][0].T)
            module.bias.copy_(draw.starts[f"bias{layer}"][0])
    optimizer, loss = torch.optim.SGD(net.parameters(), lr=0.3), torch.nn.CrossEntropyLoss()
    for step in range(7):
        batch = draw.batches(step)
        optimizer.zero_grad()
        loss(net(batch["features"][0]), batch["labels"][0]).backward()
        optimizer.step()
    with torch.no_grad():
        own, logits = draw.training(0), net(data.test.features)
        expected = loss(net(own["features"][0]), own["labels"][0]), loss(logits, data.test.labels)
        accuracy = float((logits.argmax(1) == data.test.labels).double().mean())
    # float32, sums of up to 200 terms in another order
    assert found["train_loss"][1][0] == pytest.approx(float(expected[0]), rel=1e-4)
    assert found["test_loss"][1][0] == pytest.approx(float(expected[1]), rel=1e-4)
    assert found["test_accuracy"][1][0] == pytest.approx(accuracy, abs=0.0021)  # one image of 500 at a tie
    assert found["train_loss"][0][0] != pytest.approx(found["train_loss"][1][0], rel=1e-2)  # planted: the start


def test_noise_to_signal_is_that_of_indicators_of_classes() -> None:
    """Regress the indicator of a noisy label on that of the clean one: residual over explained variance."""
    prediction, generator = plugin("prediction"), np.random.default_rng(0)
    for rate in (0.2, 0.5):
        labels = generator.integers(10, size=200_000)
        again = generator.random(200_000) < rate
        noisy = np.where(again, generator.integers(10, size=200_000), labels)
        clean, seen = (labels == 3).astype(float), (noisy == 3).astype(float)
        slope = np.cov(clean, seen)[0, 1] / clean.var()
        measured = math.sqrt((seen.var() - slope**2 * clean.var()) / (slope**2 * clean.var()))
        assert prediction.noise_to_signal(rate) == pytest.approx(
            measured, rel=0.03
        )  # 200 000 labels, a tenth of class 3
        assert prediction.noise_to_signal(rate) != pytest.approx(rate, rel=0.1)  # planted: sigma read as the rate
    assert prediction.noise_to_signal(0) == 0


@pytest.mark.parametrize("ratio", [0.4, 2.0])
def test_the_prediction_is_what_sampled_spectra_give(ratio: float) -> None:
    """d = 300: step sizes by a fine grid over the two exact conditional risks, in place of limits and root finding."""
    prediction, sigma, steps, d = plugin("prediction"), 0.75, 50, 300
    n = round(d / ratio)
    X = np.random.default_rng(1).standard_normal((n, d))
    law, grid = conditional(np.linalg.eigvalsh(X.T @ X / n), d, n, sigma, steps), np.geomspace(1e-3, 1.2, 3000)
    rmse = np.sqrt(np.asarray(law.risk(grid)) + sigma**2)
    found = rmse[np.asarray(law.train_loss(grid)).argmin()] - rmse.min()
    assert float(prediction.predicted(ratio, sigma, steps)) == pytest.approx(found, rel=0.1)  # finite d: a few percent
    assert found > 0.02


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"tbt2", "tbv", "tbt_all"', '"tbt2", "tbv", "tbt_al"', "arms.names has 'tbt_al'"),
        ('"tbt2", "tbv", ', '"tbt2", ', "lacks tbt or tbv"),
        ("test.horizon = 3", "test.horizon = 4", r"hold test\.horizon = 4"),
        ("test.steps = [0, 3, 5]", "test.steps = [3, 0]", r"test\.steps must rise"),
        ("test = 500", "test = 1750", "lower one of them"),
        ("tasks.samples = 40", "tasks.samples = 20", "size <= training"),
        ('device = "auto"', 'device = "gpu"', "auto, cpu or cuda"),
        ("noisy = 0", "noisy = 2", "0 or 1"),
    ],
)
def test_bad_configurations_are_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    copy = copied(tmp_path)
    config = copy / "config.toml"
    text = config.read_text()
    assert text.count(old) == 1
    config.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=told):
        reproduce(str(copy), out=tmp_path / "out", quick=True)


def test_a_folder_without_images_is_refused_and_the_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(InputError, match=r"lacks train-labels-idx1-ubyte or train-labels-idx1-ubyte\.gz"):
        plugin("setting").load(configuration(data__folder=str(tmp_path)))


def idx(array: torch.Tensor) -> bytes:
    """The idx format of MNIST's files."""
    shape = array.shape
    return (
        bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + array.to(torch.uint8).numpy().tobytes()
    )


def test_mnist_comes_from_a_folder(tmp_path: Path) -> None:
    """Files of MNIST's format with random pixels: 784 inputs, its own test set, the same protocol."""
    generator = torch.Generator().manual_seed(0)
    for stem, count in (("train", 80), ("t10k", 30)):
        images = torch.randint(256, (count, 28, 28), generator=generator)
        (tmp_path / f"{stem}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{stem}-labels-idx1-ubyte").write_bytes(idx(torch.arange(count) % 10))
    setting, rule = plugin("setting"), GradientDescent()
    config = configuration(
        data__folder=str(tmp_path), network__hidden=(6, 5), tasks__samples=40, test__runs=2, test__steps=(0, 4)
    )
    data = setting.load(config)
    assert data.problem.network.sizes == (784, 6, 5, 10)
    assert (len(data.problem.data), len(data.test)) == (80, 30)
    found = plugin("meta_test").curves(
        config, data, rule, rule.meta(0.1, dtype=torch.float32), everything=False, noise=0.2
    )
    assert [len(row) for row in found["test_accuracy"]] == [2, 2]
    assert found["train_loss"][1] != found["train_loss"][0]
    assert plugin("prediction").readings(config)["weights"] == (785 * 6 + 7 * 5 + 6 * 10) / 40


def test_committed_accuracies_are_those_of_this_configuration() -> None:
    """What the claims read is what a full run wrote: same parameters, all meta-seeds."""
    record = load_plugin(plugin_folder("proofs_checks") / "training" / "_digits.py").RECORD
    config, numbers = configuration(), record["numbers"]
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
    assert {**plain, "arms.names": record["config"]["arms.names"]} == record["config"]
    claims = load_plugin(plugin_folder("proofs_checks") / "training" / "validation_on_digits.py")
    for arm in ("tbt", "tbt2", "tbv"):
        for noise in config["tasks.noise"]:
            values = claims.accuracies(arm, noise)
            assert len(values) == config["arms.seeds"]
            assert np.mean(values) == pytest.approx(numbers[f"{arm}.noise={noise:g}.test_accuracy"], abs=1e-12)
    for other, noise in (("tbt", 0), ("tbt", 0.2), ("tbt2", 0.2), ("adam", 0.2)):
        found, name = (
            claims.tested(claims.gains("tbv", other, noise)),
            f"tbv_minus_{other}.noise={noise:g}.test_accuracy",
        )
        expected = [numbers[name], numbers[f"{name}.low"], numbers[f"{name}.high"]]
        assert [found["mean"], found["low"], found["high"]] == pytest.approx(expected, abs=1e-12)
        assert found["mean"] == pytest.approx(-claims.tested(claims.gains(other, "tbv", noise))["mean"], abs=1e-12)


def test_the_claim_on_a_step_size_holds_for_other_tasks_too() -> None:
    """Another split of the digits, other subsets and starts than those of the verdict; the planted fault is refuted."""
    claims = load_plugin(plugin_folder("proofs_checks") / "training" / "validation_on_digits.py")
    claim = next(claim for claim in claims.CLAIMS if claim.id.endswith("step_size_by_validation"))
    found = claim.measure(2)
    assert found.holds
    assert found.refuted_faults
    assert not found.accepted_faults
    assert found.table[0]["by training"] > found.table[0]["step size by validation"]
    assert found.table[0]["p"] < 0.001 < 0.5 < found.table[1]["p"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_full_run_meets_its_predictions_and_gives_the_committed_accuracies(tmp_path: Path) -> None:
    """Other versions and processors round otherwise, and meta-training amplifies that: only statistics agree."""
    result = reproduce(SOURCE.name, out=tmp_path)
    assert {c.expectation.quantity: c.measured for c in result.comparisons if c.outcome != "met"} == {}
    committed = load_plugin(plugin_folder("proofs_checks") / "training" / "_digits.py").RECORD["numbers"]
    for arm in ("tbt", "tbv"):
        for noise in (0, 0.2):
            name = f"{arm}.noise={noise:g}.test_accuracy"
            spread = math.hypot(committed[f"{name}.sd"], result.numbers[f"{name}.sd"])
            assert abs(committed[name] - result.numbers[name]) <= 4 * max(spread, 0.01)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_quick_run_meets_its_predictions(tmp_path: Path) -> None:
    quick = reproduce(SOURCE.name, out=tmp_path, quick=True)
    assert {c.expectation.quantity: c.measured for c in quick.comparisons if c.outcome == "not met"} == {}
