r"""The learned optimizer of the step-size paper's neural experiments: a perceptron that sees 31 numbers per weight.

Per parameter x with gradient g, after its running averages have taken g in (decays d_j = .5, .9, .99, .999, .9999, no
bias correction, start 0):

    22 features   g,  E_j[g],  E_j[g^2],  s_j = (E_j[g^2] + 1e-6)^(-1/2),  E_j[g] s_j,  x
                  each divided by (1e-5 + mean of its square over the tensor)^(1/2)
     9 features   tanh(t/k - 1),  k = 3, 10, 30, 100, 300, 1000, 3000, 10000, 300000,  t = 1, 2, ...
    (o_1, o_2)  = V^T ReLU(U^T features + u) + v           31 -> 32 -> 2,  1090 weights
    x'          = x - 0.001 o_1 exp(0.001 o_2)

Source: Wang, Yuan, Wu, Ge, ICML 2021, section 5, as their released program has it; the form is that of Metz et al.
2019. Where the program updates the averages, before or after it reads them, is our reading: before.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.hyperparameters import counter, zeros
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped

DECAYS = (0.5, 0.9, 0.99, 0.999, 0.9999)
TIME_SCALES = (3, 10, 30, 100, 300, 1000, 3000, 10000, 300000)
FEATURES = 2 + 4 * len(DECAYS) + len(TIME_SCALES)
_HIDDEN = 32
_SCALE = 1e-3  # of the step and of the logarithm of its size
_ROOT = 1e-6  # beside E[g^2] under the root
_SPREAD = 1e-5  # beside the mean square of a feature


@dataclass(frozen=True)
class MLPOptimizer:
    """The rule; its weights are the meta-parameters (`meta`)."""

    def meta(
        self,
        generator: Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """N(0, 1) matrices and biases of 0.1: 992 + 32 + 64 + 2 = 1090 numbers."""

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=dtype, device=device)

        return {
            "hidden_weight": normal(FEATURES, _HIDDEN),
            "hidden_bias": torch.full((_HIDDEN,), 0.1, dtype=dtype, device=device),
            "output_weight": normal(_HIDDEN, 2),
            "output_bias": torch.full((2,), 0.1, dtype=dtype, device=device),
        }

    def init(self, params: Params) -> State:
        """{"mean": 0, "square": 0, "step": 0}; the averages have the five decays as their last axis."""
        start = mapped(lambda x: torch.zeros((*x.shape, len(DECAYS)), dtype=x.dtype, device=x.device), zeros(params))
        return {"mean": start, "square": mapped(torch.clone, start), "step": counter(params)}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step of all tensors; coordinates share the network, features are normalised tensor by tensor."""
        if not isinstance(meta, dict):
            raise InputError(f"meta must be the dict of weights from meta(generator), got {type(meta).__name__}")
        step = state["step"] + 1
        mean = mapped(lambda old, g: _averaged(old, g), state["mean"], grads)
        square = mapped(lambda old, g: _averaged(old, g * g), state["square"], grads)
        moved = mapped(lambda x, g, m, s: x - _step(features(x, g, m, s, step), meta), params, grads, mean, square)
        return moved, {"mean": mean, "square": square, "step": step}


def features(x: Tensor, g: Tensor, mean: Tensor, square: Tensor, step: Tensor) -> Tensor:
    """The 31 numbers per coordinate, shape (*x.shape, 31)."""
    inverse = (square + _ROOT).rsqrt()
    own = torch.cat([g.unsqueeze(-1), mean, square, inverse, mean * inverse, x.unsqueeze(-1)], dim=-1)
    across = tuple(range(x.ndim))
    spread = own.square().mean(dim=across, keepdim=True) if across else own.square()
    scales = torch.tensor(TIME_SCALES, dtype=x.dtype, device=x.device)
    times = torch.tanh(step / scales - 1).expand(*x.shape, len(TIME_SCALES))
    return torch.cat([own * (_SPREAD + spread).rsqrt(), times], dim=-1)


def _averaged(old: Tensor, new: Tensor) -> Tensor:
    """The five running averages, the decays on the last axis."""
    decays = torch.tensor(DECAYS, dtype=old.dtype, device=old.device)
    return decays * old + (1 - decays) * new.unsqueeze(-1)


def _step(inputs: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """0.001 o_1 exp(0.001 o_2), shape of the parameter."""
    hidden = torch.relu(inputs @ weights["hidden_weight"] + weights["hidden_bias"])
    direction, size = (hidden @ weights["output_weight"] + weights["output_bias"]).unbind(-1)
    return _SCALE * direction * torch.exp(_SCALE * size)
