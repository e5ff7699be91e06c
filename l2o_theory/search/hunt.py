"""The hunt: known examples, boundary-aware draws, evolution, and moves from the closest calls, in this order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity

from l2o_theory.errors import InputError
from l2o_theory.rigor.statement import Instance, Statement
from l2o_theory.search.climb import climb, snap
from l2o_theory.search.confirm import Counterexample
from l2o_theory.search.evolution import evolve
from l2o_theory.search.instances import RandomChoices, draw_instance, fits, instances
from l2o_theory.search.scout import GIVEN, Progress, Scout, Stop

_AT_ONCE = 250  # draws per run of Hypothesis, which cannot be left early without risking its complaints


@dataclass(frozen=True)
class Budget:
    """How much a hunt may cost. Counts decide, so that a seed fixes the result; the time is only a safety net.

    Attributes:
        drawn: instances drawn by Hypothesis, which also targets small margins.
        random: instances drawn from the same grammar by a plain random stream (cheaper, without targeting).
        evolved: points of differential evolution.
        climbed: perturbations of the closest calls.
        confirmations: leads that are taken to exact arithmetic, before only much deeper ones are.
        seconds: when to stop at the latest.
    """

    drawn: int
    random: int
    evolved: int
    climbed: int
    confirmations: int
    seconds: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise InputError(f"{name} of a budget must be >= 0, got {value}; use Budget.named('quick') or 'full'")

    @classmethod
    def named(cls, name: str) -> Budget:
        """The preset "quick" (about a second per true statement) or "full" (about a minute)."""
        presets = {
            "quick": cls(drawn=150, random=1500, evolved=4000, climbed=800, confirmations=12, seconds=60.0),
            "full": cls(drawn=2000, random=80_000, evolved=200_000, climbed=40_000, confirmations=200, seconds=600.0),
        }
        if name not in presets:
            raise InputError(f"budget must be one of {sorted(presets)}, got {name!r}; choose one of them")
        return presets[name]


@dataclass(frozen=True)
class Hunt:
    """What a search did and found.

    Attributes:
        counterexample: confirmed exactly, or None (which is no proof that there is none).
        examples_run: points evaluated, over all strategies.
        admissible: how many of them satisfied the hypotheses.
        smallest_margin: (right - left)/(|left| + |right|) at its smallest, by midpoints; nan if none was admissible.
        margin_at: where.
        float_only_violations: points with a negative margin at 64 bits that closer arithmetic did not confirm.
        strategies: (name, points evaluated) of each strategy.
        closest: instances of the smallest margins, for a later hunt to start from.
        seed: that fixes all random streams.
        seconds: wall time.
    """

    counterexample: Counterexample | None
    examples_run: int
    admissible: int
    smallest_margin: float
    margin_at: Instance | None
    float_only_violations: int
    strategies: tuple[tuple[str, int], ...]
    closest: tuple[Instance, ...]
    seed: int
    seconds: float


def hunt(
    statement: Statement,
    *,
    seed: int,
    budget: Budget,
    examples: Sequence[Instance] = (),
    progress: Progress | None = None,
) -> Hunt:
    """Search for a counterexample; stops at the first one that is confirmed.

    Args:
        statement: to be refuted.
        seed: fixes every random stream.
        budget: see Budget.named.
        examples: instances to try first; one that refutes the statement is reported as given, not shrunk.
        progress: called now and then with (strategy, points so far, smallest margin so far).

    Raises:
        InputError: an example lacks a parameter, or does not fit its sort.
        ClaimError: the statement steps outside the language.
    """
    for example in examples:
        if not fits(statement, example):
            raise InputError(
                f"an example must give every parameter a value of its sort (naturals >= 1, shares with sum 1, vectors "
                f"of one length), got {dict(example)}; correct it"
            )
    start = time.monotonic()
    scout = Scout(statement, seconds=budget.seconds, confirmations=budget.confirmations, progress=progress)
    streams = Random(seed)
    seeds = [streams.getrandbits(32) for _ in range(4)]
    try:
        for example in examples:
            scout.look(example, GIVEN)
        for first in range(0, budget.drawn, _AT_ONCE):
            _draw(scout, seeds[0] + first, min(_AT_ONCE, budget.drawn - first))
        choices = RandomChoices(Random(seeds[1]))
        for _ in range(budget.random):
            scout.look(draw_instance(statement, choices), "random")
        snap(scout)
        evolve(scout, seed=seeds[2], evaluations=budget.evolved)
        snap(scout)
        climb(scout, Random(seeds[3]), budget.climbed)
    except Stop:
        pass
    return Hunt(
        counterexample=scout.counterexample,
        examples_run=scout.counts.total(),
        admissible=scout.admissible,
        smallest_margin=scout.smallest,
        margin_at=scout.closest[0] if scout.closest else None,
        float_only_violations=scout.float_only,
        strategies=tuple(scout.counts.items()),
        closest=scout.closest,
        seed=seed,
        seconds=time.monotonic() - start,
    )


def _draw(scout: Scout, seed: int, count: int) -> None:
    """Hypothesis draws, guided towards small margins; its own shrinking is off, ours knows what must stay exact."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )
    @hypothesis.given(instances(scout.statement))
    def run(instance: Instance) -> None:
        if scout.is_over:  # an exception here could contradict an earlier run of the same input, which is an error
            return
        with suppress(Stop):
            hypothesis.target(-scout.look(instance, "hypothesis"), label="violation")

    run()
    if scout.is_over:
        raise Stop
