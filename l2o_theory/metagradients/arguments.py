"""Arguments at the door: counts, tensors that belong together, and rules that are pure functions."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import detached, leaves, mapped, structure, tensors


def inside_transform() -> bool:
    """Whether torch.func.vmap, grad, jvp, ... is at work, where plain autograd and decisions on values are refused."""
    # torch has no public question for this; the interpreter stack is what its own compiler asks
    return torch._C._functorch.peek_interpreter_stack() is not None


def check_count(name: str, value: int, most: int | None = None) -> None:
    """Raise InputError unless `value` is an integer, 1 <= value <= most."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} must be an integer, got {value!r}")
    if value < 1 or (most is not None and value > most):
        limit = ">= 1" if most is None else f"between 1 and the number of steps, {most}"
        raise InputError(f"{name} must be {limit}, got {value}")


def check_params(name: str, params: Params) -> None:
    """Raise InputError unless `params` is a non-empty tensor, or a flat dict of them, of one float type and device."""
    if not isinstance(params, Tensor) and not (isinstance(params, dict) and params):
        raise InputError(f"{name} must be a tensor or a non-empty dict of tensors, got {type(params).__name__}")
    for leaf in leaves(params):
        if not isinstance(leaf, Tensor):
            raise InputError(f"{name} must hold tensors only, got a {type(leaf).__name__}; use torch.tensor")
        if not leaf.is_floating_point():
            raise InputError(f"{name} must be floating point to be differentiated, got {leaf.dtype}; use .double()")
        if leaf.numel() == 0:
            raise InputError(f"{name} must not hold empty tensors, got shape {tuple(leaf.shape)}")


def check_alike(**trees: object) -> None:
    """Raise InputError unless all floating tensors of the trees have one dtype and one device."""
    seen: dict[tuple[torch.dtype, torch.device], str] = {}
    for name, tree in trees.items():
        for leaf in tensors(tree):
            if leaf.is_floating_point():
                seen.setdefault((leaf.dtype, leaf.device), name)
    if len(seen) > 1:
        kinds = ", ".join(f"{name}: {dtype} on {device}" for (dtype, device), name in seen.items())
        raise InputError(
            f"meta-parameters, start, state and batch must share one dtype and one device, got {kinds}; use .to"
        )


def _same(before: Tensor, after: Tensor) -> bool:
    """Equal entry by entry, NaN equal to NaN."""
    return bool(((before == after) | ((before != before) & (after != after))).all())


def _signature(tree: object) -> list[Any]:
    """Shape, dtype and device of each tensor, type of every other leaf."""
    return [(x.shape, x.dtype, x.device) if isinstance(x, Tensor) else type(x) for x in leaves(tree)]


def _described(tree: Any) -> str:
    """The tree with its keys, and for every tensor the dtype and shape: {'velocity': float64 (3,)}."""
    if isinstance(tree, Tensor):
        place = "" if tree.device.type == "cpu" else f" on {tree.device}"
        return f"{str(tree.dtype).removeprefix('torch.')} {tuple(tree.shape)}{place}"
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {_described(branch)}" for key, branch in tree.items()) + "}"
    if isinstance(tree, tuple | list):
        return f"{type(tree).__name__}({', '.join(map(_described, tree))})"
    return type(tree).__name__


def _stand_in(tree: Any) -> Any:
    """The same shapes, filled with ones."""
    return mapped(lambda x: torch.ones(x.shape, dtype=x.dtype, device=x.device) if isinstance(x, Tensor) else x, tree)


def _check_kept(name: str, before: object, after: object, where: str = "") -> None:
    if structure(before) != structure(after) or _signature(before) != _signature(after):
        raise InputError(
            f"rule.update must return {name} with the keys, shapes, dtype and device it was given{where}: "
            f"wanted {_described(before)}, got {_described(after)}"
        )


def _refuse_in_place(what: str, where: str = "") -> NoReturn:
    raise InputError(
        f"the rule is not pure: update changed {what} in place{where}; return new tensors "
        "(a + b instead of a.add_(b)), else derivatives are silently wrong"
    )


