"""A table of a recipe file, read key by key: what was never asked for is refused, wrong types and ranges likewise.

A reader asks for every key that exists, given or not, and calls `finish` last: the keys it asked for are the known
ones, so there is no second list of them that could differ.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from l2o_theory.errors import InputError, near_misses
from l2o_theory.rigor.rationals import parse_rational

REQUIRED: Any = object()
"""The default of a key that has none."""

_ARITHMETIC = ("generator", "dtype", "device")  # parameters of a maker that no table gives


class Table:
    """One table.

    Args:
        path: the file, for messages.
        name: of the table; empty for the top of the file.
        entries: what stands in it.
        is_given: whether the file has it at all; an empty one may mean something else than none.
    """

    def __init__(self, path: Path, name: str, entries: Mapping[str, Any], *, is_given: bool = True) -> None:
        self.path, self.name, self.is_given = path, name, is_given
        self._entries, self._asked, self._inner = entries, dict[str, None](), dict[str, Table]()

    @classmethod
    def read(cls, path: Path) -> Table:
        """The top of a TOML file.

        Raises:
            InputError: the file is missing, or not TOML; the text names the line.
        """
        try:
            return cls(path, "", tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise InputError(f"cannot read the recipe {path} ({error.strerror}); give a TOML file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not TOML: {error}; mend the file") from None

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def integer(self, key: str, default: Any = REQUIRED, *, least: int | None = None) -> Any:
        """An integer, or the default."""
        wanted = "an integer" if least is None else f"an integer >= {least}"
        return self._value(key, default, wanted, lambda value: _integer(value, least))

    def number(self, key: str, default: Any = REQUIRED, *, above: float | None = None) -> Any:
        """A finite number as a float, or the default; texts such as "2/3" are numbers too."""
        wanted = "a number" if above is None else f"a number > {above:g}"
        return self._value(key, default, wanted, lambda value: _number(value, above))

    def flag(self, key: str, default: Any = REQUIRED) -> Any:
        """True or false."""
        return self._value(key, default, "true or false", lambda value: _typed(value, bool))

    def text(self, key: str, default: Any = REQUIRED, *, what: str = "a text") -> Any:
        """A text; `what` says more about it in messages."""
        return self._value(key, default, what, lambda value: _typed(value, str))

    def choice(self, key: str, known: Collection[str], default: Any = REQUIRED) -> Any:
        """One of the known names.

        Raises:
            InputError: another one; near misses and all known ones are named.
        """
        name = self.text(key, default)
        if name is not default and name not in known:
            self.refuse(f"unknown {key} {name!r}", name, known)
        return name

    def integers(self, key: str, default: Any = REQUIRED, *, least: int | None = None, empty: bool = False) -> Any:
        """A list of integers as a tuple."""
        wanted = "a list of integers" if least is None else f"a list of integers >= {least}"
        return self._value(key, default, wanted, lambda value: _listed(value, lambda v: _integer(v, least), empty))

    def numbers(self, key: str, default: Any = REQUIRED) -> Any:
        """A list of numbers as a tuple of floats."""
        return self._value(key, default, "a list of numbers", lambda value: _listed(value, lambda v: _number(v), False))

    def table(self, key: str) -> Table:
        """The table inside; empty if it is not there."""
        entries = self._value(key, {}, f"a table: write [{key}] above its entries", lambda value: _typed(value, dict))
        return self._child(key, entries, key in self)

    def tables(self, key: str) -> list[Table]:
        """A list of tables, at least one."""
        form = f"a list of tables such as {key} = [{{ name = ... }}]"
        found = self._value(key, REQUIRED, form, lambda value: _listed(value, lambda v: _typed(v, dict), False))
        return [self._child(f"{self.name}.{key}[{place}]", entries) for place, entries in enumerate(found)]

    def arguments(self, maker: Callable[..., Any], *, but: Collection[str] = ()) -> dict[str, Any]:
        """Arguments of `maker` that stand here, each of its annotated type; one without a default must be given.

        Args:
            maker: a function or class that takes numbers, texts and flags.
            but: arguments that do not come from this table.
        """
        readers = {"bool": self.flag, "int": self.integer, "str": self.text}
        values = {}
        for name, parameter in inspect.signature(maker).parameters.items():
            if name in (*_ARITHMETIC, *but):
                continue
            default = REQUIRED if parameter.default is inspect.Parameter.empty else parameter.default
            kind = str(parameter.annotation).partition(" ")[0]  # the package postpones annotations: they are texts
            kind = kind if kind in readers else type(default).__name__  # an alias, such as that of a Literal
            value = readers.get(kind, self.number)(name, default)
            if name in self:
                values[name] = value
        return values

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Inside, errors of others get the name of the file and the table in front."""
        try:
            yield
        except InputError as error:
            text = str(error)
            raise InputError(text if text.startswith(f"{self.path}: ") else f"{self._place} {text}") from None

    def refuse(self, what: str, name: str, known: Collection[str]) -> NoReturn:
        """Raise InputError: `what` is wrong with this file, `name` is unknown, and these are the known ones."""
        listed = f"known are {', '.join(known)}"
        hint = near_misses(name, known, listed)
        raise InputError(f"{self._place} {what}; {hint}{'' if hint == listed else f' {listed}'}")

    def finish(self, *, inside: bool = True) -> None:
        """Refuse keys that nobody asked for, in this table and, unless told otherwise, in those inside.

        Raises:
            InputError: there are some; near misses and all known ones are named.
        """
        for key in self._entries:
            if key not in self._asked:
                self.refuse(f"unknown key {key!r}", key, self._asked)
        for table in self._inner.values() if inside else ():
            table.finish()

    @property
    def _place(self) -> str:
        return f"{self.path}: [{self.name}]" if self.name else f"{self.path}:"

    def _child(self, name: str, entries: Mapping[str, Any], is_given: bool = True) -> Table:
        return self._inner.setdefault(name, Table(self.path, name, entries, is_given=is_given))

    def _value(self, key: str, default: Any, wanted: str, read: Callable[[Any], Any]) -> Any:
        self._asked[key] = None
        if key not in self._entries:
            if default is not REQUIRED:
                return default
            given = f"got {', '.join(self._entries)}" if self._entries else "got nothing"
            raise InputError(f"{self._place} lacks {key!r}, {wanted}; {given}")
        try:
            return read(self._entries[key])
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{self._place} {key} must be {wanted}, got {self._entries[key]!r}; change it") from None


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _integer(value: Any, least: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        raise TypeError
    return value


def _number(value: Any, above: float | None = None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(parse_rational(value, "number"))
    if above is not None and not number > above:
        raise ValueError
    return number


def _listed(value: Any, read: Callable[[Any], Any], empty: bool) -> tuple[Any, ...]:
    if not isinstance(value, list) or not (value or empty):
        raise TypeError
    return tuple(read(entry) for entry in value)
