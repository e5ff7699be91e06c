"""Pieces of a run, kept as they finish, so that an interrupted experiment continues where it was."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from l2o_theory.figures.table import write_file

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = ("numpy", "scipy", "torch", "python-flint")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a number."""
    return {"python": platform.python_version(), **{library: metadata.version(library) for library in _LIBRARIES}}


def fingerprint(*folders: Path) -> str:
    """Digest of all but the parameters that decides a number: sources of the package and of `folders`, versions."""
    digest = hashlib.sha256(json.dumps(versions()).encode())
    for folder in (_PACKAGE, *folders):
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class Pieces:
    """Finished sub-results in one folder, each under the digest of what determined it.

    Args:
        folder: where the pieces lie; made on the first write.
        identity: text that must be equal for a piece to be reused, see `fingerprint`.
        fresh: forget what is there.
    """

    def __init__(self, folder: Path, identity: str, *, fresh: bool = False) -> None:
        self.folder = folder
        self.identity = identity
        self.reused = 0
        self.computed = 0
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)

    def get(self, name: str, parameters: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
        """Return the stored value of this piece, or compute and store it.

        Args:
            name: what the piece is, part of its key.
            parameters: every parameter that `compute` depends on; numbers, texts and lists of them.
            compute: returns lists, dicts, numbers and texts only (JSON), so that a reused value equals a computed one.
        """
        key = json.dumps([self.identity, name, dict(parameters)], sort_keys=True)
        path = self.folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.json"
        try:
            record = json.loads(path.read_text())
            if record["key"] == key:
                self.reused += 1
                return record["value"]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # absent or damaged: the piece is computed anew and written over
        value = json.loads(json.dumps(compute()))
        write_file(path, json.dumps({"key": key, "value": value}).encode())
        self.computed += 1
        return value
