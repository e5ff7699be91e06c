"""Scope: the values of a partly drawn instance, in which bounds and landmarks of later parameters are evaluated."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from l2o_theory.rigor import language
from l2o_theory.rigor.statement import Parameter, Statement

FUNCTIONS = {
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "root": lambda value, degree: value ** (1 / degree),
    "cosh": math.cosh,
    "acosh": math.acosh,
}
"""Float versions of what statements may call: good enough to say where to look."""


class Scope:
    """Values drawn so far, with the definitions that bounds and landmarks need.

    Args:
        statement: whose parameters are being drawn.
        number: Fraction for exact drawing, float for optimisers.
    """

    def __init__(self, statement: Statement, number: type[Fraction] | type[float]) -> None:
        self.values: dict[str, Any] = {}
        self._number = number
        texts = [text for p in statement.parameters for text in (p.low, p.high, *p.landmarks) if text is not None]
        self._definitions = needed(statement.definitions, texts)
        self._base = {**FUNCTIONS, "number": number, "integer": int}

    def value(self, text: str | None, row: Mapping[str, Any] | None = None) -> Any:
        """Value of an expression, None where it has none (no text, later names, division by zero)."""
        if text is None or text in self.values:
            return text and self.values[text]
        if text.isdecimal():
            return self._number(text)
        world = {**self._base, **self.values, **(row or {})}
        try:
            for name, definition in self._definitions.items():
                if all(used in world for used in names(definition)):
                    world[name] = language.evaluate(definition, world)
            value = language.value_of(language.parse(text), world)
            if isinstance(value, float) and not math.isfinite(value):
                return None
            return self._number(value)
        except (language.Malformed, ArithmeticError, ValueError, TypeError):
            return None

    def bounds(self, parameter: Parameter, row: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        """The ends of the parameter's range; None where it is open or cannot be evaluated yet."""
        return self.value(parameter.low, row), self.value(parameter.high, row)

    def anchors(self, parameter: Parameter, row: Mapping[str, Any] | None = None) -> list[Any]:
        """Distinct finite bounds and landmarks within the range, in increasing order; without landmarks -1, 0 and 1."""
        low, high = self.bounds(parameter, row)
        marks = [self.value(text, row) for text in parameter.landmarks or ("-1", "0", "1")]
        inside = {mark for mark in marks if mark is not None and within(mark, low, high)}
        return sorted(inside | {end for end in (low, high) if end is not None})


def within(value: Any, low: Any, high: Any) -> bool:
    """Whether low <= value <= high, None standing for no bound."""
    return (low is None or low <= value) and (high is None or value <= high)


def names(text: str) -> set[str]:
    """All names in an expression, functions included."""
    return {node.id for node in ast.walk(language.parse(text)) if isinstance(node, ast.Name)}


def needed(definitions: Mapping[str, str], texts: Iterable[str]) -> dict[str, str]:
    """The definitions that the texts mention, with those they build on, in order."""
    wanted = {name for text in texts for name in names(text)}
    for name, text in reversed(list(definitions.items())):
        if name in wanted:
            wanted |= names(text)
    return {name: text for name, text in definitions.items() if name in wanted}
