"""Checkpoints of a training: written whole or not at all, read without running code, tied to what they continue."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from l2o_theory.errors import InputError, StoreError
from l2o_theory.problems.trees import leaves, tensors
from l2o_theory.store.atomic import write_atomically

_FORMAT = 1


def digest(*parts: object) -> str:
    """Key of everything that determines a run: texts and numbers as they print, tensors by their bytes."""
    key = hashlib.sha256()
    for part in leaves(parts):
        key.update(repr(part).encode() if not tensors(part) else part.detach().cpu().contiguous().numpy().tobytes())
        key.update(b"\0")
    return key.hexdigest()


def save_checkpoint(path: Path, key: str, state: dict[str, Any]) -> None:
    """Write whole or not at all.

    Raises:
        StoreError: the folder is missing, read-only or full.
    """
    content = io.BytesIO()
    torch.save({"format": _FORMAT, "key": key, "state": state}, content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder of {path} ({error.strerror}); give a writable folder") from None
    write_atomically(path, content.getvalue())


def load_checkpoint(path: Path, key: str) -> dict[str, Any] | None:
    """The saved state, or None if there is no such file.

    Raises:
        InputError: the checkpoint belongs to another network, problem or plan.
        StoreError: it cannot be read.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        found, state = content["key"], content["state"]
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise StoreError(f"cannot read the checkpoint {path}: {error}; delete it to start over") from None
    if found != key or content["format"] != _FORMAT:
        raise InputError(f"{path} continues another run (network, problem or plan differ); give another file")
    return dict(state)
