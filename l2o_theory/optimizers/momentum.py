"""Heavy ball and Nesterov's method, with the velocity that carries the step size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from l2o_theory.optimizers.hyperparameters import as_tensors, decayed, read, zeros
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped

_DEFAULTS = {"step_size": None, "momentum": 0.9, "weight_decay": 0.0}


def _meta(
    step_size: float, momentum: float, weight_decay: float, dtype: torch.dtype, device: torch.device | str | None
) -> dict[str, Tensor]:
    return as_tensors({"step_size": step_size, "momentum": momentum, "weight_decay": weight_decay}, dtype, device)


def _velocity(params: Params, grads: Params, state: State, h: dict[str, Tensor]) -> Params:
    velocity: Params = mapped(lambda v, g: h["momentum"] * v - h["step_size"] * g, state["velocity"], grads)
    return velocity


@dataclass(frozen=True)
class HeavyBall:
    """v' = momentum v - step_size (g + weight_decay x),  x' = x + v',  v_0 = 0   (Polyak's heavy ball).

    Same iterates as torch.optim.SGD(momentum=...) as long as the step size is constant. torch keeps v without the
    step size, so the two differ when the step size changes between steps, and in what a truncated meta-gradient
    leaves out: here the detached velocity takes its dependence on the step size with it.
    """

    is_coordinatewise: ClassVar[bool] = True

    def meta(
        self,
        step_size: float = 0.01,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Meta-parameters as tensors; what is left out of `meta` in `update` has these defaults, but for step_size."""
        return _meta(step_size, momentum, weight_decay, dtype, device)

    def init(self, params: Params) -> State:
        """{"velocity": 0}."""
        return {"velocity": zeros(params)}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step."""
        h = read(meta, _DEFAULTS)
        velocity = _velocity(params, decayed(params, grads, h["weight_decay"]), state, h)
        return mapped(torch.add, params, velocity), {"velocity": velocity}


@dataclass(frozen=True)
class Nesterov:
    """v' = momentum v - step_size d,  x' = x + momentum v' - step_size d,  d = g + weight_decay x,  v_0 = 0.

    Nesterov's accelerated gradient written in the points where gradients are taken, so that g is the gradient at x.
    Same iterates as torch.optim.SGD(nesterov=True) for a constant step size; see `HeavyBall` for a changing one.
    """

    is_coordinatewise: ClassVar[bool] = True

    def meta(
        self,
        step_size: float = 0.01,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Meta-parameters as tensors; what is left out of `meta` in `update` has these defaults, but for step_size."""
        return _meta(step_size, momentum, weight_decay, dtype, device)

    def init(self, params: Params) -> State:
        """{"velocity": 0}."""
        return {"velocity": zeros(params)}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step."""
        h = read(meta, _DEFAULTS)
        grads = decayed(params, grads, h["weight_decay"])
        velocity = _velocity(params, grads, state, h)
        moved = mapped(lambda x, v, g: x + h["momentum"] * v - h["step_size"] * g, params, velocity, grads)
        return moved, {"velocity": velocity}
