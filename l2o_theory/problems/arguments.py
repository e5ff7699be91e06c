"""Arguments at the door: tensors of finite reals, from tensors or lists."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from l2o_theory.errors import InputError


def parse_real(value: Any, name: str, ndim: int | None = None) -> Tensor:
    """A finite tensor of floating dtype; lists and integers become float64.

    Args:
        value: a tensor, or numbers in (nested) lists.
        name: of the argument, for the message.
        ndim: number of axes that it must have, any if None.

    Raises:
        InputError: not numbers, NaN or infinity among them, no entry, or another number of axes.
    """
    try:
        tensor = value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name} must be numbers, got {value!r}; pass a tensor or a list of numbers") from None
    tensor = tensor if tensor.is_floating_point() else tensor.double()
    if not tensor.numel() or (ndim is not None and tensor.ndim != ndim):
        axes = "" if ndim is None else f" in {ndim} axes"
        raise InputError(f"{name} must have entries{axes}, got shape {tuple(tensor.shape)}; reshape it")
    if not bool(torch.isfinite(tensor).all()):
        raise InputError(f"{name} must be finite, got NaN or infinity; remove those entries")
    return tensor


def parse_positive(value: float, name: str, *, zero: bool = False) -> float:
    """A finite number > 0, or >= 0 with `zero`.

    Raises:
        InputError: anything else, NaN too.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (value >= 0 if zero else value > 0) or value == float("inf"):
        raise InputError(f"{name} must be a finite number {'>=' if zero else '>'} 0, got {value!r}")
    return float(value)


def parse_pair(features: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Features of shape (n, d) and one real target per sample, in one dtype.

    Raises:
        InputError: shapes that do not fit.
    """
    table, column = parse_real(features, "features", 2), parse_real(targets, "targets", 1)
    if len(table) != len(column):
        raise InputError(f"wanted one target per sample, got {len(table)} samples and {len(column)} targets")
    return table, column.to(table)
