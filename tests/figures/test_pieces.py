"""A piece is reused exactly when everything that determines it is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from l2o_theory.figures.pieces import Pieces, fingerprint


class Counter:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> list[float]:
        self.calls += 1
        return [0.1 + 0.2, float("inf"), self.calls]


def test_a_finished_piece_is_reused_to_the_last_bit(tmp_path: Path) -> None:
    compute = Counter()
    first = Pieces(tmp_path, "v1").get("part", {"seed": 1}, compute)
    again = Pieces(tmp_path, "v1")
    assert again.get("part", {"seed": 1}, compute) == first == [0.1 + 0.2, float("inf"), 1]
    assert (compute.calls, again.reused, again.computed) == (1, 1, 0)


@pytest.mark.parametrize(
    ("identity", "name", "parameters"),
    [("v2", "part", {"seed": 1}), ("v1", "other", {"seed": 1}), ("v1", "part", {"seed": 2}), ("v1", "part", {})],
)
def test_any_difference_means_a_new_computation(
    tmp_path: Path, identity: str, name: str, parameters: dict[str, int]
) -> None:
    compute = Counter()
    Pieces(tmp_path, "v1").get("part", {"seed": 1}, compute)
    assert Pieces(tmp_path, identity).get(name, parameters, compute)[2] == 2


def test_fresh_forgets(tmp_path: Path) -> None:
    compute = Counter()
    Pieces(tmp_path / "p", "v1").get("part", {}, compute)
    assert Pieces(tmp_path / "p", "v1", fresh=True).get("part", {}, compute)[2] == 2


@pytest.mark.parametrize("damage", ["", "{", '{"value": 1}', "[]", '{"key": "of another piece", "value": [7]}'])
def test_a_damaged_piece_is_computed_anew(tmp_path: Path, damage: str) -> None:
    compute = Counter()
    Pieces(tmp_path, "v1").get("part", {}, compute)
    (path,) = tmp_path.iterdir()
    path.write_text(damage)
    assert Pieces(tmp_path, "v1").get("part", {}, compute)[2] == 2
    assert json.loads(path.read_text())["value"][2] == 2


def test_the_fingerprint_follows_the_sources(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("x = 1\n")
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before
    (tmp_path / "run.py").write_text("x = 2\n")
    assert fingerprint(tmp_path) != before
