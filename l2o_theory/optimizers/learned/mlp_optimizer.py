r"""The learned optimizer of the step-size paper's neural experiments: a perceptron that sees 31 numbers per weight.

Per parameter x with gradient g, after its running averages have taken g in (decays d_j = .5, .9, .99, .999, .9999, no
bias correction, start 0):

    22 features   g,  E_j[g],  E_j[g^2],  s_j = (E_j[g^2] + 1e-6)^(-1/2),  E_j[g] s_j,  x
                  each divided by (1e-5 + mean of its square over the tensor)^(1/2)
     9 features   tanh(t/k - 1),  k = 3, 10, 30, 100, 300, 1000, 3000, 10000, 300000,  t = 1, 2, ...
    (o_1, o_2)  = V^T ReLU(U^T features + u) + v           31 -> 32 -> 2,  1090 weights
    x'          = x - 0.001 o_1 exp(0.001 o_2)

Source: Wang, Yuan, Wu, Ge, ICML 2021, section 5, as their released program has it; the form is that of Metz et al.
2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.hyperparameters import counter, zeros
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped, tensors

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
        """{"mean": 0, "square": 0, "step": 0}; averages of shape (5, p) over the p entries of all tensors in turn."""
        flat = torch.cat([leaf.reshape(-1) for leaf in tensors(zeros(params))])
        start = flat.expand(len(DECAYS), -1).clone()
        return {"mean": start, "square": start.clone(), "step": counter(params)}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step of all tensors; coordinates share the network, features are normalised tensor by tensor."""
        alone = mapped(lambda leaf: leaf.unsqueeze(0), (params, grads, state))
        moved: tuple[Params, State] = mapped(lambda leaf: leaf.squeeze(0), self.update_tasks(*alone, meta))
        return moved

    def update_tasks(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """`update` of many tasks, along the first axis of every tensor: what vmap gives, in one matrix product."""
        if not isinstance(meta, dict):
            raise InputError(f"meta must be the dict of weights from meta(generator), got {type(meta).__name__}")
        x, g = _flat(params), _flat(grads)
        sizes = [leaf[0].numel() for leaf in tensors(params)]
        step = state["step"] + 1
        mean, square = _averaged(state["mean"], g), _averaged(state["square"], g * g)
        own = _normalised(x, sizes)
        told = _normalised(_raw(g, mean, square), sizes)
        pieces = iter(_split(x - _step(own, told, _times(step), meta), sizes))
        moved = mapped(lambda leaf: next(pieces).reshape(leaf.shape), params)
        return moved, {"mean": mean, "square": square, "step": step}


def _normalised(rows: Tensor, sizes: list[int]) -> Tensor:
    """(..., p) rows over the entries of all tensors in turn, divided by (1e-5 + mean square over the tensor)^(1/2)."""
    parts = _split(rows, sizes)
    return torch.cat([part * (_SPREAD + part.square().mean(-1, keepdim=True)).rsqrt() for part in parts], dim=-1)


def _split(rows: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
    """Along the last axis, tensor by tensor."""
    parts: tuple[Tensor, ...] = torch.split(rows, sizes, dim=-1)
    return parts


def _flat(params: Params) -> Tensor:
    """(tasks, p)."""
    return torch.cat([leaf.flatten(1) if leaf.ndim > 1 else leaf.unsqueeze(1) for leaf in tensors(params)], dim=1)


def _averaged(old: Tensor, new: Tensor) -> Tensor:
    """The five running averages, (tasks, 5, p)."""
    decays = torch.tensor(DECAYS, dtype=old.dtype, device=old.device).unsqueeze(1)
    return decays * old + (1 - decays) * new.unsqueeze(1)


def _raw(g: Tensor, mean: Tensor, square: Tensor) -> Tensor:
    """g, E[g], E[g^2], (E[g^2] + 1e-6)^(-1/2), E[g] times that: (21, tasks, p), the feature first."""
    inverse = (square + _ROOT).rsqrt()
    return torch.cat([g.unsqueeze(0), *[part.transpose(0, 1) for part in (mean, square, inverse, mean * inverse)]])


def _times(step: Tensor) -> Tensor:
    """tanh(t/k - 1), shape (9, tasks)."""
    scales = torch.tensor(TIME_SCALES, dtype=step.dtype, device=step.device).unsqueeze(1)
    return torch.tanh(step / scales - 1)


def _step(own: Tensor, told: Tensor, times: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """0.001 o_1 exp(0.001 o_2), shape (tasks, p), from features of x, of the gradients, and of time.

    The first layer is taken apart: the features of the gradients are constants of meta-training with inner gradients
    held constant, so that back-propagation goes through x alone; time is the same for all entries and enters the bias.
    """
    matrix, told, count = weights["hidden_weight"].T, told.flatten(1), len(told)
    bias = matrix[:, count + 1 :] @ times + weights["hidden_bias"].unsqueeze(1)
    start = bias.unsqueeze(2) + matrix[:, count, None, None] * own
    hidden = torch.relu(torch.addmm(start.flatten(1), matrix[:, :count], told))
    direction, size = torch.addmm(weights["output_bias"].unsqueeze(1), weights["output_weight"].T, hidden)
    return torch.reshape(_SCALE * direction * torch.exp(_SCALE * size), own.shape)
