"""The trusted kernel: judges certificates in exact rationals, by the standard library (cover, ball cex: and flint)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from importlib import import_module
from typing import Any

from l2o_theory.rigor.language import Malformed, Undecided, evaluate, holds, instance, judge_exactly, rational
from l2o_theory.rigor.symbols import Relation, Symbols


class Rejected(Exception):
    """The certificate does not prove what it says."""


def require(condition: bool, why: str) -> None:
    """Raise Rejected, with the reason `why`, unless the condition holds."""
    if not condition:
        raise Rejected(why)


def _settle(goal: Relation, used: Iterable[str], known: Mapping[str, Relation]) -> None:
    """What is known for each i proves nothing about a goal without i: there may be no i."""
    free = any(name.endswith("_i") for name in goal[0].names())
    require(free or not any(n.endswith("_i") for u in used for n in known[u][0].names()), "there may be no index i")


def _posit(goal: Relation, step: Mapping[str, Any], known: Mapping[str, Relation], symbols: Symbols) -> None:
    """goal = sum_j coef_j prod_k known_k^(a_jk) square_j^2 + sum_e equality_e multiplier_e with coef_j >= 0."""
    rest, strict, terms, equal = goal[0], False, step.get("terms", []), step.get("equal", {})
    for term in terms:
        coefficient, square, used = rational(term["coef"]), term.get("square", "1"), term.get("of", {})
        require(coefficient >= 0, "a coefficient is negative")
        product = symbols.polynomial(square) ** 2 * coefficient
        _settle(goal, used, known)
        for name, power in used.items():
            require(known[name][1] != "==" and power >= 1, f"{name} is not an inequality with a positive power")
            product *= known[name][0] ** power
        rest -= product
        strict |= coefficient > 0 and square == "1" and all(known[name][1] == ">" for name in used)
    _settle(goal, equal, known)
    for name, multiplier in equal.items():
        require(known[name][1] == "==", f"{name} is not an equality")
        rest -= known[name][0] * symbols.polynomial(multiplier)
    require(not rest, f"the identity fails: {len(rest)} terms are left over")
    require({">": strict, ">=": True, "==": not terms}[goal[1]], f"the sign {goal[1]} is not proved")


def _steps(steps: list[Any], known: dict[str, Relation], symbols: Symbols, may_sum: bool = True) -> None:
    """Check the steps in order; each adds its goal to what is known."""
    for step in steps:
        name, goal = step["name"], symbols.relation(step["goal"])
        require(name not in known, f"the name {name} is taken")
        match step["by"]:
            case "posit":
                _posit(goal, step, known, symbols)
            case "sum":  # the index set may be empty, so a strict sign is not inherited
                polynomial, sign = known[step["of"]]
                require(may_sum, "a sum inside a case that depends on i")
                require(goal == (polynomial.summed(), "==" if sign == "==" else ">="), f"{name} is not that sum")
            case "cancel":  # a > 0 and a b >= 0 give b >= 0
                _settle(goal, (step["factor"], step["product"]), known)
                (factor, positive), (product, sign) = known[step["factor"]], known[step["product"]]
                require(positive == ">" and factor * goal[0] == product, f"{name} does not cancel")
                require(goal[1] in {">": (">", ">="), ">=": (">=",), "==": ("==", ">=")}[sign], "wrong sign")
            case "cases":  # on the sign of one polynomial
                split = symbols.polynomial(step["split"])
                free = may_sum and not any(n.endswith("_i") for n in split.names())
                for branch, relation in (("nonnegative", (split, ">=")), ("negative", (-split, ">"))):
                    inner = {**known, step["case"]: relation}
                    _settle(goal, [step["case"]], inner)
                    _steps(step[branch], inner, symbols, free)
                    require(goal in inner.values(), f"{name}: the {branch} case does not reach the goal")
            case other:
                raise Rejected(f"unknown rule {other!r}")
        known[name] = goal


def _proof(c: Mapping[str, Any]) -> None:
    symbols, facts = Symbols(c.get("definitions", {})), c.get("facts", {})
    given = {**c["assumptions"], **{name: fact["relation"] for name, fact in facts.items()}}
    require(len(given) == len(c["assumptions"]) + len(facts), "an assumption and a fact share a name")
    world = instance(c["witness"], c.get("definitions", {}))
    require([] not in world.values() and all(f["because"] for f in facts.values()), "no index i, or a fact unexplained")
    for name, text in given.items():
        require(holds(text, world), f"the witness fails {name}: {text}")
    known = {name: symbols.relation(text) for name, text in given.items()}
    steps = c["steps"] if c["kind"] == "proof" else [{"name": "goal", "by": "posit", "goal": c["goals"][0], **c}]
    _steps(steps, known, symbols)
    require(bool(c["goals"]) and all(symbols.relation(g) in known.values() for g in c["goals"]), "goals not reached")


def _psd(c: Mapping[str, Any]) -> None:
    """Symmetric elimination without pivoting; a zero pivot needs a zero row."""
    rows = [[rational(entry) for entry in row] for row in c["matrix"]]
    require(bool(rows) and rows == [list(column) for column in zip(*rows, strict=True)], "empty or not symmetric")
    for k, row in enumerate(rows):
        require(row[k] > 0 or not any(row[k:]), f"pivot {k} is {row[k]}")
        for lower in rows[k + 1 :] if row[k] else []:
            scale = lower[k] / row[k]
            lower[k:] = [entry - scale * above for entry, above in zip(lower[k:], row[k:], strict=True)]


def _unique_root(c: Mapping[str, Any]) -> None:
    """p(a) < 0 < p(b) and p' >= 0 between, not identically zero: one root in (a, b)."""
    symbols, low, high = Symbols({}), rational(c["interval"][0]), rational(c["interval"][1])
    slope = symbols.polynomial(c["polynomial"]).derivative("x")
    require(low < high and bool(slope), "an empty interval or a constant polynomial")
    require(evaluate(c["polynomial"], {"x": low}) < 0 < evaluate(c["polynomial"], {"x": high}), "no change of sign")
    known = {"low": (symbols["x"] - low, ">="), "high": (high - symbols["x"], ">=")}
    _posit((slope, ">="), c["monotone"], known, symbols)


