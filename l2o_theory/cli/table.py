"""The end of a check: the table of verdicts, what needs attention, and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from l2o_theory.claims.verdict import Status, Verdict
from l2o_theory.cli.output import COLOURS, ROOM_FOR_ALL, Output

_NEGLIGIBLE = 1e-100
_ACCEPTED = (Status.PROVED, Status.CERTIFIED)


def print_table(output: Output, verdicts: Sequence[Verdict]) -> None:
    """One row per verdict; the scope only where the window is wide enough."""
    wide = output.console.width >= ROOM_FOR_ALL
    table = Table(box=None, pad_edge=False, header_style="bold", expand=wide)
    table.add_column("claim", overflow="fold", no_wrap=wide)
    table.add_column("verdict", no_wrap=True)
    table.add_column("as recorded" if wide else "", no_wrap=True)
    table.add_column("margin", justify="right", no_wrap=True)
    table.add_column("seconds" if wide else "s", justify="right", no_wrap=True)
    if wide:
        table.add_column("scope", no_wrap=True, overflow="ellipsis", ratio=1)
    for verdict in verdicts:
        mark = "✓" if verdict.is_as_expected else f"✗ {verdict.expected.value}" if wide else "✗"
        seconds = verdict.run.get("seconds")
        row: list[Text | str] = [
            Text(verdict.claim),
            Text(verdict.status.value, style=COLOURS[verdict.status]),
            Text(mark, style="" if verdict.is_as_expected else "bold red"),
            _short(verdict.margin),
            "-" if seconds is None else f"{seconds:.1f}",
        ]
        table.add_row(*row, *([Text(" ".join(verdict.scope.split()))] if wide else []))
    output.console.print(table)


def print_attention(output: Output, verdicts: Sequence[Verdict]) -> None:
    """What a reader must not miss: unexpected verdicts with their reason, accepted and surviving false variants."""
    for verdict in verdicts:
        if not verdict.is_as_expected:
            reason = " ".join(verdict.reason.split()) or verdict.status.meaning
            text = f"{verdict.claim}: {verdict.status.value}, recorded as {verdict.expected.value}: {reason}"
            output.insist(text, "yellow")
        if verdict.is_untested:
            output.insist(f"{verdict.claim}: untested: none of its false variants was refuted", "yellow")
        for name in accepted(verdict):
            output.insist(f"{verdict.claim}: UNSOUND: the false variant {name!r} was accepted", "bold red")


def print_counts(output: Output, verdicts: Sequence[Verdict]) -> None:
    """How many claims got which verdict, and how many of the planted false variants fell."""
    counts = Counter(verdict.status for verdict in verdicts)
    parts = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
    unexpected = sum(not verdict.is_as_expected for verdict in verdicts)
    outcome = f"{unexpected} not as recorded" if unexpected else "each as recorded"
    output.insist(f"{len(verdicts)} claim{'s' * (len(verdicts) != 1)}: {parts}; {outcome}")
    mutations = [(verdict.claim, mutation) for verdict in verdicts for mutation in verdict.mutations]
    survivors = [(claim, m.name) for claim, m in mutations if m.status is not Status.FALSIFIED]
    if mutations:
        refuted = len(mutations) - len(survivors)
        output.say(f"mutations: {refuted} of {len(mutations)} planted false variants refuted")
    for claim, name in survivors:
        output.say(f"  survivor: {claim}: {name}", "yellow")


def _short(margin: float | None) -> str:
    """Two digits; a strict relation violated by equality has a margin of -1e-300, which reads better as 0."""
    if margin is None:
        return "-"
    return "0" if abs(margin) < _NEGLIGIBLE else f"{margin:.2g}"


def accepted(verdict: Verdict) -> list[str]:
    """Names of false variants that came out as true: a fault of the checker or of the claim."""
    return [mutation.name for mutation in verdict.mutations if mutation.status in _ACCEPTED]


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """0 every verdict is as recorded; 3 the only surprises are undecided; 1 otherwise."""
    surprises = {verdict.status for verdict in verdicts if not verdict.is_as_expected}
    if any(accepted(verdict) for verdict in verdicts) or surprises - {Status.UNDECIDED}:
        return 1
    return 3 if surprises else 0
