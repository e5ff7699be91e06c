"""Truncated meta-training: one meta-gradient per window, with iterate and state carried on, detached.

phi may change after every window, so later windows see another phi than earlier ones; the memory is that of one window,
however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.arguments import check_alike, check_params, inside_transform
from l2o_theory.metagradients.estimate import Diagnostics, MetaGradient
from l2o_theory.metagradients.objective import SUM, Batches, MetaObjective
from l2o_theory.metagradients.reverse import collected
from l2o_theory.metagradients.trajectory import Cuts, as_leaves, check_arguments, names, roll
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import detached, mapped, registered, tensors


@registered("step")
@dataclass(frozen=True)
class Carry:
    """Where an episode stands: x_t and h_t, detached, and t."""

    params: Params
    state: State
    step: int = 0


@dataclass(frozen=True)
class Episode:
    """N inner steps from a fresh x_0, cut into windows of K steps (the last one may be shorter).

    Attributes:
        rule: the optimizer.
        problem: the optimizee.
        steps: N.
        window: K.
        objective: of kind "sum" or "mean"; window by window its terms t = s+1..s+K are minimised.
        batches: t -> batch at x_t.
        order: 1 treats inner gradients as constants.

    Example, an episode of plain meta-descent:
        >>> from l2o_theory.metagradients.trajectory import unroll
        >>> class Square:
        ...     def loss(self, params, batch=None):
        ...         return 0.5 * params @ params
        >>> class Descent:
        ...     def init(self, params):
        ...         return ()
        ...     def update(self, params, grads, state, meta):
        ...         return params - meta * grads, state
        >>> episode, phi = Episode(Descent(), Square(), steps=6, window=2), torch.tensor(0.1)
        >>> carry = episode.begin(phi, torch.ones(1))
        >>> while not episode.is_finished(carry):
        ...     estimate, carry = episode.advance(phi, carry)
        ...     phi = phi - 0.1 * estimate.gradient
        >>> carry.step, bool(phi > 0.1)
        (6, True)
    """

    rule: UpdateRule
    problem: Problem
    steps: int
    window: int
    objective: MetaObjective = SUM
    batches: Batches | None = None
    order: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        if self.objective.kind not in ("sum", "mean"):
            raise InputError(
                f'window by window only kind "sum" or "mean" can be minimised, got {self.objective.kind!r}: the other '
                "kinds read nothing but the last window"
            )
        self.objective.check(self.steps)

    def begin(self, meta: Params, start: Params) -> Carry:
        """x_0 and h_0, with everything checked once.

        Raises:
            InputError: see `unroll`.
        """
        check_arguments(self.rule, self.problem, meta, self.steps, start, self.batches, self.objective)
        Cuts(self.window, "all", self.order).check(self.steps)
        params = detached(start)
        return Carry(params, detached(self.rule.init(params)), 0)

    def is_finished(self, carry: Carry) -> bool:
        """Whether the N steps are done."""
        return carry.step >= self.steps

    def advance(self, meta: Params, carry: Carry) -> tuple[MetaGradient, Carry]:
        """One window from where `carry` stands: the derivative of its share of the objective, and where it ends.

        Raises:
            InputError: the episode is finished, or `meta` does not fit.
        """
        if self.is_finished(carry):
            raise InputError(f"the episode of {self.steps} steps is finished; begin a new one")
        check_params("meta", meta)
        check_alike(meta=meta, params=carry.params)
        last = min(carry.step + self.window, self.steps)

        def run(point: Params) -> tuple[Tensor, tuple[Diagnostics, Params, State]]:
            path, params, state = roll(
                self.rule, self.problem, point, (carry.params, carry.state), (carry.step, last), steps=self.steps,
                cuts=Cuts(order=self.order), batches=self.batches, objective=self.objective,
            )  # fmt: skip
            losses = path.judged or path.losses
            return self.objective.share(losses, carry.step, self.steps), (
                path.diagnostics(),
                detached(params),
                detached(state),
            )

        text = (
            f"the derivative of the terms {carry.step + 1}..{last}; iterate and state are cut where the window starts"
        )
        if inside_transform():
            value, pull, aux = torch.func.vjp(run, meta, has_aux=True)  # type: ignore[misc]  # three with aux
            return MetaGradient(value, pull(torch.ones_like(value))[0], aux[0], estimates=text), Carry(
                aux[1], aux[2], last
            )
        point = as_leaves(meta)
        with torch.enable_grad():
            value, (diagnostics, params, state) = run(point)
        if not any(self.objective.reads(t, self.steps) for t in range(carry.step + 1, last + 1)):
            zeros = mapped(torch.zeros_like, detached(meta))
            text += "; 0, since all their weights are 0"
            estimate = MetaGradient(value, zeros, diagnostics, estimates=text, unconnected=tuple(names(meta)))
            return estimate, Carry(params, state, last)
        found = torch.autograd.grad(value, tensors(point), allow_unused=True)
        gradient, missing = collected(point, found)
        estimate = MetaGradient(value.detach(), detached(gradient), diagnostics, estimates=text, unconnected=missing)
        return estimate, Carry(params, state, last)
