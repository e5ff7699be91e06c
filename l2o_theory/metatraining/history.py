"""History: every meta-update and evaluation of a training in two CSV files, which an interruption leaves whole.

Rows are appended, so that a training of any length costs no memory. A resumed training first takes back the rows that
came after its checkpoint, and then writes them again: the files end as those of an undisturbed run, to the byte.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import IO, Any

from l2o_theory.errors import StoreError
from l2o_theory.metatraining.observer import Judgement, MetaUpdate
from l2o_theory.store.atomic import write_atomically


class History:
    """An `Observer` that writes updates.csv and judgements.csv; a context manager.

    Args:
        folder: an existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self._updates = _Log(folder / "updates.csv", [entry.name for entry in fields(MetaUpdate)])
        names = [entry.name for entry in fields(Judgement)]
        self._judgements = _Log(folder / "judgements.csv", [*names, "horizon"])

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        for log in (self._updates, self._judgements):
            log.close()

    @property
    def files(self) -> tuple[Path, Path]:
        """The two files."""
        return self._updates.path, self._judgements.path

    def begin(self, updates: int, judgements: Sequence[Judgement]) -> None:
        """See `Observer`."""
        for log in (self._updates, self._judgements):
            log.cut(updates)

    def updated(self, update: MetaUpdate) -> None:
        """See `Observer`."""
        self._updates.append(astuple(update))

    def judged(self, judgement: Judgement, steps: int) -> None:
        """See `Observer`."""
        self._judgements.append((*astuple(judgement), steps))

    def flush(self) -> None:
        """See `Observer`."""
        for log in (self._updates, self._judgements):
            log.flush()


class _Log:
    """One file; its column "updates" says to which meta-update a row belongs."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self._columns = path, columns
        self._file: IO[str] | None = None

    def cut(self, updates: int) -> None:
        """Keep the whole rows up to this meta-update, and open the file for more."""
        place, kept = self._columns.index("updates"), [",".join(self._columns)]
        try:
            lines = self.path.read_text().split("\n")[1:-1] if self.path.exists() else []  # the last one may be half
            for cells in (line.split(",") for line in lines):
                if len(cells) == len(self._columns) and cells[place].isdigit() and int(cells[place]) <= updates:
                    kept.append(",".join(cells))
            write_atomically(self.path, "".join(f"{line}\n" for line in kept).encode())
            self.close()
            self._file = self.path.open("a")
        except OSError as error:
            raise self._refused(error) from None

    def append(self, row: tuple[Any, ...]) -> None:
        """One more row; floats in the shortest text that reads back to the same number."""
        assert self._file is not None  # begin came first
        try:
            self._file.write(",".join(repr(cell) if isinstance(cell, float) else str(cell) for cell in row) + "\n")
        except OSError as error:
            raise self._refused(error) from None

    def flush(self) -> None:
        """Onto the disk."""
        if self._file is not None:
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise self._refused(error) from None

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _refused(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write {self.path} ({error.strerror}); give a writable folder with --out DIR")
