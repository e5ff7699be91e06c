"""`l2o-theory doctor`: is everything here, and does the kernel still refuse a false certificate?

`doctor gradient` examines an optimizer instead of the installation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import typer

from l2o_theory.cli import gradient, options

_REQUIRED = ("torch", "numpy", "scipy", "sympy", "python-flint", "hypothesis")
_SOLVERS = ("z3-solver", "cvc5")
_TRUE_CERTIFICATE = {
    "kind": "posit",
    "assumptions": {"positive": "x > 0"},
    "goals": ["2*x > 0"],
    "terms": [{"coef": "2", "of": {"positive": 1}}],
    "witness": {"x": "1"},
}
# The same with one coefficient changed: a kernel that accepts it accepts anything.
_FALSE_CERTIFICATE = {**_TRUE_CERTIFICATE, "terms": [{"coef": "3", "of": {"positive": 1}}]}


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what.
        state: "ok", "missing" (not needed for most work) or "broken".
        detail: version, count, or the remedy.
    """

    name: str
    state: str
    detail: str


app = typer.Typer(invoke_without_command=True)
app.command("gradient")(gradient.gradient)


@app.callback()
def doctor(
    context: typer.Context, out: options.Out = options.RESULTS, json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """Examine the installation: versions, solvers, kernel self-test, folder of results, CUDA. Or an optimizer."""
    if context.invoked_subcommand is not None:
        return
    from l2o_theory.cli.output import Output

    output = Output(json_wanted=json, quiet=quiet)
    findings = []
    for finding in _findings(out):
        findings.append(finding)
        style = {"ok": "green", "missing": "yellow", "broken": "bold red"}[finding.state]
        tell = output.insist if finding.state == "broken" else output.say
        tell(f"{finding.state:<8} {finding.name:<16} {finding.detail}", style)
    broken = sum(finding.state == "broken" for finding in findings)
    output.insist(f"{broken} broken" if broken else "everything needed works")
    output.document([asdict(finding) for finding in findings])
    raise typer.Exit(1 if broken else 0)


def _findings(out: Path) -> Iterator[Finding]:
    from l2o_theory.store.keys import library_versions

    versions = library_versions()
    modern = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if modern else "broken", f"{versions['python']}{'' if modern else '; 3.11 is needed'}")
    for name in _REQUIRED:
        found = versions[name]
        yield Finding(name, "ok" if found else "broken", found or f"not installed; pip install {name}")
    for name in _SOLVERS:
        found = versions[name]
        yield Finding(
            name, "ok" if found else "missing", found or "solver not installed; pip install 'l2o-theory[smt]'"
        )
    yield _tried("kernel", _kernel)
    yield _tried("ball arithmetic", _balls)
    yield _tried("claims", _claims)
    yield _tried("experiments", _experiments)
    yield _tried("results", lambda: _results(out))
    yield _cuda()


def _tried(name: str, examine: Callable[[], str]) -> Finding:
    """Whatever goes wrong inside is a finding: a doctor does not faint."""
    try:
        return Finding(name, "ok", examine())
    except Exception as error:
        return Finding(name, "broken", " ".join(f"{type(error).__name__}: {error}".split()))


def _kernel() -> str:
    from l2o_theory.errors import CertificateError
    from l2o_theory.rigor import kernel

    kernel.check(_TRUE_CERTIFICATE)
    try:
        kernel.check(_FALSE_CERTIFICATE)
    except kernel.Rejected:
        return "accepts a true certificate, refuses a false one"
    raise CertificateError(
        "the kernel accepts a false certificate; reinstall, and trust no verdict of this installation"
    )


def _balls() -> str:
    from fractions import Fraction

    from l2o_theory.errors import PrecisionError
    from l2o_theory.rigor import balls

    with balls.precision(128):
        one = balls.ball(Fraction(1, 3)) * 3
        if one.contains(1) and not one.is_exact():
            return "encloses what it rounds"
    raise PrecisionError("1/3 is not enclosed; reinstall python-flint")


def _claims() -> str:
    from l2o_theory.claims.discovery import load_claims, plugin_folder

    return f"{len(load_claims().claims)} in {plugin_folder('proofs_checks')}"


def _experiments() -> str:
    from l2o_theory.figures.experiment import list_experiments

    found = list_experiments()
    return f"{len(found)}: {', '.join(found)}"


def _results(out: Path) -> str:
    """Looks without touching: a folder that does not exist yet is judged by the one it would be made in."""
    import os

    from l2o_theory.errors import StoreError
    from l2o_theory.store.ledger import LEDGER
    from l2o_theory.store.results import Results

    existing = next(path for path in (out.resolve(), *out.resolve().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise StoreError(f"cannot write to {out}; give a writable folder with --out DIR")
    if not (out / LEDGER).is_file():
        return f"{out} is writable and holds none yet"
    with Results.open(out) as results:
        return f"{out} is writable and holds {len(results)} verdicts"


def _cuda() -> Finding:
    try:
        import torch
    except Exception as error:
        return Finding("cuda", "missing", f"torch does not start: {error}")
    if not torch.cuda.is_available():
        return Finding("cuda", "missing", "no device; nothing in this version needs one")
    device: Any = torch.cuda.get_device_name()
    return Finding("cuda", "ok", str(device))