def _cex(c: Mapping[str, Any]) -> None:
    """Every hypothesis holds at the instance and the conclusion fails, exactly or (with "bits") certainly in balls."""
    judge = import_module("l2o_theory.rigor.balls").judge_in_balls if "bits" in c else judge_exactly
    for name, text in c["hypotheses"].items():
        require(judge(c, text), f"the instance fails the hypothesis {name}")
    require(not judge(c, c["conclusion"]), "the conclusion holds at the instance")


def _cover(c: Mapping[str, Any]) -> None:
    """The split tree tiles the box and each leaf passes in interval arithmetic."""
    leaf_holds = import_module("l2o_theory.rigor.cover").leaf_holds

    def visit(tree: Any, box: dict[str, tuple[Fraction, Fraction]]) -> None:
        if tree == "leaf":
            return require(leaf_holds(c, box), f"a leaf is not certain: {box}")
        name, below, above = tree
        low, high = box[name]
        visit(below, {**box, name: (low, (low + high) / 2)})
        visit(above, {**box, name: ((low + high) / 2, high)})

    visit(c["tree"], {name: (rational(low), rational(high)) for name, (low, high) in c["box"].items()})


_FAULTS = (Malformed, Undecided, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError)
_KINDS = {"posit": _proof, "proof": _proof, "psd": _psd, "unique_root": _unique_root, "cex": _cex, "cover": _cover}


def check(certificate: Mapping[str, Any]) -> None:
    """Return if the certificate proves what it says; raise Rejected with the reason if not."""
    try:
        require(certificate.get("kind") in _KINDS, f"unknown kind {certificate.get('kind')!r}")
        _KINDS[certificate["kind"]](certificate)
    except _FAULTS as e:
        raise Rejected(f"{type(e).__name__}: {e}") from None
