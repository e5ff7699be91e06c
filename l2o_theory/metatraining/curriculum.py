"""Curriculum: train at one horizon, judge at the next, move on when judging no longer improves.

Horizons N_0 < N_1 < ...; stage i trains episodes of N_i steps and judges by the loss after N_{i+1} steps. An
evaluation that improves on the stage's best keeps the weights. The first one that does not, once the stage has had
`least` evaluations, ends the stage: its best weights are taken up again at the next horizon, or, if the stage never
improved, training ends.

Source: the released code of Chen et al., NeurIPS 2020, arXiv 2010.09089. Its list of judging horizons is one too
short, so that it stops with an index error when it enters the last stage; `ends_early` reproduces that, otherwise the
last stage judges at its own horizon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from l2o_theory.errors import InputError

Decision = Literal["keep", "go on", "advance", "stop"]
"""keep: new best weights, save them. go on: nothing. advance: restore the best, judge it anew. stop: that was all."""


@dataclass(frozen=True)
class Curriculum:
    """The rule by which horizons grow.

    Attributes:
        horizons: N_0, N_1, ...; one alone is training without a curriculum: judged at that horizon, never stopped.
        period: epochs between two evaluations.
        least: evaluations before a stage can end.
        ends_early: stop where the released program fails with an index error, on entering the last stage.

    Raises:
        InputError: horizons that do not grow, or a number below 1.
    """

    horizons: tuple[int, ...]
    period: int = 100
    least: int = 3
    ends_early: bool = False

    def __post_init__(self) -> None:
        steps = self.horizons
        if not steps or steps[0] < 1 or any(b <= a for a, b in pairwise(steps)):
            raise InputError(f"horizons must grow and start at 1 or more, such as (100, 200, 500), got {steps}")
        if self.period < 1 or self.least < 1:
            raise InputError(f"period and least must be >= 1, got {self.period} and {self.least}")

    def judging_horizon(self, stage: int) -> int:
        """N_{i+1}, or the last horizon where there is no next."""
        return self.horizons[min(stage + 1, len(self.horizons) - 1)]

    def observe(self, position: Position, value: float) -> tuple[Position, Decision]:
        """What follows from an evaluation of the present weights.

        Args:
            position: where training stands.
            value: the mean loss after `judging_horizon` steps; NaN counts as no improvement.
        """
        evaluations = position.evaluations + 1
        if value < position.best:
            return replace(position, evaluations=evaluations, best=value, improved=True), "keep"
        waiting = replace(position, evaluations=evaluations)
        if len(self.horizons) == 1 or evaluations < self.least:
            return waiting, "go on"
        is_last = position.stage == len(self.horizons) - 1 or (
            self.ends_early and position.stage == len(self.horizons) - 2
        )
        if not position.improved or is_last:
            return waiting, "stop"
        return Position(position.stage + 1), "advance"

    def rebased(self, position: Position, value: float) -> Position:
        """After an advance: the restored weights' loss at the new judging horizon is the one to beat."""
        return replace(position, best=value if math.isfinite(value) else math.inf)


@dataclass(frozen=True)
class Position:
    """Where a curriculum stands.

    Attributes:
        stage: i.
        evaluations: in this stage.
        improved: whether one of them improved on `best`.
        best: the loss to beat.
    """

    stage: int = 0
    evaluations: int = 0
    improved: bool = False
    best: float = math.inf
