"""Weights files: the meta-parameters of a learned optimizer as safetensors, a format that cannot run code when read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.store.atomic import write_atomically

_RULE = "rule"


def save_weights(path: Path | str, rule: object, weights: Mapping[str, Tensor]) -> None:
    """Write the weights with the name of the rule's class; a reader never finds half a file.

    Raises:
        InputError: weights that are not finite: they would poison whatever uses them.
        StoreError: the folder is missing, read-only or full.
    """
    for name, weight in weights.items():
        if not bool(torch.isfinite(weight).all()):
            raise InputError(f"the weight {name!r} holds NaN or infinity; save the last good one instead")
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    write_atomically(Path(path), save(tensors, {_RULE: type(rule).__name__}))


def load_weights(
    path: Path | str, rule: object, like: Mapping[str, Tensor], *, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """Read weights back.

    Args:
        path: a file from `save_weights`.
        rule: the rule that is going to use them.
        like: weights of the right names and shapes, such as rule.meta().
        device: where to put them.

    Raises:
        InputError: no such file, a truncated or foreign file, weights of another rule, other names or shapes.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            owner = (file.metadata() or {}).get(_RULE)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        raise InputError(f"there is no weights file {path}; train an optimizer first or mend the path") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is no whole weights file ({error}); copy it again or use an older one") from None
    wanted = type(rule).__name__
    if owner != wanted:
        raise InputError(f"{path} holds weights of {owner or 'an unknown rule'}, not of {wanted}; use that rule")
    found, needed = ({n: tuple(w.shape) for n, w in ws.items()} for ws in (weights, like))
    if found != needed:
        raise InputError(f"{path} holds {found}, but {wanted} as built here needs {needed}; build it as it was saved")
    return weights
