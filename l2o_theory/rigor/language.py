"""The statement language: one text, read over any number system; standard library only, part of the trusted base.

Grammar: integers, names, + - * / ** (integer powers), < <= == != >= > (chains too), and, or, not, abs, max, min,
positive(x) (1 if x > 0, else 0), root(x, n) (exact here), and the reductions sum, prod, max, min, all, whose single
argument runs over index i of the vectors named `..._i`; natural(x) is a relation. A relation is never a number, nor a
number a relation. Whatever else an environment offers as a callable (log, exp, ...) may be called; its entries "number"
and "integer" make the constants and the powers (default: Fraction and int). Python's parser reads; nothing is run.

    evaluate("sum(x_i*l_i**2) <= 3/2", {"x_i": [Fraction(1)], "l_i": [Fraction(1)]})  ->  True
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import lru_cache, reduce
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
_REDUCTIONS = {"sum", "prod", "max", "min", "all"}
_ALPHABET = re.compile(r"[A-Za-z0-9_+\-*/()<>=!,\s]*")  # no quotes, comments, attributes, or letters that look alike
_RATIONAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+|/0*[1-9][0-9]*)?")
LARGEST_EXACT_BITS = 1 << 20  # an exact power longer than this takes hours to add before it proves anything


def positive(value: Any) -> Fraction:
    """1 if value > 0, else 0: an indicator."""
    return Fraction(int(_decide(ast.Gt, value, 0)))


def _exact_root(value: Any, degree: Any) -> Fraction:
    """The rational root value^(1/degree) of a non-negative rational; Malformed if it is not rational."""
    n = int(degree)
    if not isinstance(value, Fraction) or value < 0 or n != degree or not 1 <= n <= LARGEST_EXACT_BITS:
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


class Malformed(Exception):
    """The text is not in the language, or names something the environment lacks."""


class Undecided(Exception):
    """Enclosures overlap: neither the relation nor its negation is certain."""


@lru_cache(maxsize=4096)
def parse(text: str) -> ast.expr:
    """Return the syntax tree of `text`; raises Malformed when Python's parser refuses it."""
    if not _ALPHABET.fullmatch(text):
        raise Malformed(f"cannot read {text[:60]!r}: a character outside the grammar")
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
    return all(_truths(value if isinstance(value, list) else [value]))


def rational(value: Any) -> Fraction:
    """The exact number `value`: an integer, a Fraction, or text such as "2/3" or "0.05"; Malformed for all else.

    Floats and booleans are refused: a certificate must mean what it shows.
    """
    exact = isinstance(value, int | Fraction) and not isinstance(value, bool)
    if exact or (isinstance(value, str) and _RATIONAL.fullmatch(value)):
        return Fraction(value)
    raise Malformed(f"{str(value)[:60]!r} is not an exact rational")


def exact_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Rationals by name; the names `..._i`, and only they, have lists, all of one length."""
    world: dict[str, Any] = {}
    for name, value in values.items():
        _require_shape(name, value)
        world[name] = [rational(v) for v in value] if isinstance(value, list) else rational(value)
    if len({len(value) for value in world.values() if isinstance(value, list)}) > 1:
        raise Malformed("the vectors over the index i have different lengths")
    return world


def define(world: dict[str, Any], definitions: Mapping[str, str]) -> dict[str, Any]:
    """Add the definitions to `world`, in order; each may use what is there already and must be new."""
    for name, text in definitions.items():
        if name in world:
            raise Malformed(f"{name} is defined twice")
        world[name] = evaluate(text, world)
        _require_shape(name, world[name])
    return world


def instance(values: Mapping[str, Any], definitions: Mapping[str, str]) -> dict[str, Any]:
    """Environment of exact numbers: rationals from text, vectors from lists, then the definitions in order."""
    return define(exact_values(values), definitions)


def judge_exactly(certificate: Mapping[str, Any], text: str) -> bool:
    """Whether `text` holds at the certificate's "instance" under its "definitions", exactly."""
    return holds(text, instance(certificate["instance"], certificate.get("definitions", {})))


def _require_shape(name: str, value: Any) -> None:
    if isinstance(value, list) != name.endswith("_i"):
        raise Malformed(f"{name}: the names ..._i are lists over the index i, all other names single values")


def _for_each_index(node: ast.AST, environment: Mapping[str, Any]) -> list[Any]:
    names = indexed_names(node)
    vectors = [environment.get(name) for name in names]
    lengths = {len(vector) for vector in vectors if isinstance(vector, list)}
    if len(lengths) != 1 or not all(isinstance(vector, list) for vector in vectors):
        raise Malformed(f"{ast.unparse(node)} needs lists of one length over i for {sorted(names) or 'a name ..._i'}")
    return [value_of(node, environment, row) for row in range(lengths.pop())]


