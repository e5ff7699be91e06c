"""Counterexamples: the instance of a cex certificate as a table, with both sides of every comparison it decides."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from l2o_theory.report import numerals
from l2o_theory.rigor import balls, language
from l2o_theory.rigor.statement import links

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "≤",
    ast.Gt: ">",
    ast.GtE: "≥",
    ast.Eq: "=",
    ast.NotEq: "≠",
}
_UNREADABLE = (language.Malformed, language.Undecided, ArithmeticError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Number:
    """A value as text: exact form (empty for balls) and decimal form with its sign, "= 0.6" or "≈ 0.333"."""

    exact: str
    decimal: str


@dataclass(frozen=True)
class Comparison:
    """One comparison of the conclusion at the instance; left, right and gap = left - right are values."""

    text: str
    sign: str
    left: Number
    right: Number
    gap: Number
    holds: bool


@dataclass(frozen=True)
class Counterexample:
    """What the card shows of a cex certificate.

    Attributes:
        values: parameter -> its exact values (one entry, or one per index i).
        comparisons: both sides of each comparison of the conclusion; empty if they are no comparisons of numbers.
        definitions: what the names in the comparisons stand for.
        arithmetic: "exact rationals" or "balls of N bits".
    """

    values: Mapping[str, tuple[Number, ...]]
    comparisons: tuple[Comparison, ...]
    definitions: Mapping[str, str]
    arithmetic: str


def read(certificate: Mapping[str, Any]) -> Counterexample | None:
    """The counterexample in a certificate of kind cex; None for other kinds and for what cannot be read."""
    if certificate.get("kind") != "cex":
        return None
    try:
        values = {name: _values(value) for name, value in certificate["instance"].items()}
    except _UNREADABLE:
        return None
    bits = certificate.get("bits")
    try:
        comparisons = _in_balls(certificate, bits) if bits else _exactly(certificate)
    except _UNREADABLE:
        comparisons = ()
    arithmetic = f"balls of {bits} bits" if bits else "exact rationals"
    return Counterexample(values, comparisons, certificate.get("definitions", {}), arithmetic)


def _values(value: Any) -> tuple[Number, ...]:
    return tuple(_number(Fraction(v)) for v in (value if isinstance(value, list | tuple) else [value]))


def _exactly(certificate: Mapping[str, Any]) -> tuple[Comparison, ...]:
    world = language.instance(certificate["instance"], certificate.get("definitions", {}))
    return _comparisons(certificate["conclusion"], world)


def _in_balls(certificate: Mapping[str, Any], bits: int) -> tuple[Comparison, ...]:
    with balls.precision(bits):
        world = balls.instance_in_balls(certificate["instance"], certificate.get("definitions", {}))
        return _comparisons(certificate["conclusion"], world)


def _comparisons(conclusion: str, world: Mapping[str, Any]) -> tuple[Comparison, ...]:
    found = []
    for text in links(conclusion):
        node = language.parse(text)
        if isinstance(node, ast.Compare):
            found.append(_comparison(text, node, world))
    return tuple(found)


def _comparison(text: str, node: ast.Compare, world: Mapping[str, Any]) -> Comparison:
    """Both sides; where the comparison runs over i, at the first index that violates it."""
    left, right = (language.evaluate_tree(side, world) for side in (node.left, node.comparators[0]))
    verdicts = language.evaluate_tree(node, world)
    if isinstance(verdicts, list):
        row = verdicts.index(False) if False in verdicts else 0
        left, right = (side[row] if isinstance(side, list) else side for side in (left, right))
        verdicts = verdicts[row]
    sign = _SIGNS[type(node.ops[0])]
    return Comparison(text, sign, _number(left), _number(right), _number(left - right), bool(verdicts))


def _number(value: Fraction | flint.arb) -> Number:
    if isinstance(value, Fraction):
        text, rounded = numerals.exact(value), numerals.decimal(value)
        return Number(text, "" if rounded == f"= {text}" else rounded)
    return Number("", value.str(12).replace("-", "−"))
