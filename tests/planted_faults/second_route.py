"""A second reading of statements that shares no code with the package: Python's evaluator over Fractions or mpmath."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np

from l2o_theory.rigor.statement import Statement

_DIGITS = 400  # powers of t = 1000 lose some digits to cancellation, far fewer than these
_EQUAL = mpmath.mpf(10) ** -200  # what two sides that are equal in theory differ by at most


class _Numbers(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Call(ast.Name("number", ast.Load()), [node], [])


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: choose(values[0] if len(values) == 1 else values)


def _exact_root(value: Fraction, degree: Fraction) -> Fraction:
    parts = (value.numerator, value.denominator)
    found = Fraction(*(int(mpmath.nint(mpmath.root(part, int(degree)))) for part in parts))
    assert found**degree == value, "the root is not rational"
    return found


def _positive(value: Any) -> Any:
    return np.vectorize(lambda v: int(v > 0), otypes=[object])(value) if isinstance(value, np.ndarray) else value > 0


def refutes(statement: Statement, values: Mapping[str, Any], exact: bool) -> bool:
    """Whether the values satisfy every hypothesis and not the conclusion: in Fractions, or mpmath at 400 digits."""
    number: Callable[[Any], Any] = Fraction if exact else (lambda v: mpmath.mpf(v.numerator) / v.denominator)
    natural = {p.name for p in statement.parameters if p.kind == "natural"}
    world: dict[str, Any] = {
        "number": (lambda v: v) if not exact else Fraction,
        "sum": lambda v: sum(np.atleast_1d(v)),
        "prod": lambda v: np.prod(np.atleast_1d(v)),
        "max": _extreme(max),
        "min": _extreme(min),
        "abs": abs,
        "all": np.all,
        "root": _exact_root if exact else lambda value, degree: value ** (1 / mpmath.mpf(degree)),
        "sqrt": mpmath.sqrt,
        "log": mpmath.log,
        "exp": mpmath.exp,
        "positive": _positive,
    }

    def read(text: str) -> Any:
        tree = ast.fix_missing_locations(_Numbers().visit(ast.parse(text, mode="eval")))
        return eval(compile(tree, text, "eval"), world)

    with mpmath.workdps(_DIGITS):
        for name, value in values.items():
            entries = [Fraction(v) for v in value] if isinstance(value, list | tuple) else Fraction(value)
            if isinstance(entries, list):
                world[name] = np.array([number(v) for v in entries], dtype=object)
            else:
                world[name] = int(entries) if name in natural else number(entries)
        for name, text in statement.definitions.items():
            world[name] = read(text)
        admissible = all(_holds(text, read, not exact) for text in statement.hypotheses.values())
        return admissible and not _holds(statement.conclusion, read, False)


def _holds(text: str, read: Callable[[str], Any], loosely: bool) -> bool:
    """All links of a chain, entry by entry; an equality between rationals survives mpmath only up to rounding."""
    body = ast.parse(text, mode="eval").body
    if isinstance(body, ast.BoolOp):
        parts = [_holds(ast.unparse(value), read, loosely) for value in body.values]
        return all(parts) if isinstance(body.op, ast.And) else any(parts)
    if not isinstance(body, ast.Compare):
        return bool(np.all(read(text)))
    sides = [body.left, *body.comparators]
    for left, op, right in zip(sides, body.ops, sides[1:], strict=False):
        if loosely and isinstance(op, ast.Eq):
            gap = read(f"({ast.unparse(left)}) - ({ast.unparse(right)})")
            if not np.all(abs(gap) < _EQUAL):
                return False
        elif not np.all(read(ast.unparse(ast.Compare(left, [op], [right])))):
            return False
    return True
