r"""The NTK of the last residual of an unroll: K = J J^T, J = dr_T/dtheta, one row per instance and equation.

With the linearisation of `unroll` and S_T = M, S_{t-1} = S_t D(keep_t) + S_t D(mix_t) A, for each instance,

    J = SUM_t S_t D(gain_t) (da_t/dtheta) =: Q (da/dtheta),   Q: (b, T d)                                [derived here]

so that no graph is needed and the network's part is shared by all rows. At W_L = 0 only W_L has a derivative, and this
is J = -(1/2) SUM_t (I - tau M M^T)^{T-t} M D(tau g_{t-1}) G_{L-1,t}^T, the known formula at initialisation.

A layer with slopes D (p, n_l) and inputs G (p, n_{l-1}) at p points contributes
SUM_{ij} Q_i Q_j^T (D_i . D_j)(G_i . G_j): through its own piece of J, or through the Gram matrices of the points,
whichever takes fewer operations. The last two layers of an `Angular` network contribute U C U^T, with one U per arc
between points: at a cost that stops growing once there are more units than arcs.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.ntk import memory as memory_
from l2o_theory.ntk.adjoint import pull_back, push_forward
from l2o_theory.ntk.definition import residual_jacobian
from l2o_theory.ntk.network import Angular, Layer
from l2o_theory.ntk.unroll import Instances, StepSizeWeights, Trajectory, Unroll, unroll

METHODS = ("closed_form", "jacobian", "matrix_free")


def residual_ntk(
    network: StepSizeWeights,
    problem: Instances,
    steps: int,
    method: str = "closed_form",
    features: str | None = None,
    *,
    memory: int | None = None,
) -> Tensor | LinearOperator:
    """K = J J^T for J = dr_T/dtheta, rows by instance and then equation: shape (N b, N b).

    Args:
        network: weights W_1..W_L; see `StepSizeWeights`.
        problem: instances M, y and the start x_0; see `Instances`.
        steps: T >= 1.
        method: "closed_form": the formula above, without autograd. "jacobian": J row by row by autograd, the slow
            second route. "matrix_free": an operator v -> J (J^T v), one adjoint and one tangent run each, for sizes at
            which K or J do not fit; power and Lanczos iterations take it (see `ntk_spectrum`).
        features: "full", "detached", or None for the network's own mode; see `loss_gradient`.
        memory: bytes that may be used; half of what is free if None.

    Returns:
        A tensor (N b, N b) of the weights' dtype, or for "matrix_free" a `scipy.sparse.linalg.LinearOperator`.

    Raises:
        InputError: an unknown method, a size that does not fit (with what it needs and what fits), or what
            `loss_gradient` refuses.
    """
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    run = unroll(network, problem, steps, features=features)
    if method == "matrix_free":
        return ntk_operator(run)
    allowed = memory_.budget(run.matrices.device, memory)
    size, entry = run.targets.numel(), run.targets.element_size()
    memory_.require(2 * size * size * entry, allowed, f"a kernel of {size} rows", 'use method="matrix_free"')
    if method == "jacobian":
        jacobian = residual_jacobian(run, memory=allowed)
        return jacobian @ jacobian.mT
    with torch.no_grad():
        return closed_form(run, allowed)


def sensitivities(run: Unroll, trajectory: Trajectory) -> Tensor:
    """Q: dr_T / da_t for every coordinate and step, shape (N, b, T, d)."""
    instances, rows, columns = run.matrices.shape
    found = run.matrices.new_empty(instances, rows, run.steps, columns)
    s = run.matrices
    for t in reversed(range(run.steps)):
        found[:, :, t] = s * trajectory.gain[t][:, None]
        if t:
            s = s * trajectory.keep[t][:, None] + (s * trajectory.mix[t][:, None]) @ run.matrices.mT @ run.matrices
    return found


def closed_form(run: Unroll, allowed: int) -> Tensor:
    """K by the formula; `allowed` bytes."""
    instances, rows, columns = run.matrices.shape
    points, entry = run.steps * columns, run.matrices.element_size()
    dense = run.network.weights[:-2] if isinstance(run.network, Angular) else run.network.weights
    widths = 8 + 2 * sum(weight.shape[0] for weight in dense)  # activations and slopes at every point
    memory_.require(
        instances * points * (2 * rows + widths) * entry,
        allowed,
        f"the closed form (dr_T/da: {instances} x {rows} x {points})",
        'use method="matrix_free"',
    )
    trajectory = run.run()
    q = sensitivities(run, trajectory).flatten(2)
    z = trajectory.inputs.transpose(0, 1).reshape(-1, 2)
    layers, arcs = run.network.layers(z)
    kernel = q.new_zeros(instances * rows, instances * rows)
    for layer in layers:
        add_layer(kernel, q, layer, allowed)
    if arcs is not None and isinstance(run.network, Angular):
        factor = torch.cat(run.network.factors(arcs, q)).to(kernel.dtype)
        kernel.addmm_(factor, factor.mT)
    return kernel


def add_layer(kernel: Tensor, q: Tensor, layer: Layer, allowed: int) -> None:
    """Add what one layer contributes; q of shape (N, b, p), slopes and inputs of N p points."""
    instances, rows, points = q.shape
    slopes, inputs = layer.slopes.view(instances, points, -1), layer.inputs.view(instances, points, -1)
    out, width = slopes.shape[2], inputs.shape[2]
    size, parameters = instances * rows, out * width
    by_jacobian = size * parameters * (points + size)
    by_gram = instances * points * (instances * points * (out + width) / 2 + size * (points + rows))
    if by_jacobian > by_gram:
        _add_by_gram(kernel, q, slopes, inputs)
        return
    each = (size + instances * points) * width * q.element_size()
    for part in memory_.blocks(out, each, allowed // 4):
        outer = (slopes[:, :, part, None] * inputs[:, :, None]).flatten(2)
        jacobian = torch.bmm(q, outer).flatten(0, 1)
        kernel.addmm_(jacobian, jacobian.mT)


def _add_by_gram(kernel: Tensor, q: Tensor, slopes: Tensor, inputs: Tensor) -> None:
    instances, rows = q.shape[:2]
    for n in range(instances):
        for m in range(n + 1):
            block = q[n] @ ((slopes[n] @ slopes[m].mT) * (inputs[n] @ inputs[m].mT)) @ q[m].mT
            kernel[n * rows : (n + 1) * rows, m * rows : (m + 1) * rows] += block
            if m < n:
                kernel[m * rows : (m + 1) * rows, n * rows : (n + 1) * rows] += block.mT


def ntk_operator(run: Unroll) -> LinearOperator:
    """v -> J (J^T v) on vectors of N b entries; the trajectory is computed once."""
    trajectory = run.run()
    shape = run.targets.shape

    def apply(vector: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            given = torch.as_tensor(np.ascontiguousarray(vector), dtype=run.targets.dtype, device=run.targets.device)
            product = push_forward(run, trajectory, pull_back(run, trajectory, given.reshape(shape)))
            return product.reshape(vector.shape).cpu().numpy()

    size = run.targets.numel()
    dtype = np.float64 if run.targets.dtype == torch.float64 else np.float32
    return LinearOperator((size, size), matvec=apply, rmatvec=apply, dtype=dtype)
