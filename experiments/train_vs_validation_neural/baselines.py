"""SGD and Adam with the step size that does best on validation data, tuned with the samples that tbv has."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor
from torch.func import vmap

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.window import losses_and_gradients, started, stepped
from l2o_theory.optimizers import Adam, GradientDescent

_beside = Path(__file__)
_setting, _meta_test = (load_plugin(_beside.with_name(f"{name}.py")) for name in ("setting", "meta_test"))
RULES = {"sgd": GradientDescent(), "adam": Adam()}
_SEED = 7_16495  # of the tasks for tuning


def tuned(
    config: Configuration, pieces: Pieces, setting: Any, name: str, everything: bool, noise: float
) -> dict[str, Any]:
    """Curves on the test tasks, with `rate` and the validation losses of all step sizes."""
    rule, place = RULES[name], setting.test.labels.device
    rates = list(config[f"baselines.{name}"])

    def compute() -> dict[str, Any]:
        losses = [_validation_loss(config, setting, name, rate, everything, noise) for rate in rates]
        rate = rates[losses.index(min(losses))]
        meta = rule.meta(rate, dtype=torch.float32, device=place)
        found = _meta_test.curves(config, setting, rule, meta, everything=everything, noise=noise)
        return {**found, "rate": rate, "validation_losses": losses}

    key = {**_setting.key(config, "tasks", "test", "baselines"), "all": everything, "noise": noise, "rule": name}
    return dict(pieces.get(name, key, compute))


def _validation_loss(
    config: Configuration, setting: Any, name: str, rate: float, everything: bool, noise: float
) -> float:
    """Mean over `baselines.tasks` tasks after `test.horizon` steps; infinite if it is not finite."""
    rule, steps = RULES[name], config["test.horizon"]
    family = setting.family(config, everything=everything, doubled=False, held_out=True, noise=noise)
    draw = family.draw(config["baselines.tasks"], steps, Generator().manual_seed(_SEED))
    params: Any = draw.starts
    state, meta = started(rule, params), rule.meta(rate, dtype=torch.float32, device=setting.test.labels.device)
    for step in range(steps):
        _, gradients = losses_and_gradients(setting.problem, params, draw.batches(step), connected=False)
        with torch.no_grad():
            params, state = stepped(rule, params, gradients, state, meta)
    with torch.no_grad():
        losses: Tensor = vmap(setting.problem.loss)(params, draw.validation(0))
    value = float(losses.mean())
    return value if math.isfinite(value) else math.inf
