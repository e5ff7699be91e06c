"""The chain rule with one step as the unit: a forward step and an adjoint step, compiled once, for many tasks at once.

`reverse` lets autograd build the graph of all N steps; here no graph is longer than one step, and what autograd does by
bookkeeping is written out. With y = update(x, g, h, phi) and g = grad f(x), the adjoint of a step is

    (x_, g_, h_, phi_) = (dy/d(x, g, h, phi))^T (x_', h_'),        x_ <- x_ + Hess f(x) g_ + w g,

where w is the weight of f(x) in the meta-objective. Both steps are small pure functions, so torch.compile can fuse each
into a few kernels, which for small optimizees is most of the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.arguments import Watch, check_count, check_params, inside_transform
from l2o_theory.metagradients.checkpointing import loss_cotangents
from l2o_theory.metagradients.estimate import Diagnostics, MetaGradient
from l2o_theory.metagradients.objective import SUM, Batches, MetaObjective, batch_at
from l2o_theory.metagradients.trajectory import check_arguments, scalar_loss
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Batch, Params, Problem
from l2o_theory.problems.trees import detached, mapped, tensors


def _scaled(weight: Tensor, tree: Params) -> Params:
    """weight * leaf, the axis of the tasks in front where there is one."""
    scaled: Params = mapped(lambda leaf: weight.reshape(weight.shape + (1,) * (leaf.dim() - weight.dim())) * leaf, tree)
    return scaled


@dataclass(frozen=True)
class Sweep:
    """Reverse-mode meta-gradients of one rule on one problem; keep the object, since what it compiled goes with it.

    Attributes:
        rule: the optimizer; all of its state must be floating tensors.
        problem: the optimizee.
        tasks: x_0 and every batch have the axis of the tasks in front; the mean over tasks is minimised.
        compiled: fuse each step by torch.compile, which needs a C++ compiler (or a GPU) and some ten seconds once.
    """

    rule: UpdateRule
    problem: Problem
    tasks: bool = False
    compiled: bool = False
    _steps: dict[str, Callable[..., Any]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, step in (("ahead", self._ahead), ("back", self._back)):
            self._steps[name] = torch.compile(step, dynamic=False) if self.compiled else step

    def reverse(
        self,
        meta: Params,
        steps: int,
        *,
        start: Params,
        objective: MetaObjective = SUM,
        batches: Batches | None = None,
        segment: int | None = None,
    ) -> MetaGradient:
        """G_N = dL_N/dphi as `checkpointed`, one step at a time; with `tasks` the mean of L_N over them.

        Args:
            meta: phi, shared by all tasks.
            steps: N.
            start: x_0.
            objective: of the losses that are descended.
            batches: t -> batch at x_t.
            segment: steps whose iterates are in memory together; ceil(sqrt(N)) where None. N saves the second unroll.

        Raises:
            InputError: as for `checkpointed`, an objective on other losses, integer state, or a call inside torch.func
                transforms (the tasks are vectorised here, by `tasks=True`).
        """
        self._check(meta, steps, start, objective, batches)
        if segment is not None:
            check_count("segment", segment, steps)
        length = math.isqrt(steps - 1) + 1 if segment is None else segment
        spans = [(first, min(first + length, steps)) for first in range(0, steps, length)]
        meta, start = detached(meta), detached(start)
        with torch.no_grad():
            carry = (start, torch.func.vmap(self.rule.init)(start) if self.tasks else self.rule.init(start))
            saved: list[Any] = []
            tape: list[Any] = []
            seen: list[tuple[Tensor, ...]] = []  # f(x_t), the sizes of x_{t+1} and g_t
            for span in spans:
                saved.append(carry)
                tape, carry = self._recorded(meta, carry, span, batches, seen)
            slope, loss = self._slope(carry[0], batch_at(batches, steps))
            losses = [*(entry[0] for entry in seen[1:]), loss]
            values, weights = loss_cotangents(objective, losses)
            pulled = (_scaled(self._share(weights[-1], loss), slope), mapped(torch.zeros_like, carry[1]))
            total = mapped(torch.zeros_like, meta)
            for span, carry in zip(reversed(spans), reversed(saved), strict=True):
                if not tape:
                    tape, _ = self._recorded(meta, carry, span, batches, [])
                for t in range(span[1] - 1, span[0] - 1, -1):
                    weight = self._share(weights[t - 1] if t > 0 else None, loss)
                    *pair, part = self._steps["back"](*tape.pop(), meta, batch_at(batches, t), *pulled, weight)
                    pulled, total = (pair[0], pair[1]), mapped(torch.add, total, part)
        text = "the derivative of the meta-objective, without bias" + (", averaged over tasks" if self.tasks else "")
        columns = [losses, *([entry[k] for entry in seen] for k in (1, 2))]
        diagnostics = Diagnostics(*(torch.stack(column, dim=-1) for column in columns))
        return MetaGradient(values.mean(), total, diagnostics, estimates=text)

    def _check(
        self, meta: Params, steps: int, start: Params, objective: MetaObjective, batches: Batches | None
    ) -> None:
        if inside_transform():
            raise InputError("a Sweep vectorises by tasks=True, not inside torch.func transforms; use reverse there")
        if objective.is_validation:
            raise InputError("a Sweep reads the losses that are descended only; use reverse for a validation loss")

        def first_of(tree: Any) -> Any:
            return mapped(lambda leaf: leaf[0] if isinstance(leaf, Tensor) else leaf, tree) if self.tasks else tree

        check_params("start", start)
        if self.tasks:
            counts = {leaf.shape[:1] for leaf in tensors(start)}
            if len(counts) != 1 or counts == {torch.Size()}:
                raise InputError(f"with tasks=True start must have the tasks in front, got lengths {sorted(counts)}")
        one = None if batches is None else lambda t: first_of(batches(t))
        check_arguments(self.rule, self.problem, meta, steps, first_of(start), one, objective)
        if not all(leaf.is_floating_point() for leaf in tensors(self.rule.init(first_of(start)))):
            raise InputError("a Sweep carries floating states only, for instance a step counter as a float")

    def _share(self, weight: Tensor | None, loss: Tensor) -> Tensor:
        """The weight of a loss in the mean over tasks; 0 where the objective does not read it."""
        return torch.zeros_like(loss) if weight is None else weight / loss.numel()

    def _recorded(
        self, meta: Params, carry: tuple[Params, State], span: tuple[int, int], batches: Batches | None, seen: list[Any]
    ) -> tuple[list[Any], tuple[Params, State]]:
        """[(x_t, g_t, h_t) for t in the span], and (x, h) at its end; numbers for the diagnostics go to `seen`."""
        tape = []
        params, state = carry
        for t in range(*span):
            watch = Watch(params=params, state=state, meta=meta)
            *numbers, slope, after, state_after = self._steps["ahead"](params, state, meta, batch_at(batches, t))
            watch.check(after, state_after, t)
            seen.append(tuple(numbers))
            tape.append((params, slope, state))
            params, state = after, state_after
        return tape, (params, state)

    def _slope(self, params: Params, batch: Batch) -> tuple[Params, Tensor]:
        """grad f(x) and f(x), task by task."""
        both = torch.func.grad_and_value(lambda x, b: scalar_loss(self.problem, x, b))
        if self.tasks:
            both = torch.func.vmap(both, in_dims=(0, None if batch is None else 0))
        found: tuple[Params, Tensor] = both(params, batch)
        return found

    def _update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step, task by task."""
        if not self.tasks:
            return self.rule.update(params, grads, state, meta)
        found: tuple[Params, State] = torch.func.vmap(self.rule.update, in_dims=(0, 0, 0, None))(
            params, grads, state, meta
        )
        return found

    def _size(self, tree: Params) -> Tensor:
        """The largest absolute entry, task by task."""
        rows = [leaf.reshape(leaf.shape[0] if self.tasks else 1, -1) for leaf in tensors(tree)]
        largest = torch.stack([row.abs().amax(1) for row in rows]).amax(0)
        return largest if self.tasks else largest[0]

    def _ahead(self, params: Params, state: State, meta: Params, batch: Batch) -> tuple[Any, ...]:
        """f(x), sizes of x' and g, then g, x', h'."""
        slope, loss = self._slope(params, batch)
        watch = None if self.compiled else Watch(grads=slope)
        after, state_after = self._update(params, slope, state, meta)
        if watch is not None:
            watch.untouched()
        return loss, self._size(after), self._size(slope), slope, after, state_after

    def _back(
        self, params: Params, slope: Params, state: State, meta: Params, batch: Batch,
        params_bar: Params, state_bar: State, weight: Tensor,
    ) -> tuple[Params, State, Params]:  # fmt: skip
        """The adjoint of `_ahead`: cotangents of x and h, and the share of this step in the derivative in phi."""
        _, pull = torch.func.vjp(self._update, params, slope, state, meta)  # type: ignore[misc]
        direct, slope_bar, state_bar, part = pull((params_bar, state_bar))
        _, hessian = torch.func.vjp(lambda x: self._slope(x, batch)[0], params)  # type: ignore[misc]
        (curved,) = hessian(slope_bar)
        return mapped(lambda a, b, c: a + b + c, direct, curved, _scaled(weight, slope)), state_bar, part
