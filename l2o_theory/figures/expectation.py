"""Expectations: what the theory predicts for an experiment, written down before the run and compared after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import read_toml

Outcome = Literal["met", "not met", "not applicable"]
_TEXTS = ("quantity", "describes", "reason", "source")
_OPTIONS = {"value": float, "tolerance": float, "at_least": float, "at_most": float, "seed": int, "full": bool}


@dataclass(frozen=True)
class Expectation:
    """One prediction: `value` within `tolerance`, or a range `at_least` .. `at_most` (either end may be absent).

    `quantity` is the name under which run.py reports the number; `reason` says why this tolerance or range, `source`
    who says so. A prediction with `seed` holds for that seed only; one with `full` holds for full runs only.
    """

    quantity: str
    describes: str
    reason: str
    source: str
    value: float | None = None
    tolerance: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    seed: int | None = None
    full: bool = False

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest measurement that meets the prediction."""
        if self.value is not None and self.tolerance is not None:
            return self.value - self.tolerance, self.value + self.tolerance
        return (
            -math.inf if self.at_least is None else self.at_least,
            math.inf if self.at_most is None else self.at_most,
        )

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.value:g} +- {self.tolerance:g}" if self.tolerance else f"{self.value:g}"
        ends = [f"{sign} {end:g}" for sign, end in ((">=", self.at_least), ("<=", self.at_most)) if end is not None]
        return ", ".join(ends)


@dataclass(frozen=True)
class Comparison:
    """A prediction beside its measurement."""

    expectation: Expectation
    measured: float | None
    outcome: Outcome


def load_expectations(path: Path) -> tuple[Expectation, ...]:
    """Read the [[expected]] entries of expected.toml.

    Raises:
        InputError: no entries, an unknown key, a missing text, or neither a value with tolerance nor a range.
    """
    entries = read_toml(path).get("expected", [])
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: wanted at least one [[expected]] entry, found none; write down what is predicted")
    return tuple(_expectation(entry, f"{path}, entry {index}") for index, entry in enumerate(entries, start=1))


def compare(
    expectations: tuple[Expectation, ...], measured: Mapping[str, float], *, seed: int, quick: bool
) -> tuple[Comparison, ...]:
    """Set each prediction beside its measurement; NaN meets nothing.

    Raises:
        InputError: a prediction that applies to this run names a quantity the run did not report.
    """
    comparisons = []
    for expectation in expectations:
        if (expectation.full and quick) or expectation.seed not in (None, seed):
            comparisons.append(Comparison(expectation, measured.get(expectation.quantity), "not applicable"))
            continue
        if expectation.quantity not in measured:
            raise InputError(
                f"expected.toml predicts {expectation.quantity}, which the run did not report; "
                f"reported are {', '.join(sorted(measured))}"
            )
        value = float(measured[expectation.quantity])
        low, high = expectation.range
        comparisons.append(Comparison(expectation, value, "met" if low <= value <= high else "not met"))
    return tuple(comparisons)


def _expectation(entry: Any, where: str) -> Expectation:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: wanted a table, got {entry!r}; write [[expected]] above it")
    unknown = [key for key in entry if key not in _TEXTS and key not in _OPTIONS]
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join((*_TEXTS, *_OPTIONS))}")
    lacking = [key for key in _TEXTS if not isinstance(entry.get(key), str) or not entry[key].strip()]
    if lacking:
        raise InputError(f"{where}: {lacking[0]} must be a text, got {entry.get(lacking[0])!r}; fill it in")
    for key, kind in _OPTIONS.items():
        number = isinstance(entry.get(key), int | float) and not isinstance(entry.get(key), bool)
        fits = isinstance(entry.get(key), kind) if kind is not float else number
        if key in entry and not fits:
            raise InputError(f"{where}: {key} must be of type {kind.__name__}, got {entry[key]!r}; change it")
    exact, ranged = "value" in entry, "at_least" in entry or "at_most" in entry
    if exact == ranged or exact != ("tolerance" in entry) or not entry.get("tolerance", 0) >= 0:
        raise InputError(f"{where}: wanted value with tolerance >= 0, or at_least / at_most; give one of the two forms")
    return Expectation(**entry)
