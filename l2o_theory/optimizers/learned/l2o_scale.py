r"""L2O-Scale: a hierarchy of three GRUs, one per parameter, one per tensor and one for the whole problem.

Per coordinate, s its state before the step, d_1 = sigmoid(<w_b, s> + b_b), d_k = d_1^(1/2^(k-1)), k = 1..4, and
e = sigmoid(<w_e, s> + b_e):

    m_k' = d_k m_k + (1 - d_k) g        q_k' = e q_k + (1 - e) m_k'^2        a_k = asinh(m_k'/sqrt(q_k' + 1e-16))
    12 features: a_1..a_4,  a_1 a_2, a_2 a_3, a_3 a_4,  ln(q_k' + 1e-16) minus their mean,  nu minus its mean over all
    s'  = GRU(features, s; biases A t + a + C z + c)     t, z: states of the tensor and of the problem
    t'  = GRU(mean over the tensor of [s', features], t; biases E z + e)
    z'  = GRU(mean of all t', z)
    direction = <w_d, s'> + SUM_k v_k a_k, divided by its root mean square over the tensor
    nu' = nu + <w_l, s'> + b_l, clipped to [-33, 33] (gradients pass the clip)
    x'  = x - exp(nu' + c) direction;    carried on: sigmoid(p) nu + (1 - sigmoid(p)) nu'

GRU(x, h; b): r, u = sigmoid([x, h] A + a + b_ru), c = tanh([x, r h] C + c + b_c), h' = u h + (1 - u) c. 8349 weights.

Source: Wichrowska et al., "Learned Optimizers that Scale and Generalize", ICML 2017, as in the released code of Chen et
al., NeurIPS 2020, arXiv 2010.09089. Our reading where the sources at hand are silent: the two single weights are c (-1
at the start) and p (3.2), small numbers under the roots, and zero read-outs of decays and rates at the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.hyperparameters import zeros
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params

_PARAMETER, _TENSOR, _GLOBAL, _AVERAGES, _FEATURES = 10, 20, 20, 4, 12
_TINY = 1e-16
_LIMIT = 33.0  # of nu: exp(33) is 2e14
_GATE_BIAS, _DECAY_BIAS, _SQUARE_BIAS, _CARRY = 2.2, 2.2, 3.2, 3.2
_RATES = (math.log(1e-6), math.log(1e-2))
_SHAPES: dict[str, tuple[int, ...]] = {
    "parameter.gates": (_FEATURES + _PARAMETER, 2 * _PARAMETER),
    "parameter.gates_bias": (2 * _PARAMETER,),
    "parameter.candidate": (_FEATURES + _PARAMETER, _PARAMETER),
    "parameter.candidate_bias": (_PARAMETER,),
    "parameter.from_tensor": (_TENSOR, 3 * _PARAMETER),
    "parameter.from_tensor_bias": (3 * _PARAMETER,),
    "parameter.from_global": (_GLOBAL, 3 * _PARAMETER),
    "parameter.from_global_bias": (3 * _PARAMETER,),
    "tensor.gates": (_PARAMETER + _FEATURES + _TENSOR, 2 * _TENSOR),
    "tensor.gates_bias": (2 * _TENSOR,),
    "tensor.candidate": (_PARAMETER + _FEATURES + _TENSOR, _TENSOR),
    "tensor.candidate_bias": (_TENSOR,),
    "tensor.from_global": (_GLOBAL, 3 * _TENSOR),
    "tensor.from_global_bias": (3 * _TENSOR,),
    "global.gates": (_TENSOR + _GLOBAL, 2 * _GLOBAL),
    "global.gates_bias": (2 * _GLOBAL,),
    "global.candidate": (_TENSOR + _GLOBAL, _GLOBAL),
    "global.candidate_bias": (_GLOBAL,),
    "parameter.start": (_PARAMETER,),
    "tensor.start": (_TENSOR,),
    "global.start": (_GLOBAL,),
    "direction": (_PARAMETER,),
    "decay": (_PARAMETER,),
    "decay_bias": (),
    "square_decay": (_PARAMETER,),
    "square_decay_bias": (),
    "rate": (_PARAMETER,),
    "rate_bias": (),
    "shortcut": (_AVERAGES,),
    "output_scale": (),
    "carry": (),
}
_STARTS = {
    "decay_bias": _DECAY_BIAS,
    "square_decay_bias": _SQUARE_BIAS,
    "shortcut": 1 / _AVERAGES,
    "output_scale": -1.0,
    "carry": _CARRY,
}


@dataclass(frozen=True)
class L2OScale:
    """The rule; its 8349 weights are the meta-parameters (`meta`).

    Attributes:
        seed: of the initial logarithmic rates: U(ln 1e-6, ln 1e-2)/2 per coordinate plus one such number for all. A
            rule is a pure function: all tasks of one shape start with the same rates, where the program draws anew.
    """

    seed: int = 0

    def meta(
        self,
        generator: Generator | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Untrained weights: matrices N(0, 1/(4 fan_in)), states U(-1, 1), biases of gates 2.2, read-outs as above."""
        meta = {}
        for name, shape in _SHAPES.items():
            if name in _STARTS or name.endswith("gates_bias"):
                value = _STARTS.get(name, _GATE_BIAS)
                meta[name] = torch.full(shape, value, dtype=dtype, device=device)
            elif name.endswith("start"):
                meta[name] = 2 * torch.rand(shape, generator=generator, dtype=dtype, device=device) - 1
            elif name.endswith("bias") or name in ("decay", "square_decay", "rate"):
                meta[name] = torch.zeros(shape, dtype=dtype, device=device)
            else:
                drawn = torch.randn(shape, generator=generator, dtype=dtype, device=device)
                meta[name] = drawn * (0.5 / math.sqrt(shape[0]))
        return meta

    def init(self, params: Params) -> State:
        """Averages and squares 0, logarithmic rates drawn; hidden states at their start, which phi holds."""
        zeros(params)  # refuses what is no iterate
        random = np.random.default_rng(self.seed)
        shared = random.uniform(*_RATES) / 2
        state: dict[str, State] = {}
        for name, leaf in _named(params).items():
            rates = leaf.new_tensor(shared + random.uniform(*_RATES, size=tuple(leaf.shape)) / 2)
            averages = leaf.new_zeros(*leaf.shape, _AVERAGES)
            state[name] = {
                "averages": averages,
                "squares": averages.clone(),
                "rate": rates,
                "deviation": leaf.new_zeros(*leaf.shape, _PARAMETER),
                "tensor": leaf.new_zeros(_TENSOR),
            }
        first = next(iter(_named(params).values()))
        return {"tensors": state, "global": first.new_zeros(_GLOBAL)}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step. Hidden states are stored as their distance from the trainable start, so that 0 is the start.

        Raises:
            InputError: meta is not what `meta()` returns.
        """
        if isinstance(meta, Tensor) or set(meta) != set(_SHAPES):
            raise InputError("meta must hold the weights of L2O-Scale; make it with the rule's meta(generator)")
        points, slopes = _named(params), _named(grads)
        rates = [old["rate"].reshape(-1) for old in state["tensors"].values()]
        level = torch.cat(rates).mean()
        whole = state["global"] + meta["global.start"]
        moved, after = {}, {}
        for name, x in points.items():
            moved[name], after[name] = _step(x, slopes[name], state["tensors"][name], whole, level, meta)
        mean = torch.stack([new["tensor"] + meta["tensor.start"] for new in after.values()]).mean(0)
        whole = _gru("global", mean, whole, meta, None)
        return (moved if isinstance(params, dict) else moved[""]), {
            "tensors": after,
            "global": whole - meta["global.start"],
        }


def _named(tree: Params) -> dict[str, Tensor]:
    """The tensors of an iterate by name."""
    return tree if isinstance(tree, dict) else {"": tree}


def _step(
    x: Tensor, g: Tensor, old: dict[str, Tensor], whole: Tensor, level: Tensor, meta: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """One tensor: its new value and state."""
    state, tensor = old["deviation"] + meta["parameter.start"], old["tensor"] + meta["tensor.start"]
    powers = x.new_tensor([2.0**-k for k in range(_AVERAGES)])
    decay = torch.sigmoid(state @ meta["decay"] + meta["decay_bias"]).unsqueeze(-1) ** powers
    averages = decay * old["averages"] + (1 - decay) * g.unsqueeze(-1)
    keep = torch.sigmoid(state @ meta["square_decay"] + meta["square_decay_bias"]).unsqueeze(-1)
    squares = keep * old["squares"] + (1 - keep) * averages**2
    scaled = torch.asinh(averages * (squares + _TINY).rsqrt())
    logs = (squares + _TINY).log()
    inputs = torch.cat(
        [
            scaled,
            scaled[..., :-1] * scaled[..., 1:],
            logs - logs.mean(-1, keepdim=True),
            (old["rate"] - level).unsqueeze(-1),
        ],
        -1,
    )
    bias = tensor @ meta["parameter.from_tensor"] + meta["parameter.from_tensor_bias"]
    bias = bias + whole @ meta["parameter.from_global"] + meta["parameter.from_global_bias"]
    state = _gru("parameter", inputs, state, meta, bias)
    seen = torch.cat([state, inputs], -1).reshape(-1, _PARAMETER + _FEATURES).mean(0)
    tensor = _gru("tensor", seen, tensor, meta, whole @ meta["tensor.from_global"] + meta["tensor.from_global_bias"])
    direction = state @ meta["direction"] + scaled @ meta["shortcut"]
    direction = direction * (direction.square().mean() + _TINY).rsqrt()
    rate = old["rate"] + state @ meta["rate"] + meta["rate_bias"]
    rate = rate + (rate.clamp(-_LIMIT, _LIMIT) - rate).detach()  # the clip, with the gradient of none
    carry = torch.sigmoid(meta["carry"])
    return x - torch.exp(rate + meta["output_scale"]) * direction, {
        "averages": averages,
        "squares": squares,
        "rate": carry * old["rate"] + (1 - carry) * rate,
        "deviation": state - meta["parameter.start"],
        "tensor": tensor - meta["tensor.start"],
    }


def _gru(level: str, x: Tensor, h: Tensor, meta: dict[str, Tensor], bias: Tensor | None) -> Tensor:
    """h' of one level; `bias` holds those of the gates r and u, then that of the candidate."""
    units = h.shape[-1]
    gates = torch.cat([x, h], -1) @ meta[f"{level}.gates"] + meta[f"{level}.gates_bias"]
    if bias is not None:
        gates = gates + bias[: 2 * units]
    reset, keep = torch.sigmoid(gates).chunk(2, -1)
    candidate = torch.cat([x, reset * h], -1) @ meta[f"{level}.candidate"] + meta[f"{level}.candidate_bias"]
    if bias is not None:
        candidate = candidate + bias[2 * units :]
    return keep * h + (1 - keep) * torch.tanh(candidate)
