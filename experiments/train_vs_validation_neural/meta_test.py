"""The meta-test: loss and accuracy of the test tasks along their training by any optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.func import vmap

from l2o_theory.figures.configuration import Configuration
from l2o_theory.metatraining.tasks import Draw
from l2o_theory.metatraining.window import losses_and_gradients, started, stepped
from l2o_theory.optimizers.rule import UpdateRule

QUANTITIES = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
_SEED = 6_16495  # of the test tasks: subsets, noise, initial weights and minibatches


def test_draw(config: Configuration, setting: Any, *, everything: bool, noise: float) -> Draw:
    """The test tasks: n samples each for every optimizer, whatever it was meta-trained on; or all data."""
    family = setting.family(config, everything=everything, doubled=False, held_out=False, noise=noise)
    draw: Draw = family.draw(config["test.runs"], config["test.steps"][-1], Generator().manual_seed(_SEED))
    return draw


def curves(
    config: Configuration, setting: Any, rule: UpdateRule, meta: dict[str, Tensor], *, everything: bool, noise: float
) -> dict[str, Any]:
    """Each of `QUANTITIES` at `test.steps`, as lists (steps, runs). Train: all training samples with their labels."""
    draw = test_draw(config, setting, everything=everything, noise=noise)
    assert draw.training is not None
    training, test = draw.training(0), setting.test_batch(config, noise)
    params, steps = draw.starts, config["test.steps"]
    state = started(rule, params)
    table: dict[str, list[list[float]]] = {name: [] for name in QUANTITIES}
    for step in range(steps[-1] + 1):
        if step in steps:
            for name, values in zip(QUANTITIES, _judged(setting.problem, params, training, test), strict=True):
                table[name].append(values.double().tolist())
        if step < steps[-1]:
            _, gradients = losses_and_gradients(setting.problem, params, draw.batches(step), connected=False)
            with torch.no_grad():
                params, state = stepped(rule, params, gradients, state, meta)
    return table


def _judged(problem: Any, params: Any, training: Any, test: Any) -> tuple[Tensor, ...]:
    """The four quantities, each of shape (runs,)."""
    with torch.no_grad():
        own = vmap(problem.loss)(params, training), vmap(problem.accuracy)(params, training)
        return *own, *(vmap(score, in_dims=(0, None))(params, test) for score in (problem.loss, problem.accuracy))
