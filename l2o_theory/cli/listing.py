"""`l2o-theory list`: the claims and what each is expected to be."""

from __future__ import annotations

from l2o_theory.cli import options


def list_claims(patterns: options.Patterns = None, claims: options.Claims = None, json: options.Json = False) -> None:
    """List the claims, with kind, expected verdict and title."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from l2o_theory.claims.discovery import load_claims, select
    from l2o_theory.cli.output import COLOURS, ROOM_FOR_ALL, Output

    output = Output(json_wanted=json)
    chosen = select(load_claims(claims), patterns or [])
    if json:
        fields = ("id", "title", "source", "kind", "scope", "expected", "corrects")
        output.document([{name: getattr(claim, name) for name in fields} for claim in chosen])
        return
    if output.console.width < ROOM_FOR_ALL:
        for claim in chosen:
            output.say(f"{claim.id}  {claim.expected.value}", COLOURS[claim.expected])
            output.console.print(Padding(Text(claim.title), (0, 0, 0, 4), expand=False))
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("claim", overflow="fold", no_wrap=True)
        table.add_column("expected", no_wrap=True)
        table.add_column("kind", no_wrap=True)
        table.add_column("title")
        for claim in chosen:
            expected = Text(claim.expected.value, style=COLOURS[claim.expected])
            table.add_row(Text(claim.id), expected, claim.kind, Text(claim.title))
        output.console.print(table)
    output.say(f"\n{len(chosen)} claims. `l2o-theory show CLAIM` explains one, `l2o-theory check` checks them.")
