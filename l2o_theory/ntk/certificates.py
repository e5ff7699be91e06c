r"""Local linear convergence of training, with explicit constants: D1 after the fact, D2 and D3 before the first step.

Gradient descent theta+ = theta - eta J^T r on F = |r|^2/2, r the residual at the last step of the unroll.

D1  mu_k = |J_k^T r_k|^2/|r_k|^2, at least lambda_min(K_k): where F is (1/eta)-smooth on the step,
    F_{k+1} <= (1 - eta mu_k) F_k, and F_{k+1}/F_k = 1 - 2 eta mu_k + O(eta^2) anyhow. Checked step by step along a
    run: it says what happened, nothing more.
D2  Let s0 = sigma_min(J(theta_0)) > 0, and on the ball of radius R = 8 Kc |r_0|/s0^2 around theta_0 let |J| <= Kc and
    J be Lam-Lipschitz. If s0^3 >= 16 Lam Kc |r_0| and eta <= min(1/Kc^2, s0^2/(4 Lam Kc^2 |r_0|)), then for all k
        |r_k| <= (1 - eta s0^2/8)^k |r_0|,  F_k <= (1 - eta s0^2/8)^{2k} F_0,  |theta_k - theta_0| <= R.
    Kc and Lam are the caller's: they exist for a smooth activation, or for features that do not move.
D3  D2 for one inner step and W_L alone trained, where both constants are known on the whole space. With a = G^T w,
    p'(a) = 2 sigma'(a) <= 1/2 and |2 sigma''| <= 1/(3 sqrt 3):   J = -M D(tau g_0) D(p') G^T,
        Kc = |M| max|tau g_0| |G|/2,   Lam = |M| max|tau g_0| |G| (largest column of G)/(3 sqrt 3).

All three: derived here, in the shape of Nguyen 2021. Scaling G scales both sides of D3's condition alike: an expansion
of the hidden layers cannot make it true.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import torch
from torch import Tensor

from l2o_theory.claims.verdict import Status
from l2o_theory.errors import InputError
from l2o_theory.ntk import enclosures, memory
from l2o_theory.ntk.adjoint import LossGradient, loss_gradient
from l2o_theory.ntk.residual import closed_form
from l2o_theory.ntk.unroll import Instances, StepSizeWeights, unroll

KINDS = ("D1", "D2", "D3")


@dataclass(frozen=True)
class Certificate:
    """What is known about a training run.

    Attributes:
        kind: "D1", "D2" or "D3".
        status: CERTIFIED: the condition holds, in ball arithmetic for D3; NOT_FALSIFIED: D1 held at every step, in
            floating point, or D2's condition holds with the caller's constants; VACUOUS: the condition fails, so the
            theorem says nothing (for D1: a step gained less than predicted, so F is not (1/eta)-smooth there);
            UNDECIDED: the two sides cannot be told apart.
        lower: the side of the condition that must be the larger: s0^3; for D1 the least (1 - eta mu_k) F_k - F_{k+1}.
        upper: the other side: 16 Lam Kc |r_0|; for D1 zero, less what rounding explains.
        learning_rate: eta; for D2 and D3 the largest that is allowed if none was given, and VACUOUS beyond that.
        rate: 1 - eta s0^2/8, the factor on |r| per step; for D1 the largest F_{k+1}/F_k that was seen.
        radius: R, how far the weights move at most; None for D1.
        constants: by name, as they entered: upper ends of Kc, Lam and |r_0|, lower ends of s0.
        steps: for D1, per step (F_k, mu_k, F_{k+1}/F_k).
        arithmetic: "float64", or "balls of n bits".
    """

    kind: str
    status: Status
    lower: float
    upper: float
    learning_rate: float
    rate: float
    radius: float | None
    constants: dict[str, float] = field(default_factory=dict)
    steps: tuple[tuple[float, float, float], ...] = ()
    arithmetic: str = "float64"

    def residual_bound(self, k: int) -> float:
        """(1 - eta s0^2/8)^k |r_0|: bounds |r_k| if D3 is CERTIFIED, or D2's condition holds with right constants."""
        if self.radius is None:
            raise InputError("D1 describes the steps that were taken; only D2 and D3 bound later ones")
        return float(self.rate**k * self.constants["residual"])


