"""Tables read back to the same numbers; files are complete or untouched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from l2o_theory.errors import InputError, StoreError
from l2o_theory.figures.table import read_table, write_file, write_table


def test_floats_read_back_to_the_last_bit(tmp_path: Path) -> None:
    values = [0.1 + 0.2, 1e-300, 5e-324, -1 / 3, sys.float_info.max, float("inf")]
    path = write_table(tmp_path / "t.csv", {"python": values, "numpy": np.array(values)})
    table = read_table(path)
    assert [float(text) for text in table["python"]] == values
    assert table["numpy"] == table["python"]
    # planted fault: six digits, as a plain format would write, lose the first value
    assert float(f"{values[0]:.6g}") != values[0]


def test_columns_of_unequal_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one length, got \{'a': 2, 'b': 1\}"):
        write_table(tmp_path / "t.csv", {"a": [1, 2], "b": [1]})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path / "t.csv", b"old")

    def fail(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StoreError, match="no space left"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.csv"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another folder") as caught:
        write_file(tmp_path / "file" / "t.csv", b"")
    assert "\n" not in str(caught.value)
