r"""What one optimizer does on a batch of tasks: its meta-gradients at every window and horizon, and its run.

Everything is kept as inner products, from which norms, cosines, biases and variances follow. The run itself gives what
the quadratic theory needs for its predictions: losses, products of inner gradients, growth of a perturbation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, jvp, vmap

from l2o_theory.metagradients import Episode, MetaObjective, reverse
from l2o_theory.metatraining import Draw
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Problem
from l2o_theory.problems.trees import dot, mapped, squared_norm, tensors

Tasks = tuple[Any, Any]
"""x_0 and the batches b_0, ..., b_N of many tasks: the tasks along the first axis of every tensor, then the steps."""


def tasks_of(draw: Draw, steps: int) -> Tasks:
    """The tasks of an episode with the batches of all its steps: what vmap runs over."""
    first, *others = [draw.batches(t) for t in range(steps + 1)]
    return draw.starts, mapped(lambda *leaves: torch.stack(leaves, 1), first, *others)


def probe(
    rule: UpdateRule,
    problem: Problem,
    meta: Any,
    tasks: Tasks,
    windows: Sequence[int],
    *,
    short: int,
    chunk: int,
    seed: int,
) -> dict[str, Any]:
    """Measure one optimizer; N is the last window, and every window divides it.

    Args:
        rule: the optimizer.
        problem: the optimizee.
        meta: phi.
        tasks: see `Tasks`.
        windows: K, rising; they serve as horizons too.
        short: the window that is also taken at first order.
        chunk: tasks at a time.
        seed: of the perturbation.

    Returns:
        kinds: windows as text, then "first order" (K = N) and "first order, K" for the short window.
        gram: <G_a, G_b> for these meta-gradients of the sum of losses, by task, shape (tasks, kinds, kinds).
        growth: |G_{n,K}| at n = K, 2K, ..., N by window, each (tasks, N/K).
        final: <G^i_n, G^j_n> for f(x_n) at every n of `windows`, shape (windows, tasks, tasks).
        and what `run_along` returns, task by task.
    """
    steps = windows[-1]
    kinds: list[tuple[str, int, int]] = [(str(window), window, 2) for window in windows]
    kinds += [("first order", steps, 1), (f"first order, {short}", short, 1)]
    gradients, growth = [], {}
    for name, window, order in kinds:
        gradient, norms = windowed(rule, problem, meta, tasks, steps, window, order, chunk)
        gradients.append(gradient)
        if order == 2:
            growth[name] = norms.tolist()
    together = torch.stack(gradients, 1)  # (tasks, kinds, P)
    finals = [finally_(rule, problem, meta, tasks, horizon, chunk) for horizon in windows]
    return {
        "kinds": [name for name, _, _ in kinds],
        "gram": (together @ together.mT).tolist(),
        "growth": growth,
        "final": [(gradient @ gradient.mT).tolist() for gradient in finals],
        **{name: values.tolist() for name, values in run_along(rule, problem, meta, tasks, steps, chunk, seed).items()},
    }


def windowed(
    rule: UpdateRule, problem: Problem, meta: Any, tasks: Tasks, steps: int, window: int, order: Any, chunk: int
) -> tuple[Tensor, Tensor]:
    """G_{N,K} of the sum of losses for every task, shape (tasks, P), and |G_{n,K}| for n = K, 2K, ..., N."""

    def of_one(start: Any, batches: Any) -> tuple[Tensor, Tensor]:
        episode = Episode(rule, problem, steps=steps, window=window, batches=batches, order=order)
        carry, total, norms = episode.begin(meta, start), _flat(mapped(torch.zeros_like, meta)), []
        while not episode.is_finished(carry):
            estimate, carry = episode.advance(meta, carry)
            total = total + _flat(estimate.gradient)
            norms.append(torch.linalg.vector_norm(total))
        return total, torch.stack(norms)

    found: tuple[Tensor, Tensor] = _each(of_one, tasks, chunk)
    return found


def finally_(rule: UpdateRule, problem: Problem, meta: Any, tasks: Tasks, horizon: int, chunk: int) -> Tensor:
    """d f(x_n)/dphi of every task, shape (tasks, P)."""

    def of_one(start: Any, batches: Any) -> Tensor:
        final = MetaObjective("final")
        return _flat(reverse(rule, problem, meta, horizon, start=start, batches=batches, objective=final).gradient)

    found: Tensor = _each(of_one, tasks, chunk)
    return found


def run_along(
    rule: UpdateRule, problem: Problem, meta: Any, tasks: Tasks, steps: int, chunk: int, seed: int
) -> dict[str, Tensor]:
    """The run of every task without derivatives in phi.

    Returns:
        losses: f(x_t; b_t), t = 0..N.
        slopes: |g_t|, t = 0..N.
        neighbours: <g_t, g_{t-1}>, t = 1..N.
        earlier: sum_{s < t} <g_t, g_s>, t = 1..N.
        stretch: ln |u_t|, t = 0..N, where (u, k) is carried along the run by the Jacobian of (x, h) -> (x', h') from
            a random u_0 of length 1 and k_0 = 0.
    """

    def slope(x: Any, batch: Any) -> tuple[Any, Tensor]:
        both: tuple[Any, Tensor] = grad_and_value(problem.loss)(x, batch)
        return both

    generator = torch.Generator().manual_seed(seed)
    pushes = mapped(lambda x: torch.randn(x.shape, generator=generator, dtype=x.dtype), tasks[0])

    def of_one(start: Any, batches: Any, push: Any) -> dict[str, Tensor]:
        point = (start, rule.init(start))
        push = (_scaled(1 / squared_norm(push).sqrt(), push), mapped(torch.zeros_like, point[1]))
        logarithm = torch.zeros((), dtype=tensors(start)[0].dtype)
        kept: dict[str, list[Tensor]] = {name: [] for name in ("losses", "slopes", "neighbours", "earlier", "stretch")}
        before, total = None, None
        for t in range(steps + 1):
            gradient, loss = slope(point[0], batches(t))
            kept["losses"].append(loss)
            kept["slopes"].append(squared_norm(gradient).sqrt())
            kept["stretch"].append(logarithm + 0.5 * squared_norm(push[0]).log())
            if before is not None:
                kept["neighbours"].append(dot(gradient, before))
                kept["earlier"].append(dot(gradient, total))
            before, total = gradient, gradient if total is None else mapped(torch.add, total, gradient)
            if t < steps:

                def step(x: Any, h: Any, t: int = t) -> Any:
                    return rule.update(x, slope(x, batches(t))[0], h, meta)

                point, push = jvp(step, point, push)
                length = squared_norm(push).sqrt()
                logarithm, push = logarithm + length.log(), _scaled(1 / length, push)
        return {name: torch.stack(values) for name, values in kept.items()}

    with warnings.catch_warnings():
        # torch's own rules for jvp are compiled on first use by a function that torch itself calls deprecated
        warnings.filterwarnings("ignore", message=r"`torch.jit.script", category=DeprecationWarning)
        found: dict[str, Tensor] = _each(of_one, (*tasks, pushes), chunk)
    return found


def _each(function: Callable[..., Any], trees: tuple[Any, ...], chunk: int) -> Any:
    """`function(start, batches, ...)` for every task, `chunk` of them at a time."""

    def of_one(start: Any, table: Any, *others: Any) -> Any:
        return function(start, lambda t: mapped(lambda leaf: leaf[t], table), *others)

    with torch.no_grad():
        return vmap(of_one, chunk_size=chunk)(*trees)


def _flat(tree: Any) -> Tensor:
    return torch.cat([leaf.reshape(-1) for leaf in tensors(tree)])


def _scaled(factor: Tensor, tree: Any) -> Any:
    return mapped(lambda leaf: factor * leaf, tree)
