"""The learned optimizers, the tasks they are meta-trained and probed on, and their short meta-training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining import Curriculum, MinibatchTasks, QuadraticTasks, Recipe, TaskFamily, meta_train
from l2o_theory.optimizers.learned import LSTMRule, MLPOptimizer, RNNprop
from l2o_theory.problems import MLP, Classification, RandomQuadratics, load_digits

OPTIMIZERS: dict[str, Any] = {"lstm": LSTMRule(), "rnnprop": RNNprop(), "mlp": MLPOptimizer()}
"""L2O-DM, RNNprop, and the perceptron that sees 31 numbers per weight; `training.rates` has this order."""

OPTIMIZEES = ("quadratics", "digits")
"""|W x - y|^2 with d = 10, x_0 near 0; a perceptron 16-10-10 with sigmoid units on the digits pooled to 4 x 4."""


def family(config: Configuration, optimizee: str, dtype: torch.dtype) -> TaskFamily:
    """Fresh tasks: a quadratic each; or fresh weights, N(0, 1/fan_in), and fresh minibatches."""
    if optimizee == "quadratics":
        return QuadraticTasks(RandomQuadratics(10, start_std=config["tasks.start_std"], dtype=dtype))
    problem = Classification(MLP((16, 10, 10)), load_digits(pool=2, dtype=dtype))
    return MinibatchTasks(problem, config["tasks.batch"])


def own_seed(config: Configuration, seed: int) -> int:
    """One number for each meta-seed of each run."""
    return 1_000_003 * int(config["seed"]) + seed


def untrained(config: Configuration, optimizer: str, seed: int) -> dict[str, Tensor]:
    """The weights that meta-seed `seed` starts from, float64."""
    weights: dict[str, Tensor] = OPTIMIZERS[optimizer].meta(Generator().manual_seed(own_seed(config, seed)))
    return weights


def trained(config: Configuration, pieces: Pieces, optimizer: str, optimizee: str, seed: int) -> dict[str, Tensor]:
    """Plain meta-training: windows of K steps, inner gradients as constants, Adam, float32; weights as float64."""
    start = untrained(config, optimizer, seed)

    def compute() -> dict[str, Any]:
        recipe = Recipe(
            Curriculum((config["training.horizon"],)),
            updates=config[f"training.{optimizee}_updates"],
            tasks=config[f"training.{optimizee}_tasks"],
            window=config["training.window"],
            rate=config["training.rates"][list(OPTIMIZERS).index(optimizer)],
            runs=config["training.judged"],
            same_tasks=True,
        )
        found = meta_train(
            OPTIMIZERS[optimizer], family(config, optimizee, torch.float32),
            {name: value.float() for name, value in start.items()}, recipe, seed=own_seed(config, seed),
        )  # fmt: skip
        return {name: value.double().flatten().tolist() for name, value in found.weights.items()}

    told = pieces.get(f"trained_{optimizer}_{optimizee}_{seed}", key(config, "training"), compute)
    return {name: torch.tensor(told[name], dtype=torch.float64).reshape(start[name].shape) for name in start}


def key(config: Configuration, *groups: str) -> dict[str, Any]:
    """The parameters that decide a piece: all of these groups, the tasks and the seed."""
    names = [name for name in config if name == "seed" or name.partition(".")[0] in ("tasks", *groups)]
    return {name: list(config[name]) if isinstance(config[name], tuple) else config[name] for name in names}
