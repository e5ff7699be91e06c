"""Hyper-parameters of a rule: named tensors that arrive through `meta`, with defaults for those left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from l2o_theory.errors import InputError, near_misses
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped, tensors

Value = float | Tensor
"""A hyper-parameter as a formula uses it."""


def read(meta: Params, defaults: Mapping[str, float | None]) -> dict[str, Any]:
    """The value of every hyper-parameter: that of `meta`, else its default. A bare tensor is the step size.

    Args:
        meta: named tensors, each a scalar or of a shape that broadcasts against the iterate.
        defaults: the hyper-parameters of the rule; None where a value has to come from `meta`.

    Raises:
        InputError: a name that the rule does not have (it would be ignored silently), or a value that is missing.
    """
    given = {"step_size": meta} if isinstance(meta, Tensor) else meta
    for name in given:
        if name not in defaults:
            raise InputError(f"this rule has no hyper-parameter {name!r}; {near_misses(name, defaults)}")
    for name, default in defaults.items():
        if default is None and name not in given:
            raise InputError(f"meta lacks {name!r}, which has no default; pass a tensor, as from the rule's meta()")
    return {**defaults, **given}


def as_tensors(values: Mapping[str, float], dtype: torch.dtype, device: torch.device | str | None) -> dict[str, Tensor]:
    """Meta-parameters from numbers, each a scalar tensor."""
    return {name: torch.tensor(value, dtype=dtype, device=device) for name, value in values.items()}


def zeros(params: Params) -> Params:
    """Zeros in the shape of the iterate, the start of every moment.

    Raises:
        InputError: no tensor at all, or one that is not of a floating dtype.
    """
    found = tensors(params)
    if not found:
        raise InputError(f"the iterate must be a tensor or a dict of tensors, got {params!r}")
    for leaf in found:
        if not leaf.is_floating_point():
            raise InputError(f"the iterate must have a floating dtype, got {leaf.dtype}; convert it with .double()")
    return mapped(torch.zeros_like, params)


def counter(params: Params) -> Tensor:
    """A step counter at 0: a scalar tensor, because torch.func and torch.compile would freeze a Python number."""
    leaf = tensors(params)[0]
    return torch.zeros((), dtype=leaf.dtype, device=leaf.device)


def decayed(params: Params, grads: Params, weight_decay: Value) -> Params:
    """g + weight_decay x, the gradient of f + weight_decay |x|^2/2."""
    if isinstance(weight_decay, float) and weight_decay == 0:
        return grads
    return mapped(lambda x, g: g + weight_decay * x, params, grads)
