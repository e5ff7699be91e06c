"""Rules and problems small enough to check by hand, and closed forms derived here, in exact rationals."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.problems.problem import Constants


@dataclass(frozen=True)
class Diagonal:
    """f(x) = 1/2 sum_i lam_i x_i^2; the batch, if any, scales it."""

    eigenvalues: Tensor
    constants: Constants = field(default_factory=Constants)

    def init(self, generator: Generator | None = None) -> Tensor:
        return torch.ones_like(self.eigenvalues)

    def loss(self, params: Any, batch: Any = None) -> Tensor:
        value = 0.5 * (self.eigenvalues * params**2).sum()
        return value if batch is None else batch * value


@dataclass(frozen=True)
class Regression:
    """Mean squared error of a tanh unit on a batch (inputs, targets); params are a dict."""

    constants: Constants = field(default_factory=Constants)

    def init(self, generator: Generator | None = None) -> dict[str, Tensor]:
        return {"w": torch.full((3,), 0.5, dtype=torch.float64), "b": torch.zeros((), dtype=torch.float64)}

    def loss(self, params: Any, batch: Any = None) -> Tensor:
        inputs, targets = batch
        return ((torch.tanh(inputs @ params["w"] + params["b"]) - targets) ** 2).mean()


class Descent:
    """x - alpha g; alpha = meta, or meta["alpha"]."""

    def init(self, params: Any) -> Any:
        return ()

    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        alpha = meta["alpha"] if isinstance(meta, dict) else meta
        return leafwise(lambda x, g: x - alpha * g, params, grads), state


class HeavyBall:
    """v <- beta v - alpha g, x <- x + v."""

    def init(self, params: Any) -> Any:
        return leafwise(torch.zeros_like, params)

    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        speed = leafwise(lambda v, g: meta["beta"] * v - meta["alpha"] * g, state, grads)
        return leafwise(torch.add, params, speed), speed


class SmoothAdam:
    """Adam with epsilon inside the root, and a step counter in its state."""

    def init(self, params: Any) -> Any:
        zero = leafwise(torch.zeros_like, params)
        first = params if isinstance(params, Tensor) else next(iter(params.values()))
        return {"m": zero, "v": zero, "t": torch.zeros((), dtype=first.dtype, device=first.device)}

    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        step = state["t"] + 1
        m = leafwise(lambda m, g: 0.9 * m + 0.1 * g, state["m"], grads)
        v = leafwise(lambda v, g: 0.99 * v + 0.01 * g * g, state["v"], grads)
        rate = meta["alpha"] if isinstance(meta, dict) else meta
        rate = rate * torch.sqrt(1 - 0.99**step) / (1 - 0.9**step)
        return leafwise(lambda x, m, v: x - rate * m / torch.sqrt(v + 1e-8), params, m, v), {"m": m, "v": v, "t": step}


def leafwise(function: Any, *values: Any) -> Any:
    if isinstance(values[0], dict):
        return {name: function(*(value[name] for value in values)) for name in values[0]}
    return function(*values)


@dataclass(frozen=True)
class Instance:
    """A quadratic, a start and a step size in exact rationals."""

    eigenvalues: tuple[Fraction, ...]
    start: tuple[Fraction, ...]
    alpha: Fraction
    steps: int

    def tensors(self) -> tuple[Diagonal, Tensor, Tensor]:
        """Problem, start and step size in float64."""
        as_tensor = lambda values: torch.tensor([float(v) for v in values], dtype=torch.float64)  # noqa: E731
        return (
            Diagonal(as_tensor(self.eigenvalues)),
            as_tensor(self.start),
            torch.tensor(float(self.alpha), dtype=torch.float64),
        )

    def slope(self, step: int) -> Fraction:
        """h_t = sum_i lam_i^2 x_i^2 rho_i^(2t-1)."""
        pairs = zip(self.eigenvalues, self.start, strict=True)
        return sum((lam**2 * x**2 * (1 - self.alpha * lam) ** (2 * step - 1) for lam, x in pairs), Fraction(0))

    def gradient(self, weights: list[Fraction] | None = None, window: int | None = None) -> Fraction:
        """(A1), (A2): - sum_t w_t r_K(t) h_t."""
        total = Fraction(0)
        for step in range(1, self.steps + 1):
            kept = step if window is None else (step - 1) % window + 1
            total -= (1 if weights is None else weights[step - 1]) * kept * self.slope(step)
        return total

    def first_order(self, window: int | None = None) -> Fraction:
        """(F1): sum_t sum_i lam_i x_{t,i} (x_{t,i} - x_{s,i}) / alpha, s the start of the window of t."""
        total = Fraction(0)
        for lam, x in zip(self.eigenvalues, self.start, strict=True):
            path = [x * (1 - self.alpha * lam) ** t for t in range(self.steps + 1)]
            for t in range(1, self.steps + 1):
                s = 0 if window is None else t - ((t - 1) % window + 1)
                total += lam * path[t] * (path[t] - path[s]) / self.alpha
        return total

    def geometric(self, window: int) -> Fraction:
        """(A4): G_{N,K} for w = 1 by the geometric sums, N = mK + b."""
        whole, rest = divmod(self.steps, window)
        total = Fraction(0)
        for lam, x in zip(self.eigenvalues, self.start, strict=True):
            rho = 1 - self.alpha * lam
            if rho == 0:
                continue
            q = rho**2
            repeats = Fraction(whole) if q == 1 else (1 - q ** (window * whole)) / (1 - q**window)
            total -= lam**2 * x**2 / rho * (ramp(q, window) * repeats + q ** (whole * window) * ramp(q, rest))
        return total


def ramp(q: Fraction, n: int) -> Fraction:
    """S(q, n) = sum_{r<=n} r q^r."""
    if q == 1:
        return Fraction(n * (n + 1), 2)
    return q * (1 - (n + 1) * q**n + n * q ** (n + 1)) / (1 - q) ** 2


F = Fraction
INSTANCES = (
    Instance((F(1),), (F(1),), F(1, 10), 20),
    Instance((F(1), F(1, 10)), (F(1), F(2)), F(1, 2), 60),
    Instance((F(2), F(1, 3), F(1, 7)), (F(1, 2), F(1), F(-2)), F(3, 4), 30),  # alpha lam > 1: signs change
    Instance((F(1), F(1, 50)), (F(1), F(1)), F(21, 10), 40),  # alpha lam > 2: diverges
    Instance((F(1), F(1, 4), F(1, 100)), (F(1), F(-1), F(3)), F(3, 2), 48),  # first order has the wrong sign
)
RELATIVE = 1e-10  # the bar of the issue; float64 sums of at most 60 terms lose some 1e-14 of the largest term
