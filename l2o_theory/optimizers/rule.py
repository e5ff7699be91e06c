"""UpdateRule: one step of an optimizer as a pure function, so that torch.func can transform it."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, runtime_checkable

from l2o_theory.problems.problem import Params

State: TypeAlias = Any
"""The rule's own memory (momentum, moments, hidden units, step counter): any tree of tensors."""


class UpdateRule(Protocol):
    """x_{t+1}, h_{t+1} = update(x_t, g_t, h_t, phi) with h_0 = init(x_0).

    Both functions are pure: they return new tensors and change none in place. Meta-parameters phi (step size, momentum,
    the weights of a network) come in through `meta`, never from the object, so that one can differentiate in them.
    A rule that treats every coordinate alone says `is_coordinatewise = True`: many tasks are then stepped as one.
    A dataclass with a field `once` has a faster `update` when it is True, differentiable once, in reverse mode only:
    first-order meta-training turns it on.
    Arguments are typed Any so that a rule for tensors alone, or for dicts alone, is one too.
    """

    def init(self, params: Any) -> State:
        """h_0, of the dtype and on the device of `params`."""
        ...

    def update(self, params: Any, grads: Any, state: State, meta: Any) -> tuple[Params, State]:
        """(x_{t+1}, h_{t+1}); `grads` has the structure of `params`, and so has the result."""
        ...


@runtime_checkable
class TasksRule(UpdateRule, Protocol):
    """A rule that steps many tasks by itself, faster than torch.func.vmap of `update` does, to the same numbers."""

    def update_tasks(self, params: Any, grads: Any, state: State, meta: Any) -> tuple[Params, State]:
        """`update` of every task; params, grads and state have the tasks along the first axis of every tensor."""
        ...
