r"""The gradient of the training loss through the unroll, written out: no graph, and T states instead of T networks.

With the linearisation of `unroll` and s_T = M^T v,

    s_{t-1} = [D(keep_t) + A D(mix_t)] s_t,   J^T v = SUM_t SUM_i gain_{t,i} s_{t,i} da(z_{t,i})/dtheta   [derived here]

where J = dr_T/dtheta. v = r_T gives the gradient of F = 1/2 |r_T|^2; the same recursion run forwards gives J u.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from l2o_theory.ntk.unroll import Instances, StepSizeWeights, Trajectory, Unroll, gram_times, times, unroll


@dataclass(frozen=True, eq=False)
class LossGradient:
    """Loss, gradient and the run they belong to.

    Attributes:
        loss: F = 1/2 SUM_n |M_n x_{n,T} - y_n|^2, a scalar.
        gradients: dF/dW_l, l = 1..L, in the shapes of the weights.
        trajectory: the run.
    """

    loss: Tensor
    gradients: tuple[Tensor, ...]
    trajectory: Trajectory

    @property
    def squared_norm(self) -> Tensor:
        """|dF/dtheta|^2 = SUM_l |dF/dW_l|_F^2."""
        return torch.stack([gradient.square().sum() for gradient in self.gradients]).sum()


def loss_gradient(
    network: StepSizeWeights,
    problem: Instances,
    steps: int,
    *,
    features: str | None = None,
    evaluation: str = "auto",
) -> LossGradient:
    """F(W) after T steps and its gradient in all weights.

    Args:
        network: weights W_1..W_L; see `StepSizeWeights`.
        problem: instances M, y, tau, x_0; see `Instances`.
        steps: T >= 1.
        features: "full" is the gradient of F; "detached" cuts the path through the network's inputs, as the published
            program does. None takes the network's own mode.
        evaluation: "auto", "dense" or "angular"; see `network_of`. The numbers are the same.

    Raises:
        InputError: T < 1, shapes that do not fit, an unknown mode, or numbers that are not finite.
    """
    run = unroll(network, problem, steps, features=features, evaluation=evaluation)
    with torch.no_grad():
        trajectory = run.run()
        gradients = pull_back(run, trajectory, trajectory.residuals[-1])
        return LossGradient(trajectory.losses[-1], gradients, trajectory)


def pull_back(run: Unroll, trajectory: Trajectory, vector: Tensor) -> tuple[Tensor, ...]:
    """J^T v in the shapes of the weights; v of shape (N, b)."""
    s = times(run.matrices.mT, vector)
    coefficients = torch.empty_like(trajectory.gain)
    for t in reversed(range(run.steps)):
        coefficients[t] = trajectory.gain[t] * s
        if t:
            s = trajectory.keep[t] * s + gram_times(run.matrices, trajectory.mix[t] * s)
    return run.network.gradient(trajectory.inputs.reshape(-1, 2), coefficients.reshape(-1))


def push_forward(run: Unroll, trajectory: Trajectory, direction: Sequence[Tensor]) -> Tensor:
    """J u, shape (N, b); u in the shapes of the weights."""
    moved = run.network.tangent(trajectory.inputs.reshape(-1, 2), direction).view_as(trajectory.gain)
    x = trajectory.gain[0] * moved[0]
    for t in range(1, run.steps):
        x = trajectory.keep[t] * x + trajectory.mix[t] * gram_times(run.matrices, x) + trajectory.gain[t] * moved[t]
    return times(run.matrices, x)
