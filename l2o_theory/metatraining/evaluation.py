"""Meta-test: the losses of an optimizer along fresh tasks, many at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metatraining.tasks import Draw
from l2o_theory.metatraining.window import losses_and_gradients, started, stepped, task_losses
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Problem
from l2o_theory.problems.trees import detached


def run_rule(
    rule: UpdateRule, problem: Problem, meta: dict[str, Tensor], draw: Draw, steps: int, *, at: Sequence[int]
) -> Tensor:
    """f(x_t) of every task at the steps t of `at`, on the batch of that step.

    Args:
        rule: the optimizer.
        problem: the loss of a task.
        meta: its weights or hyper-parameters.
        draw: tasks with batches for t = 0..steps.
        steps: N.
        at: steps to look at, rising, each in 0..N.

    Returns:
        Shape (len(at), tasks). A task that diverges ends in infinity or NaN.

    Raises:
        InputError: steps to look at that are not rising within 0..N.
    """
    wanted = list(at)
    if not wanted or wanted != sorted(set(wanted)) or not 0 <= wanted[0] <= wanted[-1] <= steps:
        raise InputError(f"the steps to look at must rise within 0..{steps}, got {wanted}")
    params = detached(draw.starts)
    state, seen = started(rule, params), []
    for t in range(wanted[-1] + 1):
        batch = draw.batches(t)
        if t == wanted[-1]:
            with torch.no_grad():
                losses = task_losses(problem, params, batch)
        else:
            losses, gradients = losses_and_gradients(problem, params, batch, connected=False)
            with torch.no_grad():
                params, state = stepped(rule, params, gradients, state, meta)
        if t in wanted:
            seen.append(losses)
    return torch.stack(seen)
