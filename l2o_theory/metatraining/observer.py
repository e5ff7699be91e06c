"""What a meta-training tells while it runs: meta-updates and evaluations, to whoever listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from l2o_theory.metatraining.curriculum import Decision

WindowKind = Literal["descend", "imitate"]


@dataclass(frozen=True)
class MetaUpdate:
    """One window and what it moved.

    Attributes:
        updates: meta-updates so far, with this one.
        epoch: of the episode, from 1.
        stage: of the curriculum, from 0.
        step: inner step at which the window ended.
        kind: what the window was for.
        loss: of the window, mean over tasks.
        gradient_norm: of the meta-gradient before any clip.
        is_skipped: whether the gradient was not finite and nothing moved.
    """

    updates: int
    epoch: int
    stage: int
    step: int
    kind: WindowKind
    loss: float
    gradient_norm: float
    is_skipped: bool


@dataclass(frozen=True)
class Judgement:
    """One evaluation: after which epoch and meta-update, in which stage, the loss, and what followed."""

    epoch: int
    updates: int
    stage: int
    loss: float
    decision: Decision


class Observer(Protocol):
    """Listens. The same run tells the same, however often it is interrupted."""

    def begin(self, updates: int, judgements: Sequence[Judgement]) -> None:
        """Training goes on from here, 0 and none for a new run; whatever was told of later meta-updates is void."""
        ...

    def updated(self, update: MetaUpdate) -> None:
        """A meta-update."""
        ...

    def judged(self, judgement: Judgement, steps: int) -> None:
        """An evaluation, of the loss after so many steps."""
        ...

    def flush(self) -> None:
        """A checkpoint is about to be written: what was told so far will not be told again."""
        ...
