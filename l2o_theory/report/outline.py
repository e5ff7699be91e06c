"""Outlines: a proof certificate retold in order, one line per step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Branch:
    """One case of a step: the sign that is known in it, and its steps."""

    case: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Line:
    """One step: its name, the relation it establishes, how, and the cases it splits into."""

    name: str
    goal: str
    how: str
    branches: tuple[Branch, ...] = ()


def read(certificate: Mapping[str, Any]) -> tuple[Line, ...]:
    """The steps of a certificate of kind proof (or posit, a proof of one step); empty for other kinds."""
    if certificate.get("kind") == "posit":
        return (Line("goal", str(certificate["goals"][0]), _combination(certificate)),)
    return _lines(certificate["steps"]) if certificate.get("kind") == "proof" else ()


def _lines(steps: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    return tuple(Line(step["name"], step["goal"], _how(step), _branches(step)) for step in steps)


def _branches(step: Mapping[str, Any]) -> tuple[Branch, ...]:
    if step["by"] != "cases":
        return ()
    signs = (("nonnegative", "≥ 0"), ("negative", "< 0"))
    return tuple(Branch(f"{step['split']} {sign}", _lines(step[branch])) for branch, sign in signs)


def _how(step: Mapping[str, Any]) -> str:
    match step["by"]:
        case "posit":
            return _combination(step)
        case "sum":
            return f"sum of {step['of']} over i"
        case "cancel":
            return f"divide {step['product']} by the positive {step['factor']}"
        case "cases":
            return f"two cases, by the sign of {step['split']}"
        case other:
            return str(other)


def _combination(step: Mapping[str, Any]) -> str:
    terms = step.get("terms", [])
    used = dict.fromkeys(name for term in terms for name in term.get("of", {}))
    names = [*used, *step.get("equal", {})]
    squares = " and squares" if any(term.get("square", "1") != "1" for term in terms) else ""
    if not names:
        return "a sum of squares" if squares else "an identity: both sides expand to the same polynomial"
    return f"nonnegative combination of products of {', '.join(names)}{squares}" if used else f"from {', '.join(names)}"
