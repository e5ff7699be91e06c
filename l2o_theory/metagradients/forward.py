"""Meta-gradients by carrying derivatives forward: no graph, so memory does not grow with the horizon."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from l2o_theory.metagradients.arguments import check_count
from l2o_theory.metagradients.estimate import Diagnostics, MetaGradient
from l2o_theory.metagradients.objective import SUM, Batches, MetaObjective
from l2o_theory.metagradients.trajectory import Cuts, Start, check_arguments, evaluate, rebuilt
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import tensors


def forward(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
    chunk_size: int | None = None,
) -> MetaGradient:
    """G_N = dL_N/dphi, one directional derivative per entry of phi, carried along the unroll.

    The tangents J_t = dx_t/dphi obey J_{t+1} = (dU/dx + dU/dg H_t) J_t + dU/dh dh_t/dphi + dU/dphi. Time grows with
    the number of meta-parameters, memory with it but not with N: the choice for a handful of hyperparameters.

    Args:
        rule, problem, meta, steps, start, objective, batches: as for `reverse`.
        chunk_size: how many entries of phi go together; None: all.

    Raises:
        InputError: as for `reverse`.
    """
    check_arguments(rule, problem, meta, steps, start, batches, objective)
    if chunk_size is not None:
        check_count("chunk_size", chunk_size)
    shapes = [leaf.shape for leaf in tensors(meta)]
    flat = torch.cat([leaf.detach().reshape(-1) for leaf in tensors(meta)])

    def shaped(vector: Tensor) -> Params:
        parts = torch.split(vector, [shape.numel() for shape in shapes])
        return rebuilt(meta, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])

    def run(vector: Tensor) -> tuple[Tensor, Diagnostics]:
        return evaluate(
            rule, problem, shaped(vector), steps, start=start, objective=objective, batches=batches, cuts=Cuts()
        )

    def derivative(direction: Tensor) -> tuple[Tensor, Tensor, Diagnostics]:
        value, slope, diagnostics = torch.func.jvp(run, (flat,), (direction,), has_aux=True)  # type: ignore[misc]
        return value, slope, diagnostics

    basis = torch.eye(flat.numel(), dtype=flat.dtype, device=flat.device)
    with torch.no_grad(), warnings.catch_warnings():
        # torch's own rules for jvp are compiled on first use by a function that torch itself calls deprecated
        warnings.filterwarnings("ignore", message=r"`torch.jit.script", category=DeprecationWarning)
        values, slopes, repeated = torch.func.vmap(derivative, chunk_size=chunk_size)(basis)
    diagnostics = Diagnostics(repeated.losses[0], repeated.iterate_sizes[0], repeated.gradient_sizes[0])
    text = "the derivative of the meta-objective, without bias"
    return MetaGradient(values[0], shaped(slopes), diagnostics, estimates=text)
