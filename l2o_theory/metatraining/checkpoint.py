"""Checkpoints of a training: written whole or not at all, read without running code, tied to what they continue."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2o_theory.errors import InputError, StoreError
from l2o_theory.problems.trees import leaves
from l2o_theory.store.atomic import write_atomically

_FORMAT = 2
_SHORT = 80  # characters of a part that a message repeats; digests and longer texts say nothing to a reader


def printed(part: object) -> str:
    """As repr, without addresses in memory: the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(part))


def prints_nothing(part: object) -> bool:
    """Whether repr gives the class and the address alone, though there are attributes."""
    return type(part).__repr__ is object.__repr__ and bool(getattr(part, "__dict__", {}))


def digest(*parts: object) -> str:
    """Key of everything that determines a run: tensors by their bytes, dataclasses field by field, objects that do not
    print what they hold attribute by attribute, else as printed."""
    key = hashlib.sha256()
    for part in leaves(parts):
        if isinstance(part, Tensor):
            key.update(f"{part.dtype} {tuple(part.shape)}".encode())
            key.update(part.detach().cpu().contiguous().numpy().tobytes())
        elif dataclasses.is_dataclass(part) and not isinstance(part, type):
            inner = [getattr(part, entry.name) for entry in dataclasses.fields(part)]
            key.update(f"{type(part).__name__} {digest(*inner)}".encode())
        elif prints_nothing(part):
            key.update(f"{type(part).__name__} {digest(vars(part))}".encode())
        else:
            key.update(printed(part).encode())
        key.update(b"\0")
    return key.hexdigest()


def save_checkpoint(path: Path, identity: Mapping[str, str], state: dict[str, Any]) -> None:
    """Write whole or not at all.

    Args:
        path: the file; its folder is made if need be.
        identity: all that decides the numbers of the run, in named parts.
        state: what to continue from.

    Raises:
        StoreError: the folder is missing, read-only or full.
    """
    content = io.BytesIO()
    torch.save({"format": _FORMAT, "identity": dict(identity), "state": state}, content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder of {path} ({error.strerror}); give a writable folder") from None
    write_atomically(path, content.getvalue())


def load_checkpoint(path: Path, identity: Mapping[str, str]) -> dict[str, Any] | None:
    """The saved state, or None if there is no such file.

    Raises:
        InputError: the checkpoint belongs to another run; the message says in which parts it differs.
        StoreError: it is truncated, of another version, or cannot be read.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        if content["format"] != _FORMAT:
            raise StoreError(f"the checkpoint {path} is of another version; delete it to start over (--fresh)")
        found, state = content["identity"], content["state"]
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition(". ")[0] or type(error).__name__  # torch goes on for several sentences
        raise StoreError(f"cannot read the checkpoint {path} ({reason}); delete it to start over (--fresh)") from None
    if found != dict(identity):
        raise InputError(
            f"{path} continues another run: {_differences(found, identity)}; give another file or folder (--out), or "
            "delete it to start over (--fresh)"
        )
    return dict(state)


def _differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """In words, for every part that differs: what was, and what is."""
    told = []
    for name in dict.fromkeys([*found, *wanted]):
        before, now = found.get(name, "none"), wanted.get(name, "none")
        if before != now:
            is_short = max(len(before), len(now)) <= _SHORT and not re.fullmatch("[0-9a-f]{64}", before)
            told.append(f"{name} {before} there, {now} here" if is_short else f"other {name}")
    return ", ".join(told)
