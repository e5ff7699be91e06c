"""Recipe files: a whole meta-training in one TOML file.

    seed = 0                          # of everything random
    device = "cpu"                    # or "cuda"
    dtype = "float32"                 # or "float64", the default

    [optimizer]
    name = "l2o_dm"                   # or rnnprop, l2o_scale, mlp, math_l2o; with the options of its class
    weights = "trained.safetensors"   # to go on from; untrained ones if left out

    [tasks]
    name = "digits"                   # or quadratics (dimension, start_std), mnist, cifar10 (data = "FOLDER")
    pool = 2
    network = "mlp"                   # or conv (channels = [8, 16])
    hidden = [20]
    activation = "sigmoid"
    start_std = 0.01                  # 1/sqrt(fan_in) if left out
    batch = 128
    held_out = 500                    # samples for a meta-loss on validation data
    subset = 200                      # left out: tasks share all samples; else so many per task, beside held_out
    label_noise = 0.2                 # of the subset
    random_scaling = 3.0              # width of the augmentation; none if left out

    [training]                        # what is left out is as in `Recipe`
    updates = 1500
    tasks = 8
    window = 20
    meta_optimizer = "adam"           # or rmsprop
    rate = 0.001
    clip = 10.0
    non_finite = "skip"               # or zero
    estimator = "backprop"            # or es, pes, with sigma = 0.01 and pairs = 16

    [loss]
    kind = "sum"                      # or mean, final, log, normalised
    data = "batches"                  # or training, validation

    [curriculum]
    horizons = [100, 200, 500]        # one alone: no curriculum
    period = 10                       # epochs between evaluations
    released = false                  # true: end where the released program fails with an index error

    [lengths]                         # left out: episodes of N_i steps; else drawn at random, see `RandomLengths`
    least_windows = 10

    [imitation]                       # left out: none
    teachers = [{ name = "adam", step_size = 0.1 }]
    shares = [0.0, 0.1, 0.3]          # of the epochs, per stage

Paths are relative to the file. A key that does not exist is refused, never ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError, near_misses
from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.episode_lengths import RandomLengths
from l2o_theory.metatraining.evolution import Evolution, EvolutionKind
from l2o_theory.metatraining.imitation import Imitation, Teacher
from l2o_theory.metatraining.meta_loss import JudgingData, LossKind, MetaLoss
from l2o_theory.metatraining.meta_optimizer import NonFinite, OptimizerName
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.recipe_table import Table
from l2o_theory.metatraining.task_catalogue import Arithmetic, build_family
from l2o_theory.metatraining.tasks import TaskFamily
from l2o_theory.optimizers.catalogue import HAND_WRITTEN, LEARNED
from l2o_theory.optimizers.learned.weights_file import load_weights
from l2o_theory.optimizers.rule import UpdateRule

_SECTIONS = ("optimizer", "tasks", "training", "loss", "curriculum", "lengths", "imitation")
_ELSEWHERE = ("curriculum", "lengths", "loss", "imitation", "optimizer", "non_finite", "evolution")
"""Fields of `Recipe` with tables of their own, or with names to choose from."""

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything that `meta_train` needs.

    Attributes:
        optimizer: the name of the rule.
        rule: the optimizer.
        tasks: the name of the family.
        family: of tasks.
        weights: phi to start from.
        recipe: how to train.
        seed: of everything random.
        device: where it is computed.
    """

    optimizer: str
    rule: UpdateRule
    tasks: str
    family: TaskFamily
    weights: dict[str, Tensor]
    recipe: Recipe
    seed: int
    device: str


