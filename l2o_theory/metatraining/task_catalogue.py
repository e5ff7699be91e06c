"""Families of tasks by name, as recipes ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator

from l2o_theory.errors import InputError
from l2o_theory.metatraining.recipe_table import Table
from l2o_theory.metatraining.subset_tasks import SubsetTasks
from l2o_theory.metatraining.tasks import MinibatchTasks, QuadraticTasks, RandomScaling, TaskFamily
from l2o_theory.problems import (
    MLP,
    Classification,
    ConvNet,
    Dataset,
    Network,
    NormalisedConvNet,
    RandomQuadratics,
    load_cifar10,
    load_digits,
    load_mnist,
)


@dataclass(frozen=True)
class Arithmetic:
    """In which numbers, and where, everything is computed."""

    dtype: torch.dtype
    device: str


def build_family(table: Table, arithmetic: Arithmetic, seed: int) -> TaskFamily:
    """The family that a table [tasks] describes.

    Args:
        table: `name`, one of `FAMILIES`; the options of that family; random_scaling, a width for `RandomScaling`.
        arithmetic: dtype and device of all tasks.
        seed: of the split into training and held-out samples.

    Raises:
        InputError: an unknown name or a value that is refused.
    """
    build = FAMILIES[table.choice("name", FAMILIES)]
    width = table.number("random_scaling", None, above=0)
    with table.naming():
        family = build(table, arithmetic, seed)
        return family if width is None else RandomScaling(family, width)


def _quadratics(table: Table, arithmetic: Arithmetic, seed: int) -> TaskFamily:
    """|W x - y|^2; keys dimension and start_std."""
    options = table.arguments(RandomQuadratics)
    return QuadraticTasks(RandomQuadratics(**options, dtype=arithmetic.dtype, device=arithmetic.device))


def _digits(table: Table, arithmetic: Arithmetic, seed: int) -> TaskFamily:
    """Handwritten digits, means over squares of `pool` pixels."""
    return _networks(table, load_digits(table.integer("pool", 1), dtype=arithmetic.dtype), arithmetic, seed)


def _images(load: Callable[..., Dataset]) -> Callable[[Table, Arithmetic, int], TaskFamily]:
    """Images from the folder `data`, which may be given relative to the recipe."""

    def build(table: Table, arithmetic: Arithmetic, seed: int) -> TaskFamily:
        folder = table.path.parent / Path(table.text("data", what="the folder of its files")).expanduser()
        return _networks(table, load(folder, dtype=arithmetic.dtype), arithmetic, seed)

    return build


def _networks(table: Table, data: Dataset, arithmetic: Arithmetic, seed: int) -> TaskFamily:
    """Minibatches of `batch` samples; `held_out` samples are set aside for a meta-loss on validation data.

    With `subset`, every task has so many training samples and so many held-out ones of its own, with `label_noise`.
    """
    size, held_out = table.integer("batch", 128, least=1), table.integer("held_out", 0, least=0)
    subset, noise = table.integer("subset", None, least=1), table.number("label_noise", 0.0)
    network, validation = _network(table, data), None
    if subset is not None:
        return SubsetTasks(Classification(network, data.to(device=arithmetic.device)), subset, held_out, size, noise)
    if noise:
        raise InputError("label_noise is that of a subset per task; give subset, the number of its training samples")
    if held_out:
        validation, data = data.split(held_out, Generator().manual_seed(seed))
        validation = validation.to(device=arithmetic.device)
    return MinibatchTasks(Classification(network, data.to(device=arithmetic.device)), size, validation)


def _network(table: Table, data: Dataset) -> Network:
    """A perceptron with the widths `hidden`, or one of two convolutional nets; `activation`, `start_std`."""
    kind = table.choice("network", ("mlp", "conv", "normalised_conv"), "mlp")
    std = table.number("start_std", None, above=0)
    depth, side = data.features.shape[1:3]
    if kind == "normalised_conv":
        stride = table.integer("stride", 1, least=1)
        return NormalisedConvNet(depth, side, stride, data.classes, NormalisedConvNet.std if std is None else std)
    if kind == "conv":
        channels = table.integers("channels", (8, 16), least=1)
        return ConvNet((depth, *channels), side, data.classes, table.text("activation", "relu"), std)
    hidden = table.integers("hidden", (20,), least=1, empty=True)
    sizes = (data.features[0].numel(), *hidden, data.classes)
    return MLP(sizes, table.text("activation", "sigmoid"), std)


FAMILIES: dict[str, Callable[[Table, Arithmetic, int], TaskFamily]] = {
    "quadratics": _quadratics,
    "digits": _digits,
    "mnist": _images(load_mnist),
    "cifar10": _images(load_cifar10),
}
"""Each reads its own keys from [tasks]; see the functions."""
