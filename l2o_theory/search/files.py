"""Files: JSON written whole or not at all, read with errors that name the remedy."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from l2o_theory.errors import StoreError


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write beside the target, then rename over it: a reader, or a crash, never sees half a file.

    Raises:
        StoreError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; choose a writable folder") from None


def read_json(path: Path, *, newest: int, what: str) -> dict[str, Any]:
    """Read a JSON object whose "format" is at most `newest`.

    Args:
        path: the file.
        newest: newest format this version reads.
        what: what the file should be, for the error message.

    Raises:
        StoreError: missing, unreadable, not JSON, or of a newer format.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}; check the path of the {what}") from None
    except (ValueError, RecursionError):
        raise StoreError(f"{path} is not valid JSON; it is no {what}, or was cut off: write it again") from None
    if not isinstance(data, dict) or not isinstance(data.get("format"), int):
        raise StoreError(f"{path} has no format number; it is no {what}: check the path")
    if data["format"] > newest:
        raise StoreError(
            f"{path} has format {data['format']}, this version reads up to {newest}; upgrade l2o-theory to read it"
        )
    return data
