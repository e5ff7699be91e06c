"""The experiment on training techniques: small runs repeat to the byte, arms differ as their recipes say."""

from __future__ import annotations

import json
import math
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from l2o_theory.claims.discovery import load_plugin, plugin_folder
from l2o_theory.errors import InputError
from l2o_theory.figures import ExperimentResult, list_experiments, reproduce
from l2o_theory.figures.configuration import load_configuration
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.comparison import one_sided_p, student_interval

SOURCE = list_experiments()["training_techniques"]
TEST_SEED = 20_100_9089  # as in training.py
FIGURES = (
    "horizons", "test_sets", "stages", "differences_quadratics", "ablation_quadratics", "differences_digits",
    "ablation_digits", "optimizers_digits",
)  # fmt: skip
ARMS = ("plain", "aug", "cl", "clsame", "il", "clil")
TINY = """
[quick]
training.period = 1
training.window = 5
plain.horizon = 10
aug.horizon = 20
cl.horizons = [10, 20, 40]
lstm.shares = [0.5]
rivals.rates = [0.01, 0.1]
rivals.refine = 0
quadratics.updates = 20
quadratics.judged = 4
quadratics.seeds = 2
quadratics.runs = 8
quadratics.transfer_runs = 2
quadratics.block = 4
quadratics.horizons = [10, 40]
quadratics.steps = [0, 5, 10, 20, 40]
digits.arms = ["plain", "cl", "rnnprop", "scale-clil"]
digits.updates = 10
digits.judged = 2
digits.seeds = 2
digits.runs = 2
digits.transfer_runs = 2
digits.horizons = [5, 10]
digits.steps = [0, 5, 10]
adam.rates = [0.1, 0.3]
"""
EXPECTED = """
[[expected]]
quantity = "quadratics.adam0.1.N=10.over_adam"
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
    figures = set(FIGURES) - {"test_sets"}  # none of the horizons is one of the earlier run
    assert {path.name for path in result.figures} == {f"{name}.{kind}" for name in figures for kind in ("pdf", "png")}
    assert {path.name for path in result.tables} == {f"{name}.csv" for name in figures}
    assert all(path.stat().st_size > 200 for path in result.figures + result.tables)


def test_a_killed_run_goes_on_where_it_was(result: ExperimentResult, tiny: Path, tmp_path: Path) -> None:
    """One arm lost: it alone is computed anew, to the same bytes."""
    shutil.copytree(result.folder, tmp_path / result.folder.name)
    (lost,) = (tmp_path / result.folder.name / "pieces").glob("quadratics_cl_1-*.json")
    lost.unlink()
    again = reproduce(str(tiny), out=tmp_path, quick=True)
    assert (again.computed, again.reused) == (1, result.computed - 1)
    for path in result.tables + result.figures:
        assert (again.folder / path.name).read_bytes() == path.read_bytes()
    (kept,) = (again.folder / "pieces").glob("quadratics_cl_1-*.json")
    kept.write_text(
        kept.read_text().replace('"linear.bias": [', '"linear.bias": [1.0, ', 1)
    )  # planted: damaged weights
    with pytest.raises(RuntimeError, match=r"size|shape"):
        reproduce(str(tiny), out=tmp_path, quick=True)


def test_more_meta_seeds_keep_those_that_are_there(tiny: Path, result: ExperimentResult, tmp_path: Path) -> None:
    config = tiny / "config.toml"
    copy = shutil.copytree(tiny, tmp_path / "training_techniques")
    text = config.read_text()
    assert 'arms = ["plain", "aug", "cl", "clsame", "il", "clil"]' in text
    text = text.replace('arms = ["plain", "aug", "cl", "clsame", "il", "clil"]', 'arms = ["plain", "cl"]')
    (copy / "config.toml").write_text(text)
    shutil.copytree(result.folder, tmp_path / "out" / "training_techniques")
    fewer = reproduce(str(copy), out=tmp_path / "out", quick=True)
    assert fewer.computed == 0
    assert fewer.numbers.items() <= result.numbers.items()


def test_every_arm_ends_in_weights_of_its_own(result: ExperimentResult) -> None:
    levels = [result.numbers[f"quadratics.{arm}.N=40"] for arm in ("plain", "aug", "cl", "il", "clil")]
    assert len(set(levels)) == 5
    assert all(result.numbers[f"quadratics.{arm}.most_updates"] <= 20 for arm in ARMS)
    assert result.numbers["quadratics.plain.least_updates"] == 20
    on_digits = [result.numbers[f"digits.on softmax 16-10.{arm}_minus_Adam.N=10"] for arm in ("plain", "rnnprop")]
    assert len(set(on_digits)) == 2


def test_rivals_are_tuned_within_the_steps_of_one_meta_training(result: ExperimentResult) -> None:
    for rival in ("Adam", "gradient descent", "Momentum"):
        for horizon in (10, 40):
            spent = result.numbers[f"quadratics.{rival}.N={horizon}.inner_steps"]
            assert 0 < spent <= 20 * 5 * 8  # meta-updates, window, tasks
            assert result.numbers[f"quadratics.{rival}.N={horizon}.rate"] in (0.01, 0.1)
            assert spent > 20 * 5  # planted: the steps of one task alone


def test_differences_are_those_of_the_stored_losses(result: ExperimentResult) -> None:
    """By hand from the pieces, with no function of the experiment."""

    def stored(name: str) -> list[np.ndarray]:
        paths = (result.folder / "pieces").glob(f"quadratics_{name}_test-*.json")
        records = [json.loads(path.read_text()) for path in paths]
        own = [r["value"] for r in records if json.loads(r["key"])[2]["optimizee"] == "quadratics"]
        return [np.array(value["single"]["40"]) for value in own]

    for seed in (0, 1):
        (cl,), (plain,) = stored(f"cl_{seed}"), stored(f"plain_{seed}")
        expected = math.log(cl.mean() / plain.mean())
        assert result.numbers[f"quadratics.cl_minus_plain.N=40.meta_seed={seed}"] == pytest.approx(expected, abs=1e-12)
        planted = float(np.mean(np.log(cl) - np.log(plain)))  # the mean of logarithms
        assert abs(planted - expected) > 1e-6


def test_adam_alone_in_a_loop_has_the_same_losses(tmp_path: Path) -> None:
    training = load_plugin(SOURCE / "training.py")
    config = dict(load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS))
    config |= {"quadratics.runs": 3, "quadratics.steps": (0, 7), "quadratics.horizons": (7,), "device": "cpu"}
    single = training.adam(config, Pieces(tmp_path, "test"), 0.1)["single"]["7"]
    optimizees = load_plugin(SOURCE / "optimizees.py")
    family = optimizees.optimizees(config, "quadratics")["quadratics"]()
    draw = optimizees.test_draw(family, 3, 7, TEST_SEED)
    batch = draw.batches(0)
    for place in range(3):
        x = draw.starts[place].clone().requires_grad_()
        other = torch.optim.Adam([x], lr=0.1)
        W, y = batch["matrix"][place], batch["target"][place]
        for _ in range(7):
            other.zero_grad()
            ((W @ x - y) ** 2).sum().backward()
            other.step()
        after = float(((W @ x.detach() - y) ** 2).sum())
        assert single[place] == pytest.approx(after, rel=1e-4)  # 7 steps, float32
        assert single[place] != pytest.approx(float(y @ y), rel=1e-2)  # planted: the loss at the start, x_0 near 0


def test_test_problems_are_the_same_for_every_count() -> None:
    optimizees = load_plugin(SOURCE / "optimizees.py")
    config = {**load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS), "device": "cpu"}
    family = optimizees.optimizees(config, "quadratics")["quadratics"]()
    few, many = optimizees.test_draw(family, 2, 1, 5), optimizees.test_draw(family, 5, 1, 5)
    assert torch.equal(few.starts, many.starts[:2])
    assert torch.equal(few.batches(0)["matrix"], many.batches(0)["matrix"][:2])
    assert not torch.equal(many.starts[0], many.starts[1])


def test_images_held_out_are_not_those_of_training() -> None:
    optimizees = load_plugin(SOURCE / "optimizees.py")
    config = {**load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS), "device": "cpu"}
    families = optimizees.optimizees(config, "digits")
    trained, held = (families[name]().problem.data for name in ("softmax 16-10", "unseen images"))
    assert (len(trained), len(held)) == (1297, 500)
    seen = {tuple(image.flatten().tolist()) for image in trained.features}
    shared = sum(tuple(image.flatten().tolist()) in seen for image in held.features)
    assert shared <= 2  # pooled to 16 pixels two different images may agree
    counts = {name: sum(leaf.numel() for leaf in make().problem.init().values()) for name, make in families.items()}
    assert list(counts.values()) == [170, 170, 650, 550, 280]
    assert torch.equal(optimizees.training_family(config, "digits").problem.data.features, trained.features)


def test_level_for_another_test_set_is_read_off_the_reference_optimizers() -> None:
    """Where a level is an affine function of the reference levels, the prediction is exact on any set."""
    test_sets = load_plugin(SOURCE / "test_sets.py")
    random = np.random.default_rng(0)
    hardness = random.normal(size=(50, 2))
    told = np.array([2.0, 1.0])
    value, rest = test_sets.predicted(hardness, 0.5 + hardness @ np.array([0.3, 0.6]), told)
    assert (value, rest) == pytest.approx((0.5 + 0.6 + 0.6, 0.0), abs=1e-12)
    assert value != pytest.approx(0.5)  # planted: the mean level, as if all sets were equally hard
    noisy = 0.5 + hardness @ np.array([0.3, 0.6]) + 0.1 * random.normal(size=50)
    assert 0.07 < test_sets.predicted(hardness, noisy, told)[1] < 0.13  # 0.1, of 47 degrees of freedom
    near, far = np.zeros(2), np.array([9.0, 9.0])
    assert test_sets.farther(hardness, near) > 0.9
    assert test_sets.farther(hardness, far) == 0


def test_recipes_are_those_of_the_released_programs() -> None:
    arms = load_plugin(SOURCE / "arms.py")
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS)
    made = {arm: arms.recipe(config, "digits", arm, torch.device("cpu")) for arm in arms.ARMS}
    assert made["plain"].curriculum.horizons == made["il"].curriculum.horizons == (100,)
    assert made["aug"].curriculum.horizons == (500,)
    assert made["cl"].curriculum.horizons == (100, 200, 500, 1000, 1500, 2000, 2500, 3000)
    imitations = {arm: recipe.imitation for arm, recipe in made.items() if recipe.imitation is not None}
    shares = {arm: imitation.probability for arm, imitation in imitations.items()}
    assert shares == {"il": (0.3,), "clil": (0.0, 0.1, 0.3), "rnnprop-clil": (0.3,), "scale-clil": (0.1,)}
    scale, rnnprop = made["scale-clil"], made["rnnprop-clil"]
    assert (scale.optimizer, scale.loss.kind, scale.clip, scale.curriculum.period, scale.runs) == (
        "rmsprop", "normalised", 1e4, 1, 5
    )  # fmt: skip
    assert (rnnprop.optimizer, rnnprop.loss.kind, rnnprop.clip, rnnprop.curriculum.period, rnnprop.runs) == (
        "adam", "sum", None, 10, 20
    )  # fmt: skip
    assert [arm for arm, recipe in made.items() if recipe.same_tasks] == ["clsame"]


def test_mnist_needs_its_files_and_runs_on_them(tmp_path: Path) -> None:
    """Three meta-updates on files of the right format; without them the message says which are missing."""
    copy = copied(tmp_path)
    config = copy / "config.toml"
    text = config.read_text().replace('names = ["quadratics", "digits"]', 'names = ["mnist"]')
    text += (
        'mnist.arms = ["plain"]\nmnist.updates = 3\nmnist.judged = 1\nmnist.seeds = 2\nmnist.runs = 2\n'
        "mnist.transfer_runs = 2\nmnist.horizons = [2]\nmnist.steps = [0, 2]\nmnist.batch = 4\n"
        f'mnist.folder = "{tmp_path}"\nmnist.cifar = "{tmp_path}"\n'
    )
    config.write_text(text)
    expected = (copy / "expected.toml").read_text()
    expected = expected.replace("quadratics.adam0.1.N=10.over_adam", "mnist.Adam.N=2.diverged")
    (copy / "expected.toml").write_text(expected.replace("Adam relative to itself", "runs that diverge"))
    with pytest.raises(InputError, match="lacks train-images-idx3-ubyte or"):
        reproduce(str(copy), out=tmp_path / "out", quick=True)
    _write_images(tmp_path)
    result = reproduce(str(copy), out=tmp_path / "out", quick=True)
    for optimizee in ("mlp", "mlp-relu", "mlp-deeper", "conv-mnist", "conv-cifar"):
        assert math.isfinite(result.numbers[f"mnist.on {optimizee}.plain_minus_Adam.N=2"])


def _write_images(folder: Path) -> None:
    """Twenty images of MNIST and of CIFAR-10 in their formats, all pixels at random."""
    random = np.random.default_rng(0)
    labels = bytes(k % 10 for k in range(20))
    for stem in ("train", "t10k"):
        head = bytes((0, 0, 8, 3)) + struct.pack(">3I", 20, 28, 28)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(head + random.bytes(20 * 784))
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(bytes((0, 0, 8, 1)) + struct.pack(">I", 20) + labels)
    (folder / "test_batch.bin").write_bytes(b"".join(labels[k : k + 1] + random.bytes(3072) for k in range(20)))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"il", "clil"]', '"ill"]', "quadratics.arms has 'ill'"),
        ('arms = ["plain", ', "arms = [", "lacks plain"),
        ('names = ["quadratics", "digits"]', 'names = ["digit"]', "tasks.names has 'digit'"),
        ("steps = [0, 5, 10, 20, 40]", "steps = [0, 5, 10]", "quadratics.steps lacks 40"),
        ("block = 4", "block = 8", "multiple of quadratics.block"),
        ("adam.rates = [0.1, 0.3]", "adam.rates = [0.2]", r"lacks adam.reference"),
        ('device = "auto"', 'device = "gpu"', "device must be auto, cpu or cuda"),
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


@pytest.mark.parametrize(("task", "file"), [("quadratics", "_quadratics.py"), ("digits", "_softmax.py")])
def test_committed_levels_are_those_of_this_configuration(task: str, file: str) -> None:
    """What the claims read is what a run wrote: same parameters, all meta-seeds."""
    record = load_plugin(plugin_folder("proofs_checks") / "training" / file).RECORD
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS)
    sections = {name.partition(".")[0] for name in record["config"]}
    assert {"seed", "training", "lstm", "plain", "cl", "il", "rivals", task} <= sections
    own = {name: value for name, value in config.items() if name.partition(".")[0] in sections}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
    assert {**plain, f"{task}.arms": record["config"][f"{task}.arms"]} == record["config"]
    assert {"plain", "cl", "clil"} <= set(record["config"][f"{task}.arms"])
    run = load_plugin(plugin_folder("proofs_checks") / "training" / "_recorded.py").Recorded(record, task, "")
    for arm in record["config"][f"{task}.arms"]:
        for horizon in config[f"{task}.horizons"]:
            levels = run.levels(arm, horizon)
            assert len(levels) == config[f"{task}.seeds"]
            assert np.mean(levels) == pytest.approx(record["numbers"][f"{task}.{arm}.N={horizon}"], abs=1e-12)
            assert run.paired(arm, arm, horizon) == [0.0] * config[f"{task}.seeds"]
            rival = record["numbers"][f"{task}.Adam.N={horizon}"]
            assert run.paired(arm, "Adam", horizon) == pytest.approx([level - rival for level in levels])


def test_the_test_of_the_claims_is_student_s() -> None:
    claims = load_plugin(plugin_folder("proofs_checks") / "training" / "_recorded.py")
    values = [-0.3, -0.1, -0.25]
    found, expected = claims.tested(values), student_interval(values)
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((expected.value, expected.low, expected.high))
    assert found["p"] == pytest.approx(one_sided_p(values))
    assert found["p"] < 0.05 < claims.tested([-0.3, 0.2, -0.1])["p"]  # planted: differences of both signs


@pytest.mark.slow
@pytest.mark.timeout(1800)  # four meta-trainings of 1500 updates, 50 s each on a core of its own, and their tests
def test_the_quadratics_at_full_length_meet_their_predictions_and_the_committed_levels(tmp_path: Path) -> None:
    """Other versions and processors round otherwise, and 1500 meta-updates amplify that: only statistics agree."""
    copy = shutil.copytree(SOURCE, tmp_path / "training_techniques", ignore=shutil.ignore_patterns("__pycache__"))
    config, arms = copy / "config.toml", ("plain", "cl")
    text = config.read_text().split("[quick]")[0].replace('names = ["quadratics", "digits"]', 'names = ["quadratics"]')
    for old, new in (
        ('arms = ["plain", "aug", "cl", "clsame", "il", "clil"]', f"arms = {json.dumps(arms)}"),
        ("seeds = 4 ", "seeds = 2 "),
        ("transfer_runs = 64 ", "transfer_runs = 2 "),
        ("refine = 2 ", "refine = 0 "),
    ):
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    kept = [part for part in (copy / "expected.toml").read_text().split("\n\n") if _is_about(part, arms)]
    assert len(kept) > 8
    (copy / "expected.toml").write_text("\n\n".join(kept))
    result = reproduce(str(copy), out=tmp_path / "out")
    assert {c.expectation.quantity: c.measured for c in result.comparisons if c.outcome != "met"} == {}
    committed = load_plugin(plugin_folder("proofs_checks") / "training" / "_quadratics.py").RECORD["numbers"]
    for arm in arms:
        name = f"quadratics.{arm}.N=1000"
        spread = math.hypot(committed[f"{name}.sd"], result.numbers[f"{name}.sd"])
        assert abs(committed[name] - result.numbers[name]) <= 4 * max(spread, 0.05)


def _is_about(prediction: str, arms: tuple[str, ...]) -> bool:
    """Whether a part of expected.toml speaks of these arms on the quadratics, or of Adam there."""
    found = re.search(r'quantity = "quadratics\.([a-z]+)(\S*)"', prediction)
    return found is not None and found.group(1) in (*arms, "adam", "farther") and "_minus_" not in found.group(2)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # all arms on all tasks: five minutes on a core of its own
def test_the_quick_run_meets_its_predictions(tmp_path: Path) -> None:
    quick = reproduce("training_techniques", out=tmp_path, quick=True)
    assert {c.expectation.quantity: c.measured for c in quick.comparisons if c.outcome == "not met"} == {}
    assert any(c.outcome == "met" for c in quick.comparisons)
