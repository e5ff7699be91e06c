"""Options that mean the same in every verb."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Budget(StrEnum):
    """How much time a check may take."""

    quick = "quick"
    full = "full"


class Device(StrEnum):
    """Where arrays live."""

    cpu = "cpu"
    cuda = "cuda"


class Dtype(StrEnum):
    """Type of floating-point numbers."""

    float64 = "float64"
    float32 = "float32"


CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""Processor cores this process may use."""


Patterns = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CLAIM",
        help="Ids, globs ('*/theorem3/*') or folders (step_size); all if none.",
        show_default=False,
    ),
]
Claims = Annotated[
    list[Path] | None,
    typer.Option(
        "--claims",
        resolve_path=True,
        metavar="PATH",
        help="Your claim file or folder instead of the built-in claims; may be repeated.",
        show_default=False,
    ),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of results.")]
BudgetOption = Annotated[Budget, typer.Option("--budget", help="quick: seconds per claim; full: a minute and more.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The one seed of the run.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Worker processes.", show_default="cores")]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute; cuda needs a GPU and torch for it.")]
DtypeOption = Annotated[Dtype, typer.Option("--dtype", help="Numbers that data consist of; sums stay float64.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, words on standard error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what needs attention, and the last line.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew instead of using what is stored.")]

RESULTS = Path("l2o_results")
"""Where results go unless `--out` says otherwise."""
