"""Tuning of a classical optimizer on training tasks, within a budget of inner steps that is counted.

The rival of a learned optimizer is one whose step size was chosen with as many gradients of training tasks as the
meta-training took. A search by logarithm: coarse rates first, then `refine` more on either side of the best one, evenly
spaced in ln. Every candidate runs on the same tasks, none of which is a task of the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.tasks import TaskFamily
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.trees import mapped


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a search found.

    Attributes:
        meta: hyper-parameters of the best candidate.
        rate: its step size.
        rates: of all candidates, in the order in which they ran.
        scores: mean loss of each, infinite where a run diverged.
        tasks: training tasks that each candidate ran on.
        inner_steps: gradients of single tasks that the search took, len(rates) * tasks * steps.
    """

    meta: dict[str, Tensor]
    rate: float
    rates: tuple[float, ...]
    scores: tuple[float, ...]
    tasks: int
    inner_steps: int

    @property
    def is_at_edge(self) -> bool:
        """Whether the best rate is the least or the greatest tried: the search was too narrow then."""
        return self.rate in (min(self.rates), max(self.rates))


def tune(
    rule: UpdateRule,
    meta: dict[str, Tensor],
    family: TaskFamily,
    rates: Sequence[float],
    *,
    steps: int,
    budget: int,
    refine: int = 2,
    last: int = 20,
    generator: Generator,
) -> Tuned:
    """The step size with the least mean loss over the last steps of runs of `steps`.

    Args:
        rule: a classical optimizer with a hyper-parameter "step_size".
        meta: its other hyper-parameters, and a step size that is replaced.
        family: training tasks.
        rates: coarse step sizes, rising by a constant factor.
        steps: N of every run, the horizon to tune for.
        budget: inner steps that the search may take; decides on how many tasks a candidate runs.
        refine: further step sizes on either side of the best coarse one.
        last: steps at the end whose losses are averaged, because a minibatch makes each of them noisy.
        generator: draws the tasks; the same state gives the same ones to every rule.

    Raises:
        InputError: fewer than two rates, rates that do not rise, or a budget below one task per candidate.
    """
    if len(rates) < 2 or any(not 0 < a < b for a, b in pairwise(rates)):
        raise InputError(f"wanted at least two step sizes > 0 that rise, got {tuple(rates)}")
    if refine < 0 or last < 1 or steps < 1:
        raise InputError(f"wanted refine >= 0, last >= 1 and steps >= 1, got {refine}, {last} and {steps}")
    candidates = len(rates) + 2 * refine
    tasks = budget // (candidates * steps)
    if tasks < 1:
        raise InputError(
            f"{candidates} candidates of {steps} steps take {candidates * steps} inner steps on one task, the budget "
            f"is {budget}; allow more, or try fewer step sizes"
        )
    draw = family.draw(tasks, steps, generator)
    looks = range(max(0, steps - last + 1), steps + 1)

    def score(rate: float) -> float:
        losses = run_rule(rule, family.problem, _with_rate(meta, rate), draw, steps, at=looks).double()
        mean = float(losses.mean())
        return mean if mean < float("inf") else float("inf")  # NaN too

    scores = {rate: score(rate) for rate in rates}
    best = min(scores, key=scores.__getitem__)
    ratio = (rates[-1] / rates[0]) ** (1 / (len(rates) - 1))
    for place in [k for k in range(-refine, refine + 1) if k]:
        rate = best * ratio ** (place / (refine + 1))
        scores[rate] = score(rate)
    rate = min(scores, key=scores.__getitem__)
    if scores[rate] == float("inf"):
        raise InputError(f"every step size of {tuple(rates)} diverges on a training task; try smaller ones")
    return Tuned(
        _with_rate(meta, rate), rate, tuple(scores), tuple(scores.values()), tasks, len(scores) * tasks * steps
    )


def _with_rate(meta: dict[str, Tensor], rate: float) -> dict[str, Tensor]:
    """The same hyper-parameters with another step size."""
    like = next(iter(meta.values()))
    with_rate: dict[str, Tensor] = {**mapped(torch.clone, meta), "step_size": torch.full_like(like, rate)}
    return with_rate
