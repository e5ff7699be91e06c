"""The meta-gradient in the limit of infinitely many steps, by the implicit function theorem at a fixed point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.arguments import check_count, inside_transform
from l2o_theory.metagradients.checkpointing import floating, with_floating
from l2o_theory.metagradients.estimate import MetaGradient
from l2o_theory.metagradients.objective import Batches, MetaObjective, batch_at
from l2o_theory.metagradients.reverse import collected
from l2o_theory.metagradients.trajectory import (
    Cuts,
    Start,
    as_leaves,
    check_arguments,
    loss_and_gradient,
    roll,
    scalar_loss,
    started,
)
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import detached, tensors

FINAL = MetaObjective("final")


def implicit(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    objective: MetaObjective = FINAL,
    batches: Batches | None = None,
    tolerance: float = 1e-6,
    iterations: int = 200,
) -> MetaGradient:
    """d/dphi of lim_{N -> inf} l(x_N), at the fixed point z* = step(z*, phi) of z = (x, h):

        dl/dphi = (d step/dphi)^T lambda,    (I - d step/dz)^T lambda = dl/dz.

    Meta-parameters that move the limit (weight decay, regularisation) have a gradient; those that only change how
    fast it is reached (step size, momentum) have the gradient 0. The system is solved by GMRES, one vector-Jacobian
    product per iteration, so no matrix is formed. The run to the fixed point has no graph.

    Args:
        rule, problem, meta: as for `reverse`.
        steps: N, taken from x_0 before the fixed point is differentiated.
        start: x_0.
        objective: "final" or "log_final", on any problem.
        batches: t -> batch at x_t; the step at x_N, with batch N, is the one that is differentiated.
        tolerance: largest entry of step(z_N) - z_N, and relative residual of the linear system, that are accepted;
            the first is measured in units of the largest entry of z_N and x_0.
        iterations: most GMRES iterations.

    Raises:
        InputError: as for `reverse`; another objective; a call inside torch.func transforms; the run has not come to
            rest after N steps; or the linear system is not solved (the fixed point is not isolated).
    """
    if inside_transform():
        raise InputError("implicit decides on values (is this a fixed point?), so it cannot run inside torch.func")
    if objective.kind not in ("final", "log_final"):
        raise InputError(f'the limit has a final loss only: use kind "final" or "log_final", got {objective.kind!r}')
    check_count("iterations", iterations)
    check_arguments(rule, problem, meta, steps, start, batches, objective)
    with torch.no_grad():
        begin = started(rule, detached(meta), start)
        path, *end = roll(
            rule, problem, detached(meta), begin, (0, steps), steps=steps, cuts=Cuts(), batches=batches, objective=None
        )
    diagnostics = path.diagnostics()
    point, rest = as_leaves(meta), [leaf.detach().requires_grad_() for leaf in floating(end)]
    params, state = with_floating(end, rest)
    with torch.enable_grad():
        loss, gradient = loss_and_gradient(problem, params, batch_at(batches, steps), connected=True)
        after = floating(rule.update(params, gradient, state, point))
        if objective.is_validation:
            loss = scalar_loss(objective.problem or problem, params, batch_at(objective.batches, steps))
        value = objective.value([loss])
    _check_rest(after, rest, floating(begin), tolerance, steps)
    slopes = torch.autograd.grad(value, rest, retain_graph=True, allow_unused=True)
    right = _flat(slopes, rest)

    def product(vector: Tensor) -> Tensor:
        pulled = torch.autograd.grad(after, rest, _shaped(vector, rest), retain_graph=True, allow_unused=True)
        return vector - _flat(pulled, rest)

    adjoint = solved(product, right, tolerance, iterations)
    found = torch.autograd.grad(after, tensors(point), _shaped(adjoint, rest), allow_unused=True)
    gradient, missing = collected(point, found)
    text = "the derivative of the limit of the final loss for infinitely many steps, at a fixed point of the rule"
    return MetaGradient(value.detach(), detached(gradient), diagnostics, estimates=text, unconnected=missing)


def _check_rest(after: list[Tensor], rest: list[Tensor], begin: list[Tensor], tolerance: float, steps: int) -> None:
    with torch.no_grad():
        moved = max(float((new - old).abs().max()) for new, old in zip(after, rest, strict=True))
        unit = max(float(leaf.abs().max()) for leaf in (*rest, *begin))
    if not moved <= tolerance * unit:
        raise InputError(
            f"after {steps} steps the rule still moves x or its state by {moved:.3g}, more than tolerance * size = "
            f"{tolerance * unit:.3g}, so there is no fixed point to differentiate; take more steps, or use reverse "
            "(rules that count steps in their state never come to rest)"
        )


def _flat(parts: Any, like: list[Tensor]) -> Tensor:
    """One vector of all entries, zeros where there is no path."""
    return torch.cat(
        [(torch.zeros_like(x) if part is None else part).reshape(-1) for part, x in zip(parts, like, strict=True)]
    )


def _shaped(vector: Tensor, like: list[Tensor]) -> list[Tensor]:
    parts = torch.split(vector, [leaf.numel() for leaf in like])
    return [part.reshape(leaf.shape) for part, leaf in zip(parts, like, strict=True)]


def solved(product: Callable[[Tensor], Tensor], right: Tensor, tolerance: float, iterations: int) -> Tensor:
    """x with product(x) = right by GMRES without restarts: least residual in the Krylov space, then the next vector.

    Raises:
        InputError: the relative residual is still above `tolerance` at the end, or something is not finite.
    """
    scale = torch.linalg.vector_norm(right)
    if scale == 0:
        return torch.zeros_like(right)
    basis = [right / scale]
    columns: list[Tensor] = []
    most = min(iterations, right.numel())
    for size in range(1, most + 1):
        image = product(basis[-1])
        column = right.new_zeros(most + 1)
        for _ in range(2):  # once more, because one pass of Gram-Schmidt loses orthogonality
            for k, vector in enumerate(basis):
                share = vector @ image
                column[k] += share
                image = image - share * vector
        column[size] = torch.linalg.vector_norm(image)
        columns.append(column)
        hessenberg = torch.stack(columns, dim=1)[: size + 1]
        target = scale * torch.eye(size + 1, 1, dtype=right.dtype, device=right.device)
        weights = torch.linalg.lstsq(hessenberg, target).solution
        residual = float(torch.linalg.vector_norm(hessenberg @ weights - target) / scale)
        # a tenth below what is promised, since the true residual is checked once more below
        if residual <= 0.1 * tolerance or column[size] <= torch.finfo(right.dtype).eps * scale:
            break
        basis.append(image / column[size])
    answer: Tensor = torch.stack(basis[:size], dim=1) @ weights[:, 0]
    residual = float(torch.linalg.vector_norm(product(answer) - right) / scale)
    if not residual <= tolerance:
        raise InputError(
            f"the linear system of the fixed point has relative residual {residual:.3g} after {size} iterations, more "
            f"than tolerance = {tolerance:.3g}; raise iterations, or the fixed point is not isolated"
        )
    return answer
