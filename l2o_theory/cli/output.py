"""Where a verb's words go: standard output for people; standard error when a program reads the JSON document."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console

_LOG_WIDTH = 120  # columns of a table in a file or pipe, where no window sets the width

ROOM_FOR_ALL = 110
"""Columns from which a table shows everything; narrower windows lose the least important column."""

COLOURS = {
    "PROVED": "green",
    "CERTIFIED": "green",
    "NOT_FALSIFIED": "cyan",
    "FALSIFIED": "red",
    "VACUOUS": "yellow",
    "UNDECIDED": "yellow",
    "OUT_OF_SCOPE": "yellow",
}


class Output:
    """The console of one run.

    Attributes:
        console: rich console for words and tables. Markup is off: text from claims stays text.
        quiet: whether only what needs attention is said.
    """

    def __init__(self, *, json_wanted: bool = False, quiet: bool = False) -> None:
        stream = sys.stderr if json_wanted else sys.stdout
        width = None if stream.isatty() or "COLUMNS" in os.environ else _LOG_WIDTH
        self.console = Console(file=stream, width=width, markup=False, highlight=False, emoji=False)
        self.quiet = quiet
        self._json_wanted = json_wanted

    @property
    def is_live(self) -> bool:
        """Whether someone watches a terminal."""
        return self.console.is_terminal and not self.quiet

    def say(self, text: str = "", style: str | None = None) -> None:
        """A line of news; silent with `--quiet`."""
        if not self.quiet:
            self.insist(text, style)

    def insist(self, text: str, style: str | None = None) -> None:
        """A line that `--quiet` does not silence. Lines are not wrapped: paths stay whole for copying."""
        self.console.print(text, style=style, soft_wrap=True)

    def document(self, data: Any) -> None:
        """The JSON document of the run, if it was asked for."""
        if self._json_wanted:
            print(json.dumps(data, indent=1, allow_nan=False))
