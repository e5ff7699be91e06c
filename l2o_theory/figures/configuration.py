"""Configuration of an experiment: config.toml against the parameters that its run.py declares."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

from l2o_theory.errors import InputError, near_misses
from l2o_theory.rigor.rationals import parse_rational

Configuration = Mapping[str, Any]
"""Parameter values by dotted name ("meta_descent.steps"), always with "seed"."""

_KINDS = {int: "an integer", float: "a number", str: "a text", Fraction: 'a rational such as "2/3"'}


@dataclass(frozen=True)
class Parameter:
    """What one parameter must be: its type (int, float, str, Fraction), whether it is a list, its least value."""

    kind: type
    many: bool = False
    least: float | None = None

    def read(self, value: Any, name: str) -> Any:
        """Return `value` as declared; lists come back as tuples.

        Raises:
            InputError: another type, an empty list, a value below `least`, or a number that is not finite.
        """
        if not self.many:
            return self._one(value, name)
        if not isinstance(value, list) or not value:
            raise InputError(f"{name} must be a list of at least one entry, got {value!r}; write it as [..]")
        return tuple(self._one(entry, f"{name}[{index}]") for index, entry in enumerate(value))

    def _one(self, value: Any, name: str) -> Any:
        accepted = {int: int, float: int | float, str: str, Fraction: int | float | str}[self.kind]
        if isinstance(value, bool) or not isinstance(value, accepted):
            raise InputError(f"{name} must be {_KINDS[self.kind]}, got {value!r}; change it in config.toml")
        if self.kind is str:
            return value
        exact = parse_rational(value, name)
        if self.least is not None and exact < self.least:
            raise InputError(f"{name} must be >= {self.least}, got {value!r}; change it in config.toml")
        return exact if self.kind is Fraction else self.kind(value)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: missing, or not TOML; the text names the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path} ({error.strerror}); an experiment folder needs it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not TOML: {error}; mend the file") from None


def load_configuration(
    path: Path, parameters: Mapping[str, Parameter], *, seed: int | None = None, quick: bool = False
) -> Configuration:
    """Read config.toml, apply its [quick] table if asked and the given seed, and check every value.

    Raises:
        InputError: unknown or missing parameter (near misses are suggested), or a value `Parameter.read` refuses.
    """
    declared = {"seed": Parameter(int, least=0), **parameters}
    tables = read_toml(path)
    overrides = _flat(tables.pop("quick", {}), declared, path)
    values = _flat(tables, declared, path)
    missing = [name for name in declared if name not in values]
    if missing:
        raise InputError(f"{path}: missing {', '.join(missing)}; add it")
    checked = {name: declared[name].read(value, name) for name, value in values.items()}
    quickened = {name: declared[name].read(value, f"quick.{name}") for name, value in overrides.items()}
    if quick:
        checked |= quickened
    if seed is not None:
        checked["seed"] = declared["seed"].read(seed, "seed")
    return MappingProxyType(checked)


def _flat(table: Any, declared: Mapping[str, Parameter], path: Path, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested tables by dotted name."""
    if not isinstance(table, dict):
        raise InputError(f"{path}: quick must be a table, got {table!r}; write [quick] above its entries")
    leaves: dict[str, Any] = {}
    for key, value in table.items():
        name = prefix + key
        if isinstance(value, dict):
            leaves |= _flat(value, declared, path, f"{name}.")
        elif name in declared:
            leaves[name] = value
        else:
            raise InputError(f"{path}: unknown parameter {name}; {near_misses(name, declared)}")
    return leaves
