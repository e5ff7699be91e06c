"""Statements: parameters, definitions, hypotheses and one conclusion, as text that every method reads."""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

from l2o_theory.errors import ClaimError, InputError
from l2o_theory.rigor import balls, language

Value = Fraction | tuple[Fraction, ...]
Instance = Mapping[str, Value]
"""Exact values of all parameters; a tuple for each vector `..._i`, all of one length (which may be 0)."""

Arithmetic = Literal["rational"] | int
"""How a truth value was obtained: in exact rationals, or in balls of that many bits."""


_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a statement, with where its interesting values lie.

    Attributes:
        name: identifier; a name that ends in `_i` is a vector over the index i.
        kind: "real", "natural" (integers >= 1), or "share" (non-negative; all shares of a statement sum to 1).
        low, high: open range of a real, as expressions in earlier parameters; None means unbounded.
        landmarks: expressions in earlier parameters where statements like to fail (boundaries, optima).
        meaning: what it stands for, with its unit.
    """

    name: str
    kind: Literal["real", "natural", "share"] = "real"
    low: str | None = None
    high: str | None = None
    landmarks: tuple[str, ...] = ()
    meaning: str = ""

    @property
    def is_vector(self) -> bool:
        """Whether the parameter runs over the index i."""
        return self.name.endswith("_i")


@dataclass(frozen=True)
class Decision:
    """What is certain about one instance.

    Attributes:
        admissible: every hypothesis certainly holds.
        holds: the conclusion certainly holds (True), certainly fails (False), or is not decided (None).
        arithmetic: "rational", or the bits of the balls that decided it.
    """

    admissible: bool
    holds: bool | None
    arithmetic: Arithmetic


@dataclass(frozen=True)
class Statement:
    """For all parameters: the hypotheses imply the conclusion.

    Attributes:
        parameters: in the order in which their ranges refer to each other.
        hypotheses: name -> relation.
        conclusion: relation (a chain "a <= b <= c" counts as all its links).
        definitions: name -> expression, in order; they may use parameters and earlier definitions.

    Raises:
        ClaimError: unreadable text, a name used twice or nowhere defined, or a definition that runs over the index i
            without a name in `_i` (or the other way round).
    """

    parameters: tuple[Parameter, ...]
    hypotheses: Mapping[str, str]
    conclusion: str
    definitions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        defined = [p.name for p in self.parameters]
        known = {*defined, *balls.FUNCTIONS, "sum", "prod", "all", "abs", "max", "min", "positive", "natural"}
        for name, text in [*self.definitions.items(), *self.hypotheses.items(), ("conclusion", self.conclusion)]:
            try:
                tree = language.parse(text)
                used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            except language.Malformed as error:
                raise ClaimError(f"{name}: {error}; see the grammar in l2o_theory/rigor/language.py") from None
            if used - known:
                raise ClaimError(f"{name} uses {sorted(used - known)}, which is no parameter or earlier definition")
            if name in self.definitions:
                if bool(language.indexed_names(tree)) != name.endswith("_i"):
                    raise ClaimError(
                        f"{name} = {text}: a definition runs over the index i if and only if its name ends in _i"
                    )
                known.add(name)
                defined.append(name)
        reserved = {
            *balls.FUNCTIONS,
            "sum",
            "prod",
            "all",
            "abs",
            "max",
            "min",
            "positive",
            "natural",
            "number",
            "integer",
        }
        bad = sorted(n for n in defined if n in reserved or keyword.iskeyword(n) or not _NAME.fullmatch(n))
        if bad:
            raise ClaimError(f"the names {bad} cannot be used; take letters, digits and _, beginning with a letter")
        repeated = sorted({name for name in defined if defined.count(name) > 1})
        if repeated:
            raise ClaimError(f"the names {repeated} are defined twice; rename one of each")

    def altered(self, **changes: Any) -> Statement:
        """Copy with some fields replaced; mappings are merged into the present ones (None removes an entry)."""
        merged: dict[str, Any] = {}
        for name, value in changes.items():
            old = getattr(self, name)
            merged[name] = _merge(old, value) if isinstance(old, Mapping) else value
        return replace(self, **merged)

    def goals(self) -> list[str]:
        """The conclusion as single comparisons: the links of a chain, the parts of an `and`."""
        return links(self.conclusion)

    def requirements(self) -> dict[str, str]:
        """Hypotheses together with what the kinds of the parameters demand, as text: what an instance must satisfy."""
        naturals = [p.name for p in self.parameters if p.kind == "natural"]
        shares = [p for p in self.parameters if p.kind == "share"]
        demands = {f"{name} is a natural number": f"natural({name})" for name in naturals}
        demands |= {f"{p.name} is not negative": f"{p.name} >= 0" for p in shares}
        if shares:
            total = " + ".join(f"sum({p.name})" if p.is_vector else p.name for p in shares)
            demands["shares sum to 1"] = f"{total} == 1"
        return {**self.hypotheses, **demands}

    def world(self, instance: Instance, bits: int | None = None) -> dict[str, Any]:
        """Environment of the instance with all definitions, in exact rationals or in balls of `bits` bits.

        With `bits`, run the caller's own evaluation inside `balls.precision(bits)`.

        Raises:
            InputError: the instance does not give every parameter exactly once.
        """
        wanted = {p.name for p in self.parameters}
        if instance.keys() != wanted:
            raise InputError(f"an instance gives each of {sorted(wanted)}, got {sorted(instance)}; add or remove names")
        if bits is None:
            return language.instance(_lists(instance), self.definitions)
        with balls.precision(bits):
            return balls.instance_in_balls(_lists(instance), self.definitions)

    def decide(self, instance: Instance, *, max_bits: int = 1 << 15) -> Decision:
        """Decide requirements and conclusion at the instance: exactly where the text allows it, else in balls.

        Raises:
            InputError: the instance does not give every parameter exactly once.
        """
        requirements = self.requirements()
        try:
            world = self.world(instance)
            admissible = all(language.holds(text, world) for text in requirements.values())
            return Decision(admissible, language.holds(self.conclusion, world) if admissible else None, "rational")
        except language.Malformed:
            pass  # a function such as log, or a power too large for exact rationals: balls decide
        except ZeroDivisionError:
            return Decision(False, None, "rational")
        bits = 128
        while bits <= max_bits:
            try:
                with balls.precision(bits):
                    world = self.world(instance, bits)
                    exact = _lists(instance)
                    admissible = all(balls.holds(text, exact, world) for text in requirements.values())
                    held = balls.holds(self.conclusion, exact, world) if admissible else None
                    return Decision(admissible, held, bits)
            except (language.Undecided, ZeroDivisionError):
                bits *= 2
        return Decision(False, None, max_bits)

    def margin(self, instance: Instance, *, bits: int = 64) -> float:
        """Signed slack of the conclusion, (right - left)/(|left| + |right|) in [-1, 1]; negative means violated.

        A floating-point view for searching, not a verdict; nan where it is undefined or a hypothesis fails.
        """
        try:
            with balls.precision(bits):
                world = self.world(instance, bits)
                if not all(_slack(language.parse(text), world) >= 0 for text in self.hypotheses.values()):
                    return math.nan
                return _slack(language.parse(self.conclusion), world)
        except (language.Malformed, language.Undecided, ZeroDivisionError, ValueError, OverflowError):
            return math.nan


def to_json(instance: Instance) -> dict[str, str | list[str]]:
    """The instance as text, exact: {"eta": "2/3", "l_i": ["1", "1/2"]}."""
    return {
        name: [str(v) for v in value] if isinstance(value, tuple) else str(value) for name, value in instance.items()
    }


def from_json(values: Mapping[str, Any]) -> dict[str, Value]:
    """Inverse of `to_json`; raises InputError on unparsable rationals."""
    from l2o_theory.rigor.rationals import parse_rational, parse_rationals

    return {
        name: parse_rationals(value, name) if isinstance(value, list | tuple) else parse_rational(value, name)
        for name, value in values.items()
    }


def _lists(instance: Instance) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in instance.items()}


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    return {name: text for name, text in {**old, **new}.items() if text is not None}


def links(text: str) -> list[str]:
    """The single comparisons of a relation: the links of a chain, the parts of an `and`; else the text itself."""
    return _links(language.parse(text))


def _links(node: ast.expr) -> list[str]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [link for part in node.values for link in _links(part)]
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        return [ast.unparse(ast.Compare(left=a, ops=[op], comparators=[b])) for a, op, b in pairs]
    return [ast.unparse(node)]


def _slack(node: ast.expr, world: Mapping[str, Any]) -> float:
    match node:
        case ast.BoolOp(op=op, values=parts):
            return (min if isinstance(op, ast.And) else max)(_slack(part, world) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return -_slack(operand, world)
        case ast.Compare(left=first, ops=ops, comparators=rest):
            sides = [language.evaluate_tree(side, world) for side in (first, *rest)]
            pairs = zip(ops, sides, sides[1:], strict=False)
            return min((_gap(op, a, b) for op, left, right in pairs for a, b in _broadcast(left, right)), default=1.0)
        case ast.Call(func=ast.Name(id="all"), args=[argument]):
            return _slack(argument, world)
    raise language.Malformed(f"{ast.unparse(node)} is not a relation")


def _broadcast(left: Any, right: Any) -> Iterable[tuple[Any, Any]]:
    if not isinstance(left, list) and not isinstance(right, list):
        return [(left, right)]
    count = len(left) if isinstance(left, list) else len(right)
    lefts = left if isinstance(left, list) else [left] * count
    return zip(lefts, right if isinstance(right, list) else [right] * count, strict=True)


def _gap(op: ast.cmpop, left: Any, right: Any) -> float:
    difference, size = right - left, abs(left) + abs(right)
    if not size.is_finite():
        return math.nan
    slack = 0.0 if size.contains(0) else float((difference / size).mid())
    if isinstance(op, ast.GtE | ast.Gt):
        slack = -slack
    if isinstance(op, ast.Eq | ast.NotEq):
        slack = -abs(slack) if isinstance(op, ast.Eq) else abs(slack)
    if slack == 0 and isinstance(op, ast.Lt | ast.Gt | ast.NotEq):
        return -1e-300  # equality violates a strict relation, by as little as can be
    return slack
