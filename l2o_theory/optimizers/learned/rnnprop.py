r"""RNNprop: a coordinatewise LSTM optimizer that reads Adam's two directions instead of raw gradients.

    m' = b m + (1 - b) g,  v' = b v + (1 - b) g^2,  b = 0.95,  m^ = m'/(1 - b^t),  v^ = v'/(1 - b^t),  t = 1, 2, ...
    inputs  m^/(sqrt(v^) + 1e-8),  g/(sqrt(v^) + 1e-8)
    ELU(linear 2 -> 20),  LSTM 20 -> 20,  LSTM 20 -> 20,  linear 20 -> 1
    x' = x + 0.01 tanh(output)

Lv, Jiang, Li, "Learning Gradient Descent: Better Generalization and Longer Horizons", ICML 2017; constants as in the
released code of Chen et al., NeurIPS 2020, arXiv 2010.09089 (the RNNprop paper itself scales the output by 0.1). That
code treats both inputs as constants in back-propagation: meta-gradients with order=1 do the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional

from l2o_theory.errors import InputError
from l2o_theory.optimizers.adam import average, root
from l2o_theory.optimizers.hyperparameters import counter, zeros
from l2o_theory.optimizers.lstm import LSTMCell, truncated_normal
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped, tensors

_DECAY = 0.95
_EPS = 1e-8
_UNITS = 20
_CELL = LSTMCell(_UNITS, _UNITS, forget_bias=1.0)
_LAYERS = (1, 2)
_NAMES = [f"{layer}.{part}" for layer in ("input", "lstm1", "lstm2", "linear") for part in ("weight", "bias")]


@dataclass(frozen=True)
class RNNprop:
    """The rule; its 6641 weights are the meta-parameters (`meta`).

    Attributes:
        once: of `LSTMCell`: faster, for one derivative in reverse mode.
    """

    once: bool = field(default=False, repr=False)
    is_coordinatewise: ClassVar[bool] = True

    def meta(
        self,
        generator: Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Untrained weights: truncated normal of std 1/sqrt(fan_in), the biases of the linear layers 0."""

        def linear(fan_in: int, fan_out: int) -> Tensor:
            return truncated_normal((fan_in, fan_out), fan_in**-0.5, generator, dtype, device)

        meta = {"input.weight": linear(2, _UNITS), "input.bias": torch.zeros(_UNITS, dtype=dtype, device=device)}
        for layer in _LAYERS:
            meta[f"lstm{layer}.weight"], meta[f"lstm{layer}.bias"] = _CELL.init(generator, dtype, device)
        return {
            **meta,
            "linear.weight": linear(_UNITS, 1),
            "linear.bias": torch.zeros(1, dtype=dtype, device=device),
        }

    def init(self, params: Params) -> State:
        """{"mean": 0, "square": 0, "step": 0, "hidden1": 0, "cell1": 0, ...}; hidden ones (coordinates, 20)."""
        leaves = tensors(zeros(params))
        size = (sum(leaf.numel() for leaf in leaves), _UNITS)
        memory = {f"{kind}{layer}": leaves[0].new_zeros(size) for layer in _LAYERS for kind in ("hidden", "cell")}
        return {"mean": zeros(params), "square": zeros(params), "step": counter(params), **memory}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step.

        Raises:
            InputError: meta is not what `meta()` returns.
        """
        if isinstance(meta, Tensor) or set(meta) != set(_NAMES):
            got = "a tensor" if isinstance(meta, Tensor) else ", ".join(meta)
            raise InputError(f"meta must hold {', '.join(_NAMES)}, got {got}; make it with the rule's meta(generator)")
        step = state["step"] + 1
        mean = average(state["mean"], grads, _DECAY)
        square = average(state["square"], mapped(torch.square, grads), _DECAY)
        unbias = 1 - _DECAY**step
        spread = mapped(lambda v: root(v / unbias) + _EPS, square)
        directions = (mapped(lambda m, s: m / unbias / s, mean, spread), mapped(torch.div, grads, spread))
        signal = torch.stack([torch.cat([leaf.reshape(-1) for leaf in tensors(tree)]) for tree in directions], -1)
        signal = functional.elu(signal @ meta["input.weight"] + meta["input.bias"])
        cell = replace(_CELL, once=self.once)
        after = {"mean": mean, "square": square, "step": step}
        for layer in _LAYERS:
            weight, bias = meta[f"lstm{layer}.weight"], meta[f"lstm{layer}.bias"]
            signal, memory = cell.step(weight, bias, signal, state[f"hidden{layer}"], state[f"cell{layer}"])
            after[f"hidden{layer}"], after[f"cell{layer}"] = signal, memory
        steps = 0.01 * torch.tanh((signal @ meta["linear.weight"] + meta["linear.bias"]).squeeze(-1))
        pieces = iter(torch.split(steps, [leaf.numel() for leaf in tensors(params)]))
        return mapped(lambda x: x + next(pieces).reshape(x.shape), params), after
