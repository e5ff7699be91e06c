"""StochasticLBFGS: L-BFGS without line search, its curvature pairs from two gradients of the same sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from l2o_theory.errors import InputError
from l2o_theory.optimizers.lodo.vector import ParameterVector

Scaling = Literal["newest", "average", "published"]


class StochasticLBFGS(Optimizer):
    """x <- x - eta_t H_t g_t, eta_t = eta0 tau/(tau + t), H_t by the two-loop recursion from the last `memory` pairs

        s = x_{t+1} - x_t,   y = g(x_{t+1}; sample t) - g(x_t; sample t):

    the closure is called twice on the sample of the step, before and after the move, so the noise of the sample cancels
    in y. Pairs with s.y <= 0 are left out. Between the loops the vector is scaled by

        "newest"      s.y/y.y of the newest pair: L-BFGS;
        "average"     the mean of s.y/y.y over all pairs kept: O-LBFGS of Schraudolph, Yu, Guenter (AISTATS 2007);
        "published"   (s of the oldest pair).(y of the newest)/y.y: a loop variable left over in the program of
                      arXiv 2210.06171; kept to compare with its table, of no other use.

    torch.optim.LBFGS differs: its pairs come from different samples unless it iterates on one sample, and its step is
    not averaged or decayed.

    Two losses are evaluated per step; `losses` holds them as (before, after). The second is on a sample that the step
    has seen, so neither it nor the mean of both can be compared with the loss of other methods.

    Args:
        params: parameters or groups.
        eta0, tau: of the step size.
        eps: H_t = eps I while there are no pairs; None is 1e-10 in float64, as in that program, and 1e-4 in float32,
            where a shorter move would be lost in rounding.
        memory: number of pairs kept.
        scaling: see above.

    Raises:
        InputError: for options out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        eta0: float = 1e-3,
        tau: float = 1e4,
        eps: float | None = None,
        memory: int = 48,
        scaling: Scaling = "newest",
    ) -> None:
        if not (eta0 > 0 and tau > 0 and (eps is None or eps > 0) and memory >= 1):
            raise InputError(f"eta0, tau, eps and memory must be positive, got {eta0}, {tau}, {eps} and {memory}")
        if scaling not in ("newest", "average", "published"):
            raise InputError(f"scaling must be 'newest', 'average' or 'published', got {scaling!r}")
        settings = {"lr": eta0, "weight_decay": 0.0, "tau": tau, "eps": eps, "memory": memory, "scaling": scaling}
        super().__init__(params, settings)
        self._vector = ParameterVector(self.param_groups, None, "raise")
        self.losses: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move once; the loss before the move.

        Raises:
            InputError: without a closure, if it returns no loss, or if a gradient is not finite; a gradient that is not
                finite after the move leaves x moved and makes no pair.
        """
        if closure is None:
            raise InputError("step needs a closure that evaluates the loss, on the same sample each time it is called")
        group, state = self.param_groups[0], self._state()
        before, g = self._evaluated(closure)
        rate = group["lr"] * group["tau"] / (group["tau"] + state["step"])
        move = -rate * self._direction(g, state["s"], state["y"])
        self._vector.subtract(-move)
        state["step"] += 1
        after, new = self._evaluated(closure)
        y = new - g
        if move @ y > 0:
            state["s"] = torch.cat([state["s"], move[None]])[-group["memory"] :]
            state["y"] = torch.cat([state["y"], y[None]])[-group["memory"] :]
        self.losses = (before, after)
        return before

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As for any optimizer."""
        super().load_state_dict(state_dict)
        self._vector = ParameterVector(self.param_groups, None, "raise")

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.state[self.param_groups[0]["params"][0]]
        if not state:
            empty = torch.empty(0, self._vector.size, dtype=self._vector.dtype, device=self._vector.device)
            state.update(step=0, s=empty, y=empty)
        return state

    def _evaluated(self, closure: Callable[[], Any]) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            loss = closure()
        if loss is None:
            raise InputError("the closure must return the loss, got None; end it with `return loss`")
        gradient = self._vector.gradient()
        if not torch.isfinite(gradient).all():
            raise InputError("the gradient has entries that are NaN or infinite; lower eta0")
        return torch.as_tensor(loss).detach(), gradient

    def _direction(self, g: Tensor, s: Tensor, y: Tensor) -> Tensor:
        """H_t g."""
        if not len(s):
            eps: float | None = self.param_groups[0]["eps"]
            return (eps or (1e-10 if g.dtype == torch.float64 else 1e-4)) * g
        products = (s * y).sum(1)
        q, weights = g.clone(), []
        for newest in reversed(range(len(s))):
            weights.append((s[newest] @ q) / products[newest])
            q -= weights[-1] * y[newest]
        ratios = {
            "newest": lambda: products[-1] / (y[-1] @ y[-1]),
            "average": lambda: (products / (y * y).sum(1)).mean(),
            "published": lambda: (s[0] @ y[-1]) / (y[-1] @ y[-1]),
        }
        q *= ratios[self.param_groups[0]["scaling"]]()
        for oldest, weight in enumerate(reversed(weights)):
            q += (weight - (y[oldest] @ q) / products[oldest]) * s[oldest]
        return q
