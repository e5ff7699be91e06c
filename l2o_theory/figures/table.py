"""Files and tables of a figure: complete or absent, never half-written; the same numbers give the same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from l2o_theory.errors import InputError, StoreError
from l2o_theory.store.atomic import write_atomically


def write_file(path: Path, content: bytes) -> Path:
    """Write `content` whole or not at all, in a folder that is made if need be; return `path`.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make {path.parent} ({error.strerror}); choose another folder") from None
    write_atomically(path, content)
    return path


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    """Write columns of equal length as CSV; floats in the shortest text that reads back to the same float64.

    Raises:
        InputError: columns of unequal length.
        StoreError: as `write_file`.

    Example:
        >>> import tempfile
        >>> path = write_table(Path(tempfile.mkdtemp()) / "t.csv", {"steps": [1, 2], "loss": [0.5, 0.1]})
        >>> path.read_text()
        'steps,loss\\n1,0.5\\n2,0.1\\n'
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"columns of {path.name} must have one length, got {lengths}; fill the short ones with nan")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_plain(entry) for entry in column] for column in columns.values()), strict=True))
    return write_file(path, text.getvalue().encode())


def read_table(path: Path) -> dict[str, list[str]]:
    """Read a table that `write_table` wrote, as text by column."""
    with path.open(newline="") as stream:
        header, *rows = csv.reader(stream)
    return {name: [row[index] for row in rows] for index, name in enumerate(header)}


def _plain(entry: Any) -> str:
    """NumPy scalars print their type in repr; their Python values do not."""
    value = entry.item() if hasattr(entry, "item") else entry
    return repr(value) if isinstance(value, float) else str(value)
