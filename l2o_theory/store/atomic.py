"""Atomic files: a reader finds the old content or the new one, never half of it, whenever the writer is killed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from l2o_theory.errors import StoreError

TEMPORARY = ".tmp"
"""Suffix of files that are being written; one that outlives its writer is rubbish."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file in the same folder, flush it to the disk, and rename it into place.

    Raises:
        StoreError: the folder is missing, read-only or full.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=TEMPORARY, delete=False) as file:
            temporary = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # temporary files are private; results are for everybody
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StoreError(f"cannot write {path} ({error.strerror}); give a writable folder with --out DIR") from None


def _flush_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
