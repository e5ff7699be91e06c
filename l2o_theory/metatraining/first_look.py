"""A first look at a trained optimizer: fresh tasks, beside its untrained self and a tuned Adam.

One training is an anecdote, so this says how this optimizer fares, not how the method does; `paired_difference` over
several meta-seeds does that.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metatraining.comparison import Interval, paired_difference
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.tasks import TaskFamily
from l2o_theory.metatraining.tuning import tune
from l2o_theory.optimizers.adam import Adam
from l2o_theory.optimizers.rule import UpdateRule

_RATES = (0.001, 0.01, 0.1, 1.0)
_REFINE = 2
CANDIDATES = len(_RATES) + 2 * _REFINE
"""Step sizes that Adam is tried with."""


@dataclass(frozen=True)
class FirstLook:
    """Mean losses over `tasks` fresh tasks after `steps` steps.

    Attributes:
        steps: N.
        tasks: how many.
        untrained, trained: with the weights before and after; infinite or NaN where a task diverged.
        adam: with the step size `adam_rate`, the best of `CANDIDATES` on as many other tasks; None if all diverged.
        adam_rate: that step size.
        over_adam: ln of trained over Adam with a 95 % interval over tasks; None where there is none to be had.
    """

    steps: int
    tasks: int
    untrained: float
    trained: float
    adam: float | None
    adam_rate: float | None
    over_adam: Interval | None


def first_look(
    rule: UpdateRule,
    family: TaskFamily,
    before: dict[str, Tensor],
    after: dict[str, Tensor],
    *,
    steps: int,
    tasks: int,
    generators: tuple[Generator, Generator],
) -> FirstLook:
    """Run all of them on the same tasks, starts and batches.

    Args:
        rule: the learned optimizer.
        family: of tasks.
        before, after: its weights.
        steps: N.
        tasks: how many, to test on and to tune Adam on.
        generators: of the tasks to test on, and of those to tune on.
    """
    draw = family.draw(tasks, steps, generators[0])

    def losses(rule: UpdateRule, meta: dict[str, Tensor]) -> Tensor:
        return run_rule(rule, family.problem, meta, draw, steps, at=(steps,))[0].double().cpu()

    first = next(iter(after.values()))
    start = Adam().meta(0.1, dtype=first.dtype, device=first.device)
    untrained, trained = losses(rule, before), losses(rule, after)
    try:
        tuned = tune(
            Adam(), start, family, _RATES,
            steps=steps, budget=CANDIDATES * steps * tasks, refine=_REFINE, generator=generators[1],
        )  # fmt: skip
    except InputError:  # every rate diverges
        return FirstLook(steps, tasks, float(untrained.mean()), float(trained.mean()), None, None, None)
    adam = losses(Adam(), tuned.meta)
    try:
        over = paired_difference(trained.numpy(), adam.numpy()).over_tasks
    except InputError:  # a task diverged, or a loss is negative
        over = None
    return FirstLook(
        steps, tasks, float(untrained.mean()), float(trained.mean()), float(adam.mean()), tuned.rate, over
    )  # fmt: skip
