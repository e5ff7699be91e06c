"""The statement language: one text, read over any number system; standard library only, part of the trusted base.

Grammar: integers, names, + - * / ** (integer powers), < <= == != >= > (chains too), and, or, not, abs, max, min,
positive(x) (1 if x > 0, else 0), root(x, n) (exact here), and the reductions sum, prod, max, min, all, whose single argument runs over index i of the vectors named `..._i`. Whatever
else an environment offers as a callable (log, exp, root, ...) may be called; its entries "number" and
"integer" make the constants and the powers (default: Fraction and int). Python's parser reads; nothing is run.

    evaluate("sum(x_i*l_i**2) <= 3/2", {"x_i": [Fraction(1)], "l_i": [Fraction(1)]})  ->  True
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

_RELATIONS: dict[type[ast.cmpop], tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    ast.LtE: (operator.le, operator.gt),
    ast.Lt: (operator.lt, operator.ge),
    ast.GtE: (operator.ge, operator.lt),
    ast.Gt: (operator.gt, operator.le),
    ast.Eq: (operator.eq, operator.ne),
    ast.NotEq: (operator.ne, operator.eq),
}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_REDUCTIONS: dict[str, Callable[[list[Any], Callable[[int], Any]], Any]] = {
    "sum": lambda values, number: sum(values, number(0)),
    "prod": lambda values, number: prod(values, start=number(1)),
    "max": lambda values, _: max(values),
    "min": lambda values, _: min(values),
    "all": lambda values, _: all(values),
}
LARGEST_EXACT_POWER = 100_000  # an exact power beyond this fills the memory before it proves anything


def _positive(value: Any) -> Fraction:
    """1 if value > 0, else 0: an indicator."""
    return Fraction(int(_decide(ast.Gt, value, 0)))


def _exact_root(value: Any, degree: Any) -> Fraction:
    """The rational root value^(1/degree) of a non-negative rational; Malformed if it is not rational."""
    n = int(degree)
    if not isinstance(value, Fraction) or value < 0 or n != degree or not 1 <= n <= LARGEST_EXACT_POWER:
        raise Malformed(f"no exact root of degree {degree}")
    parts = [_integer_root(part, n) for part in (value.numerator, value.denominator)]
    if parts[0] ** n != value.numerator or parts[1] ** n != value.denominator:
        raise Malformed(f"the root of degree {n} is not rational; use ball arithmetic")
    return Fraction(parts[0], parts[1])


def _integer_root(value: int, degree: int) -> int:
    """Largest integer whose power of the given degree does not exceed `value`."""
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle)
    return low


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "max": max,
    "min": min,
    "positive": _positive,
    "root": _exact_root,
}


class Malformed(Exception):
    """The text is not in the language, or names something the environment lacks."""


class Undecided(Exception):
    """Enclosures overlap: neither the relation nor its negation is certain."""


@lru_cache(maxsize=4096)
def parse(text: str) -> ast.expr:
    """Return the syntax tree of `text`; raises Malformed when Python's parser refuses it."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Malformed(f"cannot read {text[:60]!r}: {error}") from None


