"""`l2o-theory doctor gradient FILE:RULE`: which meta-gradients of an optimizer can be believed."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2o_theory.cli import options

if TYPE_CHECKING:
    from l2o_theory.audit.gradient_report import GradientReport
    from l2o_theory.cli.output import Output

_STYLES = {"ok": "green", "note": "yellow", "fault": "bold red"}


class Dtype(StrEnum):
    """Floating dtypes."""

    float32 = "float32"
    float64 = "float64"


class Objective(StrEnum):
    """Meta-objectives."""

    sum = "sum"
    mean = "mean"
    final = "final"
    log_final = "log_final"


def gradient(
    rule: Annotated[
        str,
        typer.Argument(
            metavar="FILE:RULE",
            help="Your update rule: a class, an object, or a function that makes one; or a built-in one such as Adam.",
        ),
    ],
    problem: Annotated[
        str,
        typer.Option(
            "--problem",
            metavar="NAME",
            help="quadratic, random_quadratic, least_squares, rosenbrock, double_well, softmax, mlp, or FILE:NAME.",
        ),
    ] = "quadratic",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Inner steps N.")] = 100,
    window: Annotated[
        int | None, typer.Option("--window", min=1, help="Window K of truncation.", show_default="20 or N")
    ] = None,
    objective: Annotated[Objective, typer.Option("--objective", help="Of the losses f(x_1..N).")] = Objective.sum,
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", metavar="NAME=VALUE", help="Set a meta-parameter; may be repeated.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Longest horizon tried for dtypes.", show_default="5 N, at most 1000"),
    ] = None,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Of the estimates.")] = Dtype.float64,
    seed: options.Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep the report as JSON here.", show_default=False)
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare every way to differentiate a run of your optimizer in its own parameters, and say which to believe.

    Exit code 1 if the meta-gradient has a fault: cut, wrong, not finite, or a rule that is no pure function.
    """
    import json as codec

    import torch

    from l2o_theory.audit import examine_gradient, load_subject
    from l2o_theory.cli.output import Output
    from l2o_theory.figures.table import write_file

    output = Output(json_wanted=json, quiet=quiet)
    subject = load_subject(rule, _values(meta or []), seed=seed)
    report = examine_gradient(
        subject, problem, steps=steps, window=window, dtype=getattr(torch, dtype.value), objective=objective.value,
        seed=seed, limit=limit,
    )  # fmt: skip
    _print(output, report)
    if out is not None:
        name = "".join(c if c.isalnum() else "_" for c in f"{rule.rpartition(':')[2]}_{problem.rpartition(':')[2]}")
        path = out / "doctor" / f"gradient_{name}.json"
        write_file(path, (codec.dumps(report.document, indent=1) + "\n").encode())
        output.say(f"\nreport: {path}")
    output.document(report.document)
    raise typer.Exit(1 if report.faults else 0)


def _values(entries: list[str]) -> dict[str, float]:
    from l2o_theory.errors import InputError

    values = {}
    for entry in entries:
        name, equals, number = entry.partition("=")
        try:
            values[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name.strip() or not math.isfinite(values[name.strip()]):
            raise InputError(f"--meta must be NAME=VALUE with a finite number, got {entry!r}; such as step_size=0.1")
    return values


def _print(output: Output, report: GradientReport) -> None:
    s = report.setting
    coordinates = f" ({s['coordinates']} coordinate{'s' if s['coordinates'] > 1 else ''})"
    output.say(f"Meta-gradient of {report.rule} on {report.problem}{coordinates}", "bold")
    number = s["meta_parameters"]
    output.say(
        f"{s['steps']} steps, window {s['window']}, {s['objective']} of the losses, {s['dtype']}, seed {s['seed']}\n"
        f"{number} meta-parameter{'s' if number > 1 else ''}, {_compared(report)}\n"
    )
    if report.estimates and not output.quiet:
        output.console.print(_table(report))
        output.say()
    if report.growth is not None:
        output.say(_growth(report.growth.meta, report.growth.start, s["steps"]))
    for reach in report.reach:
        output.say(f"{reach.dtype}: {reach.reason}")
    output.say()
    for finding in report.findings:
        tell = output.insist if finding.state == "fault" else output.say
        tell(f"{finding.state:<5}  {finding.name:<13}  {finding.text}", _STYLES[finding.state])
    faults = len(report.faults)
    words = "1 fault" if faults == 1 else f"{faults} faults"
    output.insist(f"\n{words}: do not train with this meta-gradient" if faults else "\nno fault found")


def _compared(report: GradientReport) -> str:
    if report.directions[0].startswith("random"):
        return f"compared along {len(report.directions)} random directions, each entry moving in proportion to its size"
    return f"each moving in proportion to its size: {', '.join(report.directions)}"


def _table(report: GradientReport) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("estimate")
    for column in ("norm", "distance", "cosine"):
        table.add_column(column, justify="right")
    table.add_column("verdict", overflow="fold")
    for row in report.estimates:
        style = "bold red" if row.verdict in ("DISAGREES", "NOT FINITE") else None
        numbers = [_number(row.norm, ".5g"), _number(row.distance, ".1e"), _number(row.cosine, "+.4f")]
        table.add_row(row.name, *numbers, row.verdict, style=style)
    return table


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _growth(meta: float, start: float, steps: int) -> str:
    """The measured rates in words."""

    def words(rate: float) -> str:
        if math.isnan(rate):
            return "could not be measured"
        if abs(rate) * steps < 0.1:
            return f"keeps its size (rate {rate:+.2g} per step)"
        verb = "grows" if rate > 0 else "shrinks"
        return f"{verb} by a factor {math.exp(abs(rate)):.4g} per step (rate {rate:+.4g})"

    return f"growth:  |dx_t/dphi| {words(meta)}\n         |dx_t/dx_0| {words(start)}: the largest Lyapunov exponent"
