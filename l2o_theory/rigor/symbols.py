"""Statements read as polynomials: every name a variable, or its definition; part of the trusted base."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from l2o_theory.rigor.language import Malformed, indexed_names, parse, value_of
from l2o_theory.rigor.polynomial import Polynomial

Relation = tuple[Polynomial, str]
"""A polynomial and how it stands to zero: ">", ">=" or "=="."""

_SIGNS = {ast.LtE: ">=", ast.Lt: ">", ast.GtE: ">=", ast.Gt: ">", ast.Eq: "=="}


class Symbols(dict[str, Any]):
    """Names as polynomials: given definitions are expanded, every other name is a variable.

    A definition may use earlier ones only, and it depends on the index i exactly if its name ends in `_i`.

    Example:
        >>> Symbols({"r": "1 - eta*l"}).relation("r <= 1") == Symbols({}).relation("eta*l >= 0")
        True
    """

    def __init__(self, definitions: Mapping[str, str]) -> None:
        super().__init__(sum=lambda value: Polynomial.of(value).summed())
        for name, text in definitions.items():
            tree = parse(text)
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            if name in self or used & (definitions.keys() - self.keys()):
                raise Malformed(f"the definition of {name} is reserved, or uses itself or a later one")
            if bool(indexed_names(tree)) != name.endswith("_i"):
                raise Malformed(f"the definition of {name} depends on the index i, or should by its name")
            self[name] = self.polynomial(text)

    def __missing__(self, name: str) -> Polynomial:
        return Polynomial.variable(name)

    def polynomial(self, text: str) -> Polynomial:
        """Read an expression."""
        return Polynomial.of(value_of(parse(text), self))

    def relation(self, text: str) -> Relation:
        """Read one comparison, "a <= b" and its kin, as a polynomial compared to zero; raises Malformed otherwise."""
        match parse(text):
            case ast.Compare(left=first, ops=[op], comparators=[second]) if type(op) in _SIGNS:
                left, right = (Polynomial.of(value_of(side, self)) for side in (first, second))
                return (right - left if isinstance(op, ast.Lt | ast.LtE) else left - right), _SIGNS[type(op)]
        raise Malformed(f"{text!r} is not a single comparison by <, <=, ==, >= or >")
