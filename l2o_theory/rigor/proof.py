"""Proofs for all parameters: a chain of polynomial steps from hypotheses and named facts to the conclusion.

The kernel reads every name as a variable. What a variable stands for (`atoms`), what is expanded (`definitions`) and
what is taken from textbooks (`facts`) are listed in the proof, and each is tested here on exact instances: a misquoted
fact is found, not believed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import flint

from l2o_theory.errors import CertificateError
from l2o_theory.rigor import balls, language, products
from l2o_theory.rigor.statement import Instance, Statement, links, to_json
from l2o_theory.rigor.symbols import Relation, Symbols

_UNTRIED = object()
_MOST_EXACT_STEPS = 64  # naturals up to here keep exact powers small enough to test every fact on every instance
_FACT_BITS = 192  # facts are tested in balls; equalities hold when the enclosures overlap to this precision


@dataclass(frozen=True)
class Fact:
    """A relation taken for granted, and why: a named textbook theorem applied to the atoms, or "definition".

    The note says how the theorem is applied, where that is not plain.
    """

    relation: str
    because: str
    note: str = ""

    @property
    def is_definition(self) -> bool:
        """Whether it only restates what an atom means."""
        return self.because.startswith("definition")


@dataclass(frozen=True)
class Step:
    """One step of a proof; the goal is a single comparison.

    Exactly one way: `using` (names of known relations; the finder looks for the combination), `terms` with `equal`
    (the combination itself), `sum_of` (sum a known relation over i), `cancel` (factor, product), or `split` on the sign
    of a polynomial into the sub-proofs `nonnegative` and `negative`, in which that sign is known by the step's name
    with "_case" appended.
    """

    name: str
    goal: str
    using: tuple[str, ...] = ()
    equal: Mapping[str, str] = field(default_factory=dict)
    terms: tuple[Mapping[str, Any], ...] = ()
    degree: int | None = None
    sum_of: str | None = None
    cancel: tuple[str, str] | None = None
    split: str | None = None
    nonnegative: tuple[Step, ...] = ()
    negative: tuple[Step, ...] = ()


def times(*names: str, coef: str = "1", square: str = "1") -> dict[str, Any]:
    """One term of a combination: coef * product of the named relations (repeat a name for a power) * square^2."""
    return {"coef": coef, "of": {name: names.count(name) for name in names}, "square": square}


@dataclass(frozen=True)
class Proof:
    """A proof of a statement.

    Attributes:
        atoms: name -> its meaning, an expression in the statement's parameters and definitions; opaque to the kernel.
        definitions: name -> polynomial in parameters and atoms; expanded by the kernel, equal to the statement's.
        facts: name -> Fact.
        steps: in order; the conclusion's comparisons must be among their goals.
        witness: an instance at which every atom is rational; the claim's own if None.
    """

    steps: tuple[Step, ...]
    facts: Mapping[str, Fact] = field(default_factory=dict)
    atoms: Mapping[str, str] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)
    witness: Mapping[str, Any] | None = None

    def certificate(self, statement: Statement, witness: Instance) -> dict[str, Any]:
        """Build the kernel's certificate, finding the multipliers of the steps that leave them open.

        Raises:
            CertificateError: a step cannot be closed, or the witness leaves the rationals.
        """
        symbols = Symbols(self.definitions)
        assumptions = {
            key: link for name, text in statement.hypotheses.items() for key, link in named_links(name, text).items()
        }
        known = {name: symbols.relation(text) for name, text in assumptions.items()}
        known |= {name: symbols.relation(fact.relation) for name, fact in self.facts.items()}
        return {
            "kind": "proof",
            "assumptions": assumptions,
            "definitions": dict(self.definitions),
            "atoms": dict(self.atoms),
            "facts": {
                name: {"relation": f.relation, "because": f.because, "note": f.note} for name, f in self.facts.items()
            },
            "steps": _closed(self.steps, known, symbols),
            "goals": statement.goals(),
            "witness": self._witness(statement, witness),
        }

    def _witness(self, statement: Statement, witness: Instance) -> dict[str, Any]:
        try:
            world = statement.world(witness)
            for name, text in self.atoms.items():
                world[name] = language.evaluate(text, world)
        except language.Malformed as error:
            raise CertificateError(
                f"the witness leaves the rationals ({error}); give the proof a witness with rational roots"
            ) from None
        free = {name for name in world if name not in self.definitions}
        return to_json({name: tuple(v) if isinstance(v, list) else v for name, v in world.items() if name in free})

    def textbook_facts(self) -> list[str]:
        """The textbook theorems used, each once, in order of appearance."""
        return list(dict.fromkeys(fact.because for fact in self.facts.values() if not fact.is_definition))

    def strays(self, statement: Statement) -> list[str]:
        """Names that the proof reads in another sense than the statement; empty if all is well. Exact, no instances.

        With every atom's meaning replaced by its name, a definition that statement and proof share must be the same
        polynomial in both. An atom may bear a name of the statement only with the very same meaning.
        """
        meanings = {ast.dump(language.parse(text)): name for name, text in self.atoms.items()}
        symbols, found = Symbols(self.definitions), []
        for name in self.definitions:
            if name in statement.definitions:
                try:
                    tree = _Named(meanings).visit(ast.parse(statement.definitions[name], mode="eval").body)
                    same = symbols.polynomial(ast.unparse(tree)) == symbols[name]
                except (language.Malformed, TypeError, ValueError):
                    same = False
                found += [] if same else [name]
        taken = {p.name: p.name for p in statement.parameters} | dict(statement.definitions)
        for name, text in self.atoms.items():
            if name in taken and ast.dump(language.parse(text)) not in _readings(name, taken[name]):
                found.append(name)
        return found

    def misquoted(self, statement: Statement, instances: Iterable[Instance]) -> list[str]:
        """Test every fact and definition on instances; return what failed, empty if all is well.

        A fact fails if its negation is certain in balls or a side is undefined; an atom or a definition fails if it
        bears a name of the statement and the two readings do not overlap. Instances at which an indicator or a maximum
        in an atom cannot be decided in balls are passed over; if that is most of them, the test itself has failed.
        """
        failures: dict[str, str] = {}
        total = passed_over = 0
        for instance in instances:
            total += 1
            try:
                with balls.precision(_FACT_BITS):
                    failures |= self._failures(statement, instance)
            except language.Undecided:
                passed_over += 1
        untested = [f"{passed_over} of {total} instances could not be decided"] if 2 * passed_over >= total else []
        return untested + [f"{name} fails at {where}" for name, where in failures.items()]

    def _failures(self, statement: Statement, instance: Instance) -> dict[str, str]:
        world = statement.world(instance, _FACT_BITS)
        found: dict[str, str] = {}
        exact: Any = _UNTRIED
        readings = [("atom", *atom) for atom in self.atoms.items()]
        for what, name, text in [*readings, *(("definition", *entry) for entry in self.definitions.items())]:
            value = language.evaluate(text, world)
            if not _is_finite(value) or (name in world and not _overlap(value, world[name])):
                found[f"{what} {name}"] = str(to_json(instance))
            world[name] = value
        for name, fact in self.facts.items():
            try:
                true = language.holds(fact.relation, world)
            except language.Undecided:  # equality, or closer than the precision
                exact = self._exactly(statement, instance) if exact is _UNTRIED else exact
                true = _is_defined(fact.relation, world) and (exact is None or language.holds(fact.relation, exact))
            if not true:
                found[f"fact {name}"] = str(to_json(instance))
        return found

    def _exactly(self, statement: Statement, instance: Instance) -> dict[str, Any] | None:
        """The instance with all atoms in exact rationals; None if an atom is irrational or a power would be huge."""
        naturals = [instance[p.name] for p in statement.parameters if p.kind == "natural" and not p.is_vector]
        if any(isinstance(value, Fraction) and value > _MOST_EXACT_STEPS for value in naturals):
            return None
        try:
            world = statement.world(instance)
            for name, text in (*self.atoms.items(), *self.definitions.items()):
                world[name] = language.evaluate(text, world)
        except (language.Malformed, ZeroDivisionError):
            return None
        return world


class _Named(ast.NodeTransformer):
    """Replaces every subtree that is the meaning of an atom by the atom's name."""

    def __init__(self, meanings: Mapping[str, str]) -> None:
        self._meanings = meanings

    def visit(self, node: ast.AST) -> ast.AST:
        """The node, or the name that stands for it."""
        name = self._meanings.get(ast.dump(node))
        return ast.Name(id=name, ctx=ast.Load()) if name else self.generic_visit(node)


