"""The derivative of log f(x_N) at any horizon: the run is rescaled by powers of two, which cost no rounding."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.arguments import advance, inside_transform
from l2o_theory.metagradients.checkpointing import floating, with_floating
from l2o_theory.metagradients.estimate import Diagnostics, MetaGradient
from l2o_theory.metagradients.objective import Batches, MetaObjective, batch_at
from l2o_theory.metagradients.reverse import collected
from l2o_theory.metagradients.trajectory import (
    Path,
    Start,
    as_leaves,
    check_arguments,
    loss_and_gradient,
    scalar_loss,
    started,
)
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import detached, tensors

LOG_FINAL = MetaObjective("log_final")
_SCALE = 2.0**16  # wide enough to show an epsilon or an offset, narrow enough to stay in the range of float32
_ROUNDINGS = 64  # a power of two commutes with rounding, so a homogeneous function differs by 0; this leaves room


def log_renormalised(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    objective: MetaObjective = LOG_FINAL,
    batches: Batches | None = None,
) -> MetaGradient:
    """d log f(x_N) / dphi, where f(x_N) itself may be far outside the float range.

    Serves problems and rules with

        f(c x) = c^2 f(x)   and   update(c x, c g, c h, phi) = c update(x, g, h, phi)   for c > 0:

    centred quadratics (least squares with targets 0, random curvature) and piecewise quadratics with gradient descent,
    heavy ball or Nesterov momentum with constant coefficients, per coordinate or not. Then with z = (x, h) and any
    numbers n_t > 0 the run u_{t+1} = step(u_t)/n_t obeys log f(x_N) = log f(u_N) + 2 sum_t log n_t, and the n_t may be
    taken as constants, since the sum does not depend on their choice. Here n_t is the power of two nearest to the
    largest entry, so where the plain run stays in the float range both give the same bits of u_N.

    Not served, and refused: a minimiser elsewhere than 0 (pass the problem in y = x - x*), adaptive rules (Adam), step
    counters in the state, regularisers and clipping. The two laws are tried on the first two iterates, with c = 2^16
    and 2^-16; inside torch.func transforms nothing can be refused by its values.

    Args:
        rule, problem, meta, steps, start, batches: as for `reverse`.
        objective: MetaObjective("log_final"); no other number of the run stays in the float range.

    Returns:
        The estimate; its diagnostics are those of the rescaled run.

    Raises:
        InputError: as for `reverse`, another objective, or a problem or rule that is not served.
    """
    if objective.kind != "log_final" or objective.is_validation:
        raise InputError(f'log_renormalised needs MetaObjective("log_final") on the descended loss, got {objective}')
    check_arguments(rule, problem, meta, steps, start, batches, objective)
    if not inside_transform():
        _check_homogeneous(rule, problem, meta, start, batches)

    def run(point: Params) -> tuple[Tensor, Diagnostics]:
        params, state = started(rule, point, start)
        path, length = Path(), torch.zeros_like(tensors(params)[0].detach().sum())
        for step in range(steps):
            params, state, exponent = _rescaled(params, state)
            length = length + exponent
            loss, gradient = loss_and_gradient(problem, params, batch_at(batches, step), connected=True)
            if step > 0:
                path.losses.append(loss)
            params, state = advance(rule, params, gradient, state, point, step)
            path.note(params, gradient)
        path.losses.append(scalar_loss(problem, params, batch_at(batches, steps)))
        return path.losses[-1].log() + 2 * math.log(2) * length, path.diagnostics()

    text = "the derivative of log f(x_N), without bias, by a rescaled run"
    if inside_transform():
        value, pull, diagnostics = torch.func.vjp(run, meta, has_aux=True)  # type: ignore[misc]  # three with aux
        return MetaGradient(value, pull(torch.ones_like(value))[0], diagnostics, estimates=text)
    point = as_leaves(meta)
    with torch.enable_grad():
        value, diagnostics = run(point)
        found = torch.autograd.grad(value, tensors(point), allow_unused=True) if value.requires_grad else (None,)
    gradient, missing = collected(point, found)
    return MetaGradient(value.detach(), detached(gradient), diagnostics, estimates=text, unconnected=missing)


def _rescaled(params: Params, state: State) -> tuple[Params, State, Tensor]:
    """(x, h) divided by the power of two nearest to their largest entry, and its exponent."""
    parts = floating((params, state))
    largest = torch.stack([leaf.detach().abs().amax() for leaf in parts]).amax()
    exponent = torch.where(largest > 0, largest.log2().round(), torch.zeros_like(largest))
    # two factors: 2^1023 is a float, but 2^-1074, its partner for the least floats, is not
    half = (exponent / 2).floor()
    factors = torch.exp2(-half), torch.exp2(half - exponent)
    params, state = with_floating((params, state), [leaf * factors[0] * factors[1] for leaf in parts])
    return params, state, exponent


def _check_homogeneous(rule: UpdateRule, problem: Problem, meta: Params, start: Start, batches: Batches | None) -> None:
    def times(factor: float, tree: Any) -> Any:
        return with_floating(tree, [factor * leaf for leaf in floating(tree)])

    def agree(left: Any, right: Any) -> bool:
        pairs = list(zip(floating(left), floating(right), strict=True))
        largest = max(float(leaf.abs().max()) for leaf in floating(right))
        eps = torch.finfo(floating(right)[0].dtype).eps
        return all(bool(((a - b).abs() <= _ROUNDINGS * eps * largest).all()) for a, b in pairs)

    with torch.no_grad():
        meta = detached(meta)
        params, state, _ = _rescaled(*started(rule, meta, start))
        for step in range(2):
            batch = batch_at(batches, step)
            loss, gradient = loss_and_gradient(problem, params, batch, connected=False)
            after = rule.update(params, gradient, state, meta)
            for factor in (_SCALE, 1 / _SCALE):
                scaled, slope = loss_and_gradient(problem, times(factor, params), batch, connected=False)
                if not agree(scaled, factor**2 * loss) or not agree(slope, times(factor, gradient)):
                    raise InputError(
                        "log_renormalised needs f(c x) = c^2 f(x), and this loss is not of that kind; put its "
                        'minimiser at 0 and its least value to 0, or use reverse with MetaObjective("log_final")'
                    )
                answer = rule.update(times(factor, params), slope, times(factor, state), meta)
                if not agree(answer, times(factor, after)):
                    raise InputError(
                        "log_renormalised needs update(c x, c g, c h) = c update(x, g, h), and this rule is not of "
                        'that kind (adaptive, clipped, or counting steps); use reverse with MetaObjective("log_final")'
                    )
            params, state = after
