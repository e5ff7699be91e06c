"""A user's own regression data: read, refused where it cannot be used, standardised, and its noise estimated."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from l2o_theory.errors import InputError

Array = NDArray[np.float64]
_CONSTANT = 1e-12  # a column whose spread is below this share of its size is constant up to rounding


@dataclass(frozen=True, eq=False)
class Table:
    """Numbers of a file: X of shape (rows, columns), y of shape (rows,), and what the columns are called."""

    X: Array
    y: Array
    names: tuple[str, ...]
    target: str


@dataclass(frozen=True, eq=False)
class Regression:
    """Standardised data in the units of the theory, where the best linear predictor has |w*| = 1.

    Attributes:
        X: shape (rows, dimension); every column has mean 0 and mean square 1.
        y: shape (rows,); mean 0, divided by `signal`.
        signal: estimate of |w*| in the units of the file's target; multiply by it to return to them.
        noise: sigma in the units of the theory, estimated or given.
        rule: how sigma was found, for the reader.
        names: the columns of X.
        target: the column of y.
    """

    X: Array
    y: Array
    signal: float
    noise: float
    rule: str
    names: tuple[str, ...]
    target: str

    @property
    def rows(self) -> int:
        """Rows of the data."""
        return int(self.X.shape[0])

    @property
    def dimension(self) -> int:
        """Columns of X."""
        return int(self.X.shape[1])


def read_table(path: Path, target: str | None = None) -> Table:
    """Read a CSV file (comma, semicolon or tab; with or without a header) or an .npz file with arrays X and y.

    Args:
        path: the file.
        target: the column of a CSV file that is predicted; the last one if None.

    Raises:
        InputError: the file cannot be read, holds text, NaN or infinite entries or rows of different length, X and y
            have different lengths, or there is no column `target`.
    """
    if not path.is_file():
        raise InputError(f"no file {path}; give a .csv or .npz file with --data")
    table = _read_npz(path, target) if path.suffix == ".npz" else _read_csv(path, target)
    bad = np.argwhere(~np.isfinite(np.column_stack([table.X, table.y])))
    if bad.size:
        row, column = (int(index) for index in bad[0])
        name = (*table.names, table.target)[column]
        raise InputError(
            f"{path}: column {name!r} is missing or not finite in data row {row + 1}; fill or drop the row"
        )
    return table


def standardise(table: Table, noise: float | None = None) -> Regression:
    r"""Centre and scale every column of X over all rows, centre y, and express both in units of the signal.

    With rows m, dimension d and y of variance s^2, the model y = <w*, x> + sigma xi, w* of random direction, gives
    s^2 = |w*|^2 + sigma^2 for standardised features, whatever their correlations. sigma^2 is

    - the unbiased residual variance |y - X w_OLS|^2 / (m - d - 1) if m > d + 1 (one degree of freedom is the mean);
    - otherwise the moment estimate from s^2 and |X^T y|^2, see `_moment_noise` [derived here].

    Args:
        table: what was read.
        noise: sigma / |w*|, if known; nothing is estimated then.

    Raises:
        InputError: a constant column, fewer than three rows, a negative noise, or y without a linear signal.
    """
    if table.X.shape[0] < 3:
        raise InputError(f"wanted at least 3 rows, got {table.X.shape[0]}; add data")
    X, y = _centred(table.X, table.names), _centred(table.y[:, None], (table.target,))[:, 0]
    X = X / np.sqrt(np.mean(X**2, axis=0))
    variance = float(y @ y) / (len(y) - 1)
    if noise is not None:
        if not noise >= 0:
            raise InputError(f"--noise must be >= 0, got {noise:g}; it is sigma divided by |w*|")
        signal = math.sqrt(variance / (1 + noise**2))
        return Regression(X, y / signal, signal, noise, "given", table.names, table.target)
    sigma2, rule = _residual_noise(X, y) if len(y) > X.shape[1] + 1 else _moment_noise(X, y)
    if not 0 <= sigma2 < variance:
        raise InputError(
            f"no linear signal found: estimated noise variance {sigma2:.3g}, variance of {table.target!r} "
            f"{variance:.3g}; give sigma/|w*| with --noise"
        )
    signal = math.sqrt(variance - sigma2)
    return Regression(X, y / signal, signal, math.sqrt(sigma2) / signal, rule, table.names, table.target)


def _centred(columns: Array, names: tuple[str, ...]) -> Array:
    centred = columns - columns.mean(axis=0)
    scale = np.abs(columns).max(axis=0)
    constant = np.flatnonzero(np.abs(centred).max(axis=0) <= _CONSTANT * scale)
    if constant.size:
        raise InputError(f"column {names[int(constant[0])]!r} is constant; drop it")
    return np.asarray(centred)


def _residual_noise(X: Array, y: Array) -> tuple[float, str]:
    coefficients, _, rank, _ = np.linalg.lstsq(X, y, rcond=None)
    freedom = len(y) - int(rank) - 1
    residual = y - X @ coefficients
    return float(residual @ residual) / freedom, f"residual variance with {freedom} degrees of freedom"


def _moment_noise(X: Array, y: Array) -> tuple[float, str]:
    r"""Noise where least squares interpolates: two moments, two unknowns.

    For Gaussian rows with covariance S, w* of random direction and length rho, per-column moments m_k = tr(S^k)/d:
    E|y|^2/m = rho^2 m_1 + sigma^2 and E|X^T y|^2/m^2 = (d m_1/m) E|y|^2/m + (1 + 1/m) rho^2 m_2. With standardised
    columns m_1 = 1; tr(S^2) is estimated by tr(H^2) - tr(H)^2/m [derived here].
    """
    rows, dimension = X.shape
    power = float(y @ y) / rows
    kernel = X @ X.T / rows
    second = (float(np.sum(kernel**2)) - dimension**2 / rows) / dimension
    moment = float(np.sum((X.T @ y) ** 2)) / rows**2
    if not second > 0:
        raise InputError(
            f"{rows} rows are too few to estimate the noise in dimension {dimension}; give it with --noise"
        )
    signal2 = (moment - dimension / rows * power) / ((1 + 1 / rows) * second)
    return power - signal2, "moment estimate, since rows <= columns + 1"


def _read_npz(path: Path, target: str | None) -> Table:
    if target is not None:
        raise InputError(f"{path}: --target {target} names a column of a CSV file; an .npz file predicts its array y")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); check its permissions") from None
    except (ValueError, EOFError, BadZipFile):  # numpy's own words advise to unpickle what it does not know
        raise InputError(f"{path} is no .npz file of plain arrays; save it with numpy.savez(file, X=X, y=y)") from None
    if not {"X", "y"} <= set(found):
        raise InputError(f"{path} holds {', '.join(sorted(found)) or 'nothing'}; wanted arrays X and y")
    X, y = _numeric(found["X"], f"{path}: X"), _numeric(found["y"], f"{path}: y")
    if X.ndim != 2 or y.ndim != 1 or 0 in X.shape:
        raise InputError(
            f"{path}: wanted X of shape (rows, columns) and y of shape (rows,), got {X.shape} and {y.shape}"
        )
    if len(X) != len(y):
        raise InputError(f"{path}: X has {len(X)} rows and y {len(y)}; give one entry of y for each row of X")
    return Table(X, y, tuple(f"X[{index}]" for index in range(X.shape[1])), "y")


def _numeric(values: Any, name: str) -> Array:
    if values.dtype.kind not in "fiub":
        raise InputError(f"{name} holds {values.dtype}, not real numbers; convert it")
    return np.asarray(values, dtype=np.float64)


def _read_csv(path: Path, target: str | None) -> Table:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as text ({error}); give a .csv or .npz file") from None
    head = text.split("\n", 1)[0]
    lines = list(csv.reader(text.splitlines(), delimiter=max(",;\t", key=head.count)))
    rows = [(number, row) for number, row in enumerate(lines, start=1) if any(cell.strip() for cell in row)]
    if not rows:
        raise InputError(f"{path} is empty; give one row per sample")
    first = [cell.strip() for cell in rows[0][1]]
    headed = not any(_is_number(cell) for cell in first)
    names = first if headed else [f"column {index}" for index in range(1, len(first) + 1)]
    body = rows[1:] if headed else rows
    if len(names) < 2 or not body:
        raise InputError(
            f"{path}: wanted at least 3 rows, one feature and a target, got {len(body)} rows of {len(names)} columns"
        )
    values = np.array([_row(path, number, row, names) for number, row in body])
    if target is not None and target not in names:
        raise InputError(f"{path} has no column {target!r}; its columns are {', '.join(names)}")
    if target is not None and names.count(target) > 1:
        raise InputError(f"{path} has {names.count(target)} columns {target!r}; rename the one to predict")
    place = len(names) - 1 if target is None else names.index(target)
    others = [index for index in range(len(names)) if index != place]
    return Table(values[:, others], values[:, place], tuple(names[index] for index in others), names[place])


def _row(path: Path, number: int, row: list[str], names: list[str]) -> list[float]:
    if len(row) != len(names):
        raise InputError(f"{path}, line {number}: wanted {len(names)} entries, got {len(row)}; mend the line")
    values = []
    for cell, name in zip(row, names, strict=True):
        if cell.strip() and not _is_number(cell):
            cure = "write a decimal point" if _is_number(cell.replace(",", ".")) else "encode or drop it"
            raise InputError(f"{path}, line {number}: column {name!r} is {cell.strip()!r}, not a number; {cure}")
        values.append(float(cell) if cell.strip() else math.nan)
    return values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
