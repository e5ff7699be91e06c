"""How derivatives grow along a run, and up to which horizon float32 and float64 can carry them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from l2o_theory.audit.gradient_report import Growth, Reach
from l2o_theory.audit.optimizees import Optimizee
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import mapped, tensors

_WRONG = 0.1  # relative error from which a derivative is called wrong
_ULPS = 4.0  # size of the nudge that shows what rounding does, in units of the last place


def sensitivities(
    rule: UpdateRule, optimizee: Optimizee, meta: Params, toward: Params, away: Params, steps: int
) -> tuple[Tensor, Tensor]:
    """x_1..x_N and their derivatives along a direction in (phi, x_0), by carrying derivatives forward.

    Args:
        rule, optimizee, meta, steps: the run.
        toward: direction in phi.
        away: direction in x_0.

    Returns:
        Iterates and derivatives, each of shape (steps, coordinates).
    """
    gradient = torch.func.grad(optimizee.problem.loss)

    def run(s: Tensor) -> Tensor:
        phi = mapped(lambda leaf, v: leaf + s * v, meta, toward)
        x: Any = mapped(lambda leaf, v: leaf + s * v, optimizee.start, away)
        state = rule.init(x)
        path = []
        for step in range(steps):
            batch = None if optimizee.batches is None else optimizee.batches(step)
            x, state = rule.update(x, gradient(x, batch), state, phi)
            path.append(torch.cat([leaf.reshape(-1) for leaf in tensors(x)]))
        return torch.stack(path)

    like = tensors(optimizee.start)[0]
    zero, one = like.new_zeros(()), like.new_ones(())
    with torch.no_grad(), warnings.catch_warnings():
        # torch's own rules for jvp are compiled on first use by a function that torch itself calls deprecated
        warnings.filterwarnings("ignore", message=r"`torch.jit.script", category=DeprecationWarning)
        iterates, slopes = torch.func.jvp(run, (zero,), (one,))  # type: ignore[misc]  # two without aux
    return iterates, slopes


def growth(rule: UpdateRule, optimizee: Optimizee, meta: Params, toward: Params, steps: int, seed: int) -> Growth:
    """Rates of |dx_t/dphi| and |dx_t/dx_0| per step: the slope of the logarithm over t = N/2..N."""
    still = mapped(torch.zeros_like, optimizee.start)
    generator = torch.Generator().manual_seed(seed)
    batch = None if optimizee.batches is None else optimizee.batches(0)
    slopes = torch.func.grad(optimizee.problem.loss)(optimizee.start, batch)
    # a coordinate whose gradient is exactly 0 would show how Adam bends within eps of 0, not how runs part
    away = mapped(lambda g: torch.randn(g.shape, generator=generator, dtype=g.dtype) * (g != 0), slopes)
    _, by_meta = sensitivities(rule, optimizee, meta, toward, still, steps)
    _, by_start = sensitivities(rule, optimizee, meta, mapped(torch.zeros_like, meta), away, steps)
    return Growth(_rate(by_meta.norm(dim=1)), _rate(by_start.norm(dim=1)))


def reach(
    rule: UpdateRule, build: Callable[[torch.dtype], Optimizee], meta: Params, toward: Params, limit: int, seed: int
) -> tuple[Reach, ...]:
    """The first horizon at which dx_t/dphi is wrong in float32 and in float64.

    float32 is held against float64; float64 against itself with start and phi nudged by 4 units in the last place,
    which shows what its rounding errors have grown to. Wrong: off by more than 10 percent, outside the float range,
    or exactly 0.

    Args:
        rule: the rule.
        build: the optimizee in a dtype.
        meta: phi, float64.
        toward: direction in phi.
        limit: the longest horizon tried.
        seed: of the nudge.
    """

    def run(dtype: torch.dtype, nudged: bool) -> tuple[Tensor, Tensor]:
        optimizee = build(dtype)
        generator = torch.Generator().manual_seed(seed)
        unit = _ULPS * torch.finfo(dtype).eps if nudged else 0.0

        def moved(leaf: Tensor) -> Tensor:
            noise = torch.rand(leaf.shape, generator=generator, dtype=torch.float64) - 0.5
            return leaf.to(dtype) * (1 + 2 * unit * noise).to(dtype)

        near = Optimizee(optimizee.name, optimizee.problem, mapped(moved, optimizee.start), optimizee.batches)
        phi, direction = mapped(moved, meta), mapped(lambda leaf: leaf.to(dtype), toward)
        still = mapped(torch.zeros_like, near.start)
        iterates, slopes = sensitivities(rule, near, phi, direction, still, limit)
        return iterates.double(), slopes.double()

    true = run(torch.float64, False)
    double = _judged("float64", run(torch.float64, True), true, limit)
    try:
        single = _judged("float32", run(torch.float32, False), true, limit)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        single = Reach("float32", None, 0, f"not tried, the run does not work in it ({type(error).__name__}: {first})")
    return single, double


def _rate(norms: Tensor) -> float:
    """Slope of log |.| against t over the second half, NaN if fewer than four entries are positive and finite."""
    steps = torch.arange(1, len(norms) + 1, dtype=torch.float64)
    logs = norms.double().log()
    usable = logs.isfinite() & (steps > len(norms) // 2)
    if int(usable.sum()) < 4:
        return float("nan")
    t, y = steps[usable], logs[usable]
    t = t - t.mean()
    return float((t @ y) / (t @ t))


def _judged(dtype: str, found: tuple[Tensor, Tensor], true: tuple[Tensor, Tensor], limit: int) -> Reach:
    (iterates, slopes), (_, expected) = found, true
    norms = expected.norm(dim=1)
    outside = ~(iterates.isfinite().all(1) & slopes.isfinite().all(1))
    vanished = (slopes == 0).all(1) & ((expected != 0).any(1).cumsum(0) > 0)
    wrong = (slopes - expected).norm(dim=1) > _WRONG * norms
    tiny = norms < 1e3 * torch.finfo(getattr(torch, dtype)).tiny
    reasons = (
        ("leaves the float range (overflow or 0/0)", outside),
        ("is exactly 0 (underflow), which looks like convergence", vanished),
        ("is too small for this dtype and loses its digits (underflow)", wrong & tiny & ~outside & ~vanished),
        ("is off by more than 10 %: rounding errors have grown", wrong & ~tiny & ~outside & ~vanished),
    )
    first = [(int(flags.int().argmax()) + 1, text) for text, flags in reasons if bool(flags.any())]
    if not first:
        return Reach(dtype, None, limit, f"dx_t/dphi is right up to t = {limit}, the longest tried")
    step, text = min(first)
    return Reach(dtype, step, limit, f"from t = {step} on dx_t/dphi {text}")
