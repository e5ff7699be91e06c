"""Ablations of LODO: simpler preconditioners in the same loop, and the sweeps over beta, depth and block size.

Who compares with the ablation table of arXiv 2210.06171 should know how the authors' program is wired:

- "LODO-Global" is built from the class of LODO-Diagonal: a second diagonal run.
- "LNDO" is built from plain LODO with alpha0 = 0.001, and its own class would stop at an undefined name. Here LNDO
  is what that class describes.
- "LODO-No-Momentum" is tuned with the class of LODO-Residuals at beta = 0, then trained as LODO with fixed settings.
- LODO-Residuals is called positive semidefinite in a comment; it is not.
- Depth 0 leaves nothing to train, and Keras may refuse it. Here it is G = alpha0 I, heavy ball with an average of
  gradients.
- LODO-Diagonal is not LODO at block size 1: there G is alpha0 times a square, here it is signed.

AS_PUBLISHED has the optimizers that such a row was made with, where it differs from the one its name promises.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Generator

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo.engine import DirectEngine, Learnable
from l2o_theory.optimizers.lodo.lndo import LNDO
from l2o_theory.optimizers.lodo.lodo import LODO, MetaName, meta_optimizer_of
from l2o_theory.optimizers.lodo.optimizer import NonFinite, PreconditionedOptimizer
from l2o_theory.optimizers.lodo.residuals import ResidualPreconditioner
from l2o_theory.optimizers.lodo.simpler import DiagonalPreconditioner, ScalarPreconditioner
from l2o_theory.optimizers.lodo.vector import Missing

MakeOptimizer: TypeAlias = Callable[..., PreconditionedOptimizer]


class Ablation(PreconditionedOptimizer):
    """The loop of LODO with another preconditioner, made by `kind(n, alpha0, dtype=...)`. Options as for LODO."""

    def __init__(
        self,
        params: Iterable[Any],
        alpha0: float = 1.0,
        meta_lr: float = 1e-3,
        beta: float = 0.9,
        meta_optimizer: MetaName = "adam",
        weight_decay: float = 0.0,
        *,
        kind: Callable[..., Learnable],
        lr: float = 1.0,
        meta_betas: tuple[float, float] = (0.9, 0.999),
        meta_eps: float = 1e-7,
        missing: Missing = "raise",
        nonfinite: NonFinite = "raise",
        dtype: torch.dtype | None = None,
    ) -> None:
        settings = {"lr": lr, "weight_decay": weight_decay, "alpha0": alpha0, "meta_lr": meta_lr, "beta": beta}
        super().__init__(params, settings, dtype=dtype, missing=missing, nonfinite=nonfinite)
        preconditioner = kind(self._vector.size, alpha0, dtype=self._vector.dtype)
        preconditioner.to(self._vector.device)
        meta = meta_optimizer_of(meta_optimizer, meta_lr, preconditioner.weights, meta_betas, meta_eps)
        self._attach(preconditioner, DirectEngine, meta)


def diagonal(params: Iterable[Any], **options: Any) -> Ablation:
    """LODO-Diagonal: G = alpha0 diag(w)."""
    return Ablation(params, kind=DiagonalPreconditioner, **options)


def global_scalar(params: Iterable[Any], **options: Any) -> Ablation:
    """LODO-Global: G = alpha0 w I."""
    return Ablation(params, kind=ScalarPreconditioner, **options)


def residuals(params: Iterable[Any], *, generator: Generator | None = None, **options: Any) -> Ablation:
    """LODO-Residuals: 64 residual layers."""
    return Ablation(params, kind=functools.partial(ResidualPreconditioner, generator=generator), **options)


ABLATIONS: Mapping[str, MakeOptimizer] = {
    "LODO": LODO,
    "LODO-Diagonal": diagonal,
    "LODO-Global": global_scalar,
    "LODO-Residuals": residuals,
    "LODO-No-Momentum": functools.partial(LODO, beta=0.0),
    "LODO-SGD": functools.partial(LODO, meta_optimizer="sgd"),
    "LNDO": LNDO,
}
"""name -> make(params, alpha0=..., meta_lr=..., ...), as the names promise."""

AS_PUBLISHED: Mapping[str, MakeOptimizer] = {
    "LODO-Global": diagonal,
    "LODO-No-Momentum, tuning": functools.partial(residuals, beta=0.0),
    "LNDO": functools.partial(LODO, alpha0=0.001),
}
"""What the rows of these names were made with in the authors' program."""


def beta_sweep(best: float, runs: int = 8) -> list[dict[str, float]]:
    """1 - beta_r = (1 - best)^(r/(runs - 1)), r = 0 .. runs - 1: from 0 to the best beta.

    Raises:
        InputError: if best is not in [0, 1), or there are fewer than two runs.
    """
    if not 0 <= best < 1 or runs < 2:
        raise InputError(f"best must be in [0, 1) and runs at least 2, got {best} and {runs}")
    return [{"beta": -math.expm1(math.log1p(-best) * r / (runs - 1))} for r in range(runs)]


def depth_sweep(runs: int = 8) -> list[dict[str, int]]:
    """N = 4 r, r = 0 .. runs - 1."""
    return [{"depth": 4 * r} for r in range(runs)]


def block_size_sweep(runs: int = 8) -> list[dict[str, int]]:
    """k = r + 2 and N = floor(64/k), which keeps N k near 64."""
    return [{"block_size": r + 2, "depth": 64 // (r + 2)} for r in range(runs)]
