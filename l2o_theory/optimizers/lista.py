r"""LISTA-CPSS: unfolded ISTA whose matrices are learned, with coupled weights and support selection.

    x_{k+1} = S_{theta_k, p_k}( x_k + W_k (y - M x_k) ),   W_k of shape (d, b): one for all steps, or one per step

S_{theta, p} is soft thresholding, except that entries among the largest fraction p (at or above the (1 - p) quantile of
|v|) and above theta pass unshrunk. p_k = min(0.012 k, 0.13), k = 1, 2, ... With theta = 0 only the matrices act, the
variant run on least-squares programs. Source: Chen, Liu, Wang, Yin 2018; program: NetX-lab/MathL2OProof-Official.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.proximal import soft_threshold
from l2o_theory.optimizers.rule import State
from l2o_theory.problems.problem import Params
from l2o_theory.problems.quadratic_programs import QuadraticPrograms


@dataclass(frozen=True)
class ListaCpss:
    """The rule on given programs; it reads M and y from them, and `grads` not at all.

    Meta-parameters: "W", shape (d, b) (shared by all steps) or (K, d, b), and optionally "theta", a scalar or (K,).
    Steps beyond K use the last matrix.

    Attributes:
        programs: where M and y come from.
        growth, most: p_k = min(growth k, most) of the support selection.
    """

    programs: QuadraticPrograms
    growth: float = 0.012
    most: float = 0.13

    def meta(self, steps: int | None = None, *, theta: float = 0.0) -> dict[str, Tensor]:
        """The published start: W = mean over the instances of tau_n M_n^T; one per step if `steps` is given.

        Raises:
            InputError: steps < 1, or a negative threshold.
        """
        if not theta >= 0 or (steps is not None and steps < 1):
            raise InputError(f"wanted steps >= 1 and theta >= 0, got {steps} and {theta}")
        matrices = self.programs.matrices
        mean = (self.programs.step_sizes.unsqueeze(-1) * matrices.mT).mean(0)
        threshold = matrices.new_tensor(theta)
        if steps is None:
            return {"W": mean, "theta": threshold}
        return {"W": mean.repeat(steps, 1, 1), "theta": threshold.repeat(steps)}

    def init(self, params: Params) -> State:
        """The number of steps done, 0."""
        return 0

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Tensor, State]:
        """One step."""
        if not isinstance(params, Tensor) or not isinstance(meta, dict) or "W" not in meta:
            raise InputError('wanted the iterate as one tensor and meta = {"W": .., "theta": ..}; see ListaCpss.meta')
        matrix, theta = meta["W"], meta.get("theta", params.new_zeros(()))
        matrix = matrix[min(state, len(matrix) - 1)] if matrix.ndim == 3 else matrix
        theta = theta[min(state, len(theta) - 1)] if theta.ndim == 1 else theta
        moved = params - self.programs.residual(params) @ matrix.mT
        return select_support(moved, theta, min(self.growth * (state + 1), self.most)), state + 1


def select_support(v: Tensor, theta: Tensor, fraction: float) -> Tensor:
    """S_{theta, p}(v) along the last axis."""
    size = v.abs()
    trusted = (size >= torch.quantile(size, 1 - fraction, dim=-1, keepdim=True)) & (size > theta)
    return torch.where(trusted, v, soft_threshold(v, theta))