def _truths(values: Iterable[Any]) -> Iterable[bool]:
    for value in values:
        if not isinstance(value, bool):
            raise Malformed("a number stands where a relation is wanted")
        yield value


def _decide(relation: type[ast.cmpop], left: Any, right: Any) -> bool:
    true, false = _RELATIONS[relation]
    if true(left, right):
        return True
    if false(left, right):
        return False
    raise Undecided("the enclosures of both sides overlap")


def _larger(left: Any, right: Any) -> Any:
    if left >= right:
        return left
    return right if right >= left else left.max(right)  # enclosures that overlap are joined, never chosen between


def _smaller(left: Any, right: Any) -> Any:
    if left <= right:
        return left
    return right if right <= left else left.min(right)


def _power(node: ast.BinOp, base: Any, exponent: Any, integer: Callable[[Any], int]) -> Any:
    try:
        power = integer(exponent)
    except (TypeError, ValueError):
        raise Malformed(f"the power in {ast.unparse(node)} is not an integer") from None
    if not power == exponent:  # an enclosure is equal only if it is that integer exactly
        raise Malformed(f"the power in {ast.unparse(node)} is not an integer")
    if isinstance(base, Fraction) and base not in (0, 1, -1):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(power) > LARGEST_EXACT_BITS:
            raise Malformed(f"the power in {ast.unparse(node)} exceeds {LARGEST_EXACT_BITS} bits; use ball arithmetic")
    return base**power


def _natural(value: Any, integer: Callable[[Any], int]) -> bool:
    try:
        whole = integer(value)
    except (TypeError, ValueError):
        raise Undecided("not one exact number, so perhaps not natural") from None
    return bool(whole == value) and whole >= 1


def _call(name: str, arguments: list[ast.expr], environment: Mapping[str, Any], row: int | None) -> Any:
    own = environment.get(name)
    reduced = name in _REDUCTIONS and len(arguments) == 1 and not callable(own)
    if reduced and name == "all":
        return all(_truths(_for_each_index(arguments[0], environment)))
    entries = (
        _for_each_index(arguments[0], environment) if reduced else [value_of(a, environment, row) for a in arguments]
    )
    values, number = [_number(entry) for entry in entries], environment.get("number", Fraction)
    match name, len(values):
        case _ if callable(own):
            return own(*values)
        case ("sum", _) if reduced:
            return sum(values, number(0))
        case ("prod", _) if reduced:
            return prod(values, start=number(1))
        case (("max" | "min"), count) if count >= 2 or (reduced and count):
            return reduce(_larger if name == "max" else _smaller, values)
        case "abs", 1:
            return abs(values[0])
        case "positive", 1:
            return positive(values[0])
        case "root", 2:
            return _exact_root(*values)
        case "natural", 1:
            return _natural(values[0], environment.get("integer", int))
    raise Malformed(f"unknown function {name!r} of {len(values)} arguments")


def _number(value: Any) -> Any:
    if isinstance(value, bool | list) or callable(value):
        raise Malformed("a relation, a list or a function stands where a number is wanted")
    return value


def value_of(node: ast.AST, environment: Mapping[str, Any], row: int | None = None) -> Any:
    """Value of a syntax tree; names `..._i` stand for their entry at index `row`, or for themselves if it is None."""

    def number(part: ast.AST) -> Any:
        return _number(value_of(part, environment, row))

    match node:
        case ast.Constant(value=int() as constant) if not isinstance(constant, bool):
            return environment.get("number", Fraction)(constant)
        case ast.Name(id=name):
            try:
                value = environment[name]
            except KeyError:
                raise Malformed(f"unknown name {name!r}") from None
            return value[row] if row is not None and name.endswith("_i") else value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -number(operand)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not all(_truths([value_of(operand, environment, row)]))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(node, number(left), number(right), environment.get("integer", int))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](number(left), number(right))
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(type(op) in _RELATIONS for op in ops):
            values = [number(value) for value in (left, *rest)]
            return all(_decide(type(op), a, b) for op, a, b in zip(ops, values, values[1:], strict=False))
        case ast.BoolOp(op=op, values=parts):
            found = _truths(value_of(part, environment, row) for part in parts)
            return (all if isinstance(op, ast.And) else any)(found)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, arguments, environment, row)
    raise Malformed(f"not in the language: {ast.unparse(node)}")