def convergence_certificate(
    network: StepSizeWeights,
    problem: Instances,
    steps: int = 1,
    *,
    kind: str = "D1",
    learning_rate: float | None = None,
    updates: int = 1,
    features: str | None = None,
    jacobian_bound: float | None = None,
    jacobian_lipschitz: float | None = None,
    digits: int = 30,
) -> Certificate:
    """A certificate that training converges linearly, or the condition that fails.

    Args:
        network: weights W_1..W_L; see `StepSizeWeights`.
        problem: instances M, y and the start x_0; see `Instances`. Floats are taken as the exact numbers they are.
        steps: T >= 1; D3 needs T = 1.
        kind: "D1" (any network; takes `updates` steps), "D2" (the caller's constants), "D3" (W_L alone, T = 1).
        learning_rate: eta > 0; needed for D1. For D2 and D3 the largest allowed one if None.
        updates: training steps that D1 looks at.
        features: "full", "detached", or None for the network's own; D1 and D2 only.
        jacobian_bound: Kc on the ball, for D2.
        jacobian_lipschitz: Lam on the ball, for D2.
        digits: decimal digits of the ball arithmetic of D3.

    Raises:
        InputError: an unknown kind, arguments that are missing or out of range, D3 with T > 1, or what `loss_gradient`
            refuses.
    """
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if learning_rate is not None and not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate must be positive and finite, got {learning_rate!r}")
    if kind == "D1":
        if learning_rate is None:
            raise InputError("D1 looks at training steps that are taken: give their learning_rate")
        return _after_the_fact(network, problem, steps, learning_rate, updates, features)
    if kind == "D2":
        return _with_constants(network, problem, steps, learning_rate, features, jacobian_bound, jacobian_lipschitz)
    if steps != 1:
        raise InputError(
            f"D3 is about one inner step (T = 1), got steps = {steps}; for more use D2 with your constants"
        )
    return _one_step(network, problem, learning_rate, digits)


def along_run(losses: Sequence[float], squared_norms: Sequence[float], learning_rate: float) -> Certificate:
    """D1 for a run that was logged: F_0..F_n, and |J_k^T r_k|^2 for k = 0..n-1.

    Raises:
        InputError: lengths that do not fit, or numbers that are not finite or negative.

    Example:
        >>> along_run([1.0, 0.8], [1.0], 0.1).status  # mu = 1/2: at least a factor 0.95
        <Status.NOT_FALSIFIED: 'NOT_FALSIFIED'>
    """
    if len(losses) != len(squared_norms) + 1 or not squared_norms:
        raise InputError(
            f"wanted one loss more than squared norms, at least 2, got {len(losses)}, {len(squared_norms)}"
        )
    if not all(0 <= value < math.inf for value in (*losses, *squared_norms)):
        raise InputError(
            "losses and squared norms must be finite and not negative; the run has diverged or was misread"
        )
    found, slack = [], math.inf
    for now, after, norm in zip(losses[:-1], losses[1:], squared_norms, strict=True):
        mu = norm / (2 * now) if now > 0 else 0.0
        found.append((now, mu, after / now if now > 0 else 0.0))
        slack = min(slack, (1 - learning_rate * mu) * now - after)
    rounding = -1e-12 * max(losses)
    return Certificate(
        "D1",
        Status.NOT_FALSIFIED if slack >= rounding else Status.VACUOUS,
        slack,
        rounding,
        learning_rate,
        max(ratio for _, _, ratio in found),
        None,
        {"mu": min(mu for _, mu, _ in found)},
        tuple(found),
    )


