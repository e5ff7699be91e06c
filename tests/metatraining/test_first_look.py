"""The first look: against torch.optim.Adam and a plain loop, task by task."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from l2o_theory.metatraining.first_look import first_look
from l2o_theory.metatraining.tasks import Draw, QuadraticTasks
from l2o_theory.optimizers import LSTMRule
from l2o_theory.problems import RandomQuadratics

FAMILY = QuadraticTasks(RandomQuadratics(3, start_std=0.5))
RULE = LSTMRule(hidden=3)
BEFORE, AFTER = (RULE.meta(Generator().manual_seed(seed)) for seed in (0, 1))
STEPS, TASKS = 12, 5


def look(family: Any = FAMILY) -> Any:
    generators = Generator().manual_seed(2), Generator().manual_seed(3)
    return first_look(RULE, family, BEFORE, AFTER, steps=STEPS, tasks=TASKS, generators=generators)


def test_against_a_plain_loop() -> None:
    found = look()
    draw = FAMILY.draw(TASKS, STEPS, Generator().manual_seed(2))
    task, starts = draw.batches(0), draw.starts
    assert isinstance(starts, Tensor)
    means = dict.fromkeys(("untrained", "trained", "adam"), 0.0)
    for k in range(TASKS):
        own = {name: leaf[k] for name, leaf in task.items()}
        for name, weights in (("untrained", BEFORE), ("trained", AFTER)):
            x, state = starts[k], RULE.init(starts[k])
            for _ in range(STEPS):
                gradient = 2 * own["matrix"].T @ (own["matrix"] @ x - own["target"])
                x, state = RULE.update(x, gradient, state, weights)  # type: ignore[assignment]
            means[name] += float(((own["matrix"] @ x - own["target"]) ** 2).sum()) / TASKS
        point = torch.nn.Parameter(starts[k].clone())
        optimizer = torch.optim.Adam([point], lr=found.adam_rate)
        for _ in range(STEPS):
            optimizer.zero_grad()
            ((own["matrix"] @ point - own["target"]) ** 2).sum().backward()
            optimizer.step()
        means["adam"] += float(((own["matrix"] @ point.detach() - own["target"]) ** 2).sum()) / TASKS
    for name, mean in means.items():
        assert getattr(found, name) == pytest.approx(mean, rel=1e-9)
    assert found.untrained != pytest.approx(found.trained, rel=1e-3)  # planted: the other weights
    assert found.over_adam.value == pytest.approx(math.log(found.trained / found.adam), rel=1e-9)
    assert found.over_adam.low <= found.over_adam.value <= found.over_adam.high


class Broken:
    """Tasks whose losses and gradients are NaN."""

    class problem:
        @staticmethod
        def loss(params: Tensor, batch: Any = None) -> Tensor:
            return (params * float("nan")).sum()

    def draw(self, tasks: int, steps: int, generator: Generator) -> Draw:
        return Draw(torch.zeros(tasks, 3, dtype=torch.float64), lambda step: None)


def test_where_everything_diverges_there_is_no_rival() -> None:
    found = look(Broken())
    assert (found.adam, found.adam_rate, found.over_adam) == (None, None, None)
    assert found.trained != found.trained
