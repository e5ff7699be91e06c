r"""Proximal gradient for f(x) + l1 |x|_1: ISTA and its accelerated form FISTA. With l1 = 0: gradient descent, Nesterov.

    S_theta(v) = sign(v) max(|v| - theta, 0)

`grads` is the gradient of the smooth part f alone. References: Daubechies, Defrise, De Mol 2004 (ISTA); Beck and
Teboulle 2009 (FISTA; for l1 = 0 Nesterov 1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from l2o_theory.optimizers.hyperparameters import Value, as_tensors, counter, read, zeros
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped

_DEFAULTS = {"step_size": None, "l1": 0.0}


def soft_threshold(v: Tensor, theta: Value) -> Tensor:
    """S_theta(v), the proximal map of theta |.|_1."""
    return v.sign() * (v.abs() - theta).clamp_min(0)


def _step(params: Params, grads: Params, h: dict[str, Any]) -> Params:
    moved: Params = mapped(lambda x, g: soft_threshold(x - h["step_size"] * g, h["step_size"] * h["l1"]), params, grads)
    return moved


@dataclass(frozen=True)
class ISTA:
    """x' = S_{step_size l1}(x - step_size g). No state. f falls at every step if step_size <= 1/L.

    Example:
        >>> rule, x = ISTA(), torch.tensor([1.0, 0.1], dtype=torch.float64)
        >>> rule.update(x, x, rule.init(x), rule.meta(0.5, l1=0.2))[0]
        tensor([0.4000, 0.0000], dtype=torch.float64)
    """

    def meta(self, step_size: float, *, l1: float = 0.0, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
        """Meta-parameters as tensors."""
        return as_tensors({"step_size": step_size, "l1": l1}, dtype, None)

    def init(self, params: Params) -> State:
        """No state, ()."""
        zeros(params)  # refuses what is no iterate
        return ()

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step."""
        return _step(params, grads, read(meta, _DEFAULTS)), state


@dataclass(frozen=True)
class FISTA:
    """x_k = S_{step_size l1}(y_k - step_size g(y_k)),  y_{k+1} = x_k + (s_k - 1)/s_{k+1} (x_k - x_{k-1}),

        s_1 = 1,  s_{k+1} = (1 + sqrt(1 + 4 s_k^2))/2,  y_1 = x_0.

    Written in the points y, at which gradients are taken: what `update` returns is y_{k+1}; the iterate x_k is
    state["iterate"], and f(x_k) - f* <= 2 L |x_0 - x*|^2/(k + 1)^2.
    """

    def meta(self, step_size: float, *, l1: float = 0.0, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
        """Meta-parameters as tensors."""
        return as_tensors({"step_size": step_size, "l1": l1}, dtype, None)

    def init(self, params: Params) -> State:
        """{"iterate": x_0, "momentum": s_1 = 1}."""
        zeros(params)
        return {"iterate": params, "momentum": counter(params) + 1}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step."""
        iterate = _step(params, grads, read(meta, _DEFAULTS))
        following = (1 + (1 + 4 * state["momentum"] ** 2).sqrt()) / 2
        weight = (state["momentum"] - 1) / following
        ahead: Params = mapped(lambda new, old: new + weight * (new - old), iterate, state["iterate"])
        return ahead, {"iterate": iterate, "momentum": following}
