"""Recipe files: what they build, and what they refuse, with the file, the table and the remedy in the message."""

from __future__ import annotations

import gzip
import re
import struct
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.metatraining import recipe_file
from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.episode_lengths import RandomLengths
from l2o_theory.metatraining.evolution import Evolution
from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.metatraining.meta_training import meta_train
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.recipe_file import load_recipe
from l2o_theory.metatraining.subset_tasks import SubsetTasks
from l2o_theory.metatraining.task_catalogue import FAMILIES
from l2o_theory.metatraining.tasks import MinibatchTasks, QuadraticTasks, RandomScaling
from l2o_theory.optimizers.catalogue import HAND_WRITTEN, LEARNED
from l2o_theory.optimizers.learned import L2OScale, LSTMRule, MLPOptimizer, RNNprop, save_weights
from l2o_theory.problems import MLP, Classification, ConvNet, NormalisedConvNet, RandomQuadratics

PLAIN = """
[optimizer]
name = "l2o_dm"
hidden = 6
[tasks]
name = "quadratics"
dimension = 3
[training]
updates = 4
tasks = 2
window = 5
[curriculum]
horizons = [10]
"""

WHOLE = """
seed = 7
dtype = "float32"
[optimizer]
name = "l2o_dm"
hidden = 6
layers = 1
output_scale = "1/50"
[tasks]
name = "digits"
pool = 4
hidden = []
activation = "tanh"
start_std = 0.01
batch = 32
held_out = 200
random_scaling = 2
[training]
updates = 40
tasks = 3
window = 4
rate = 0.01
meta_optimizer = "rmsprop"
clip = 5
non_finite = "zero"
order = 2
runs = 6
same_tasks = true
skips = 3
estimator = "pes"
sigma = 0.02
pairs = 5
[loss]
kind = "log"
data = "validation"
[curriculum]
horizons = [8, 16, 32]
period = 2
least = 4
released = true
[imitation]
shares = [0, 0.5]
teachers = [{ name = "adam", step_size = 0.1, beta1 = 0.8 }, { name = "momentum", step_size = 0.02 }]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return tmp_path / "recipe.toml"


def test_every_key_arrives(recipe: Path) -> None:
    recipe.write_text(WHOLE)
    setup = load_recipe(recipe)
    assert setup.rule == LSTMRule(hidden=6, layers=1, output_scale=0.02)
    assert (setup.optimizer, setup.tasks, setup.seed, setup.device) == ("l2o_dm", "digits", 7, "cpu")
    assert {weight.dtype for weight in setup.weights.values()} == {torch.float32}
    drawn = setup.rule.meta(torch.Generator().manual_seed(7), dtype=torch.float32)
    assert all(torch.equal(setup.weights[name], weight) for name, weight in drawn.items())
    family = setup.family
    assert isinstance(family, RandomScaling)
    assert family.width == 2.0
    inner = family.family
    assert isinstance(inner, MinibatchTasks)
    assert inner.problem.network == MLP((4, 10), activation="tanh", std=0.01)
    assert inner.held_out is not None
    assert (len(inner.held_out), len(inner.problem.data), inner.size) == (200, 1597, 32)
    made = setup.recipe
    assert made.curriculum == Curriculum((8, 16, 32), 2, 4, ends_early=True)
    assert made.loss == MetaLoss("log", "validation")
    assert made.evolution == Evolution("pes", 0.02, 5)
    plain = ("updates", "tasks", "window", "rate", "optimizer", "clip", "non_finite", "order", "runs", "same_tasks")
    assert [getattr(made, name) for name in plain] == [40, 3, 4, 0.01, "rmsprop", 5.0, "zero", 2, 6, True]
    assert made.skips == 3
    assert made.imitation is not None
    assert made.imitation.probability == (0.0, 0.5)
    assert [type(t.rule).__name__ for t in made.imitation.teachers] == ["Adam", "HeavyBall"]
    assert [float(made.imitation.teachers[0].meta[n]) for n in ("step_size", "beta1", "beta2")] == pytest.approx(
        [0.1, 0.8, 0.999], rel=1e-6
    )


def test_the_file_in_the_documentation_is_one(recipe: Path) -> None:
    """Less what excludes each other: random lengths beside several horizons, weights that are not there."""
    assert recipe_file.__doc__ is not None
    whole = "\n".join(line for line in recipe_file.__doc__.splitlines() if line.startswith("    "))
    text = re.sub(r"(?m)^ *(weights = .*|\[lengths\].*|least_windows = .*)$", "", whole)
    assert len(text) < len(whole)
    recipe.write_text(text)
    made = load_recipe(recipe)
    assert (made.recipe.updates, made.optimizer, made.tasks) == (1500, "l2o_dm", "digits")
    recipe.write_text(text.replace("[training]", "[training]\nspeed = 1"))  # planted: a key that is not there
    with pytest.raises(InputError, match="unknown key 'speed'"):
        load_recipe(recipe)


def test_what_is_left_out_is_as_in_recipe(recipe: Path) -> None:
    recipe.write_text(PLAIN)
    setup = load_recipe(recipe)
    expected = Recipe(Curriculum((10,), period=10), updates=4, tasks=2, window=5)
    assert all(getattr(setup.recipe, entry.name) == getattr(expected, entry.name) for entry in fields(Recipe))
    assert setup.family == QuadraticTasks(RandomQuadratics(3, device="cpu"))
    assert setup.seed == 0
    trained = meta_train(setup.rule, setup.family, setup.weights, setup.recipe, seed=setup.seed)
    assert trained.updates == 4


def test_arguments_replace_what_the_file_says(recipe: Path) -> None:
    recipe.write_text('seed = 5\ndevice = "warp"\ndtype = "float64"\n' + PLAIN)  # no such device: unless it is replaced
    setup = load_recipe(recipe, seed=6, dtype="float32", device="cpu")
    assert (setup.seed, setup.device) == (6, "cpu")
    assert setup.weights["linear.weight"].dtype == torch.float32
    recipe.write_text("seed = 5\n" + PLAIN)
    assert not torch.equal(
        setup.weights["linear.weight"], load_recipe(recipe, dtype="float32").weights["linear.weight"]
    )


@pytest.mark.parametrize(("name", "kind"), [("rnnprop", RNNprop), ("l2o_scale", L2OScale), ("mlp", MLPOptimizer)])
def test_the_other_optimizers_train(recipe: Path, name: str, kind: type) -> None:
    recipe.write_text(PLAIN.replace("l2o_dm", name).replace("hidden = 6", ""))
    setup = load_recipe(recipe)
    assert isinstance(setup.rule, kind)
    assert meta_train(setup.rule, setup.family, setup.weights, setup.recipe).updates == 4


def test_math_l2o_needs_its_step_size(recipe: Path) -> None:
    text = PLAIN.replace("l2o_dm", "math_l2o")
    recipe.write_text(text)
    with pytest.raises(InputError, match=r"recipe.toml: \[optimizer\] lacks 'step_size', a number"):
        load_recipe(recipe)
    recipe.write_text(text.replace("hidden = 6", "hidden = 6\nstep_size = 0.01\naccelerate = true\nstate_seed = 3"))
    setup = load_recipe(recipe)
    assert meta_train(setup.rule, setup.family, setup.weights, setup.recipe).updates == 4


def test_random_lengths(recipe: Path) -> None:
    recipe.write_text(PLAIN + "[lengths]\nleast_windows = 2\nmore_windows = 0\nleast_steps = 3\nmore_steps = 0\n")
    assert load_recipe(recipe).recipe.lengths == RandomLengths(2, 0.0, 3, 0.0)
    recipe.write_text(PLAIN + "[lengths]\n")
    assert load_recipe(recipe).recipe.lengths == RandomLengths()  # an empty table is not the same as none


def test_trained_weights_to_go_on_from(recipe: Path) -> None:
    rule = LSTMRule(hidden=6)
    trained = rule.meta(torch.Generator().manual_seed(99))
    save_weights(recipe.parent / "trained.safetensors", rule, trained)
    text = PLAIN.replace("hidden = 6", 'hidden = 6\nweights = "trained.safetensors"')
    recipe.write_text(text)
    assert torch.equal(load_recipe(recipe).weights["linear.weight"], trained["linear.weight"])
    recipe.write_text(text.replace("hidden = 6", "hidden = 8"))
    with pytest.raises(InputError, match=r"\[optimizer\] .*build it as it was saved"):
        load_recipe(recipe)


def write_mnist(folder: Path, *, images: int = 20) -> None:
    """A folder in MNIST's format with so many samples."""
    pixels = bytes(range(256)) * (images * 784 // 256 + 1)
    content = struct.pack(">4B3I", 0, 0, 8, 3, images, 28, 28) + pixels[: images * 784]
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    labels = struct.pack(">4BI", 0, 0, 8, 1, images) + bytes(k % 10 for k in range(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)


def test_images_from_a_folder_beside_the_recipe(recipe: Path) -> None:
    (recipe.parent / "images").mkdir()
    text = PLAIN.replace('name = "quadratics"\ndimension = 3', 'name = "mnist"\ndata = "images"\nbatch = 5')
    recipe.write_text(text)
    with pytest.raises(InputError, match=r"\[tasks\] .*images lacks train-images-idx3-ubyte or .*gz, train-labels"):
        load_recipe(recipe)
    write_mnist(recipe.parent / "images")
    family = load_recipe(recipe).family
    assert isinstance(family, MinibatchTasks)
    assert family.problem.network == MLP((784, 20, 10))
    for network, expected in [
        ('network = "conv"\nchannels = [2]', ConvNet((1, 2), 28, 10)),
        ('network = "normalised_conv"', NormalisedConvNet(1, 28, 1)),
    ]:
        recipe.write_text(text.replace("batch = 5", f"batch = 5\n{network}"))
        family = load_recipe(recipe).family
        assert isinstance(family, MinibatchTasks)
        assert isinstance(family.problem, Classification)
        assert family.problem.network == expected


def test_a_subset_per_task(recipe: Path) -> None:
    tasks = 'name = "digits"\npool = 4\nbatch = 10\nhidden = []\nsubset = 50\nheld_out = 30\nlabel_noise = 0.2'
    text = PLAIN.replace('name = "quadratics"\ndimension = 3', tasks) + '[loss]\nkind = "mean"\ndata = "training"\n'
    recipe.write_text(text)
    setup = load_recipe(recipe)
    assert isinstance(setup.family, SubsetTasks)
    assert (setup.family.training, setup.family.validation, setup.family.size, setup.family.noise) == (50, 30, 10, 0.2)
    assert meta_train(setup.rule, setup.family, setup.weights, setup.recipe).updates == 4
    for old, new, words in [
        ("batch = 10", "batch = 60", "wanted 1 <= size <= training"),
        ("subset = 50\n", "", "label_noise is that of a subset"),
        ("label_noise = 0.2", "label_noise = 2", "must lie in"),
    ]:
        recipe.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=rf"\[tasks\] .*{words}"):
            load_recipe(recipe)


BAD = [
    ('"l2o_dm"', '"l2o_md"', "[optimizer] unknown name 'l2o_md'; did you mean l2o_dm", "known are l2o_dm, rnnprop"),
    ("hidden = 6", "hiden = 6", "[optimizer] unknown key 'hiden'; did you mean hidden?", "known are name, hidden"),
    ("hidden = 6", 'hidden = "6"', "[optimizer] hidden must be an integer, got '6'", "change it"),
    ("hidden = 6", "once = true", "[optimizer] unknown key 'once'", "known are name, hidden"),
    ("hidden = 6", "hidden = 0", "[optimizer] wanted layers >= 1", "hidden=0"),
    ("hidden = 6", 'weights = "no.safetensors"', "[optimizer] there is no weights file", "no.safetensors"),
    ("quadratics", "quadratic", "[tasks] unknown name 'quadratic'; did you mean quadratics", "mnist"),
    ("dimension = 3", "dimension = 0", "[tasks] dimension must be >= 1", "0"),
    ("dimension = 3", "pool = 2", "[tasks] unknown key 'pool'", "known are name, random_scaling, dimension"),
    ("dimension = 3", "random_scaling = -1", "[tasks] random_scaling must be a number > 0, got -1", ""),
    ("updates = 4", "update = 4", "[training] lacks 'updates', an integer", "got update, tasks, window"),
    ("updates = 4", "updates = 0", "[training] updates must be >= 1, got 0", ""),
    ("updates = 4", "updates = 4.5", "[training] updates must be an integer, got 4.5", ""),
    ("tasks = 2", "rate = nan", "[training] rate must be a number, got nan", ""),
    ("tasks = 2", "order = 3", "[training] order must be 1", "3"),
    ("tasks = 2", "same_tasks = 1", "[training] same_tasks must be true or false, got 1", ""),
    (
        "tasks = 2",
        'meta_optimizer = "adamm"',
        "[training] unknown meta_optimizer 'adamm'; did you mean adam",
        "rmsprop",
    ),
    ("tasks = 2", 'estimator = "bes"', "[training] unknown estimator 'bes'; did you mean es, pes", "backprop"),
    ("tasks = 2", "sigma = 0.1", '[training] sigma belong to the estimators "es" and "pes"', "leave them out"),
    ("tasks = 2", 'estimator = "es"\nsigma = 0', "[training] wanted sigma > 0", "0.0"),
    ("tasks = 2", 'estimator = "es"\npairs = 1', "[training] wanted sigma > 0 and pairs >= 2", "1"),
    ("[10]", "[20, 10]", "[curriculum] horizons must grow", "(20, 10)"),
    ("[10]", "10", "[curriculum] horizons must be a list of integers >= 1, got 10", ""),
    ("[10]", "[10, 0]", "[curriculum] horizons must be a list of integers >= 1", ""),
    ("[curriculum]", "[curiculum]", "recipe.toml: unknown key 'curiculum'; did you mean curriculum?", "lengths"),
    ("[optimizer]", 'dtype = "float16"\n[optimizer]', "unknown dtype 'float16'; did you mean", "float64"),
    ("[optimizer]", 'device = "warp"\n[optimizer]', "recipe.toml: device 'warp' is not available", 'use "cpu"'),
    ("[optimizer]", "seed = -1\n[optimizer]", "recipe.toml: seed must be an integer >= 0, got -1", ""),
    ("[optimizer]", "loss = 3\n[optimizer]", "recipe.toml: loss must be a table", "[loss]"),
    ("[optimizer]", '[loss]\nkind = "summ"\n[optimizer]', "[loss] unknown kind 'summ'; did you mean sum", "normalised"),
    ("[optimizer]", "[imitation]\n[optimizer]", "[imitation] lacks 'shares', a list of numbers", "got nothing"),
    (
        "[optimizer]",
        "[imitation]\nshares = [0.1]\nteachers = 3\n[optimizer]",
        "[imitation] teachers must be a list of tables such as teachers = [{ name = ... }]",
        "got 3",
    ),
    (
        "[optimizer]",
        '[imitation]\nshares = [0.1]\nteachers = [{ name = "adem", step_size = 1 }]\n[optimizer]',
        "[imitation.teachers[0]] unknown name 'adem'; did you mean adam",
        "nesterov",
    ),
    (
        "[optimizer]",
        '[imitation]\nshares = [0.1]\nteachers = [{ name = "sgd", momentum = 0.9 }]\n[optimizer]',
        "[imitation.teachers[0]] unknown key 'momentum'",
        "known are name, step_size, weight_decay",
    ),
    (
        "[optimizer]",
        '[imitation]\nshares = [1.5]\nteachers = [{ name = "adam" }]\n[optimizer]',
        "[imitation] wanted teachers and probabilities in [0, 1]",
        "1.5",
    ),
    (
        "[optimizer]",
        '[imitation]\nshares = [0.5]\nteachers = [{ name = "adam", step_size = -0.1 }]\n[optimizer]',
        "[imitation.teachers[0]] step_size must be a number > 0, got -0.1",
        "change it",
    ),
    ("[curriculum]", "[curriculum", "is not TOML", "line"),
]


@pytest.mark.parametrize(("old", "new", "words", "more"), BAD, ids=[f"{bad[1]}"[:40] for bad in BAD])
def test_what_is_refused(recipe: Path, old: str, new: str, words: str, more: str) -> None:
    assert PLAIN.count(old) == 1
    recipe.write_text(PLAIN.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_recipe(recipe)
    text = str(caught.value)
    assert text.startswith(str(recipe))
    assert words in text
    assert more in text
    recipe.write_text(PLAIN)
    load_recipe(recipe)  # and it is the change alone that was refused


def test_no_such_file_and_no_such_dtype(recipe: Path) -> None:
    with pytest.raises(InputError, match="cannot read the recipe"):
        load_recipe(recipe)
    recipe.write_text(PLAIN)
    with pytest.raises(InputError, match="no dtype 'float46'; did you mean float64"):
        load_recipe(recipe, dtype="float46")


def test_the_names_are_those_of_the_issue() -> None:
    assert {"l2o_dm", "rnnprop", "l2o_scale", "mlp"} <= set(LEARNED)
    assert {"sgd", "momentum", "adam", "rmsprop"} <= set(HAND_WRITTEN)
    assert {"quadratics", "digits", "mnist"} <= set(FAMILIES)
