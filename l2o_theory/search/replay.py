"""Replay files: one counterexample, with all that a stranger needs to decide it again, exactly."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from l2o_theory.errors import CertificateError, ClaimError, L2OTheoryError, StoreError
from l2o_theory.rigor import balls, kernel, language
from l2o_theory.rigor.statement import Arithmetic, Instance, Parameter, Statement, from_json, links
from l2o_theory.search.confirm import Counterexample
from l2o_theory.search.files import read_json, write_json
from l2o_theory.search.instances import fits

FORMAT = 1
"""Format number of replay files."""

_LONGEST = 200  # characters of a rational worth printing; longer ones are given in decimals alone
_DIGITS = 25


@dataclass(frozen=True)
class Comparison:
    """One comparison of a relation at an instance.

    Attributes:
        relation: its text; of a relation meant for each index i, this is one of several comparisons.
        index: which index i, counted from 1; None without one.
        left, right: values of both sides in decimals (25 digits).
        left_exact, right_exact: the same as rationals; "" where balls decided or the rational is too long to print.
        holds: whether it certainly holds, or certainly fails; None if the balls overlap.
    """

    relation: str
    index: int | None
    left: str
    right: str
    left_exact: str
    right_exact: str
    holds: bool | None


@dataclass(frozen=True)
class Replay:
    """A counterexample, decided again.

    Attributes:
        claim: id of the refuted claim or mutation.
        statement: what is refuted.
        instance: where.
        arithmetic: "rational", or the bits of the balls that decide it.
        hypotheses: name -> its comparisons, all of which hold.
        conclusion: its comparisons, at least one of which fails (unless it joins them by `or` or `not`).
    """

    claim: str
    statement: Statement
    instance: Instance
    arithmetic: Arithmetic
    hypotheses: Mapping[str, tuple[Comparison, ...]]
    conclusion: tuple[Comparison, ...]


def write_replay(path: str | Path, claim: str, statement: Statement, counterexample: Counterexample) -> None:
    """Write a replay file; whole or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    data = {
        "format": FORMAT,
        "claim": claim,
        "statement": {
            "parameters": [
                {f.name: value for f in fields(p) if (value := getattr(p, f.name)) not in (None, "", ())}
                for p in statement.parameters
            ],
            "definitions": dict(statement.definitions),
            "hypotheses": dict(statement.hypotheses),
            "conclusion": statement.conclusion,
        },
        "instance": counterexample.certificate["instance"],
        "certificate": dict(counterexample.certificate),
    }
    write_json(Path(path), data)


def replay(path: str | Path) -> Replay:
    """Read a replay file and decide it again with the kernel.

    Raises:
        StoreError: missing, unreadable, not a replay file, or of a newer format.
        CertificateError: readable, but its instance does not refute its statement: it was edited or damaged.
    """
    path = Path(path)
    data = read_json(path, newest=FORMAT, what="replay file")
    try:
        text = data["statement"]
        statement = Statement(
            parameters=tuple(
                Parameter(**{**p, "landmarks": tuple(p.get("landmarks", ()))}) for p in text["parameters"]
            ),
            hypotheses=text["hypotheses"],
            conclusion=text["conclusion"],
            definitions=text["definitions"],
        )
        certificate, claim = dict(data["certificate"]), str(data["claim"])
        instance = from_json(data["instance"])
        wanted = {**text, "hypotheses": statement.requirements()}
        same = all(certificate[key] == wanted[key] for key in ("definitions", "hypotheses", "conclusion"))
        same = same and from_json(certificate["instance"]) == instance and certificate["kind"] == "cex"
    except (KeyError, TypeError, AttributeError, ClaimError) as error:
        raise StoreError(f"{path} is not a complete replay file ({error}); write it again with falsify") from None
    except L2OTheoryError as error:
        raise StoreError(f"{path} holds an unreadable instance: {error}") from None
    if not same:
        raise CertificateError(f"{path} was edited: its certificate speaks of another statement; write it again")
    if not fits(statement, instance):
        raise CertificateError(f"{path}: the instance does not fit the parameters' sorts; write the file again")
    try:
        kernel.check(certificate)
    except kernel.Rejected as reason:
        raise CertificateError(f"{path} does not refute its statement ({reason}); write the file again") from None
    bits = certificate.get("bits")
    return Replay(
        claim=claim,
        statement=statement,
        instance=instance,
        arithmetic="rational" if bits is None else bits,
        hypotheses={name: comparisons(text, statement, instance, bits) for name, text in statement.hypotheses.items()},
        conclusion=comparisons(statement.conclusion, statement, instance, bits),
    )


def comparisons(relation: str, statement: Statement, instance: Instance, bits: int | None) -> tuple[Comparison, ...]:
    """Both sides of every comparison in the relation, one per index where `..._i` names stand free.

    Args:
        relation: a chain counts as its links; `and`, `or`, `not` and `all` are looked into.
        statement: whose definitions are used.
        instance: exact values.
        bits: precision of the balls; None for exact rationals.
    """
    with balls.precision(bits or 128):
        world = statement.world(instance, bits)
        return tuple(found for link in _simple(language.parse(relation)) for found in _at_each_index(link, world))


def _simple(node: ast.expr) -> list[ast.Compare]:
    match node:
        case ast.BoolOp(values=parts):
            return [link for part in parts for link in _simple(part)]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _simple(operand)
        case ast.Call(func=ast.Name(id="all"), args=[argument]):
            return _simple(argument)
    trees = (language.parse(link) for link in links(ast.unparse(node)))
    return [tree for tree in trees if isinstance(tree, ast.Compare)]


def _at_each_index(link: ast.Compare, world: Mapping[str, Any]) -> list[Comparison]:
    pair = [language.evaluate_tree(side, world) for side in (link.left, link.comparators[0])]
    lengths = {len(side) for side in pair if isinstance(side, list)}
    if not lengths:
        return [_comparison(link, None, pair[0], pair[1])]
    return [
        _comparison(link, i + 1, *(side[i] if isinstance(side, list) else side for side in pair))
        for i in range(min(lengths))
    ]


def _comparison(link: ast.Compare, index: int | None, left: Any, right: Any) -> Comparison:
    relation = ast.Compare(
        left=ast.Name(id="left", ctx=ast.Load()),
        ops=link.ops,
        comparators=[ast.Name(id="right", ctx=ast.Load())],
    )
    try:
        holds = bool(language.value_of(relation, {"left": left, "right": right}))
    except language.Undecided:
        holds = None
    return Comparison(ast.unparse(link), index, _decimal(left), _decimal(right), _exact(left), _exact(right), holds)


def _exact(value: Any) -> str:
    return str(value) if isinstance(value, Fraction) and _digits(value) <= _LONGEST else ""


def _digits(value: Fraction) -> int:
    return (value.numerator.bit_length() + value.denominator.bit_length()) // 3


def _decimal(value: Any) -> str:
    number = balls.ball(value) if isinstance(value, Fraction) else value
    mantissa, e, exponent = str(number.str(_DIGITS, radius=False)).partition("e")
    return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + e + exponent
