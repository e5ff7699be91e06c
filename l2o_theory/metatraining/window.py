r"""One window of meta-training: K inner steps of many tasks at once, and the meta-gradient of their losses.

With inner gradients as constants (order 1, the released programs' choice) the meta-gradient of sum_t L_t(f(x_t)) is

    sum_t L_t'(f(x_t)) <g_t, dx_t/dphi>,   g_t = grad f(x_t),

so back-propagation never enters the optimizees: it runs through the optimizer alone, over the numbers <g_t, x_t> with
g_t held fixed [derived here]. Order 2 goes through everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import vmap

from l2o_theory.metagradients.objective import Batches
from l2o_theory.metagradients.reverse import collected
from l2o_theory.metagradients.trajectory import as_leaves
from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.optimizers.rule import State, TasksRule, UpdateRule
from l2o_theory.problems.problem import Batch, Params, Problem
from l2o_theory.problems.trees import detached, dot, mapped, tensors


def started(rule: UpdateRule, params: Params) -> State:
    """h_0 of every task."""
    state: State = rule.init(params) if _is_coordinatewise(rule) else vmap(rule.init)(params)
    return state


def stepped(rule: UpdateRule, params: Params, gradients: Params, state: State, meta: Params) -> tuple[Params, State]:
    """One step of every task. A rule that treats each coordinate alone takes all tasks for one long iterate, one with
    `update_tasks` steps all tasks itself, for others there is vmap."""
    if _is_coordinatewise(rule):
        return rule.update(params, gradients, state, meta)
    if isinstance(rule, TasksRule):
        return rule.update_tasks(params, gradients, state, meta)
    moved: tuple[Params, State] = vmap(lambda x, g, h: rule.update(x, g, h, meta))(params, gradients, state)
    return moved


def differentiated_once(rule: UpdateRule) -> UpdateRule:
    """The rule with the faster derivative of first order, where it has one and is not run under vmap."""
    if not (_is_coordinatewise(rule) and hasattr(rule, "once")):
        return rule
    faster: UpdateRule = replace(rule, once=True)  # type: ignore[type-var]
    return faster


def _is_coordinatewise(rule: UpdateRule) -> bool:
    return bool(getattr(rule, "is_coordinatewise", False))


@dataclass(frozen=True, eq=False)
class Standing:
    """Where the tasks of an episode stand; every tensor has the tasks along its first axis.

    Attributes:
        params: x_t.
        state: h_t.
        step: t.
        first: f(x_0), shape (tasks,).
    """

    params: Params
    state: State
    step: int
    first: Tensor


@dataclass(frozen=True, eq=False)
class WindowGradient:
    """What one window gives.

    Attributes:
        value: the window's share of the meta-loss, mean over tasks.
        gradient: its derivative in the meta-parameters.
        standing: where the tasks stand now, detached.
        losses: f(x_t) for t in the window, mean over tasks, shape (K,).
    """

    value: Tensor
    gradient: dict[str, Tensor]
    standing: Standing
    losses: Tensor


def begin(rule: UpdateRule, problem: Problem, starts: Params, batch: Batch) -> Standing:
    """x_0, h_0 and f(x_0) of every task."""
    params = detached(starts)
    with torch.no_grad():
        return Standing(params, started(rule, params), 0, task_losses(problem, params, batch))


def advance(
    rule: UpdateRule,
    problem: Problem,
    meta: dict[str, Tensor],
    standing: Standing,
    last: int,
    batches: Batches,
    *,
    steps: int,
    loss: MetaLoss,
    judging: Batches | None = None,
    order: Literal[1, 2] = 1,
) -> WindowGradient:
    """Steps t = standing.step .. last - 1, and the derivative of the terms t = standing.step + 1 .. last.

    Args:
        rule: the optimizer.
        problem: the loss of a task.
        meta: phi.
        standing: where the tasks stand.
        last: where the window ends.
        batches: t -> batch at x_t of all tasks.
        steps: N of the episode.
        loss: what is minimised.
        judging: data that judge the iterates instead of `batches`.
        order: 1 treats inner gradients as constants.
    """
    if order == 1:
        rule = differentiated_once(rule)
    phi = as_leaves(meta)
    params, state, seen = standing.params, standing.state, []
    terms: list[Tensor] = []
    slopes: list[Tensor] = []
    with torch.enable_grad():
        for t in range(standing.step, last):
            here, gradients = losses_and_gradients(problem, params, batches(t), connected=order == 2)
            if t > standing.step:
                seen.append(here)
                _judge(problem, params, (here, gradients), loss, standing, (t, steps), judging, order, terms, slopes)
            params, state = stepped(rule, params, gradients, state, phi)
        found = losses_and_gradients(problem, params, batches(last), connected=order == 2)
        seen.append(found[0])
        _judge(problem, params, found, loss, standing, (last, steps), judging, order, terms, slopes)
        share = loss.share(last - standing.step)
        value = found[0].detach().mean() * 0
        if terms:
            value = share * torch.stack([term.detach() for term in terms]).sum(0).mean()
            total = share * torch.stack(slopes).sum() / len(standing.first)
            parts = torch.autograd.grad(total, tensors(phi), allow_unused=True)
            gradient, _ = collected(phi, parts)
        else:
            gradient = mapped(torch.zeros_like, detached(phi))
    assert isinstance(gradient, dict)
    after = Standing(detached(params), detached(state), last, standing.first)
    return WindowGradient(value, detached(gradient), after, torch.stack([x.detach().mean() for x in seen]))


def _judge(
    problem: Problem,
    params: Params,
    found: tuple[Tensor, Params],
    loss: MetaLoss,
    standing: Standing,
    place: tuple[int, int],
    judging: Batches | None,
    order: int,
    terms: list[Tensor],
    slopes: list[Tensor],
) -> None:
    """Note the value of one term, and a number whose derivative in phi is that of the term."""
    t, steps = place
    if not loss.reads(t, steps):
        return
    here, gradients = found
    if judging is not None:
        here, gradients = losses_and_gradients(problem, params, judging(t), connected=order == 2)
    value, slope = loss.term(here, standing.first)
    terms.append(value)
    if order == 2:
        slopes.append(value.sum())
        return
    weighted = mapped(lambda g: g * slope.detach().reshape(-1, *[1] * (g.ndim - 1)), gradients)
    slopes.append(dot(weighted, params))


def task_losses(problem: Problem, params: Params, batch: Batch) -> Tensor:
    """f of every task, shape (tasks,)."""
    loss: Callable[[Params, Any], Tensor] = problem.loss
    losses: Tensor = vmap(loss, in_dims=(0, None if batch is None else 0))(params, batch)
    return losses


def losses_and_gradients(problem: Problem, params: Params, batch: Batch, *, connected: bool) -> tuple[Tensor, Params]:
    """f and grad f of every task; constants unless `connected`."""
    if not connected:
        params = detached(params)
    point = mapped(lambda leaf: leaf if leaf.requires_grad else leaf.detach().requires_grad_(), params)
    losses = task_losses(problem, point, batch)
    found = iter(torch.autograd.grad(losses.sum(), tensors(point), create_graph=connected))
    gradients = mapped(lambda leaf: next(found), point)
    return (losses if connected else losses.detach()), gradients
