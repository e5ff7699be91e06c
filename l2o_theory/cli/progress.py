"""Progress of a check: a live bar on a terminal, one line per claim in a pipe or file."""

from __future__ import annotations

import threading
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from l2o_theory.claims.verdict import Verdict
from l2o_theory.cli.output import Output

_NAMES_SHOWN = 2  # running claims named beside the bar; more do not fit in 80 columns


class CheckProgress:
    """Tells how far a check has come; a context manager.

    Args:
        output: where to tell it.
        total: number of claims, stored ones included.
    """

    def __init__(self, output: Output, total: int) -> None:
        self._output = output
        self._total = total
        self._done = 0
        self._running: list[str] = []
        self._lock = threading.Lock()  # `started` is called from the threads of the pool
        columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=output.console, transient=True, disable=not output.is_live)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> CheckProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def started(self, claim: str) -> None:
        """A check begins."""
        with self._lock:
            self._running.append(claim)
            self._redraw()

    def finished(self, verdict: Verdict, *, stored: bool = False) -> None:
        """A verdict is there, new or stored."""
        with self._lock:
            self._done += 1
            if verdict.claim in self._running:
                self._running.remove(verdict.claim)
            self._redraw()
        if not self._output.is_live:
            self._output.say(self._line(verdict, stored))

    def _redraw(self) -> None:
        names = ", ".join(name.rsplit("/", 1)[-1] for name in self._running[:_NAMES_SHOWN])
        more = ", ..." if len(self._running) > _NAMES_SHOWN else ""
        self._bar.update(self._task, completed=self._done, description=names + more)

    def _line(self, verdict: Verdict, stored: bool) -> str:
        count = f"[{self._done:>{len(str(self._total))}}/{self._total}]"
        effort = "stored" if stored else f"{verdict.run.get('seconds', 0.0):.1f} s"
        surprise = "" if verdict.is_as_expected else f"  expected {verdict.expected.value}"
        return f"{count} {verdict.status.value:<13} {verdict.claim}  ({effort}){surprise}"