@lru_cache(maxsize=65536)
def indexed_names(node: ast.AST) -> frozenset[str]:
    """Names `..._i` of `node` outside every reduction: a relation with such names is meant for each i."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in _REDUCTIONS and len(node.args) == 1:
            return frozenset()
        return frozenset().union(*(indexed_names(argument) for argument in node.args))
    own = frozenset({node.id}) if isinstance(node, ast.Name) and node.id.endswith("_i") else frozenset()
    return own.union(*(indexed_names(child) for child in ast.iter_child_nodes(node)))


def evaluate(text: str, environment: Mapping[str, Any]) -> Any:
    """Value of `text`: a number, a truth value, or a list (one entry per index) if `..._i` names stand free.

    Raises:
        Malformed: outside the grammar, unknown name, vectors of different lengths, power not a moderate integer.
        Undecided: a comparison of enclosures is not certain either way.
        ZeroDivisionError: division by an exact zero.
    """
    return evaluate_tree(parse(text), environment)


def evaluate_tree(node: ast.AST, environment: Mapping[str, Any]) -> Any:
    """As `evaluate`, from a syntax tree."""
    return _for_each_index(node, environment) if indexed_names(node) else value_of(node, environment)


def holds(text: str, environment: Mapping[str, Any]) -> bool:
    """Whether the relation `text` is true (for each i where `..._i` names stand free); raises as `evaluate`."""
    value = evaluate(text, environment)
    return all(value) if isinstance(value, list) else bool(value)


def instance(values: Mapping[str, Any], definitions: Mapping[str, str]) -> dict[str, Any]:
    """Environment of exact numbers: rationals from text, vectors from lists, then the definitions in order."""
    world: dict[str, Any] = {}
    for name, value in values.items():
        world[name] = [Fraction(v) for v in value] if isinstance(value, list) else Fraction(value)
    for name, text in definitions.items():
        world[name] = evaluate(text, world)
    return world


def judge_exactly(certificate: Mapping[str, Any], text: str) -> bool:
    """Whether `text` holds at the certificate's "instance" under its "definitions", exactly."""
    return holds(text, instance(certificate["instance"], certificate.get("definitions", {})))


def _for_each_index(node: ast.AST, environment: Mapping[str, Any]) -> list[Any]:
    names = indexed_names(node)
    missing = sorted(name for name in names if name not in environment)
    lengths = {len(environment[name]) for name in names if name in environment}
    if missing or len(lengths) != 1:
        raise Malformed(f"{ast.unparse(node)} needs vectors of one length over i; missing: {missing}")
    rows = range(lengths.pop())
    return [value_of(node, {**environment, **{name: environment[name][row] for name in names}}) for row in rows]


def _decide(relation: type[ast.cmpop], left: Any, right: Any) -> bool:
    true, false = _RELATIONS[relation]
    if true(left, right):
        return True
    if false(left, right):
        return False
    raise Undecided("the enclosures of both sides overlap")


def _power(node: ast.BinOp, base: Any, exponent: Any, integer: Callable[[Any], int]) -> Any:
    try:
        power = integer(exponent)
    except (TypeError, ValueError):
        raise Malformed(f"the power in {ast.unparse(node)} is not an integer") from None
    if not power == exponent:  # an enclosure is equal only if it is that integer exactly
        raise Malformed(f"the power in {ast.unparse(node)} is not an integer")
    if isinstance(base, Fraction) and abs(power) > LARGEST_EXACT_POWER and base not in (0, 1, -1):
        raise Malformed(f"the power in {ast.unparse(node)} exceeds {LARGEST_EXACT_POWER}; use ball arithmetic")
    return base**power


def _call(name: str, arguments: list[ast.expr], environment: Mapping[str, Any]) -> Any:
    if callable(environment.get(name)):
        return environment[name](*(value_of(argument, environment) for argument in arguments))
    if name in _REDUCTIONS and len(arguments) == 1:
        return _REDUCTIONS[name](_for_each_index(arguments[0], environment), environment.get("number", Fraction))
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](*(value_of(argument, environment) for argument in arguments))
    raise Malformed(f"unknown function {name!r}")


def value_of(node: ast.AST, environment: Mapping[str, Any]) -> Any:
    """Value of a syntax tree with every name, `..._i` ones included, taken as `environment` gives it."""
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return environment.get("number", Fraction)(number)
        case ast.Name(id=name):
            try:
                return environment[name]
            except KeyError:
                raise Malformed(f"unknown name {name!r}") from None
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -value_of(operand, environment)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not value_of(operand, environment)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(
                node, value_of(left, environment), value_of(right, environment), environment.get("integer", int)
            )
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](value_of(left, environment), value_of(right, environment))
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(type(op) in _RELATIONS for op in ops):
            values = [value_of(value, environment) for value in (left, *rest)]
            return all(_decide(type(op), a, b) for op, a, b in zip(ops, values, values[1:], strict=False))
        case ast.BoolOp(op=op, values=parts):
            return (all if isinstance(op, ast.And) else any)(value_of(part, environment) for part in parts)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, arguments, environment)
    raise Malformed(f"not in the language: {ast.unparse(node)}")
