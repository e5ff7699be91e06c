"""The `l2o-theory` command: every error of the package becomes one line and exit code 2, never a traceback."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from l2o_theory import __version__
from l2o_theory.cli import check, compare, doctor, falsify, listing, metatrain, recheck, replay, report, reproduce, show
from l2o_theory.errors import L2OTheoryError

_EPILOG = (
    "Exit codes: 0 every verdict is as its claim records; 1 one is not; 2 bad input; "
    "3 undecided where more was expected."
)

app = typer.Typer(
    name="l2o-theory",
    help="Which statements about learning to optimize are true? Verdicts with evidence that a stranger can re-check.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("list")(listing.list_claims)
app.command("show")(show.show)
app.command("check")(check.check)
app.command("falsify")(falsify.falsify)
app.command("replay")(replay.replay)
app.command("recheck")(recheck.recheck)
app.command("compare")(compare.compare)
app.command("metatrain")(metatrain.metatrain)
app.command("reproduce")(reproduce.reproduce)
app.command("report")(report.report)
app.add_typer(doctor.app, name="doctor")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"l2o-theory {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode shows "?", and no traceback
    try:
        app()
    except L2OTheoryError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
