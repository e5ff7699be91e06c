r"""sigma_min of the last hidden features, on whose positivity the paper's rate rests, and three bounds that cap it.

G is G_{L-1,t}, a column in R^{n_{L-1}} per coordinate (N d of them), phi the network up to layer L-1, and
Lam = PROD_{l<L} |W_l|_2 a Lipschitz constant of phi. phi(c z) = c phi(z) for c >= 0, and phi is linear on cones, so

    rank G <= SUM over occupied cones of min(2, coordinates in the cone)                              cone bound
    sigma_min <= 2 Lam sin(angle/2) |z_i||z_j| / sqrt(|z_i|^2 + |z_j|^2)    for all i != j            pair bound
    sigma_min <= Lam sqrt(g_i^2 + g_j^2)     for all i != j with x_i x_j >= 0                         same-sign bound
    sigma_min <= Lam sqrt(beta) PROD_{s<t} rho_s |r_0|                      for N d >= 3              decay bound

with rho_s = max(1 - tau p_min beta_0, tau p_max beta - 1) over the instances, p_min and p_max the extremes of P_s. At
the start of training (P = 1, tau = 1/beta) the last one is Lam sqrt(beta) (1 - beta_0/beta)^{t-1} |r_0|: it falls
exponentially in the number of inner steps. The bounds: derived here; the quantity, alpha_0: Song, Lin, Xu 2025
(arXiv 2501.18092), Theorem 4.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.ntk import memory as memory_
from l2o_theory.ntk.network import activations
from l2o_theory.ntk.spectrum import BELOW
from l2o_theory.ntk.unroll import Instances, StepSizeWeights, Trajectory, Unroll, unroll

CUT = 1e-10
"""Relative to the largest singular value."""


@dataclass(frozen=True)
class FeatureSigmaMin:
    """The smallest singular value over all columns, and what caps it.

    Attributes:
        sigma_min: 0.0 exactly where there are more columns than rows or a column is 0; the text "below resolution" if
            it cannot be told from 0 in floating point.
        sigma_max: the largest singular value.
        rank: singular values above `cut` * sigma_max.
        cut: relative to sigma_max.
        columns: N d.
        width: n_{L-1}.
        zero_columns: coordinates whose features are all 0: their P is 1 whatever W_L is.
        cone_rank: the cone bound on the rank (ReLU only, else None).
        pair_bound: the pair bound (ReLU only, else None).
        same_sign_bound: the same-sign bound; None without such a pair, or if not ReLU.
        decay_bound: the decay bound; None for fewer than three coordinates, or if not ReLU.
    """

    sigma_min: float | Literal["below resolution"]
    sigma_max: float
    rank: int
    cut: float
    columns: int
    width: int
    zero_columns: int
    cone_rank: int | None
    pair_bound: float | None
    same_sign_bound: float | None
    decay_bound: float | None


def feature_sigma_min(
    network: StepSizeWeights,
    problem: Instances,
    steps: int,
    *,
    cut: float = CUT,
    memory: int | None = None,
) -> FeatureSigmaMin:
    """sigma_min of the last hidden features at inner step `steps`, with its bounds.

    Args:
        network: weights W_1..W_L, L >= 2; see `StepSizeWeights`.
        problem: instances M, y and the start x_0; see `Instances`.
        steps: t >= 1: the features are those of (x_{t-1}, g_{t-1}).
        cut: relative to the largest singular value, for the rank and for what counts as resolved.
        memory: bytes that may be used; half of what is free if None.

    Raises:
        InputError: L < 2, a cut outside [0, 1), a size that does not fit, or what `loss_gradient` refuses.
    """
    if not 0 <= cut < 1:
        raise InputError(f"cut must lie in [0, 1), got {cut!r}")
    run = unroll(network, problem, steps, features="detached")
    hidden = run.network.weights[:-1]
    if not hidden:
        raise InputError("a network without a hidden layer has no hidden features: give at least W_1 and W_2")
    count, width = run.start.numel(), hidden[-1].shape[0]
    allowed = memory_.budget(run.start.device, memory)
    needed = 8 * count * (sum(weight.shape[0] for weight in hidden) + 3 * min(count, width))
    memory_.require(needed, allowed, f"features of {count} coordinates and width {width}", "take fewer instances")
    with torch.no_grad():
        trajectory = run.run()
        z = trajectory.inputs[-1].reshape(-1, 2)
        layers = activations(hidden, z, run.network.activation)
        features = layers[-1]
        values = torch.linalg.svdvals(features.double())
        zero = int((features == 0).all(1).sum())
        relu = run.network.activation == "relu"
        lipschitz = math.prod(float(torch.linalg.matrix_norm(weight.double(), 2)) for weight in hidden)
        top = float(values[0])
        bottom: float | Literal["below resolution"] = float(values[-1]) if float(values[-1]) > cut * top else BELOW
        return FeatureSigmaMin(
            sigma_min=0.0 if width < count or zero else bottom,
            sigma_max=top,
            rank=int((values > cut * top).sum()),
            cut=cut,
            columns=count,
            width=width,
            zero_columns=zero,
            cone_rank=cone_rank(layers[1:]) if relu else None,
            pair_bound=pair_bound(z.double(), lipschitz) if relu else None,
            same_sign_bound=_same_sign_bound(trajectory, lipschitz) if relu else None,
            decay_bound=_decay_bound(run, trajectory, lipschitz) if relu and count >= 3 else None,
        )


def cone_rank(hidden: list[Tensor]) -> int:
    """SUM over occupied cones of min(2, coordinates in it); a cone is a set of active units, one with none adds 0."""
    active = torch.cat([layer > 0 for layer in hidden], 1).cpu().numpy()
    alive = active[(hidden[-1] > 0).any(1).cpu().numpy()]
    if len(alive) == 0:
        return 0
    packed = np.ascontiguousarray(np.packbits(alive, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    return int(np.minimum(np.unique(keys, return_counts=True)[1], 2).sum())


def pair_bound(z: Tensor, lipschitz: float) -> float:
    """The least pair bound: |z_i| phi(z_j) and |z_j| phi(z_i) differ by at most Lam times their inputs' distance."""
    size = z.norm(dim=1)
    if bool((size == 0).any()):
        return 0.0
    unit, best = z / size[:, None], math.inf
    for part in memory_.blocks(len(z), 32 * len(z), 1 << 26):
        chord = (unit[part, None] - unit[None]).norm(dim=2)  # 2 sin(angle/2)
        bound = chord * size[part, None] * size / (size[part, None].square() + size.square()).sqrt()
        bound[torch.arange(len(bound)), torch.arange(part.start, part.stop)] = math.inf
        best = min(best, float(bound.min()))
    return lipschitz * best


