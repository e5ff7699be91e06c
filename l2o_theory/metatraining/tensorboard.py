"""TensorBoard: the curves of a meta-training, drawn live by another program; an extra, because nothing needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from l2o_theory.errors import InputError
from l2o_theory.metatraining.observer import Judgement, MetaUpdate


class Writer(Protocol):
    """What is needed of torch.utils.tensorboard.SummaryWriter."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> Any:
        """One point of a curve."""
        ...

    def flush(self) -> Any:
        """Onto the disk."""
        ...


def writer_in(folder: Path) -> Callable[[int], Writer]:
    """A function that opens a writer in the folder; points from the meta-update it is given on are void.

    Raises:
        InputError: tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("tensorboard is not installed; pip install 'l2o-theory[tensorboard]'") from None

    def opened(purge_step: int) -> Writer:
        writer: Writer = SummaryWriter(str(folder), purge_step=purge_step)
        return writer

    return opened


class TensorBoard:
    """An `Observer` that draws, against meta-updates: window losses, gradient norms, skips, stages and evaluations.

    Args:
        open_writer: see `writer_in`.
    """

    def __init__(self, open_writer: Callable[[int], Writer]) -> None:
        self._open = open_writer
        self._writer: Writer | None = None

    def begin(self, updates: int, judgements: Sequence[Judgement]) -> None:
        """See `Observer`."""
        self._writer = self._open(updates + 1)

    def updated(self, update: MetaUpdate) -> None:
        """See `Observer`."""
        self._draw(f"window/{update.kind}", update.loss, update.updates)
        self._draw(f"gradient norm/{update.kind}", update.gradient_norm, update.updates)
        if update.is_skipped:
            self._draw("skipped", 1.0, update.updates)

    def judged(self, judgement: Judgement, steps: int) -> None:
        """See `Observer`."""
        self._draw(f"evaluation/loss after {steps} steps", judgement.loss, judgement.updates)
        self._draw("stage", float(judgement.stage), judgement.updates)

    def flush(self) -> None:
        """See `Observer`."""
        if self._writer is not None:
            self._writer.flush()

    def _draw(self, name: str, value: float, at: int) -> None:
        assert self._writer is not None  # begin came first
        self._writer.add_scalar(name, value, at)