def _after_the_fact(
    network: StepSizeWeights, problem: Instances, steps: int, learning_rate: float, updates: int, features: str | None
) -> Certificate:
    if not isinstance(updates, int) or updates < 1:
        raise InputError(f"updates must be an integer >= 1, got {updates!r}")
    weights, losses, norms = [weight.detach() for weight in network.weights], [], []
    for k in range(updates + 1):
        now = _at(network, problem, steps, weights, features)
        losses.append(float(now.loss))
        if k < updates:
            norms.append(float(now.squared_norm))
            weights = [w - learning_rate * g for w, g in zip(weights, now.gradients, strict=True)]
    return along_run(losses, norms, learning_rate)


def _at(
    network: StepSizeWeights, problem: Instances, steps: int, weights: Sequence[Tensor], features: str | None
) -> LossGradient:
    moved = SimpleNamespace(
        weights=weights,
        step_size=network.step_size,
        order=network.order,
        features=network.features,
        activation=network.activation,
    )
    return loss_gradient(moved, problem, steps, features=features)


def _with_constants(
    network: StepSizeWeights,
    problem: Instances,
    steps: int,
    learning_rate: float | None,
    features: str | None,
    bound: float | None,
    lipschitz: float | None,
) -> Certificate:
    if bound is None or lipschitz is None or not (0 < bound < math.inf and 0 <= lipschitz < math.inf):
        raise InputError(f"D2 needs jacobian_bound > 0 and jacobian_lipschitz >= 0, got {bound!r} and {lipschitz!r}")
    run = unroll(network, problem, steps, features=features)
    with torch.no_grad():
        kernel = closed_form(run, memory.budget(run.start.device))
    start = float(run.run().residuals[-1].double().norm())
    lowest = float(torch.linalg.eigvalsh(kernel.double())[0])
    s0 = math.sqrt(max(lowest, 0.0))
    if s0 > bound:
        raise InputError(f"jacobian_bound = {bound:g} is not a bound: sigma_min(J) is already {s0:g}")
    lower, upper = s0**3, 16 * lipschitz * bound * start
    holds = lower >= upper and s0 > 0
    status = Status.NOT_FALSIFIED if holds else Status.VACUOUS
    return _assembled("D2", status, (lower, upper), learning_rate, s0, bound, lipschitz, start)


def _one_step(network: StepSizeWeights, problem: Instances, learning_rate: float | None, digits: int) -> Certificate:
    run = unroll(network, problem, 1, features="detached", evaluation="dense")
    ends = enclosures.one_step(run, digits)
    lower, upper = ends.s0**3, 16 * ends.lipschitz * ends.bound * ends.residual
    most, least = ends.s0_above**3, 16 * ends.lipschitz_below * ends.bound_below * ends.residual_below
    rounding = 1 - 1e-12  # the ends are rigorous; their products are rounded a few times
    if ends.s0 > 0 and lower * rounding >= upper:
        status = Status.CERTIFIED
    elif most < least * rounding or most == 0:
        status = Status.VACUOUS
    else:
        status = Status.UNDECIDED
    found = _assembled("D3", status, (lower, upper), learning_rate, ends.s0, ends.bound, ends.lipschitz, ends.residual)
    return replace(found, arithmetic=f"balls of {ends.bits} bits")


def _assembled(
    kind: str,
    status: Status,
    sides: tuple[float, float],
    learning_rate: float | None,
    s0: float,
    bound: float,
    lipschitz: float,
    start: float,
) -> Certificate:
    slow = s0**2 / (4 * lipschitz * bound**2 * start) if lipschitz * bound * start > 0 else math.inf
    largest = min(1 / bound**2 if bound > 0 else math.inf, slow) * (1 - 1e-12)  # rounded a few times
    rate = largest if learning_rate is None else learning_rate
    if rate > largest and status in (Status.CERTIFIED, Status.NOT_FALSIFIED):
        status = Status.VACUOUS
    radius = 8 * bound * start / s0**2 if s0 > 0 else math.inf
    constants = {"s0": s0, "Kc": bound, "Lam": lipschitz, "residual": start, "largest_learning_rate": largest}
    factor = 1 - rate * s0**2 / 8 if math.isfinite(rate) else 1.0
    return Certificate(kind, status, *sides, rate, factor, radius, constants)
