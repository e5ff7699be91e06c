"""Satisfiability solvers: the negation of a polynomial statement as SMT-LIB text, judged in a child process.

An answer "unsat" is trusted to the solver: no proof comes back that the kernel could check. The child is killed when
its time is up, because solvers overrun their own limits.

    python -m l2o_theory.rigor.smt z3 < problem.smt2
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from l2o_theory.errors import ClaimError, InputError
from l2o_theory.rigor import language
from l2o_theory.rigor.rationals import parse_rational
from l2o_theory.rigor.statement import Statement

Solver = Literal["z3", "cvc5"]
_PACKAGES = {"z3": "z3-solver", "cvc5": "cvc5"}
_LARGEST_POWER = 64
_MEMORY = 2 << 30  # bytes of address space the child may take
_COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "="}
_OPERATIONS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class Answer:
    """What a solver said about the negation of a statement.

    Attributes:
        status: "unsat" (the statement holds, if the solver is right), "sat" (a candidate counterexample), or "unknown".
        smtlib: the question, complete.
        solver: name and version.
        instance: for "sat", the rational values of the model, still to be confirmed by `Statement.decide`; empty if
            the model is not rational.
        reason: why it is unknown: time, memory, or the solver's own word.
    """

    status: Literal["unsat", "sat", "unknown"]
    smtlib: str
    solver: str
    instance: Mapping[str, Fraction] = field(default_factory=dict)
    reason: str = ""

    def evidence(self) -> dict[str, Any]:
        """The answer as JSON; "trust" says that no kernel checked it."""
        instance = {name: str(value) for name, value in self.instance.items()}
        return {
            "kind": "smt",
            "trust": f"solver-trusted: {self.solver}",
            "status": self.status,
            "smtlib": self.smtlib,
            "instance": instance,
            "reason": self.reason,
        }


def solve(
    statement: Statement, *, fixed: Mapping[str, Any] | None = None, timeout: float = 10.0, solver: Solver = "z3"
) -> Answer:
    """Ask whether some instance satisfies the requirements of the statement and violates its conclusion.

    Args:
        statement: polynomial, without vectors; natural parameters must be fixed.
        fixed: exact values of some parameters (all naturals among them).
        timeout: seconds after which the child process is killed.
        solver: "z3" or "cvc5".

    Raises:
        ClaimError: a text that has no translation (vectors, functions, symbolic powers).
        InputError: the extra "smt" is not installed, or a value or the solver's name is wrong.
    """
    return ask(smtlib(statement, fixed or {}, "negation"), timeout=timeout, solver=solver)


def satisfiable(
    statement: Statement, *, fixed: Mapping[str, Any] | None = None, timeout: float = 10.0, solver: Solver = "z3"
) -> Answer:
    """Ask whether any instance satisfies the requirements: "unsat" means that the statement is vacuous."""
    return ask(smtlib(statement, fixed or {}, "requirements"), timeout=timeout, solver=solver)


def ask(text: str, *, timeout: float, solver: Solver = "z3") -> Answer:
    """Run a solver on SMT-LIB text in a child process that is killed after `timeout` seconds."""
    name = f"{solver} {installed(solver)}"
    if not timeout > 0:
        raise InputError(f"the timeout must be a positive number of seconds, got {timeout}; raise it")
    command = [sys.executable, "-m", "l2o_theory.rigor.smt", solver]
    try:
        run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return Answer("unknown", text, name, reason=f"killed after {timeout} s")
    status, _, values = run.stdout.strip().partition("\n")
    if status == "unsat":
        return Answer("unsat", text, name)
    if status == "sat":
        return Answer("sat", text, name, instance=_values(values))
    said = (run.stdout + run.stderr).strip().splitlines()
    return Answer("unknown", text, name, reason=said[-1][:200] if said else f"the child ended with {run.returncode}")


def installed(solver: str) -> str:
    """Version of the solver; raises InputError if it is unknown or not installed."""
    if solver not in _PACKAGES:
        raise InputError(f"the solver must be one of {sorted(_PACKAGES)}, got {solver!r}; choose one of them")
    try:
        return version(_PACKAGES[solver])
    except PackageNotFoundError:
        raise InputError(f'the solver {solver} is not installed; run: pip install "l2o-theory[smt]"') from None


def smtlib(statement: Statement, fixed: Mapping[str, Any], question: Literal["negation", "requirements"]) -> str:
    """The question as SMT-LIB 2 text over the reals; min, max and abs become cases (ite)."""
    free = [p.name for p in statement.parameters if p.name not in fixed]
    if fixed.keys() - {p.name for p in statement.parameters}:
        raise InputError(f"fixed values are for parameters, got {sorted(fixed)}; remove the others")
    writer = _Writer({name: parse_rational(value, name) for name, value in fixed.items()})
    lines = ["(set-option :produce-models true)", "(set-logic QF_NRA)"]
    for parameter in statement.parameters:
        if parameter.is_vector or (parameter.kind == "natural" and parameter.name not in fixed):
            raise ClaimError(f"{parameter.name}: solvers take single numbers and fixed steps; fix it, or write it out")
    lines += [f"(declare-const {name} Real)" for name in free]
    for name, text in statement.definitions.items():
        lines.append(f"(define-fun {name} () Real {writer.text(text)})")
    demands = [writer.text(text) for text in statement.requirements().values()]
    if question == "negation":
        demands.append(f"(not {writer.text(statement.conclusion)})")
    demands += [f"(not (= {divisor} 0.0))" for divisor in writer.divisors]
    lines += [f"(assert {demand})" for demand in demands]
    return "\n".join([*lines, "(check-sat)", *([f"(get-value ({' '.join(free)}))"] if free else []), ""])


class _Writer:
    """Translates statement text; remembers what it divided by, which must not vanish."""

    def __init__(self, fixed: Mapping[str, Fraction]) -> None:
        self.fixed = fixed
        self.divisors: list[str] = []

    def text(self, text: str) -> str:
        try:
            return self.node(language.parse(text))
        except language.Malformed as error:
            raise ClaimError(f"no translation for a solver: {error}; rewrite it as a polynomial relation") from None

    def node(self, node: ast.AST) -> str:
        """SMT-LIB term of a syntax tree."""
        match node:
            case ast.Constant(value=int() as number) if not isinstance(number, bool):
                return _number(Fraction(number))
            case ast.Name(id=name):
                return _number(self.fixed[name]) if name in self.fixed else name
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(- {self.node(operand)})"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"(not {self.node(operand)})"
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.power(left, right)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                if isinstance(op, ast.Div):
                    self.divisors.append(self.node(right))
                return f"({_OPERATIONS[type(op)]} {self.node(left)} {self.node(right)})"
            case ast.BoolOp(op=op, values=parts):
                return f"({'and' if isinstance(op, ast.And) else 'or'} {' '.join(self.node(part) for part in parts)})"
            case ast.Compare(left=first, ops=ops, comparators=rest):
                sides = [self.node(side) for side in (first, *rest)]
                pairs = zip(ops, sides, sides[1:], strict=False)
                return f"(and {' '.join(_comparison(op, left, right) for op, left, right in pairs)})"
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self.call(name, arguments, node)
        raise language.Malformed(ast.unparse(node))

    def power(self, base: ast.expr, exponent: ast.expr) -> str:
        power = language.value_of(exponent, self.fixed)
        if power.denominator != 1 or not 0 <= power <= _LARGEST_POWER:
            raise language.Malformed(f"the power {power} is not an integer in 0..{_LARGEST_POWER}")
        factors = [self.node(base)] * int(power)
        return f"(* {' '.join(factors)})" if power > 1 else (factors or ["1.0"])[0]

    def call(self, name: str, arguments: list[ast.expr], node: ast.AST) -> str:
        if name == "natural":
            return "true" if language.value_of(node, self.fixed) else "false"
        values = [self.node(argument) for argument in arguments]
        if name == "abs" and len(values) == 1:
            return f"(ite (>= {values[0]} 0.0) {values[0]} (- {values[0]}))"
        if name == "positive" and len(values) == 1:
            return f"(ite (> {values[0]} 0.0) 1.0 0.0)"
        if name in ("max", "min") and len(values) >= 2:
            chosen = values[0]
            for value in values[1:]:
                chosen = f"(ite ({'>=' if name == 'max' else '<='} {chosen} {value}) {chosen} {value})"
            return chosen
        raise language.Malformed(ast.unparse(node))


def _comparison(op: ast.cmpop, left: str, right: str) -> str:
    if isinstance(op, ast.NotEq):
        return f"(not (= {left} {right}))"
    return f"({_COMPARISONS[type(op)]} {left} {right})"


def _number(value: Fraction) -> str:
    size = (
        f"{abs(value.numerator)}.0" if value.denominator == 1 else f"(/ {abs(value.numerator)}.0 {value.denominator}.0)"
    )
    return f"(- {size})" if value < 0 else size


def _values(text: str) -> dict[str, Fraction]:
    """The rational values in ((x (- 2.0)) (y (/ 1 3))); empty if one of them is not rational, such as a root object."""
    tokens = re.findall(r"[()]|[^\s()]+", text)

    def read() -> Any:
        token = tokens.pop(0)
        if token != "(":
            return token
        parts = []
        while tokens[0] != ")":
            parts.append(read())
        tokens.pop(0)
        return parts

    try:
        return {name: _rational(term) for name, term in read()}
    except (ValueError, IndexError, ZeroDivisionError):
        return {}


def _rational(term: Any) -> Fraction:
    match term:
        case str():
            return Fraction(term)
        case ["-", value]:
            return -_rational(value)
        case ["/", above, below]:
            return _rational(above) / _rational(below)
    raise ValueError(f"{term} is not rational")


def _child(solver: str) -> None:
    """Read SMT-LIB from standard input, print the answer and, if it is "sat", the values."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    question, get_value, names = sys.stdin.read().partition("(get-value")
    run = _z3() if solver == "z3" else _cvc5()
    status = run(question)
    print(status)
    if status == "sat" and get_value:
        print(run(get_value + names))


def _z3() -> Callable[[str], str]:
    import z3

    context = z3.main_ctx()
    return lambda text: str(z3.Z3_eval_smtlib2_string(context.ref(), text)).strip()


def _cvc5() -> Callable[[str], str]:
    import cvc5

    solver = cvc5.Solver(cvc5.TermManager())
    parser = cvc5.InputParser(solver)

    def run(text: str) -> str:
        parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "statement")
        said = []
        while not (command := parser.nextCommand()).isNull():
            said.append(str(command.invoke(solver, parser.getSymbolManager())))
        return "".join(said).strip()

    return run


if __name__ == "__main__":
    _child(sys.argv[1])
