"""Boxes on which a statement is certified: adaptive bisection finds the split tree, the kernel re-checks every leaf."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from l2o_theory.errors import CertificateError, InputError
from l2o_theory.rigor import balls, language
from l2o_theory.rigor.cover import Ranges, environment, judge
from l2o_theory.rigor.interval import Interval
from l2o_theory.rigor.rationals import parse_rational
from l2o_theory.rigor.statement import Instance, Statement, from_json, links, to_json

_BITS = 64
_DEEPEST = 200  # bisections above one leaf; the kernel walks the tree recursively


@dataclass(frozen=True)
class Box:
    """A closed box; parameters not in `ranges` are fixed by `fixed`.

    Attributes:
        ranges: name -> (low, high) with binary ends such as "13/256"; the entries of a vector are "l_i.0", "l_i.1", ...
        fixed: name -> exact text, or a list of it for a vector.
        max_leaves: the cover is given up beyond this many leaves.

    Raises:
        InputError: an end is not a binary fraction, or the ends are swapped.
    """

    ranges: Mapping[str, tuple[str, str]]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    max_leaves: int = 20000

    def __post_init__(self) -> None:
        for name, (low, high) in self.exact().items():
            for end in (low, high):
                if end.denominator & (end.denominator - 1):
                    near = Fraction(round(end * 1024), 1024)
                    raise InputError(f"the range of {name} needs binary ends, got {end}; take for instance {near}")
            if low > high:
                raise InputError(f"the range of {name} is empty: {low} > {high}; swap the ends")

    def exact(self) -> Ranges:
        """The ranges as rationals."""
        return {name: (parse_rational(a, name), parse_rational(b, name)) for name, (a, b) in self.ranges.items()}


def cover(statement: Statement, box: Box) -> dict[str, Any]:
    """Find a split tree on whose leaves the statement is certain, or excluded by its hypotheses.

    Returns:
        the kernel's certificate of kind "cover".

    Raises:
        CertificateError: a point of the box violates the statement (named, decided exactly), a leaf stays undecided
            within `max_leaves`, or the hypotheses exclude the whole box.
    """
    certificate: dict[str, Any] = {
        "kind": "cover",
        "box": {name: [str(low), str(high)] for name, (low, high) in box.exact().items()},
        "fixed": {n: [str(v) for v in x] if isinstance(x, list | tuple) else str(x) for n, x in box.fixed.items()},
        "definitions": dict(statement.definitions),
        "hypotheses": statement.requirements(),
        "conclusion": statement.conclusion,
        "bits": _BITS,
    }
    search = _Bisection(statement, box, certificate)
    tree = search.tree(box.exact(), 0)
    if not search.reached:
        raise CertificateError("the hypotheses exclude the whole box, so that a cover would say nothing; move the box")
    return {**certificate, "tree": tree, "leaves": search.leaves}


class _Bisection:
    """One search for a split tree, with its count of leaves."""

    def __init__(self, statement: Statement, box: Box, certificate: Mapping[str, Any]) -> None:
        self.statement, self.box, self.certificate = statement, box, certificate
        self.links = [language.parse(link) for link in links(statement.conclusion)]
        self.leaves = 0
        self.reached = False  # whether the conclusion, not a hypothesis, closed some leaf

    def tree(self, ranges: Ranges, depth: int) -> Any:
        """The split tree of a sub-box: "leaf", or [name, tree of the lower half, tree of the upper half]."""
        verdict = judge(self.certificate, ranges)
        if verdict != "undecided":
            self.leaves += 1
            self.reached |= verdict == "certain"
            return "leaf"
        self.refute(ranges)
        if self.leaves >= self.box.max_leaves or depth >= _DEEPEST or all(a == b for a, b in ranges.values()):
            shown = {name: f"[{float(low):.6g}, {float(high):.6g}]" for name, (low, high) in ranges.items()}
            raise CertificateError(
                f"undecided after {self.leaves} leaves at {shown}: the margin there is too small; "
                "raise max_leaves, shrink the box, or rewrite the statement in coordinates where the margin is positive"
            )
        name = self.best_split(ranges)
        return [name, *(self.tree(half, depth + 1) for half in _halves(ranges, name))]

    def best_split(self, ranges: Ranges) -> str:
        """The variable that alone, the others at their middle, moves the slack most; else the widest."""
        initial, centre = self.box.exact(), _centre(ranges)
        middle = self.slack(centre)

        def merit(name: str) -> tuple[float, float]:
            low, high = ranges[name]
            if low == high:
                return -1.0, -1.0
            swing = middle - self.slack({**centre, name: (low, high)})
            return (0.0 if math.isnan(swing) else swing), float((high - low) / (initial[name][1] - initial[name][0]))

        return max(ranges, key=merit)

    def slack(self, ranges: Ranges) -> float:
        """Lower bound of the smallest slack of the conclusion on the sub-box; -inf where it is undefined."""
        with balls.precision(_BITS):
            world, complete = environment(self.certificate, ranges)
            try:
                return min(_slack(link, world) for link in self.links) if complete else -math.inf
            except language.Undecided:
                return -math.inf

    def refute(self, ranges: Ranges) -> None:
        """Raise if the centre of the sub-box certainly violates the statement."""
        centre = _centre(ranges)
        if self.slack(centre) > 0:
            return
        instance = _instance({name: low for name, (low, _) in centre.items()}, self.box.fixed)
        decision = self.statement.decide(instance, max_bits=4 * _BITS)
        if decision.admissible and decision.holds is False:
            raise CertificateError(f"the statement is false in the box, at {to_json(instance)}; correct it")


def _instance(point: Mapping[str, Fraction], fixed: Mapping[str, Any]) -> Instance:
    values = from_json(dict(fixed))
    for name, value in point.items():  # the entries l_i.0, l_i.1, ... come in any order
        vector, dot, _ = name.partition(".")
        entries = sorted((n for n in point if n.startswith(f"{vector}.")), key=lambda n: int(n.partition(".")[2]))
        values[vector] = tuple(point[entry] for entry in entries) if dot else value
    return values


def _centre(ranges: Ranges) -> dict[str, tuple[Fraction, Fraction]]:
    return {name: ((low + high) / 2, (low + high) / 2) for name, (low, high) in ranges.items()}


def _halves(ranges: Ranges, name: str) -> tuple[dict[str, tuple[Fraction, Fraction]], ...]:
    low, high = ranges[name]
    middle = (low + high) / 2
    return {**ranges, name: (low, middle)}, {**ranges, name: (middle, high)}


def _slack(link: ast.expr, world: Mapping[str, Any]) -> float:
    """Lower end of greater side - smaller side; 0 for what is no inequality, so that widths decide the split."""
    match link:
        case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE()], comparators=[right]):
            smaller, greater = left, right
        case ast.Compare(left=left, ops=[ast.Gt() | ast.GtE()], comparators=[right]):
            smaller, greater = right, left
        case _:
            return 0.0
    below, above = (language.evaluate_tree(side, world) for side in (smaller, greater))
    pairs = [(below, above)]
    if isinstance(below, list) or isinstance(above, list):
        count = len(below if isinstance(below, list) else above)
        lists = [side if isinstance(side, list) else [side] * count for side in (below, above)]
        pairs = list(zip(*lists, strict=True))
    return min((float((Interval.of(b) - Interval.of(a)).low) for a, b in pairs), default=math.inf)
