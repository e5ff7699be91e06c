"""Adam, AdamW and RMSprop: steps divided by a running root mean square, with finite derivatives at zero gradients.

At a coordinate whose gradients were all zero (a pixel that is always black, a dead unit) the running square v is 0,
and the derivative of sqrt(v) there is infinite: torch's formula, unrolled, gives infinity times 0 = NaN for the whole
meta-gradient. `root` has the derivative 0 there. That is no approximation: |m| <= c sqrt(v), so the step
m/(sqrt(v) + eps) is differentiable where all gradients vanish, and its derivative is dm/eps   [derived here].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from l2o_theory.optimizers.hyperparameters import Value, as_tensors, counter, decayed, read, zeros
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped

_ADAM = {"step_size": None, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
_ADAMW = {**_ADAM, "weight_decay": 0.01}
_RMSPROP = {"step_size": None, "decay": 0.99, "eps": 1e-8, "momentum": 0.0, "weight_decay": 0.0}


def root(square: Tensor) -> Tensor:
    """sqrt(v) with the derivative 0 instead of infinity at v = 0.

    Below the least normal number t of the dtype the value is sqrt(t), 1e-154 in float64 and 1e-19 in float32.
    """
    return square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()


def average(old: Params, new: Params, beta: Value) -> Params:
    """Leaf by leaf, beta old + (1 - beta) new."""
    blend: Params = mapped(lambda a, b: beta * a + (1 - beta) * b, old, new)
    return blend


def _adaptive(params: Params, grads: Params, state: State, h: dict[str, Tensor]) -> tuple[Params, State]:
    """x - step_size m^/(sqrt(v^) + eps), and the new state."""
    step = state["step"] + 1
    mean = average(state["mean"], grads, h["beta1"])
    square = mapped(lambda v, g: h["beta2"] * v + (1 - h["beta2"]) * (g * g), state["square"], grads)
    scale = h["step_size"] / (1 - h["beta1"] ** step)
    spread = root(1 - h["beta2"] ** step)
    moved = mapped(lambda x, m, v: x - scale * (m / (root(v) / spread + h["eps"])), params, mean, square)
    return moved, {"mean": mean, "square": square, "step": step}


@dataclass(frozen=True)
class Adam:
    """m' = beta1 m + (1 - beta1) d,  v' = beta2 v + (1 - beta2) d^2,  d = g + weight_decay x,  m_0 = v_0 = 0,

        x' = x - step_size m^ / (sqrt(v^) + eps),    m^ = m'/(1 - beta1^t),  v^ = v'/(1 - beta2^t),  t = 1, 2, ...

    Values equal torch.optim.Adam; derivatives are finite also where v = 0, see the module. Kingma and Ba,
    arXiv 1412.6980.

    Example:
        >>> rule, x = Adam(), torch.tensor([1.0, -2.0], dtype=torch.float64)
        >>> rule.update(x, 2 * x, rule.init(x), rule.meta(0.5))[0]  # the first step has the size of the step size
        tensor([ 0.5000, -1.5000], dtype=torch.float64)
    """

    is_coordinatewise: ClassVar[bool] = True

    def meta(
        self,
        step_size: float = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Meta-parameters as tensors; what is left out of `meta` in `update` has these defaults, but for step_size."""
        values = {"step_size": step_size, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        return as_tensors(values, dtype, device)

    def init(self, params: Params) -> State:
        """{"mean": 0, "square": 0, "step": 0}."""
        return {"mean": zeros(params), "square": zeros(params), "step": counter(params)}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step."""
        h = read(meta, _ADAM)
        return _adaptive(params, decayed(params, grads, h["weight_decay"]), state, h)


@dataclass(frozen=True)
class AdamW:
    """Adam on g alone, after x <- (1 - step_size weight_decay) x: decay apart from the adaptive step.

    Values equal torch.optim.AdamW. Loshchilov and Hutter, arXiv 1711.05101, with the decay times the step size.
    """

    is_coordinatewise: ClassVar[bool] = True

    def meta(
        self,
        step_size: float = 1e-3,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Meta-parameters as tensors; what is left out of `meta` in `update` has these defaults, but for step_size."""
        values = {"step_size": step_size, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        return as_tensors(values, dtype, device)

    def init(self, params: Params) -> State:
        """{"mean": 0, "square": 0, "step": 0}."""
        return Adam().init(params)

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step."""
        h = read(meta, _ADAMW)
        shrink = 1 - h["step_size"] * h["weight_decay"]
        return _adaptive(mapped(lambda x: x * shrink, params), grads, state, h)


@dataclass(frozen=True)
class RMSprop:
    """v' = decay v + (1 - decay) d^2,  b' = momentum b + d/(sqrt(v') + eps),  x' = x - step_size b',

    with d = g + weight_decay x and v_0 = b_0 = 0. Values equal torch.optim.RMSprop (not centered).
    """

    is_coordinatewise: ClassVar[bool] = True

    def meta(
        self,
        step_size: float = 0.01,
        *,
        decay: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Meta-parameters as tensors; what is left out of `meta` in `update` has these defaults, but for step_size."""
        values = {"step_size": step_size, "decay": decay, "eps": eps, "momentum": momentum}
        return as_tensors({**values, "weight_decay": weight_decay}, dtype, device)

    def init(self, params: Params) -> State:
        """{"square": 0, "buffer": 0}."""
        return {"square": zeros(params), "buffer": zeros(params)}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step."""
        h = read(meta, _RMSPROP)
        grads = decayed(params, grads, h["weight_decay"])
        square = mapped(lambda v, g: h["decay"] * v + (1 - h["decay"]) * (g * g), state["square"], grads)
        scaled = mapped(lambda g, v: g / (root(v) + h["eps"]), grads, square)
        buffer = mapped(lambda b, s: h["momentum"] * b + s, state["buffer"], scaled)
        moved = mapped(lambda x, b: x - h["step_size"] * b, params, buffer)
        return moved, {"square": square, "buffer": buffer}
