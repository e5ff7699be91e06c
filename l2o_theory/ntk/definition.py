"""The unroll written as its definition says, for autograd: the slow second route to every kernel of an unroll."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from l2o_theory.ntk import memory as memory_
from l2o_theory.ntk.network import ACTIVATIONS
from l2o_theory.ntk.unroll import Unroll


def residual(run: Unroll, weights: Sequence[Tensor]) -> Tensor:
    """r_T = M x_T - y, shape (N, b), differentiable in the weights."""
    x, activation = run.start, ACTIVATIONS[run.network.activation][0]
    for _ in range(run.steps):
        r = (run.matrices @ x.unsqueeze(-1)).squeeze(-1) - run.targets
        g = (run.matrices.mT @ r.unsqueeze(-1)).squeeze(-1)
        layer = torch.stack((x, g) if run.order == "xg" else (g, x), -1)
        if run.features == "detached":
            layer = layer.detach()
        for weight in weights[:-1]:
            layer = activation(layer @ weight.mT)
        x = x - run.step_size * 2 * torch.sigmoid((layer @ weights[-1].mT).squeeze(-1)) * g
    return (run.matrices @ x.unsqueeze(-1)).squeeze(-1) - run.targets


def residual_jacobian(run: Unroll, *, memory: int) -> Tensor:
    """J = dr_T/dtheta, shape (N b, parameters), one backward pass per row.

    Raises:
        InputError: J and the graph of one unroll exceed `memory` bytes.
    """
    weights = [weight.clone().requires_grad_() for weight in run.network.weights]
    parameters = sum(weight.numel() for weight in weights)
    size, entry = run.targets.numel(), run.targets.element_size()
    width = 2 * sum(weight.shape[0] for weight in weights)
    graph = run.steps * run.start.numel() * width * entry
    memory_.require(
        size * parameters * entry + 2 * graph,
        memory,
        f"a Jacobian of {size} x {parameters} by autograd",
        'use method="closed_form" or "matrix_free"',
    )
    with torch.enable_grad():
        values = residual(run, weights).flatten()
    found = values.new_empty(size, parameters)
    for row, value in zip(found, values, strict=True):
        parts = torch.autograd.grad(value, weights, retain_graph=True)
        torch.cat([part.flatten() for part in parts], out=row)
    return found
