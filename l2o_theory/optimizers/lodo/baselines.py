"""Baselines of the LODO experiments under one roof: from torch or pytorch_optimizer, our own where neither has it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import torch
from torch.optim import Optimizer

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo.stochastic_lbfgs import StochasticLBFGS

_FROM_TORCH: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {}),
    "Momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "Adam": (torch.optim.Adam, {}),
    "RMSprop": (torch.optim.RMSprop, {"alpha": 0.9}),
}
_OWN: dict[str, dict[str, Any]] = {"L-BFGS": {"scaling": "newest"}, "O-LBFGS": {"scaling": "average"}}
_FROM_PYTORCH_OPTIMIZER = ("Yogi", "LARS")

BASELINES = (*_FROM_TORCH, *_FROM_PYTORCH_OPTIMIZER, *_OWN)


def baseline(name: str, params: Iterable[Any], **options: Any) -> Optimizer:
    """The optimizer of that name, with `options` of its own class.

    Args:
        name: one of BASELINES.
        params: parameters or groups.
        options: as its class names them; "L-BFGS" and "O-LBFGS" are StochasticLBFGS, whose step needs a closure.

    Raises:
        InputError: for an unknown name, or if Yogi or LARS is asked for without the extra "baselines".
    """
    if name in _FROM_TORCH:
        kind, defaults = _FROM_TORCH[name]
        return kind(params, **{**defaults, **options})
    if name in _OWN:
        return StochasticLBFGS(params, **{**_OWN[name], **options})
    if name in _FROM_PYTORCH_OPTIMIZER:
        try:
            module = import_module("pytorch_optimizer")
        except ImportError as error:
            raise InputError(f"{name} comes from pytorch_optimizer: pip install 'l2o-theory[baselines]'") from error
        made: Optimizer = getattr(module, name)(params, **options)
        return made
    raise InputError(f"there is no baseline {name!r}; choose from {', '.join(BASELINES)}")
