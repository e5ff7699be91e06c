"""A user's data: read as it is, refused where it cannot be used, noise estimated within its standard error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares.regression import Table, read_table, standardise

CSV = "a,b,y\n1,2,3\n2,1,5\n4,4,4\n0,7,1\n3,3,3\n"


def drawn(rows: int, dimension: int, noise: float, seed: int, mixing: float = 0.0) -> Table:
    """y = X w + noise * xi with |w| = 1; `mixing` correlates the columns."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((rows, dimension)) + mixing * random.standard_normal((rows, 1))
    w = random.standard_normal(dimension)
    y = X / np.sqrt(1 + mixing**2) @ (w / np.linalg.norm(w)) + noise * random.standard_normal(rows)
    return Table(10 * X + 3, 7 * y - 2, tuple(f"x{k}" for k in range(dimension)), "y")


def test_the_target_is_the_last_column_or_the_named_one(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(CSV)
    table = read_table(path)
    assert (table.names, table.target) == (("a", "b"), "y")
    assert table.y.tolist() == [3, 5, 4, 1, 3]
    other = read_table(path, "a")
    assert (other.names, other.target) == (("b", "y"), "a")
    assert other.X.tolist() == [[2, 3], [1, 5], [4, 4], [7, 1], [3, 3]]


@pytest.mark.parametrize("text", [CSV.replace(",", ";"), CSV.replace(",", "\t"), CSV.split("\n", 1)[1], "\ufeff" + CSV])
def test_separators_header_and_byte_order_mark(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    assert read_table(path).X.tolist() == [[1, 2], [2, 1], [4, 4], [0, 7], [3, 3]]


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=np.arange(6).reshape(3, 2), y=np.array([1.0, 2.0, 4.0]))
    table = read_table(tmp_path / "d.npz")
    assert table.X.tolist() == [[0, 1], [2, 3], [4, 5]]
    np.savez(tmp_path / "d.npz", X=np.ones((3, 2)), y=np.ones(4))
    with pytest.raises(InputError, match="X has 3 rows and y 4"):
        read_table(tmp_path / "d.npz")
    np.savez(tmp_path / "d.npz", X=np.ones((3, 2)))
    with pytest.raises(InputError, match="wanted arrays X and y"):
        read_table(tmp_path / "d.npz")
    np.savez(tmp_path / "d.npz", X=np.array([["a", "b"]]), y=np.ones(1))
    with pytest.raises(InputError, match="not real numbers"):
        read_table(tmp_path / "d.npz")
    (tmp_path / "d.npz").write_bytes(b"PK not a zip")
    with pytest.raises(InputError, match=r"no \.npz file of plain arrays") as refusal:
        read_table(tmp_path / "d.npz")
    assert "pickle" not in str(refusal.value)  # numpy's own advice would be a dangerous one


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CSV.replace("4,4,4", "4,,4"), "column 'b' is missing or not finite in data row 3"),
        (CSV.replace("4,4,4", "4,nan,4"), "column 'b' is missing or not finite in data row 3"),
        (CSV.replace("4,4,4", "4,red,4"), "line 4: column 'b' is 'red', not a number"),
        (CSV.replace("4,4,4", "4,4"), "line 4: wanted 3 entries, got 2"),
        ("", "empty"),
        ("y\n1\n2\n", "2 rows of 1 columns"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as refusal:
        read_table(path)
    assert "\n" not in str(refusal.value)


def test_no_such_file_or_column(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file"):
        read_table(tmp_path / "absent.csv")
    (tmp_path / "data.csv").write_text(CSV)
    with pytest.raises(InputError, match="no column 'z'"):
        read_table(tmp_path / "data.csv", "z")


def test_constant_columns_and_useless_targets_are_refused() -> None:
    good = drawn(50, 3, 0.5, 0)
    X = good.X.copy()
    X[:, 1] = 0.1 + 0.2
    with pytest.raises(InputError, match="'x1' is constant"):
        standardise(Table(X, good.y, good.names, "y"))
    with pytest.raises(InputError, match="'y' is constant"):
        standardise(Table(good.X, np.full(50, 3.3), good.names, "y"))
    ones = np.column_stack([good.X, np.ones(50)])
    unexplained = good.y - ones @ np.linalg.lstsq(ones, good.y, rcond=None)[0]  # orthogonal to every column
    with pytest.raises(InputError, match="no linear signal"):
        standardise(Table(good.X, unexplained, good.names, "y"))
    with pytest.raises(InputError, match=">= 0"):
        standardise(good, -1.0)


@pytest.mark.parametrize(("rows", "dimension", "mixing"), [(4000, 20, 0.0), (4000, 20, 0.7), (400, 800, 0.0)])
def test_the_noise_is_recovered(rows: int, dimension: int, mixing: float) -> None:
    """Mean of 6 data sets; 4 standard errors of that mean, taken from the 6 themselves."""
    found = np.array([standardise(drawn(rows, dimension, 0.8, seed, mixing)).noise for seed in range(6)])
    if mixing == 0:
        assert abs(found.mean() - 0.8) <= 4 * found.std(ddof=1) / np.sqrt(6)
        assert abs(found.mean() - 2.0) > 4 * found.std(ddof=1) / np.sqrt(6)  # planted: another noise
    assert ((found > 0.4) & (found < 1.6)).all()


def test_the_units_of_the_theory_and_back() -> None:
    table = drawn(3000, 5, 0.6, 1)
    data = standardise(table)
    # exact by construction, up to rounding
    assert data.X.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-12)
    assert (data.X**2).mean(axis=0) == pytest.approx(np.ones(5))
    assert data.y * data.signal == pytest.approx(table.y - table.y.mean())
    # 10 percent: 3000 rows leave 2 percent, and the 7 of the file is the length of w
    assert data.signal == pytest.approx(7, rel=0.1)
    assert standardise(table, 0.6).rule == "given"
    assert standardise(table, 0.6).signal == pytest.approx(data.signal, rel=0.1)
