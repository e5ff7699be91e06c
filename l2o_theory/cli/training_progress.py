"""Progress of a meta-training: a bar on a terminal, one line per stage in a pipe or file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from l2o_theory.cli.output import Output
from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.observer import Judgement, MetaUpdate


class TrainingProgress:
    """An `Observer` that tells people; a context manager.

    Args:
        output: where to tell it.
        curriculum: its stages are told.
        updates: meta-updates in all.
    """

    def __init__(self, output: Output, curriculum: Curriculum, updates: int) -> None:
        self._output, self._curriculum, self._total = output, curriculum, updates
        self._judgements: list[Judgement] = []
        self._began = time.perf_counter()
        self.started_at = self.updates = self.saved = 0
        columns = (
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        self._bar = Progress(*columns, console=output.console, transient=True, disable=not output.is_live)
        self._task = self._bar.add_task("", total=updates)

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()
        if kind is None and not self._is_told:
            self._tell_stage(self._stage)

    def begin(self, updates: int, judgements: Sequence[Judgement]) -> None:
        """See `Observer`."""
        self.started_at = self.updates = self.saved = updates
        self._judgements = list(judgements)
        if updates:
            self._output.say(f"going on from the checkpoint, at meta-update {updates} of {self._total}")
            self._bar.reset(self._task, completed=updates)  # or the jump would pass for speed
        self._redraw()

    def updated(self, update: MetaUpdate) -> None:
        """See `Observer`."""
        self.updates = update.updates
        self._redraw()

    def judged(self, judgement: Judgement, steps: int) -> None:
        """See `Observer`."""
        self._judgements.append(judgement)
        if self._is_told:
            self._tell_stage(judgement.stage)

    def flush(self) -> None:
        """See `Observer`."""
        self.saved = self.updates

    @property
    def _stage(self) -> int:
        last = self._judgements[-1] if self._judgements else None
        return 0 if last is None else last.stage + (last.decision == "advance")

    @property
    def _is_told(self) -> bool:
        """Whether the last evaluation ended a stage, which is told there and then."""
        return bool(self._judgements) and self._judgements[-1].decision in ("advance", "stop")

    def _redraw(self) -> None:
        if self._output.is_live:
            last = f", loss {self._judgements[-1].loss:.4g}" if self._judgements else ""
            stages = len(self._curriculum.horizons)
            self._bar.update(self._task, completed=self.updates, description=f"stage {self._stage + 1}/{stages}{last}")

    def _tell_stage(self, stage: int) -> None:
        """One line, when the stage is over."""
        if self._output.is_live:
            return
        here = [judgement for judgement in self._judgements if judgement.stage == stage]
        steps = self._curriculum.judging_horizon(stage)
        best = f", best loss after {steps} steps {min(j.loss for j in here):.4g}" if here else ""
        place = f"[{stage + 1}/{len(self._curriculum.horizons)}] horizon {self._curriculum.horizons[stage]}"
        count = f"{len(here)} evaluation{'s' * (len(here) != 1)}"
        seconds = time.perf_counter() - self._began
        self._output.say(f"{place}: up to meta-update {self.updates}, {count}{best} ({seconds:.1f} s)")
        self._began = time.perf_counter()
