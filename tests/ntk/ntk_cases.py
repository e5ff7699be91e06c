"""Small networks and problems as plain records, and the unroll as autograd sees it: nothing of the package is used."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def case(
    instances: int,
    rows: int,
    columns: int,
    widths: Sequence[int],
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    activation: str = "relu",
    order: str = "xg",
    last: float = 0.3,
    inner: float = 1.0,
) -> tuple[Any, Any]:
    """A random network of these hidden widths, and random instances; tau = 1/|M_n|^2."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    matrices = normal(instances, rows, columns)
    matrices /= matrices.norm(dim=1, keepdim=True)
    tau = 1 / torch.linalg.matrix_norm(matrices, 2)[:, None] ** 2
    targets, start = normal(instances, rows), normal(instances, columns) / 2
    sizes = [2, *widths]
    weights = [inner * normal(m, n) / n**0.5 for n, m in zip(sizes, widths, strict=False)]
    weights.append(last * normal(1, sizes[-1]) / sizes[-1] ** 0.5)
    network = SimpleNamespace(
        weights=[w.to(dtype) for w in weights],
        step_size=tau.to(dtype),
        order=order,
        features="full",
        activation=activation,
    )
    return network, SimpleNamespace(matrices=matrices.to(dtype), targets=targets.to(dtype), start=start.to(dtype))


def plain_residual(network: Any, problem: Any, steps: int, mode: str, weights: Sequence[Tensor]) -> Tensor:
    """r_T, shape (N, b), by the definition; differentiable in `weights`."""
    x = problem.start
    activation = torch.relu if network.activation == "relu" else functional.softplus
    for _ in range(steps):
        r = torch.einsum("nij,nj->ni", problem.matrices, x) - problem.targets
        g = torch.einsum("nij,ni->nj", problem.matrices, r)
        layer = torch.stack((x, g) if network.order == "xg" else (g, x), -1)
        if mode == "detached":
            layer = layer.detach()
        for weight in weights[:-1]:
            layer = activation(layer @ weight.T)
        x = x - network.step_size * 2 * torch.sigmoid((layer @ weights[-1].T)[..., 0]) * g
    return torch.einsum("nij,nj->ni", problem.matrices, x) - problem.targets


def plain_gradient(network: Any, problem: Any, steps: int, mode: str) -> tuple[Tensor, tuple[Tensor, ...]]:
    """F and its gradient by autograd."""
    weights = [weight.clone().requires_grad_() for weight in network.weights]
    loss = plain_residual(network, problem, steps, mode, weights).square().sum() / 2
    return loss.detach(), torch.autograd.grad(loss, weights)


def plain_jacobian(network: Any, problem: Any, steps: int, mode: str) -> Tensor:
    """dr_T/dtheta, rows by instance and equation, one backward pass per row."""
    weights = [weight.clone().requires_grad_() for weight in network.weights]
    residual = plain_residual(network, problem, steps, mode, weights).flatten()
    rows = [torch.autograd.grad(r, weights, retain_graph=True) for r in residual]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])


def relative(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Largest |found - wanted| over the norm of all that is wanted."""
    size = torch.cat([tensor.flatten() for tensor in wanted]).norm()
    return max(float((a - b).norm() / size) for a, b in zip(found, wanted, strict=True))
