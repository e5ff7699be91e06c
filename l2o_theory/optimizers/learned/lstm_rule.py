"""LSTMRule: the coordinatewise LSTM optimizer L2O-DM, one small network shared by all coordinates.

Andrychowicz et al., arXiv 1606.04474; sizes, features and initialisation as in the released code of Chen et al.,
"Training Stronger Baselines for Learning to Optimize", NeurIPS 2020, arXiv 2010.09089.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.hyperparameters import zeros
from l2o_theory.optimizers.lstm import LSTMCell, truncated_normal
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped, tensors

_EPS = 1.1920929e-7  # of the released code: the spacing of float32 at 1


def log_and_sign(gradient: Tensor, k: float = 5.0) -> Tensor:
    """u = (max(ln(|g| + eps)/k, -1), clip(g e^k, -1, 1)) along a new last axis, eps = 2^-23.

    Gradients over many orders of magnitude become numbers of size 1: the first feature carries the magnitude down to
    e^-k, the second the sign, and below e^-k the value.

    Example:
        >>> log_and_sign(torch.tensor([0.0, 1.0], dtype=torch.float64)).round(decimals=6).tolist()
        [[-1.0, 0.0], [0.0, 1.0]]
    """
    magnitude = ((gradient.abs() + _EPS).log() / k).clamp_min(-1.0)
    return torch.stack([magnitude, (gradient * math.exp(k)).clamp(-1.0, 1.0)], -1)


@dataclass(frozen=True)
class LSTMRule:
    """x' = x + output_scale (h W + b) with h the top of a stack of LSTMs that reads log_and_sign(g), per coordinate.

    Every coordinate has a hidden state of its own; the weights are shared. 5141 meta-parameters by default.

    Attributes:
        hidden: units per LSTM.
        layers: LSTMs on top of each other.
        output_scale: keeps the first steps of an untrained network small.
        k: of `log_and_sign`.
        once: of `LSTMCell`: faster, for one derivative in reverse mode.
    """

    hidden: int = 20
    layers: int = 2
    output_scale: float = 0.01
    k: float = 5.0
    once: bool = field(default=False, repr=False)
    is_coordinatewise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.layers < 1 or self.hidden < 1 or not self.k > 0:
            raise InputError(f"wanted layers >= 1, hidden >= 1 and k > 0, got {self}")

    def meta(
        self,
        generator: Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Untrained weights: truncated normal of std 1/sqrt(fan_in), the bias of the output 0.

        Returns:
            {"lstm1.weight": (22, 80), "lstm1.bias": (80,), "lstm2.weight": (40, 80), "lstm2.bias": (80,),
            "linear.weight": (20, 1), "linear.bias": (1,)}, for the default sizes.
        """
        meta = {}
        for number, cell in enumerate(self._cells(), start=1):
            meta[f"lstm{number}.weight"], meta[f"lstm{number}.bias"] = cell.init(generator, dtype, device)
        std = 1 / math.sqrt(self.hidden)
        meta["linear.weight"] = truncated_normal((self.hidden, 1), std, generator, dtype, device)
        meta["linear.bias"] = torch.zeros(1, dtype=dtype, device=device)
        return meta

    def init(self, params: Params) -> State:
        """{"hidden1": 0, "cell1": 0, ...}, each of shape (coordinates, hidden)."""
        leaves = tensors(zeros(params))
        size = (sum(leaf.numel() for leaf in leaves), self.hidden)
        names = [f"{kind}{number}" for number in range(1, self.layers + 1) for kind in ("hidden", "cell")]
        return {name: leaves[0].new_zeros(size) for name in names}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step.

        Raises:
            InputError: meta is not what `meta()` returns.
        """
        weights = self._checked(meta)
        signal = log_and_sign(torch.cat([leaf.reshape(-1) for leaf in tensors(grads)]), self.k)
        after = {}
        for number, cell in enumerate(self._cells(), start=1):
            weight, bias = weights[f"lstm{number}.weight"], weights[f"lstm{number}.bias"]
            signal, memory = cell.step(weight, bias, signal, state[f"hidden{number}"], state[f"cell{number}"])
            after[f"hidden{number}"], after[f"cell{number}"] = signal, memory
        steps = self.output_scale * (signal @ weights["linear.weight"] + weights["linear.bias"]).squeeze(-1)
        pieces = iter(torch.split(steps, [leaf.numel() for leaf in tensors(params)]))
        return mapped(lambda x: x + next(pieces).reshape(x.shape), params), after

    def _cells(self) -> list[LSTMCell]:
        return [LSTMCell(2 if layer == 0 else self.hidden, self.hidden, 1.0, self.once) for layer in range(self.layers)]

    def _checked(self, meta: Params) -> dict[str, Tensor]:
        wanted = [f"lstm{number}.{part}" for number in range(1, self.layers + 1) for part in ("weight", "bias")]
        wanted += ["linear.weight", "linear.bias"]
        if isinstance(meta, Tensor) or set(meta) != set(wanted):
            got = "a tensor" if isinstance(meta, Tensor) else ", ".join(meta)
            raise InputError(f"meta must hold {', '.join(wanted)}, got {got}; make it with the rule's meta(generator)")
        return meta
