"""Meta-gradients by the chain rule from the last step to the first, whole or with the graph cut."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.arguments import inside_transform
from l2o_theory.metagradients.estimate import Diagnostics, MetaGradient
from l2o_theory.metagradients.objective import SUM, Batches, MetaObjective
from l2o_theory.metagradients.trajectory import (
    Cuts,
    Start,
    as_leaves,
    check_arguments,
    evaluate,
    names,
    rebuilt,
)
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import detached, tensors


def collected(meta: Params, found: tuple[Tensor | None, ...]) -> tuple[Params, tuple[str, ...]]:
    """Gradients by leaf with zeros where there is no path, and the names of those leaves.

    Raises:
        InputError: there is no path from any leaf.
    """
    missing = tuple(name for name, part in zip(names(meta), found, strict=True) if part is None)
    if len(missing) == len(found):
        raise InputError(
            "the meta-objective does not depend on any meta-parameter: update must use `meta`, by torch operations "
            "that autograd can follow"
        )
    parts = [torch.zeros_like(x) if part is None else part for part, x in zip(found, tensors(meta), strict=True)]
    return rebuilt(meta, parts), missing


def _reverse(
    estimates: str,
    cuts: Cuts,
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    start: Start,
    objective: MetaObjective,
    batches: Batches | None,
) -> MetaGradient:
    check_arguments(rule, problem, meta, steps, start, batches, objective)
    cuts.check(steps)

    def run(point: Params) -> tuple[Tensor, Diagnostics]:
        return evaluate(rule, problem, point, steps, start=start, objective=objective, batches=batches, cuts=cuts)

    if inside_transform():
        value, pull, diagnostics = torch.func.vjp(run, meta, has_aux=True)  # type: ignore[misc]  # three with aux
        return MetaGradient(value, pull(torch.ones_like(value))[0], diagnostics, estimates=estimates)
    point = as_leaves(meta)
    with torch.enable_grad():
        value, diagnostics = run(point)
        found = (
            torch.autograd.grad(value, tensors(point), allow_unused=True)
            if value.requires_grad
            else (None,) * len(tensors(point))
        )
    gradient, missing = collected(point, found)
    return MetaGradient(value.detach(), detached(gradient), diagnostics, estimates=estimates, unconnected=missing)


def reverse(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
) -> MetaGradient:
    """G_N = dL_N/dphi, the whole chain rule, to rounding.

    Time of a few unrolls whatever the number of meta-parameters; memory grows like N (`checkpointed`: like sqrt(N)).

    Example:
        >>> from l2o_theory.optimizers import GradientDescent
        >>> from l2o_theory.problems import Quadratic
        >>> rule, problem = GradientDescent(), Quadratic([1.0], start=[1.0])
        >>> found = reverse(rule, problem, rule.meta(0.1), 20, start=problem.init())
        >>> round(found.gradient["step_size"].item(), 8)  # -sum_t t 0.9^(2t-1)
        -23.16195528
        >>> found.estimates
        'the derivative of the meta-objective, without bias'

    Args:
        rule: the optimizer.
        problem: the optimizee.
        meta: phi.
        steps: N.
        start: x_0, or a function phi -> x_0.
        objective: L_N as a number of the losses.
        batches: t -> batch at x_t.

    Raises:
        InputError: bad arguments, a rule that is not pure, or an objective that does not depend on phi.
    """
    text = "the derivative of the meta-objective, without bias"
    return _reverse(text, Cuts(), rule, problem, meta, steps, start, objective, batches)


def truncated(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    window: int,
    start: Start,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
    order: Literal[1, 2] = 2,
) -> MetaGradient:
    """G_{N,K} = sum_t w_t <grad f(x_t), J_t^K>, with J^K = dx/dphi restarted from 0 after steps K, 2K, ...

    Iterate AND state are detached where a window starts, so term t sees its last ((t-1) mod K) + 1 steps only.

    Args:
        rule, problem, meta, steps, start, objective, batches: as for `reverse`.
        window: K, 1 <= K <= N; K = N is `reverse`.
        order: 1 also treats the inner gradients as constants.

    Raises:
        InputError: as for `reverse`, and a window outside 1..N.
    """
    text = f"the chain rule cut every {window} steps (iterate and state); biased unless the window is {steps}"
    if order == 1:
        text += "; inner gradients are constants"
    return _reverse(text, Cuts(window, "all", order), rule, problem, meta, steps, start, objective, batches)


def detached_params(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    window: int,
    start: Start,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
    order: Literal[1, 2] = 2,
) -> MetaGradient:
    """As `truncated`, but the state stays connected: only the iterate is detached where a window starts.

    A different number as soon as the rule has a state; for rules without one it equals `truncated`.

    Raises:
        InputError: as for `truncated`.
    """
    text = f"the chain rule with the iterate, not the state, cut every {window} steps; biased"
    return _reverse(text, Cuts(window, "params", order), rule, problem, meta, steps, start, objective, batches)


def first_order(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    window: int | None = None,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
) -> MetaGradient:
    """The chain rule with the inner gradients g_t taken as constants, so that no Hessian of f is needed.

    Cheaper, and biased: for gradient descent past 1/L even its sign can be wrong.

    Raises:
        InputError: as for `truncated`.
    """
    text = "the chain rule with inner gradients as constants; biased"
    if window is not None:
        text += f", and cut every {window} steps (iterate and state)"
    return _reverse(text, Cuts(window, "all", 1), rule, problem, meta, steps, start, objective, batches)
