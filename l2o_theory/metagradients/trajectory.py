"""The unroll: N steps of a rule on a problem, with the graph of derivatives cut where one asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.arguments import (
    advance,
    check_alike,
    check_count,
    check_params,
    check_rule,
    inside_transform,
)
from l2o_theory.metagradients.estimate import Diagnostics, sizes
from l2o_theory.metagradients.objective import Batches, MetaObjective, batch_at
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Batch, Params, Problem
from l2o_theory.problems.trees import detached, mapped, registered, tensors

Start: TypeAlias = Params | Callable[[Params], Params]
"""x_0, or a function of the meta-parameters that gives it (learned starts)."""

Detach: TypeAlias = Literal["all", "params"]
_SUMMARY = (
    128  # steps whose iterates are kept before they are summarised: few enough to be small, many enough to be fast
)


@registered()
@dataclass(frozen=True)
class Trajectory:
    """What an unroll leaves behind.

    Attributes:
        losses: f(x_1), ..., f(x_N), differentiable in meta where the unroll is. Shape (N,).
        params: x_N.
        state: h_N.
        diagnostics: sizes of iterates and gradients.
    """

    losses: Tensor
    params: Params
    state: State
    diagnostics: Diagnostics


@dataclass(frozen=True)
class Cuts:
    """Where the graph is cut.

    Attributes:
        window: before steps K, 2K, ... the iterate is detached; None: never.
        detach: "all" detaches the state with it, "params" leaves the state connected.
        order: 2 differentiates the inner gradients, 1 treats them as constants.
    """

    window: int | None = None
    detach: Detach = "all"
    order: Literal[1, 2] = 2

    def check(self, steps: int) -> None:
        """Raise InputError unless 1 <= window <= steps and the rest is one of the known words."""
        if self.window is not None:
            check_count("window", self.window, steps)
        if self.detach not in ("all", "params"):
            raise InputError(f'detach must be "all" or "params", got {self.detach!r}')
        if self.order not in (1, 2):
            raise InputError(f"order must be 1 (inner gradients are constants) or 2, got {self.order!r}")

    def at(self, step: int) -> bool:
        """Whether a window starts at this step, 0 <= step."""
        return self.window is not None and step > 0 and step % self.window == 0


@dataclass
class Path:
    """The steps so far: training losses, losses that the objective reads, and summaries."""

    losses: list[Tensor] = field(default_factory=list)
    judged: list[Tensor] = field(default_factory=list)
    iterates: list[Params] = field(default_factory=list)
    gradients: list[Params] = field(default_factory=list)
    summaries: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def note(self, iterate: Params, gradient: Params) -> None:
        """Remember the size of x_{t+1} and g_t."""
        self.iterates.append(detached(iterate))
        self.gradients.append(detached(gradient))
        if len(self.iterates) == _SUMMARY:
            self.summarise()

    def summarise(self) -> None:
        """Replace stored iterates by their sizes."""
        if self.iterates:
            self.summaries.append((sizes(self.iterates), sizes(self.gradients)))
            self.iterates, self.gradients = [], []

    def diagnostics(self) -> Diagnostics:
        """The numbers of all steps."""
        self.summarise()
        iterates, gradients = zip(*self.summaries, strict=True)
        losses = torch.stack([loss.detach() for loss in self.losses])
        return Diagnostics(losses, torch.cat(iterates), torch.cat(gradients))


def scalar_loss(problem: Problem, params: Params, batch: Batch) -> Tensor:
    """f(x; batch).

    Raises:
        InputError: it is not a tensor without axes.
    """
    loss = problem.loss(params, batch)
    if not isinstance(loss, Tensor) or loss.dim() != 0:
        shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(f"problem.loss must return a tensor of shape (), got {shape}; use .sum() or .mean()")
    return loss


def loss_and_gradient(problem: Problem, params: Params, batch: Batch, connected: bool) -> tuple[Tensor, Params]:
    """f(x) and its gradient; the loss keeps its graph, the gradient keeps it if `connected`.

    Raises:
        InputError: the loss does not depend on the parameters.
    """
    if inside_transform():
        gradient, loss = torch.func.grad_and_value(lambda x: scalar_loss(problem, x, batch))(params)
        return loss, gradient if connected else detached(gradient)
    given = tensors(params)
    outer = torch.is_grad_enabled() and any(leaf.requires_grad for leaf in given)
    point = params
    if not outer or not all(leaf.requires_grad for leaf in given):
        point = mapped(lambda leaf: leaf if outer and leaf.requires_grad else leaf.detach().requires_grad_(), params)
    inputs = tensors(point)
    with torch.enable_grad():
        loss = scalar_loss(problem, point, batch)
        if not loss.requires_grad:
            raise InputError("the loss does not depend on params; compute it from them by torch operations")
        found = torch.autograd.grad(
            loss, inputs, create_graph=outer and connected, retain_graph=outer, allow_unused=True
        )
    gradient = rebuilt(point, [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)])
    return (loss if outer else loss.detach()), gradient


def roll(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    carry: tuple[Params, State],
    span: tuple[int, int],
    *,
    steps: int,
    cuts: Cuts,
    batches: Batches | None,
    objective: MetaObjective | None,
) -> tuple[Path, Params, State]:
    """Steps span[0], ..., span[1] - 1 of an episode of `steps`, from (x, h) at span[0]; nothing is checked here.

    f(x_t) and g_t come from one evaluation. Where a window starts, the loss stays connected (it ends the window
    before) and the gradient does not (it opens the next).
    """
    params, state = carry
    path = Path()
    first, last = span
    judge = objective if objective is not None and objective.is_validation else None

    def judged(step: int, params: Params) -> None:
        if judge is None:
            return
        if judge.reads(step, steps):
            path.judged.append(scalar_loss(judge.problem or problem, params, batch_at(judge.batches, step)))
        else:
            path.judged.append(path.losses[-1].detach())  # holds the place; never read

    for step in range(first, last):
        cut = cuts.at(step)
        loss, gradient = loss_and_gradient(problem, params, batch_at(batches, step), cuts.order == 2 and not cut)
        if step > first:
            path.losses.append(loss)
            judged(step, params)
        if cut:
            params = detached(params)
            state = detached(state) if cuts.detach == "all" else state
        params, state = advance(rule, params, gradient, state, meta, step)
        path.note(params, gradient)
    path.losses.append(scalar_loss(problem, params, batch_at(batches, last)))
    judged(last, params)
    return path, params, state


def started(rule: UpdateRule, meta: Params, start: Start) -> tuple[Params, State]:
    """x_0 and h_0."""
    params = start(meta) if callable(start) else start
    return params, rule.init(params)


def check_arguments(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    start: Start,
    batches: Batches | None,
    objective: MetaObjective | None = None,
    state: State | None = None,
) -> None:
    """Refuse at the door what would only show as a wrong number.

    Raises:
        InputError: see `check_count`, `check_params`, `check_alike`, `check_rule`, `MetaObjective.check`.
    """
    check_count("steps", steps)
    check_params("meta", meta)
    params = start(detached(meta)) if callable(start) else start
    check_params("start", params)
    if objective is not None:
        objective.check(steps)
    state = rule.init(detached(params)) if state is None else state
    batch = batch_at(batches, 0)
    check_alike(meta=meta, start=params, state=state, batch=batch)
    _, gradient = loss_and_gradient(problem, detached(params), batch, connected=False)
    check_rule(rule, params, gradient, state, meta)


def unroll(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    state: State | None = None,
    batches: Batches | None = None,
    window: int | None = None,
    detach: Detach = "all",
    order: Literal[1, 2] = 2,
) -> Trajectory:
    """x_{t+1}, h_{t+1} = update(x_t, grad f(x_t; b_t), h_t, phi), t = 0..N-1, and the losses f(x_t; b_t), t = 1..N.

    The losses are differentiable in `meta` where meta requires grad, and inside torch.func transforms.

    Args:
        rule: the optimizer.
        problem: the optimizee.
        meta: phi, a tensor or a dict of tensors.
        steps: N >= 1.
        start: x_0, or a function phi -> x_0.
        state: h_0; rule.init(x_0) where None.
        batches: t -> b_t, the same each time it is asked for the same t; None where the loss needs none.
        window: K; before steps K, 2K, ... the iterate is detached. None: never.
        detach: with the iterate detach "all" of the state, or "params" alone.
        order: 1 treats all inner gradients as constants.

    Raises:
        InputError: a bad count, dtype, device or structure, or a rule that is not pure.
    """
    cuts = Cuts(window, detach, order)
    check_arguments(rule, problem, meta, steps, start, batches, state=state)
    cuts.check(steps)
    params, fresh = started(rule, meta, start)
    carry = (params, fresh if state is None else state)
    path, params, state = roll(
        rule, problem, meta, carry, (0, steps), steps=steps, cuts=cuts, batches=batches, objective=None
    )
    return Trajectory(torch.stack(path.losses), params, state, path.diagnostics())


def evaluate(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    objective: MetaObjective,
    batches: Batches | None,
    cuts: Cuts,
) -> tuple[Tensor, Diagnostics]:
    """The meta-objective as a function of meta; nothing is checked here."""
    carry = started(rule, meta, start)
    path, _, _ = roll(
        rule, problem, meta, carry, (0, steps), steps=steps, cuts=cuts, batches=batches, objective=objective
    )
    return objective.value(path.judged or path.losses), path.diagnostics()


def names(params: Params) -> list[str]:
    """What the leaves are called in messages."""
    return list(params) if isinstance(params, dict) else ["meta"]


def as_leaves(params: Params) -> Params:
    """Detached copies that require grad."""
    fresh: Params = mapped(lambda leaf: leaf.detach().requires_grad_(), params)
    return fresh


def rebuilt(like: Params, values: list[Any]) -> Params:
    """The structure of `like` with these leaves, in the order of `leaves`."""
    if isinstance(like, Tensor):
        return values[0]  # type: ignore[no-any-return]
    pieces = iter(values)
    tree: Params = mapped(lambda leaf: next(pieces), like)
    return tree
