"""Rules around rules: one step size per step, hyper-parameters on a log scale, per coordinate, or held fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.hyperparameters import counter
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Params


@dataclass(frozen=True)
class Scheduled:
    """The rule with one value per step for some hyper-parameters: step t uses meta[name][t], t = 0, 1, ...

    meta[name] has shape (T, ...), and its last entry stays in force from step T - 1 on.

    Attributes:
        rule: what takes the steps.
        names: the hyper-parameters that have a schedule.

    Example:
        >>> import torch
        >>> from l2o_theory.optimizers import GradientDescent
        >>> rule, x = Scheduled(GradientDescent()), torch.tensor([8.0])
        >>> state = rule.init(x)
        >>> for _ in range(3):
        ...     x, state = rule.update(x, x, state, {"step_size": torch.tensor([0.5, 0.25])})
        >>> x  # 8 (1 - 1/2) (1 - 1/4) (1 - 1/4)
        tensor([2.2500])
    """

    rule: UpdateRule
    names: tuple[str, ...] = ("step_size",)

    def init(self, params: Params) -> State:
        """{"step": 0, "rule": its state}."""
        return {"step": counter(params).long(), "rule": self.rule.init(params)}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step.

        Raises:
            InputError: a schedule that is missing, or has no axis of steps.
        """
        given = _named(meta)
        current = {name: _at(_part(given, name), state["step"], name) for name in self.names}
        params, inner = self.rule.update(params, grads, state["rule"], {**given, **current})
        return params, {"step": state["step"] + 1, "rule": inner}


@dataclass(frozen=True)
class Reparametrised:
    """The rule with hyper-parameters on scales without bounds, so that a meta-step cannot leave their range.

    A name in `log` is read as exp(meta["log_" + name]), one in `logit` as sigmoid(meta["logit_" + name]).

    Attributes:
        rule: what takes the steps.
        log: positive hyper-parameters.
        logit: hyper-parameters between 0 and 1, such as momentum and decay rates.
    """

    rule: UpdateRule
    log: tuple[str, ...] = ("step_size",)
    logit: tuple[str, ...] = ()

    def meta(self, values: Params) -> dict[str, Tensor]:
        """The meta-parameters of this rule that stand for `values`, meta-parameters of the inner one.

        Raises:
            InputError: a value outside its range.
        """
        given = _named(values)
        result = {name: value for name, value in given.items() if name not in (*self.log, *self.logit)}
        for name in (*self.log, *self.logit):
            value = _part(given, name)
            inside = (value > 0) if name in self.log else (value > 0) & (value < 1)
            if not bool(inside.all()):
                interval = "> 0" if name in self.log else "between 0 and 1"
                raise InputError(f"{name} must be {interval} to be put on this scale, got {value.tolist()}")
            result[_scale(name, self.log)] = value.log() if name in self.log else value.logit()
        return result

    def init(self, params: Params) -> State:
        """The state of the inner rule."""
        return self.rule.init(params)

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step of the inner rule.

        Raises:
            InputError: a scaled hyper-parameter that is missing.
        """
        if isinstance(meta, Tensor):
            raise InputError(f"meta must be a dict with {_scale(self.log[0], self.log)!r}, got a bare tensor")
        values = dict(meta)
        for name in (*self.log, *self.logit):
            scaled = _part(values, _scale(name, self.log))
            del values[_scale(name, self.log)]
            values[name] = scaled.exp() if name in self.log else scaled.sigmoid()
        return self.rule.update(params, grads, state, values)


@dataclass(frozen=True)
class Coordinatewise:
    """The rule with a hyper-parameter per coordinate: for the leaf "weight" of the iterate, meta["step_size.weight"].

    A leaf without an entry of its own uses meta["step_size"]. Where the iterate is one tensor nothing is needed:
    meta["step_size"] of its shape is a step size per coordinate already.

    Attributes:
        rule: what takes the steps, on each leaf apart; it must treat leaves alike and apart, as all rules here do.
        names: the hyper-parameters that may differ.
    """

    rule: UpdateRule
    names: tuple[str, ...] = ("step_size",)

    def init(self, params: Params) -> State:
        """{leaf: state of the inner rule}."""
        return {leaf: self.rule.init(value) for leaf, value in _leaves(params).items()}

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step, leaf by leaf."""
        given, slopes = _named(meta), _leaves(grads)
        own = {f"{name}.{leaf}" for name in self.names for leaf in _leaves(params)}
        shared = {name: value for name, value in given.items() if name not in own}
        moved: dict[str, Tensor] = {}
        states = {}
        for leaf, value in _leaves(params).items():
            special = {name: given[f"{name}.{leaf}"] for name in self.names if f"{name}.{leaf}" in given}
            result, states[leaf] = self.rule.update(value, slopes[leaf], state[leaf], {**shared, **special})
            assert isinstance(result, Tensor)
            moved[leaf] = result
        return moved, states


@dataclass(frozen=True)
class Fixed:
    """The rule with some hyper-parameters held at constants, so that `meta` is only what is learned.

    Attributes:
        rule: what takes the steps.
        values: the constants by name.
    """

    rule: UpdateRule
    values: Mapping[str, Tensor] = field(default_factory=dict)

    def init(self, params: Params) -> State:
        """The state of the inner rule."""
        return self.rule.init(params)

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        """One step of the inner rule.

        Raises:
            InputError: meta sets what is held fixed.
        """
        given = _named(meta)
        both = sorted(set(given) & set(self.values))
        if both:
            raise InputError(f"{both[0]!r} is held fixed but meta sets it too; take it out of one of them")
        return self.rule.update(params, grads, state, {**self.values, **given})


def _at(schedule: Tensor, step: Tensor, name: str) -> Tensor:
    """schedule[min(step, T - 1)], with a step that is a tensor (and may be batched by vmap)."""
    if schedule.ndim == 0:
        raise InputError(f"{name} must have shape (steps, ...) to be a schedule, got a scalar; give one value per step")
    index = step.clamp_max(schedule.shape[0] - 1).reshape(1)
    return schedule.index_select(0, index).squeeze(0)


def _named(meta: Params) -> dict[str, Tensor]:
    return {"step_size": meta} if isinstance(meta, Tensor) else dict(meta)


def _part(meta: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in meta:
        raise InputError(f"meta lacks {name!r}; it has {', '.join(meta) or 'nothing'}")
    return meta[name]


def _scale(name: str, log: tuple[str, ...]) -> str:
    return f"log_{name}" if name in log else f"logit_{name}"


def _leaves(params: Params) -> dict[str, Tensor]:
    if isinstance(params, Tensor):
        raise InputError("Coordinatewise is for dicts of tensors; for one tensor pass a step size of its shape")
    return params
