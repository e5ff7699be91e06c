"""PreconditionedOptimizer: the loop that learns a preconditioner while it is used, as a torch.optim.Optimizer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo.engine import Engine, Learnable
from l2o_theory.optimizers.lodo.hyperparameters import GLOBAL, NAMES, checked
from l2o_theory.optimizers.lodo.meta import Meta
from l2o_theory.optimizers.lodo.shape import check_permutations
from l2o_theory.optimizers.lodo.vector import Missing, ParameterVector

NonFinite = Literal["raise", "skip"]


class PreconditionedOptimizer(Optimizer):
    """One step, at the point x where the gradient g was taken:

        h     <- d loss / d theta of the last move       (h = 0 before the first)
        theta <- MetaOpt(theta, h)
        m     <- beta m + (1 - beta) g                   (no bias correction)
        x     <- x - lr * G(theta) m                     (entrywise where groups differ in lr)

    h is the exact derivative of the loss just evaluated with respect to the weights that made the last move, m and the
    point before it held constant; it needs no graph. This is the published loop read from one gradient to the next:
    h uses the old m and the new gradient, and the first call advances the meta-optimizer with h = 0.

    Not made by users: see LODO and its variants, whose docstrings explain the options.
    """

    def __init__(
        self,
        params: Iterable[Any],
        settings: dict[str, Any],
        *,
        dtype: torch.dtype | None,
        missing: Missing,
        nonfinite: NonFinite,
    ) -> None:
        if nonfinite not in ("raise", "skip"):
            raise InputError(f"nonfinite must be 'raise' or 'skip', got {nonfinite!r}")
        checked(settings)
        self._sealed = False
        super().__init__(params, settings)
        self._sealed = True
        for group in self.param_groups:
            checked({name: group[name] for name in NAMES})
        self._globals()
        self.nonfinite = nonfinite
        self.skipped = 0
        self._vector = ParameterVector(self.param_groups, dtype, missing)
        self._rates: float | Tensor | None = None

    def _attach(self, preconditioner: Learnable, make_engine: Callable[[Any], Engine], meta: Meta) -> None:
        if preconditioner.n != self._vector.size:
            raise InputError(f"the preconditioner must be of size {self._vector.size}, got {preconditioner.n}")
        self.preconditioner, self._make_engine, self._meta = preconditioner, make_engine, meta
        self._engine = make_engine(preconditioner)
        self._m = torch.zeros(preconditioner.n, dtype=self._vector.dtype)
        self._follow()

    @property
    def momentum(self) -> Tensor:
        """m, the average of past gradients (LNDO: of past steps); shape (n,)."""
        return self._m

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Learn from the gradient at x, then move x.

        Args:
            closure: evaluates the loss, calls backward() on it and returns it; not needed after loss.backward().

        Returns:
            What the closure returned, or None without one.

        Raises:
            InputError: if the closure returns None; if a gradient is missing, sparse, NaN or infinite, or so large that
                theta could not learn from it, before anything has changed (nonfinite="skip" counts a step of the last
                three kinds in `skipped` and leaves everything as it is); if the step is not finite in the dtypes of
                the parameters, with x as it was. Then theta and m have learned already: go back to a stored state,
                with a smaller meta_lr or alpha0.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
            if loss is None:
                raise InputError("the closure must return the loss, got None; end it with `return loss`")
        with torch.autocast(self._vector.device.type, enabled=False):  # the sweeps have a precision of their own
            refusal = self._stepped()
        if refusal is None:
            return loss
        if self.nonfinite == "raise":
            raise InputError(f"{refusal}; nothing was changed. Pass nonfinite='skip' to go on without such steps")
        self.skipped += 1
        return loss

    def _stepped(self) -> str | None:
        """One step, or why there was none."""
        settings = self._globals()
        g = self._vector.gradient()
        self._follow()
        if not torch.isfinite(g).all():
            return "the gradient has entries that are NaN or infinite"
        self._meta.rate = settings["meta_lr"]
        if self._rates is None:
            self._meta.advance()
        elif not self._engine.learn(g * self._rates, self._meta):
            return f"the hypergradient overflows {g.dtype}"
        self._m.mul_(settings["beta"]).add_(g, alpha=1 - settings["beta"])
        self.preconditioner.alpha0 = settings["alpha0"]
        self._rates = self._vector.rates()
        self._move(self._engine.move(self._m) * self._rates)
        return None

    def _move(self, step: Tensor) -> None:
        """x <- x - step."""
        if not self._vector.can_take(step):
            raise InputError("the step is not finite, x was not moved: LODO has diverged; lower meta_lr or alpha0")
        self._vector.subtract(step)
        self._mark()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused once the parameters have been flattened into one vector."""
        if getattr(self, "_sealed", False):
            raise InputError(
                "the parameters are one vector of fixed size; make a new optimizer with the new group in it"
            )
        super().add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """As for any optimizer. The one state belongs to all parameters and stands under the first.

        Hence set_optimizer_state_dict of torch.distributed.checkpoint needs StateDictOptions(strict=False).
        """
        begun = bool(self.state)
        self.state[self._first] = self._memory()
        stored = super().state_dict()
        if begun:
            self._mark()
        else:
            self.state.clear()
        return stored

    def _mark(self) -> None:
        """Show that steps were taken: torch.distributed.checkpoint takes one if `state` is empty, to have it filled."""
        self.state[self._first] = {"momentum": self._m}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken: the next steps are the same, bit for bit.

        Raises:
            InputError: if it belongs to other parameters, another preconditioner or meta-optimizer; nothing changes.
        """
        named = [name for group in state_dict.get("param_groups", ()) for name in group.get("params", ())]
        if not named or list(state_dict.get("state", ())) != named[:1]:  # numbers, or names in distributed checkpoints
            raise InputError("this state is not one of this optimizer: it must hold one entry for all parameters")
        memory, own = state_dict["state"][named[0]], self._memory()
        if "shapes" not in memory:
            raise InputError(f"this state is not one of this optimizer: it holds {sorted(memory)}")
        if memory["shapes"] != own["shapes"]:
            raise InputError(f"the parameters have shapes {own['shapes']}, the state is for {memory['shapes']}")
        for name in own.keys() | memory.keys():
            found, wanted = (
                tuple(entry[name].shape) if isinstance(entry.get(name), Tensor) else None for entry in (memory, own)
            )
            if name not in ("shapes", "rates") and found != wanted:
                raise InputError(
                    f"{name} must have shape {wanted}, the state has {found}; pass the options it was made with"
                )
        self._check(state_dict.get("param_groups", ()), memory)
        super().load_state_dict({**state_dict, "state": {}})
        self._vector = ParameterVector(self.param_groups, self._vector.dtype, self._vector.missing)
        self._restore(memory)

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles."""
        return {**self.__dict__, **super().__getstate__()}

    @property
    def _first(self) -> Tensor:
        first: Tensor = self.param_groups[0]["params"][0]
        return first

    def _globals(self) -> dict[str, float]:
        """What belongs to the one preconditioner, hence has to be the same in all groups."""
        first = self.param_groups[0]
        for group, name in itertools.product(self.param_groups, NAMES):
            if not math.isfinite(group[name]):
                raise InputError(f"{name} of a group is now {group[name]}; see what changes it, a scheduler perhaps")
        for name in GLOBAL:
            if any(group[name] != first[name] for group in self.param_groups):
                raise InputError(f"{name} must be the same in all groups: they share one preconditioner")
        return {name: first[name] for name in GLOBAL}

    def _follow(self) -> None:
        """Go where the parameters are."""
        device = self._vector.device
        if self._m.device == device and self.preconditioner.weights.device == device:
            return
        memory = {name: v.to(device) if isinstance(v, Tensor) else v for name, v in self._memory().items()}
        self.preconditioner.to(device)
        self._m = self._m.to(device)
        self._meta.to(device)
        self._engine = self._make_engine(self.preconditioner)
        self._restore(memory)

    def _memory(self) -> dict[str, Any]:
        memory = {
            "weights": self.preconditioner.weights,
            **self.preconditioner.constants,
            "momentum": self._m,
            **self._meta.memory(),
            "shapes": [list(parameter.shape) for group in self.param_groups for parameter in group["params"]],
        }
        if self._rates is not None:
            memory["rates"] = torch.as_tensor(self._rates, dtype=torch.float64)
        return memory

    @torch.no_grad()
    def _restore(self, memory: dict[str, Any]) -> None:
        self.preconditioner.load(memory)
        self.preconditioner.weights.copy_(memory["weights"])
        self._m.copy_(memory["momentum"])
        self._meta.load(memory)
        self._rates = None
        self.preconditioner.alpha0 = self._globals()["alpha0"]
        if "rates" in memory:
            rates = memory["rates"]
            self._rates = rates.to(self._m) if rates.ndim else float(rates)
            self._engine.move(self._m)  # the sweep that the next step needs; the point stays
            self._mark()

    def _check(self, groups: Any, memory: dict[str, Any]) -> None:
        """Raise InputError for values that no optimizer can have stored."""
        own = [len(group["params"]) for group in self.param_groups]
        if [len(group["params"]) for group in groups] != own:
            raise InputError(f"the state must be for groups of {own} parameters; make the same groups as before")
        for group in groups:
            checked({name: group.get(name) for name in NAMES})
        for name in self.preconditioner.constants:
            check_permutations(memory[name])
        for name, value in memory.items():
            if isinstance(value, Tensor) and not torch.isfinite(value).all():
                raise InputError(f"{name} of the state has entries that are NaN or infinite; take an earlier one")
        if "rates" in memory and memory["rates"].shape not in ((), (self._vector.size,)):
            raise InputError(f"rates must be one number or {self._vector.size}, got {tuple(memory['rates'].shape)}")