def load_recipe(
    path: Path | str, *, seed: int | None = None, device: str | None = None, dtype: str | None = None
) -> Setup:
    """Read a recipe file and build what it describes.

    Args:
        path: the TOML file, see the module.
        seed, device, dtype: replace those of the file.

    Raises:
        InputError: a missing or broken file, an unknown key or name (near misses are named), a value of the wrong type
            or out of range, data or weights that are not there, a device that torch does not have. The message begins
            with the file and the table.
    """
    top = Table.read(Path(path))
    own = top.integer("seed", 0, least=0)
    own_device, own_dtype = top.text("device", "cpu"), top.choice("dtype", _DTYPES, "float64")
    place, kind = device or own_device, dtype or own_dtype
    sections = {name: top.table(name) for name in _SECTIONS}
    top.finish(inside=False)  # a misspelt table is told as such, not as one that lacks its keys
    if kind not in _DTYPES:
        raise InputError(f"no dtype {kind!r}; {near_misses(kind, _DTYPES)}")
    seed, arithmetic = own if seed is None else seed, Arithmetic(_DTYPES[kind], place)
    with top.naming():
        _require_device(arithmetic.device)
    recipe = _recipe(sections, arithmetic)
    rule, weights = _optimizer(sections["optimizer"], arithmetic, seed)
    family = build_family(sections["tasks"], arithmetic, seed)
    top.finish()
    names = {section: sections[section].text("name") for section in ("optimizer", "tasks")}
    return Setup(
        names["optimizer"], rule, names["tasks"], family, weights, recipe, seed, arithmetic.device
    )  # fmt: skip


def _recipe(sections: dict[str, Table], arithmetic: Arithmetic) -> Recipe:
    training, loss = sections["training"], sections["loss"]
    values = training.arguments(Recipe, but=_ELSEWHERE)
    kind = loss.choice("kind", get_args(LossKind), "sum")
    data = loss.choice("data", get_args(JudgingData), "batches")
    curriculum = _curriculum(sections["curriculum"])
    imitation, lengths = _imitation(sections["imitation"], arithmetic), _lengths(sections["lengths"])
    optimizer = training.choice("meta_optimizer", get_args(OptimizerName), "adam")
    non_finite = training.choice("non_finite", get_args(NonFinite), "skip")
    with training.naming():
        return Recipe(
            curriculum, lengths=lengths, loss=MetaLoss(kind, data), imitation=imitation, optimizer=optimizer,
            non_finite=non_finite, evolution=_evolution(training), **values,
        )  # fmt: skip


def _lengths(table: Table) -> RandomLengths | None:
    if not table.is_given:
        return None
    with table.naming():
        return RandomLengths(**table.arguments(RandomLengths))


def _evolution(training: Table) -> Evolution | None:
    kind = training.choice("estimator", ("backprop", *get_args(EvolutionKind)), "backprop")
    options = training.arguments(Evolution, but=("kind",))
    if kind == "backprop":
        if options:
            given = " and ".join(options)
            raise InputError(f'{given} belong to the estimators "es" and "pes"; set estimator, or leave them out')
        return None
    return Evolution(kind, **options)


def _curriculum(table: Table) -> Curriculum:
    horizons = table.integers("horizons", least=1)
    period, least = table.integer("period", 10, least=1), table.integer("least", 3, least=1)
    with table.naming():
        return Curriculum(horizons, period, least, ends_early=table.flag("released", False))


def _imitation(table: Table, arithmetic: Arithmetic) -> Imitation | None:
    if not table.is_given:
        return None
    teachers, shares = [], table.numbers("shares")
    for entry in table.tables("teachers"):
        rule = HAND_WRITTEN[entry.choice("name", HAND_WRITTEN)]()
        numbers = entry.arguments(rule.meta)
        entry.number("step_size", 1.0, above=0)  # the rules take any number
        with entry.naming():
            teachers.append(Teacher(rule, rule.meta(**numbers, dtype=arithmetic.dtype, device=arithmetic.device)))
    with table.naming():
        return Imitation(tuple(teachers), shares)


def _optimizer(table: Table, arithmetic: Arithmetic, seed: int) -> tuple[UpdateRule, dict[str, Tensor]]:
    kind = LEARNED[table.choice("name", LEARNED)]
    options = table.arguments(kind, but=("once",))  # how derivatives are computed, which `advance` decides
    file = table.text("weights", None)
    with table.naming():
        rule = kind(**options)
        # drawn on the processor: the same weights on every device
        drawn = rule.meta(Generator().manual_seed(seed), dtype=arithmetic.dtype)
        weights = drawn if file is None else load_weights(table.path.parent / Path(file).expanduser(), rule, drawn)
    return rule, {name: weight.to(arithmetic.device, arithmetic.dtype) for name, weight in weights.items()}


def _require_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # torch built without CUDA asserts
        raise InputError(f'device {device!r} is not available to torch here; use "cpu"') from None
