"""`l2o-theory compare`: on which data to tune a step size, predicted and measured, for one's own sizes or data."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from l2o_theory.cli import options

if TYPE_CHECKING:
    from l2o_theory.cli.output import Output
    from l2o_theory.cli.request import Found, Request

_TASKS = {options.Budget.quick: 60, options.Budget.full: 300}
_RANGE = "a value, a list 1,2,4 or low:high:count; low:high:logCOUNT spaces geometrically"


def _text(name: str, default: str | None, words: str) -> Any:
    return typer.Option(name, metavar="RANGE", help=words, show_default=default or False)


Dimension = Annotated[int | None, typer.Option("--dimension", min=1, help="Features d.", show_default="1000")]
Samples = Annotated[
    str | None, _text("--samples", "500", f"Samples n of a task: {_RANGE}. With --data: training rows.")
]
Noise = Annotated[
    str | None, _text("--noise", "1", f"Label noise sigma, |w*| = 1: {_RANGE}. With --data: estimated if not given.")
]
Steps = Annotated[str, _text("--steps", "40", "Steps t of gradient descent: a value or a list.")]
Tasks = Annotated[
    int | None, typer.Option("--tasks", min=1, help="Tasks to tune on (300 with --budget full).", show_default="60")
]
Tests = Annotated[int, typer.Option("--tests", min=1, help="Fresh tasks that measure the errors.")]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="N1:N2",
        help="Train-by-validation trains on N1 samples and tunes on N2 others; or the share of N1, as in 0.5.",
        show_default="0.5",
    ),
]
Grid = Annotated[str, _text("--grid", "1e-6:1:log25", f"Step sizes to choose from: {_RANGE}.")]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="FILE", help="Your .csv or .npz (X, y) instead of sampled tasks.", show_default=False
    ),
]
Target = Annotated[
    str | None,
    typer.Option("--target", metavar="NAME", help="Column of --data to predict.", show_default="the last one"),
]
Effort = Annotated[
    options.Budget, typer.Option("--budget", help="Tasks where --tasks is not given: quick 60, full 300.")
]


def compare(
    dimension: Dimension = None,
    samples: Samples = None,
    noise: Noise = None,
    steps: Steps = "40",
    tasks: Tasks = None,
    tests: Tests = 50,
    split: Split = None,
    grid: Grid = "1e-6:1:log25",
    data: Data = None,
    target: Target = None,
    budget: Effort = options.Budget.quick,
    seed: options.Seed = 0,
    jobs: options.Jobs = options.CORES,
    device: options.DeviceOption = options.Device.cpu,
    dtype: options.DtypeOption = options.Dtype.float64,
    out: options.Out = options.RESULTS,
    json: options.Json = False,
    quiet: options.Quiet = False,
    fresh: options.Fresh = False,
) -> None:
    """Tune a step size on training or on validation loss: which wins with sizes like yours, and what does it cost?"""
    from l2o_theory.cli import request as requests
    from l2o_theory.cli.output import Output

    output = Output(json_wanted=json, quiet=quiet)
    began = time.perf_counter()
    arithmetic = requests.Arithmetic(jobs, device.value, dtype.value)
    request = requests.Request.parsed(steps, grid, tasks or _TASKS[budget], tests, split, seed, arithmetic, out, fresh)
    try:
        if data is None:
            _refuse_alone(target, "--target", "--data")
            found = requests.sampled(request, dimension or 1000, samples or "500", noise or "1", output)
        else:
            _refuse_alone(dimension, "--dimension", "sampled tasks; --data has its own number of features")
            _refuse_alone(None if device == "cpu" else device, f"--device {device}", "sampled tasks; --data needs none")
            _refuse_alone(None if dtype == "float64" else dtype, f"--dtype {dtype}", "sampled tasks; --data is float64")
            found = requests.on_data(request, data, target, samples, noise, output)
    except KeyboardInterrupt:
        output.insist("stopped; what was measured is stored: run the same command again to continue")
        raise typer.Exit(130) from None
    _finish(request, found, output, time.perf_counter() - began)


def _finish(request: Request, found: Found, output: Output, seconds: float) -> None:
    """Print, draw, and hand out the document."""
    from l2o_theory.cli import comparison
    from l2o_theory.cli.plots import draw

    output.say()
    for line in found.headline:
        output.say(line, "bold")
    comparison.print_cells(output, found.cells)
    output.say()
    comparison.print_crossings(output, found.crossings)
    comparison.print_agreement(output, found.cells, request.grid)
    files = draw(request, found)
    for stem in dict.fromkeys(path.with_suffix("") for path in files[:-1]):
        output.say(f"  {stem}.{{pdf,png,csv}}")
    if found.store is not None and found.store.reused:
        output.say(
            f"reused {found.store.reused} of {found.store.reused + found.store.computed} stored parts of the sweep"
        )
    output.insist(f"compared {len(found.cells)} cell{'s' * (len(found.cells) != 1)} in {seconds:.1f} s: {files[0]}")
    output.document(
        {
            "cells": comparison.document(found.cells),
            "crossings": found.crossings,
            "grid": list(request.grid),
            "tasks": request.tasks,
            "tests": request.tests if found.data is None else None,
            "seed": request.seed,
            "device": request.arithmetic.device,
            "dtype": request.arithmetic.dtype,
            "data": found.data,
            "files": [str(path) for path in files],
            "stored": None if found.store is None else {"reused": found.store.reused, "computed": found.store.computed},
            "seconds": seconds,
        }
    )


def _refuse_alone(value: object, name: str, partner: str) -> None:
    from l2o_theory.errors import InputError

    if value is not None:
        raise InputError(f"{name} goes with {partner}; leave one of them out")
