"""Flat problems: the same losses, gradients and coordinatewise steps on one vector."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from l2o_theory.problems.flat import Flat
from l2o_theory.problems.problem import Constants

LIKE = {"w": torch.zeros(2, 3, dtype=torch.float64), "b": torch.zeros((), dtype=torch.float64)}


class Layer:
    constants = Constants(smoothness=2.0, minimiser=LIKE)

    def init(self, generator: torch.Generator | None = None) -> Any:
        draw = torch.randn(2, 3, generator=generator, dtype=torch.float64)
        return {"w": draw, "b": torch.ones((), dtype=torch.float64)}

    def loss(self, params: Any, batch: Any = None) -> torch.Tensor:
        return ((params["w"] @ batch).sum() + params["b"]) ** 2


def test_there_and_back() -> None:
    flat, params = Flat(Layer(), LIKE), Layer().init(torch.Generator().manual_seed(3))
    vector = flat.ravel(params)
    assert vector.shape == (7,)
    back = flat.unravel(vector)
    assert list(back) == ["w", "b"]  # type: ignore[arg-type]
    assert all(torch.equal(back[name], params[name]) for name in LIKE)  # type: ignore[index]
    assert torch.equal(flat.init(torch.Generator().manual_seed(3)), vector)
    assert flat.constants.smoothness == 2.0
    assert torch.equal(flat.constants.minimiser, torch.zeros(7, dtype=torch.float64))  # type: ignore[arg-type]


def test_loss_and_gradient_are_those_of_the_problem() -> None:
    flat, params = Flat(Layer(), LIKE), Layer().init()
    batch = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    gradient = torch.func.grad(flat.loss)(flat.ravel(params), batch)
    assert torch.equal(gradient, flat.ravel(torch.func.grad(Layer().loss)(params, batch)))
    assert not torch.equal(gradient, flat.ravel(torch.func.grad(Layer().loss)(params, 2 * batch)))  # planted
    with pytest.raises(RuntimeError, match="split"):
        flat.loss(torch.zeros(8, dtype=torch.float64), batch)
