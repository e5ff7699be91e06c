"""Margins, compiled: a statement's text as one Python function over balls, for searching only.

The same syntax trees that the statement language walks are written out once as Python source; names and operations are
checked against the grammar while they are written. The values are ball midpoints: exponents never leave the range, as
floats would at t = 1000, but nothing here is a verdict; `Statement.decide` is the arbiter.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import flint

from l2o_theory.errors import ClaimError
from l2o_theory.rigor import balls, language
from l2o_theory.rigor.statement import Statement

Point = Mapping[str, Any]
"""Values of all parameters, exact or float; vectors as sequences."""

TOLERANCE = 1e-13
"""Relative gaps below this are taken as equality in hypotheses: far above 64-bit rounding, far below what we draw."""

_EQUAL = -1e-300  # equality violates a strict relation, by as little as can be
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_OVER_INDEX = {"sum", "prod", "max", "min"}
_STRICT = (ast.Lt, ast.Gt, ast.NotEq)


class Slack(NamedTuple):
    """Signed slacks (right - left)/(|left| + |right|) from -1 on; negative means violated.

    Where the sides have opposite signs this is stuck at 1; then it is 1 + d/(1 + d) with d = right - left, so that an
    optimiser still sees a slope.

    Attributes:
        hypotheses: the smallest over the hypotheses, 0 where one holds with equality.
        conclusion: that of the conclusion; nan where a hypothesis fails or a value is undefined.
    """

    hypotheses: float
    conclusion: float


def compile_margin(statement: Statement, bits: int = 64) -> Callable[[Point], Slack]:
    """Return the function point -> Slack; it never raises on undefined values (nan, or -1 in a hypothesis).

    Args:
        statement: to be compiled.
        bits: precision of the balls whose midpoints are compared.

    Raises:
        ClaimError: the text steps outside the statement language.
    """
    with balls.precision(bits):
        hypotheses, conclusion = _Writer(statement).functions()
    naturals = {p.name for p in statement.parameters if p.kind == "natural"}

    def margin(point: Point) -> Slack:
        with balls.precision(bits):
            try:
                values = {name: _integers(v) if name in naturals else _balls(v) for name, v in point.items()}
                slack, world = hypotheses(**values)
                return Slack(slack, conclusion(*world) if slack >= 0 else math.nan)
            except (ArithmeticError, ValueError, TypeError):
                return Slack(-1.0, math.nan)

    return margin


def _balls(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_balls(entry) for entry in value]
    if isinstance(value, Fraction):
        return flint.arb(flint.fmpq(value.numerator, value.denominator))
    return flint.arb(value)


def _integers(value: Any) -> Any:
    return [int(entry) for entry in value] if isinstance(value, tuple | list) else int(value)


class _Writer:
    """Writes the Python source of one statement."""

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.integral = {p.name for p in statement.parameters if p.kind == "natural"}
        self.world: dict[str, Any] = {
            "__builtins__": {},
            "_gap": _gap,
            "_loose": _loose,
            "_power": _power,
            "_ratio": _ratio,
            "_abs": abs,
            "_sum": sum,
            "_prod": math.prod,
            "_max": max,
            "_min": min,
            "_zip": zip,
        } | {f"_{name}": function for name, function in balls.FUNCTIONS.items()}

    def functions(self) -> tuple[Any, Any]:
        """The two functions: values -> (slack of the hypotheses, all values), and all values -> slack."""
        names = [p.name for p in self.statement.parameters]
        if strange := [name for name in names if not name.isidentifier()]:
            raise ClaimError(f"parameters must be named by identifiers, got {strange}; rename them")
        lines = [f"def hypotheses({', '.join(names)}):"]
        try:
            for name, text in self.statement.definitions.items():
                tree = language.parse(text)
                lines.append(f" {name} = {self.listed(tree)}")
                if self.is_integral(tree):
                    self.integral.add(name)
                names.append(name)
            slacks = [self.slack(language.parse(text), "_loose") for text in self.statement.hypotheses.values()]
            lines.append(f" return _min([1.0, {', '.join(slacks)}]), ({''.join(name + ', ' for name in names)})")
            conclusion = self.slack(language.parse(self.statement.conclusion), "_gap")
            lines.append(f"def conclusion({', '.join(names)}):\n return {conclusion}")
        except language.Malformed as error:
            raise ClaimError(f"{error}; see the grammar in l2o_theory/rigor/language.py") from None
        exec("\n".join(lines), self.world)
        return self.world["hypotheses"], self.world["conclusion"]

    def listed(self, node: ast.AST, entry: str | None = None) -> str:
        """Source of `node`, one entry per index if `..._i` names stand free."""
        names = sorted(language.indexed_names(node))
        text = self.number(node) if entry is None else entry
        if not names:
            return text if entry is None else f"[{text}]"
        rows = ", ".join(names)
        return f"[{text} for ({rows},) in _zip({rows}, strict=True)]"

    def number(self, node: ast.AST) -> str:
        """Source of an expression in which every name is taken as one number."""
        if not any(isinstance(part, ast.Name) for part in ast.walk(node)):
            return self.constant(node)
        match node:
            case ast.Name(id=name):
                return name
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self.number(operand)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                base, power = self.number(left), self.number(right)
                return f"({base}**{power})" if self.is_integral(right) else f"_power({base}, {power})"
            case ast.BinOp(left=left, op=ast.Div(), right=right) if self.is_integral(left) and self.is_integral(right):
                return f"_ratio({self.number(left)}, {self.number(right)})"
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return f"({self.number(left)} {_OPERATORS[type(op)]} {self.number(right)})"
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _OVER_INDEX:
                return f"_{name}({self.listed(argument)})"
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if f"_{name}" in self.world:
                return f"_{name}({', '.join(self.number(argument) for argument in args)})"
        raise language.Malformed(f"not in the language: {ast.unparse(node)}")

    def constant(self, node: ast.AST) -> str:
        """A constant subtree, evaluated exactly now; integers stay integers, so that they can be powers."""
        value = language.value_of(node, {})
        if value.denominator == 1:
            return f"({value.numerator})"
        name = f"_k{len(self.world)}"
        self.world[name] = _balls(value)
        return name

    def is_integral(self, node: ast.AST) -> bool:
        """Whether the generated source yields a Python integer."""
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return name in self.integral
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.is_integral(operand)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult(), right=right):
                return self.is_integral(left) and self.is_integral(right)
        return False

    def slack(self, node: ast.AST, gap: str) -> str:
        """Source of the signed slack of a relation."""
        match node:
            case ast.BoolOp(op=junction, values=parts):
                choose = "_min" if isinstance(junction, ast.And) else "_max"
                return f"{choose}([{', '.join(self.slack(part, gap) for part in parts)}])"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"(-{self.slack(operand, gap)})"
            case ast.Compare(left=first, ops=ops, comparators=rest):
                sides = [first, *rest]
                gaps = []
                for op, left, right in zip(ops, sides, sides[1:], strict=False):
                    pair = ast.Tuple(elts=[left, right], ctx=ast.Load())
                    entry = f"{gap}({type(op).__name__!r}, {self.number(left)}, {self.number(right)})"
                    gaps.append(f"*{self.listed(pair, entry)}")
                return f"_min([2.0, {', '.join(gaps)}])"
            case ast.Call(func=ast.Name(id="all"), args=[argument]):
                return self.slack(argument, gap)
        raise language.Malformed(f"{ast.unparse(node)} is not a relation")


def _gap(op: str, left: Any, right: Any) -> float:
    difference, size = right - left, abs(left) + abs(right)
    if op in ("GtE", "Gt"):
        difference = -difference
    size = flint.arb(size)
    if not size.is_finite():
        raise ValueError("undefined")
    slack = 0.0 if size.contains(0) else float(flint.arb(difference) / size)
    if op in ("Eq", "NotEq"):
        return -abs(slack) if op == "Eq" else abs(slack) or _EQUAL
    if slack == 0:
        return _EQUAL if op in ("Lt", "Gt") else 0.0
    if slack < 1:
        return slack
    distance = float(flint.arb(difference))
    return 1.0 + (distance / (1.0 + distance) if math.isfinite(distance) else 1.0)


def _loose(op: str, left: Any, right: Any) -> float:
    """As `_gap`, with equality up to TOLERANCE: 64-bit midpoints must not shut out an exact boundary point."""
    slack = _gap(op, left, right)
    if abs(slack) > TOLERANCE:
        return slack
    return _EQUAL if op in ("Lt", "Gt", "NotEq") else 0.0


def _ratio(left: int, right: int) -> flint.arb:
    return flint.arb(flint.fmpq(left, right))


def _power(base: Any, exponent: Any) -> Any:
    """Power whose exponent is computed in balls but must be an integer."""
    integer = flint.arb(exponent).unique_fmpz()
    if integer is None:
        raise ValueError("the power is not an integer")
    return base ** int(integer)


def touches(statement: Statement) -> bool:
    """Whether equality decides the conclusion (a strict relation, ==): then rounding noise hides real violations."""
    return any(isinstance(op, (*_STRICT, ast.Eq)) for op in _comparisons(language.parse(statement.conclusion)))


def _comparisons(node: ast.AST) -> Iterable[ast.cmpop]:
    return (op for part in ast.walk(node) if isinstance(part, ast.Compare) for op in part.ops)
