"""`l2o-theory replay`: a counterexample decided once more, with both sides of every comparison."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from l2o_theory.cli import options

if TYPE_CHECKING:
    from l2o_theory.cli.output import Output
    from l2o_theory.search.replay import Comparison

_SIGNS = {True: "holds", False: "FAILS", None: "not decided"}


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A replay file, as check and falsify write them.")],
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Replay a counterexample exactly: the kernel decides it again, and both sides of each comparison are shown."""
    from dataclasses import asdict

    from l2o_theory.cli.output import Output
    from l2o_theory.rigor.statement import to_json
    from l2o_theory.search import replay as replays

    output = Output(json_wanted=json, quiet=quiet)
    found = replays.replay(file)
    arithmetic = "exact rationals" if found.arithmetic == "rational" else f"balls of {found.arithmetic} bits"
    instance = to_json(found.instance)
    output.say(found.claim, style="bold")
    output.say("instance", style="bold")
    for name, value in instance.items():
        output.say(f"  {name} = {value if isinstance(value, str) else '(' + ', '.join(value) + ')'}")
    output.say("hypotheses", style="bold")
    for comparisons in found.hypotheses.values():
        _print(output, comparisons)
    output.say("conclusion", style="bold")
    _print(output, found.conclusion)
    output.insist(f"counterexample confirmed in {arithmetic}: every hypothesis holds and the conclusion fails")
    output.document(
        {
            "claim": found.claim,
            "instance": instance,
            "arithmetic": found.arithmetic,
            "hypotheses": {name: [asdict(c) for c in several] for name, several in found.hypotheses.items()},
            "conclusion": [asdict(c) for c in found.conclusion],
        }
    )


def _print(output: Output, comparisons: Iterable[Comparison]) -> None:
    for comparison in comparisons:
        at = "" if comparison.index is None else f"  (i = {comparison.index})"
        style = "red" if comparison.holds is False else None
        output.say(f"  {_SIGNS[comparison.holds]}: {comparison.relation}{at}", style)
        for side, exact, decimal in (
            ("left ", comparison.left_exact, comparison.left),
            ("right", comparison.right_exact, comparison.right),
        ):
            about = f" = {_short(decimal)}" if "/" in exact else ""
            output.say(f"    {side} = {exact or _short(decimal)}{about}")


def _short(decimal: str) -> str:
    """Without the zeros that only fill up the digits."""
    return decimal.rstrip("0").rstrip(".") if "." in decimal and "e" not in decimal else decimal