def _plainly_kept(before: Any, after: Any) -> bool:
    """Whether nothing can have changed in kind, by the cheapest look; False where a closer look is needed."""
    if isinstance(before, Tensor):
        kept = isinstance(after, Tensor) and before.shape == after.shape and before.dtype == after.dtype
        return kept and before.device == after.device
    if type(before) is dict and type(after) is dict and list(before) == list(after):
        return all(_plainly_kept(branch, after[key]) for key, branch in before.items())
    return isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after) == 0


class Watch:
    """What an update is given, to see afterwards that it kept it: `check_rule` tries the rule at x_0 only.

    Seen, at some microseconds per step: a write that torch counts (`add_`, `out=`, an indexed assignment), and an
    answer of another structure, shape, dtype or device. Not seen: a write through `.data`, or to a tensor inside a
    torch.func transform, which hides its count; and random numbers. `check_rule` finds `.data` and random numbers at
    x_0, outside of transforms, by comparing values; if they begin at a later step, nothing here does. The gradient
    doctor can, if they disturb its difference quotients.
    """

    def __init__(self, **given: Any) -> None:
        self.given = given
        self.versions = [(name, leaf, leaf._version) for name, tree in given.items() for leaf in tensors(tree)]

    def untouched(self, where: str = "") -> None:
        """Raise InputError if anything that was given has been changed in place."""
        for name, leaf, version in self.versions:
            if leaf._version != version:
                _refuse_in_place(name, where)

    def check(self, params: Params, state: State, step: int) -> None:
        """Raise InputError if an argument was changed in place, or the answer has not the structure of the question."""
        self.untouched(f" at step {step}")
        for name, after in (("params", params), ("state", state)):
            if not _plainly_kept(self.given[name], after):
                _check_kept(name, self.given[name], after, f" at step {step}")


def advance(
    rule: UpdateRule, params: Params, grads: Params, state: State, meta: Params, step: int
) -> tuple[Params, State]:
    """One step of an unroll, watched.

    Raises:
        InputError: see `Watch`; the message names the step.
    """
    watch = Watch(params=params, grads=grads, state=state, meta=meta)
    after, state_after = rule.update(params, grads, state, meta)
    watch.check(after, state_after, step)
    return after, state_after


def check_rule(rule: UpdateRule, params: Params, grads: Params, state: State, meta: Params) -> None:
    """Try one step.

    Raises:
        InputError: update changes an argument in place, gives two answers to the same question, or returns another
            structure, shape, dtype or device than it was given. Inside torch.func, values are not compared.
    """
    values = not inside_transform()
    # a transformed tensor hides changes in place from its version counter, so plain tensors stand in for it
    plain = detached if values else _stand_in
    given = {"params": plain(params), "grads": plain(grads), "state": plain(state), "meta": plain(meta)}
    versions = {name: [leaf._version for leaf in tensors(tree)] for name, tree in given.items()}
    copies = {name: [leaf.clone() for leaf in tensors(tree)] for name, tree in given.items()} if values else {}
    with torch.no_grad():
        answer = rule.update(given["params"], given["grads"], given["state"], given["meta"])
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise InputError(f"rule.update must return (params, state), got {type(answer).__name__}")
        first = mapped(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, answer)
        for name, tree in given.items():
            now = tensors(tree)
            if [leaf._version for leaf in now] != versions[name]:
                _refuse_in_place(name)
            if values and not all(map(_same, copies[name], now)):
                _refuse_in_place(name)
        _check_kept("params", params, answer[0])
        _check_kept("state", state, answer[1])
        if values:
            second = rule.update(given["params"], given["grads"], given["state"], given["meta"])
            if structure(second) != structure(first) or not all(map(_same, tensors(first), tensors(second))):
                raise InputError(
                    "the rule is not pure: update gave two answers to the same arguments; keep what it remembers "
                    "in the state and draw no random numbers in it"
                )