def _same_sign_bound(trajectory: Trajectory, lipschitz: float) -> float | None:
    """Over the two smallest |g| among coordinates with x >= 0, and among those with x <= 0."""
    x, g = trajectory.iterates[-2].flatten().double(), trajectory.gradients[-1].flatten().double().abs()
    pairs = [torch.topk(side, 2, largest=False).values for side in (g[x >= 0], g[x <= 0]) if len(side) >= 2]
    return lipschitz * min(float(pair.norm()) for pair in pairs) if pairs else None


def _decay_bound(run: Unroll, trajectory: Trajectory, lipschitz: float) -> float:
    """At least two of three coordinates have x >= 0 or x <= 0, and sqrt(g_i^2 + g_j^2) <= |g| <= sqrt(beta) |r|."""
    gram = torch.linalg.eigvalsh((run.matrices @ run.matrices.mT).double())
    low, high = gram[:, :1].clamp_min(0), gram[:, -1:]
    step = run.step_size.double().expand_as(run.start) * trajectory.multipliers[:-1].double()  # tau P_s, (t-1, N, d)
    smallest, largest = step.amin(2, keepdim=True), step.amax(2, keepdim=True)
    factors = torch.maximum(1 - smallest * low, largest * high - 1).amax((1, 2))
    start = float(trajectory.residuals[0].double().norm())
    return lipschitz * math.sqrt(float(high.max())) * float(factors.prod()) * start
