"""Subject: the update rule under examination, found by FILE:NAME, with the meta-parameters it is examined at."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError, near_misses
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped, tensors


@dataclass(frozen=True)
class Subject:
    """What is examined.

    Attributes:
        name: as the user wrote it.
        rule: the update rule.
        meta: phi, in float64.
    """

    name: str
    rule: UpdateRule
    meta: Params

    def meta_in(self, dtype: torch.dtype) -> Params:
        """phi in another dtype."""
        converted: Params = mapped(lambda leaf: leaf.to(dtype), self.meta)
        return converted

    @property
    def count(self) -> int:
        """Number of entries of phi."""
        return sum(leaf.numel() for leaf in tensors(self.meta))


def load_object(text: str, what: str, known: Mapping[str, Any]) -> Any:
    """The object NAME of a Python file FILE, written FILE:NAME, or a built-in one by its name alone.

    Raises:
        InputError: an unknown built-in (near misses are suggested), or no such NAME in the file.
        ClaimError: the file is missing or fails on import.
    """
    file, colon, name = text.rpartition(":")
    if not colon:
        if text in known:
            return known[text]
        hint = near_misses(text, known, f"built in are {', '.join(known)}.")
        raise InputError(f"no {what} {text!r}; {hint} Your own is FILE.py:NAME")
    module = load_plugin(Path(file))
    if not hasattr(module, name):
        public = [entry for entry in vars(module) if not entry.startswith("_")]
        raise InputError(f"{file} has no {name!r}; it defines {', '.join(public) or 'nothing'}")
    return getattr(module, name)


def load_subject(text: str, values: Mapping[str, float] | None = None, *, seed: int = 0) -> Subject:
    """The rule FILE:NAME (a class, an object, or a function that makes one), or a built-in one by name.

    Its meta-parameters are what its method meta() returns; `values` replaces or adds scalars by name.

    Args:
        text: FILE.py:NAME, or a name of l2o_theory.optimizers such as Adam.
        values: scalar meta-parameters by name.
        seed: of the generator that meta(generator) gets, where it takes one.

    Raises:
        InputError: nothing there, no update rule, or no meta-parameters.
        ClaimError: the file is missing or fails on import.
    """
    from l2o_theory import optimizers

    known = {name: getattr(optimizers, name) for name in optimizers.__all__}
    built_in = {name: value for name, value in known.items() if hasattr(value, "update") and hasattr(value, "meta")}
    built_in = {name: value for name, value in built_in.items() if name != "Reparametrised"}  # wraps another rule
    rule = load_object(text, "update rule", built_in)
    if isinstance(rule, type) or not hasattr(rule, "update"):
        rule = _made(text, rule)
    lacking = [method for method in ("init", "update") if not callable(getattr(rule, method, None))]
    if lacking:
        raise InputError(
            f"{text} is no update rule: no method {lacking[0]}; wanted init(params) -> state and "
            "update(params, grads, state, meta) -> (params, state)"
        )
    return Subject(text, rule, _meta(text, rule, values or {}, seed))


def _made(text: str, maker: Any) -> Any:
    if not callable(maker):
        raise InputError(
            f"{text} is a {type(maker).__name__}; give an update rule, its class, or a function that makes it"
        )
    try:
        return maker()
    except TypeError as error:
        raise InputError(f"{text} cannot be made without arguments ({error}); name an object instead") from None


def _meta(text: str, rule: Any, values: Mapping[str, float], seed: int) -> Params:
    given: Any = {}
    if callable(getattr(rule, "meta", None)):
        accepts = inspect.signature(rule.meta).parameters
        options: dict[str, Any] = {"generator": torch.Generator().manual_seed(seed)} if "generator" in accepts else {}
        given = rule.meta(**options)
    if values:
        if not isinstance(given, dict):
            raise InputError(f"{text}: meta() returns a tensor, which has no entry {next(iter(values))!r}; drop --meta")
        given = {**given, **{name: torch.tensor(value) for name, value in values.items()}}
    found = tensors(given)
    if not found or any(not isinstance(leaf, Tensor) for leaf in (given.values() if isinstance(given, dict) else [])):
        raise InputError(
            f"{text} has no meta-parameters; give the rule a method meta() that returns a dict of tensors, "
            "or pass them as --meta step_size=0.1"
        )
    for leaf in found:
        if not leaf.is_floating_point():
            raise InputError(f"meta-parameters of {text} must have a floating dtype, got {leaf.dtype}; use 0.1, not 1")
        if not bool(leaf.isfinite().all()):
            raise InputError(f"meta-parameters of {text} must be finite, got NaN or infinity")
    return mapped(lambda leaf: leaf.detach().double(), given)  # type: ignore[no-any-return]
