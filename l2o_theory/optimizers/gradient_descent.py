"""Gradient descent: x' = x - step_size g."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from l2o_theory.optimizers.hyperparameters import as_tensors, decayed, read, zeros
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped

_DEFAULTS = {"step_size": None, "weight_decay": 0.0}


@dataclass(frozen=True)
class GradientDescent:
    """x' = x - step_size (g + weight_decay x). No state.

    Equals torch.optim.SGD without momentum.

    Example:
        >>> rule, x = GradientDescent(), torch.tensor([1.0, 2.0], dtype=torch.float64)
        >>> rule.update(x, 2 * x, rule.init(x), rule.meta(0.25))[0]
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """

    is_coordinatewise: ClassVar[bool] = True

    def meta(
        self,
        step_size: float = 0.01,
        *,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Meta-parameters as tensors; what is left out of `meta` in `update` has these defaults, but for step_size."""
        return as_tensors({"step_size": step_size, "weight_decay": weight_decay}, dtype, device)

    def init(self, params: Params) -> State:
        """No state, ()."""
        zeros(params)  # refuses what is no iterate
        return ()

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step."""
        h = read(meta, _DEFAULTS)
        grads = decayed(params, grads, h["weight_decay"])
        return mapped(lambda x, g: x - h["step_size"] * g, params, grads), state
