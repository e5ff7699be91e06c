"""Progress of work in stages: one bar on a terminal, one line per finished stage in a pipe or file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from l2o_theory.cli.output import Output


class Stages:
    """Tells how far the work has come; a context manager.

    Args:
        output: where to tell it.
        stages: number of stages.
        each: units of work in a stage.
        unit: what a unit is called.
    """

    def __init__(self, output: Output, stages: int, each: int, unit: str = "tasks") -> None:
        self._output = output
        self._stages = stages
        self._each = each
        self._unit = unit
        self._finished = 0
        columns = (
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar = Progress(*columns, console=output.console, transient=True, disable=not output.is_live)
        self._task = self._bar.add_task("", total=stages * each)

    def __enter__(self) -> Stages:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int], None]]:
        """One stage; yields the function to call with the number of units just finished."""
        began = time.perf_counter()
        self._bar.update(self._task, description=name)
        yield lambda units: self._bar.advance(self._task, units)
        self._finished += 1
        self._bar.update(self._task, completed=self._finished * self._each)
        if not self._output.is_live:
            seconds = time.perf_counter() - began
            count = f"[{self._finished:>{len(str(self._stages))}}/{self._stages}]"
            self._output.say(f"{count} {name}: {self._each} {self._unit} ({seconds:.1f} s)")
