"""Cells: what is put comes back bit by bit; damage, another identity and --fresh all mean absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from l2o_theory.errors import StoreError
from l2o_theory.store.cells import Cells, identity_of


def test_arrays_come_back_bit_by_bit(tmp_path: Path) -> None:
    loss = np.array([[0.1, np.inf], [1e-300, -0.0]])
    Cells(tmp_path, "v1").put("cell", {"loss": loss})
    cells = Cells(tmp_path, "v1")
    found = cells.get("cell")
    assert found is not None
    assert found["loss"].tobytes() == loss.tobytes()
    assert (cells.reused, cells.computed) == (1, 0)
    assert cells.get("other") is None
    assert Cells(tmp_path, "v2").get("cell") is None
    assert Cells(tmp_path, "v1", fresh=True).get("cell") is None


@pytest.mark.parametrize("spoil", [lambda p: p.write_bytes(p.read_bytes()[:50]), lambda p: p.write_bytes(b"")])
def test_a_damaged_cell_is_absent(tmp_path: Path, spoil) -> None:
    cells = Cells(tmp_path, "v1")
    cells.put("cell", {"loss": np.ones(3)})
    (path,) = tmp_path.glob("*.npz")
    spoil(path)
    assert cells.get("cell") is None
    cells.put("cell", {"loss": np.ones(3)})
    assert cells.get("cell") is not None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--out DIR"):
        Cells(tmp_path / "file" / "cells", "v1")


def test_the_identity_follows_the_sources() -> None:
    assert identity_of("least_squares") == identity_of("least_squares")
    assert identity_of("least_squares") != identity_of("quadratic")
