"""Cells of a sweep: arrays kept as they are computed, so that a killed sweep continues where it was."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

import l2o_theory
from l2o_theory.errors import StoreError
from l2o_theory.store.atomic import write_atomically
from l2o_theory.store.keys import library_versions

Arrays = Mapping[str, NDArray[np.float64]]
"""What one cell holds: arrays by name."""


def identity_of(room: str) -> str:
    """Digest of the program text of one room of the package and of the library versions."""
    files = sorted((Path(l2o_theory.__file__).resolve().parent / room).glob("*.py"))
    parts = [json.dumps(library_versions()).encode(), *(path.read_bytes() for path in files)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


class Cells:
    """Finished cells in one folder, one file each, complete or absent.

    Args:
        folder: where they lie; made if need be.
        identity: text that must be equal for a cell to be reused (see `identity_of`); part of each file's name.
        fresh: forget what is there.

    Attributes:
        reused: cells handed out.
        computed: cells stored.

    Raises:
        StoreError: the folder cannot be made.
    """

    def __init__(self, folder: Path, identity: str, *, fresh: bool = False) -> None:
        self._folder = folder
        self._identity = identity
        self.reused = 0
        self.computed = 0
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot write {folder} ({error.strerror}); give a writable folder with --out DIR"
            ) from None

    def get(self, key: str) -> dict[str, NDArray[np.float64]] | None:
        """The arrays stored under `key`, or None; a damaged file counts as absent and is written over."""
        try:
            with np.load(io.BytesIO(self._path(key).read_bytes()), allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, BadZipFile):
            return None
        self.reused += 1
        return found

    def put(self, key: str, arrays: Arrays) -> None:
        """Store the arrays of a finished cell.

        Raises:
            StoreError: the folder cannot be written.
        """
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **dict(arrays))
        write_atomically(self._path(key), content.getvalue())
        self.computed += 1

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(f"{self._identity} {key}".encode()).hexdigest()
        return self._folder / f"{digest[:32]}.npz"