def _readings(name: str, text: str) -> set[str]:
    """The trees that mean what the statement means by `name`: the name itself, or its definition."""
    return {ast.dump(language.parse(text)), ast.dump(language.parse(name))}


def _is_defined(relation: str, world: Mapping[str, Any]) -> bool:
    """Whether both sides of a comparison are finite."""
    tree = language.parse(relation)
    sides = [tree.left, *tree.comparators] if isinstance(tree, ast.Compare) else []
    return all(_is_finite(language.evaluate_tree(side, world)) for side in sides)


def _is_finite(value: Any) -> bool:
    return all(flint.arb(v).is_finite() for v in (value if isinstance(value, list) else [value]))


def _overlap(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        return all(_overlap(a, b) for a, b in zip(left, right, strict=True))
    return bool(flint.arb(left).overlaps(flint.arb(right)))


def named_links(name: str, text: str) -> dict[str, str]:
    """A chain "a < b <= c" named h becomes h.1 and h.2; a single comparison keeps its name."""
    found = links(text)
    return {name: found[0]} if len(found) == 1 else {f"{name}.{k}": link for k, link in enumerate(found, 1)}


def _closed(steps: Sequence[Step], known: Mapping[str, Relation], symbols: Symbols) -> list[dict[str, Any]]:
    """The steps as the kernel reads them, with every open combination found."""
    known, closed = dict(known), []
    for step in steps:
        goal = symbols.relation(step.goal)
        head: dict[str, Any] = {"name": step.name, "goal": step.goal}
        if step.sum_of is not None:
            closed.append({**head, "by": "sum", "of": step.sum_of})
        elif step.cancel is not None:
            closed.append({**head, "by": "cancel", "factor": step.cancel[0], "product": step.cancel[1]})
        elif step.split is not None:
            case, sign = f"{step.name}_case", symbols.polynomial(step.split)
            branches = {
                "nonnegative": _closed(step.nonnegative, {**known, case: (sign, ">=")}, symbols),
                "negative": _closed(step.negative, {**known, case: (-sign, ">")}, symbols),
            }
            closed.append({**head, "by": "cases", "case": case, "split": step.split, **branches})
        else:
            closed.append({**head, "by": "posit", **_combination(step, goal, known, symbols)})
        known[step.name] = goal
    return closed


def _combination(step: Step, goal: Relation, known: Mapping[str, Relation], symbols: Symbols) -> dict[str, Any]:
    if step.terms or not step.using:
        return {"terms": [dict(term) for term in step.terms], "equal": dict(step.equal)}
    missing = [name for name in (*step.using, *step.equal) if name not in known]
    if missing:
        raise CertificateError(f"step {step.name} uses {missing}, which is not known there; known: {sorted(known)}")
    rest = goal[0]
    for name, multiplier in step.equal.items():
        rest = rest - known[name][0] * symbols.polynomial(multiplier)
    terms = products.find_posit((rest, goal[1]), {name: known[name] for name in step.using}, degree=step.degree)
    if terms is None:
        raise CertificateError(
            f"step {step.name}: no combination of {list(step.using)} gives {step.goal}; name more relations, "
            "raise `degree`, or give `terms`"
        )
    return {"terms": terms, "equal": dict(step.equal)}
