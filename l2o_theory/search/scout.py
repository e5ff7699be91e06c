"""The scout: evaluates points for every strategy, keeps the closest calls, and sends leads to be confirmed."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from l2o_theory.rigor.statement import Instance, Statement, to_json
from l2o_theory.search.compiled import TOLERANCE, Point, compile_margin, touches
from l2o_theory.search.confirm import Counterexample, certify, confirm
from l2o_theory.search.cube import exactly

Progress = Callable[[str, int, float], None]
"""Called now and then with (strategy, points evaluated so far, smallest margin so far)."""

_FINE_BITS = 512
_FINE_NOISE = 2.0**-256  # equality, for all that 512 bits can tell after cancellation

KEPT = 8
"""How many of the closest calls are remembered."""

GIVEN = "examples"
"""Strategy name of instances that the caller gave."""

_REPORT_EVERY = 250


class Stop(Exception):
    """The search is over: a counterexample was confirmed, or the time is up."""


class Scout:
    """Evaluates points of one statement.

    Attributes:
        counterexample: the first confirmed violation, if any.
        counts: points evaluated, per strategy.
        float_only: points with a negative margin at 64 bits that did not become a counterexample.
        smallest: the smallest margin seen on an admissible point; nan before the first.
        closest: exact instances of the smallest margins, the smallest first.
    """

    def __init__(
        self, statement: Statement, *, seconds: float, confirmations: int, progress: Progress | None = None
    ) -> None:
        self.statement = statement
        self.counterexample: Counterexample | None = None
        self.counts: Counter[str] = Counter()
        self.float_only = 0
        self.admissible = 0
        self._margin = compile_margin(statement)
        self._fine_margin = compile_margin(statement, _FINE_BITS)
        self._doubt = TOLERANCE if touches(statement) else 0.0
        self._deadline = time.monotonic() + seconds
        self._confirmations = confirmations
        self._deepest = 0.0
        self._near: list[tuple[float, str, Instance]] = []
        self._progress = progress

    @property
    def is_over(self) -> bool:
        """Whether a counterexample is at hand, or the time is up."""
        return self.counterexample is not None or time.monotonic() >= self._deadline

    @property
    def smallest(self) -> float:
        """The smallest margin seen on an admissible point; nan before the first."""
        return self._near[0][0] if self._near else math.nan

    @property
    def closest(self) -> tuple[Instance, ...]:
        """Exact instances of the smallest margins, the smallest first."""
        return tuple(instance for _, _, instance in self._near)

    def look(self, point: Point, strategy: str) -> float:
        """Evaluate a point: its margin, below 2, or a value in [2, 3] by how far its hypotheses fail.

        Raises:
            Stop: a counterexample is at hand, or the time is up (again at every later call).
        """
        if not self.is_over:
            value = self._evaluate(point, strategy)
            if self.counterexample is None:
                return value
        raise Stop

    def _evaluate(self, point: Point, strategy: str) -> float:
        self.counts[strategy] += 1
        if self._progress and self.counts.total() % _REPORT_EVERY == 0:
            self._progress(strategy, self.counts.total(), self.smallest)
        slack = self._margin(point)
        if not slack.hypotheses >= 0 or math.isnan(slack.conclusion):
            return 2.0 - min(0.0, slack.hypotheses)
        self.admissible += 1
        margin = slack.conclusion
        if margin < 0 or margin <= self._doubt:
            margin = self._fine_margin(point).conclusion  # what was rounding at 64 bits is not worth confirming
            margin = 0.0 if abs(margin) < _FINE_NOISE else margin
            if margin < 0 or (margin == 0 and self._doubt):
                self._confirm(point, margin, strategy)
            self.float_only += self.counterexample is None and slack.conclusion < 0
        self._keep(min(margin, 1.0), point)
        return margin

    def _keep(self, margin: float, point: Point) -> None:
        if len(self._near) == KEPT and margin >= self._near[-1][0]:
            return
        instance = exactly(self.statement, point)
        entry = (margin, str(to_json(instance)), instance)
        if all(entry[1] != other[1] for other in self._near):
            self._near = sorted([*self._near, entry], key=lambda kept: kept[:2])[:KEPT]

    def _confirm(self, point: Point, margin: float, strategy: str) -> None:
        """Confirm while confirmations last; after that only leads much deeper than all before, not rounding noise."""
        if self._confirmations > 0 or margin < 4 * self._deepest:
            self._confirmations -= 1
            self._deepest = min(self._deepest, margin)
            if strategy == GIVEN:  # a known counterexample is reported in its author's numbers
                self.counterexample = certify(self.statement, exactly(self.statement, point))
            else:
                self.counterexample = confirm(self.statement, point, margin=self._margin)
