r"""The unroll of a learned step size on least squares, and its linearisation: what every kernel here is made of.

N instances M_n (b x d), y_n and starts x_{n,0}, a step tau each; one network for all coordinates, instances and steps:

    r = M x - y,  g = M^T r,  A = M^T M
    x_t = x_{t-1} - tau P_t (.) g_{t-1},   P_t = 2 sigmoid(a_t),   a_{t,i} = W_L ReLU(... ReLU(W_1 z_{t,i})),   t = 1..T
    z_{t,i} = (x_{t-1,i}, g_{t-1,i}), or the other way round

The network acts on each coordinate alone, so its derivative in z is diagonal. With p'_t = P_t (1 - P_t/2) one step is

    dx_t = [D(keep_t) + D(mix_t) A] dx_{t-1} + D(gain_t) (da_t/dtheta) dtheta                            [derived here]
    gain_t = -tau g_{t-1} p'_t
    keep_t = 1 + gain_t da_t/dx,   mix_t = -tau P_t + gain_t da_t/dg          features="full"
    keep_t = 1,                    mix_t = -tau P_t                           features="detached"

`detached` cuts the path through the network's inputs, as the published program does; that is not the gradient of F.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.ntk import memory as memory_
from l2o_theory.ntk.network import Network, finite, network_of
from l2o_theory.ntk.smoothness import admit

MODES = ("full", "detached")
ORDERS = ("xg", "gx")
KEPT = 17
"""Numbers per unknown and step that a run holds at once: what `Trajectory` has, and the lists it is stacked from."""
LOOP_FROM = 1 << 14
"""Entries of a matrix from which, on a CPU, one product per instance beats a batched product with one column."""


class StepSizeWeights(Protocol):
    """The weights W_1 (n_1, 2), W_2 (n_2, n_1), ..., W_L (1, n_{L-1}) of the network, and how they are used."""

    @property
    def weights(self) -> Sequence[Tensor]:
        """W_1, ..., W_L; no biases."""
        ...

    @property
    def step_size(self) -> Tensor | float:
        """tau: a number, or what broadcasts against (N, d), such as (N, 1); the theory wants tau_n <= 1/L_n."""
        ...

    @property
    def order(self) -> str:
        """The text xg if a coordinate enters as (x_i, g_i), gx if as (g_i, x_i)."""
        ...

    @property
    def features(self) -> str:
        """The text full or detached: whether derivatives pass through the network's inputs."""
        ...

    @property
    def activation(self) -> str:
        """The text relu or softplus."""
        ...


class Instances(Protocol):
    """N least-squares problems 1/2 |M_n x - y_n|^2; the loss is their sum.

    With an attribute allow_long = True they also take steps beyond 1/|M_n|^2, which are refused otherwise.
    """

    @property
    def matrices(self) -> Tensor:
        """M, shape (N, b, d)."""
        ...

    @property
    def targets(self) -> Tensor:
        """y, shape (N, b)."""
        ...

    @property
    def start(self) -> Tensor:
        """x_0, shape (N, d)."""
        ...


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A run of T steps and its linearisation.

    Attributes:
        iterates: x_0, ..., x_T, shape (T+1, N, d).
        gradients: g_0, ..., g_{T-1}, shape (T, N, d).
        residuals: r_0, ..., r_T, shape (T+1, N, b).
        multipliers: P_1, ..., P_T, shape (T, N, d), each in [0, 2].
        inputs: z_1, ..., z_T, shape (T, N, d, 2).
        gain: d x_t / d a_t, shape (T, N, d).
        keep: shape (T, N, d), see the module's text.
        mix: shape (T, N, d), see the module's text.
    """

    iterates: Tensor
    gradients: Tensor
    residuals: Tensor
    multipliers: Tensor
    inputs: Tensor
    gain: Tensor
    keep: Tensor
    mix: Tensor

    @property
    def losses(self) -> Tensor:
        """1/2 |M x_t - y|^2 summed over the instances, t = 0..T, shape (T+1,)."""
        return self.residuals.square().sum((1, 2)) / 2


@dataclass(frozen=True, eq=False)
class Unroll:
    """A network on a problem for T steps, checked at the door.

    Attributes:
        network: evaluates a and its derivatives at many coordinates.
        matrices: M, shape (N, b, d).
        targets: y, shape (N, b).
        step_size: tau, shape (N, 1) or (N, d).
        start: x_0, shape (N, d).
        steps: T.
        order: "xg" or "gx".
        features: "full" or "detached".
    """

    network: Network
    matrices: Tensor
    targets: Tensor
    step_size: Tensor
    start: Tensor
    steps: int
    order: str
    features: str

    def run(self) -> Trajectory:
        """All T steps; no graph is built."""
        with torch.no_grad():
            return self._run()

    def _run(self) -> Trajectory:
        x, tau, full = self.start, self.step_size, self.features == "full"
        iterates = [x]
        residuals: list[Tensor] = []
        gradients: list[Tensor] = []
        inputs: list[Tensor] = []
        outputs: list[Tensor] = []
        slopes: list[Tensor] = []
        for _ in range(self.steps):
            r, g = residual_and_gradient(self.matrices, x, self.targets)
            z = torch.stack((x, g) if self.order == "xg" else (g, x), -1)
            if full:
                a, slope = self.network.value_and_slope(z.reshape(-1, 2))
                slopes.append(slope.view_as(z))
            else:
                a = self.network.value(z.reshape(-1, 2))
            x = x - tau * (2 * torch.sigmoid(a.view_as(x))) * g
            iterates.append(x)
            residuals.append(r)
            gradients.append(g)
            inputs.append(z)
            outputs.append(a.view_as(x))
        residuals.append(times(self.matrices, x) - self.targets)
        g, p = torch.stack(gradients), 2 * torch.sigmoid(torch.stack(outputs))
        gain = -tau * g * p * (1 - p / 2)
        keep, mix = torch.ones_like(gain), -tau * p
        if full:
            first, second = torch.stack(slopes).unbind(-1)
            in_x, in_g = (first, second) if self.order == "xg" else (second, first)
            keep, mix = 1 + gain * in_x, mix + gain * in_g
        return Trajectory(torch.stack(iterates), g, torch.stack(residuals), p, torch.stack(inputs), gain, keep, mix)


def unroll(
    network: StepSizeWeights,
    problem: Instances,
    steps: int,
    *,
    features: str | None = None,
    evaluation: str = "auto",
) -> Unroll:
    """Check a network, a problem and a number of steps, and put them together.

    Args:
        network: the weights, and the default of `features`.
        problem: the instances.
        steps: T >= 1.
        features: "full" or "detached"; None takes the network's own.
        evaluation: "dense", "angular" (see `network_of`), or "auto".

    Raises:
        InputError: T < 1, shapes, dtypes or devices that do not fit, an unknown mode, numbers that are not finite, a
            run that does not fit into memory (with what it needs), or steps tau beyond 1/L_n, L_n = |M_n|_2^2, unless
            the problem has `allow_long = True`.

    Warns:
        LongStepWarning: steps beyond 1/L_n, if the problem allows them: the residual may grow.
    """
    mode = network.features if features is None else features
    if mode not in MODES:
        raise InputError(f'features must be "full" or "detached", got {mode!r}')
    if network.order not in ORDERS:
        raise InputError(f'order must be "xg" or "gx", got {network.order!r}')
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise InputError(f"steps (T) must be an integer >= 1, got {steps!r}")
    matrices, targets = problem.matrices.detach(), problem.targets.detach()
    start = problem.start.detach()
    if matrices.ndim != 3 or 0 in matrices.shape:
        raise InputError(f"matrices must have shape (instances, b, d), all >= 1, got {tuple(matrices.shape)}")
    count, rows, columns = matrices.shape
    for name, value, shape in (
        ("targets", targets, (count, rows)),
        ("start", start, (count, columns)),
    ):
        if value.shape != shape:
            raise InputError(f"{name} must have shape {shape} to fit the matrices, got {tuple(value.shape)}")
    kept = steps * count * (KEPT * columns + 2 * rows) * matrices.element_size()
    what = f"a run of {steps} steps of {count} x {columns} unknowns"
    memory_.require(kept, memory_.budget(matrices.device), what, "take fewer steps, or the instances in parts")
    tau = torch.as_tensor(network.step_size, dtype=matrices.dtype, device=matrices.device).detach()
    try:
        tau.expand_as(start)
    except RuntimeError:
        wanted, came = tuple(start.shape), tuple(tau.shape)
        raise InputError(f"step_size must broadcast against {wanted}, got shape {came}") from None
    net = network_of(network.weights, activation=network.activation, evaluation=evaluation)
    _same_kind({"matrices": matrices, "targets": targets, "step_size": tau, "start": start}, net.weights[0])
    admit(tau, problem.matrices, allow_long=bool(getattr(problem, "allow_long", False)))
    return Unroll(net, matrices, targets, tau, start, steps, network.order, mode)


def _same_kind(tensors: dict[str, Tensor], weight: Tensor) -> None:
    for name, value in tensors.items():
        if value.dtype != weight.dtype or value.device != weight.device:
            raise InputError(
                f"{name} is {value.dtype} on {value.device}, but the weights are {weight.dtype} on {weight.device}:"
                " move one to the other with .to()"
            )
        if not finite(value):
            raise InputError(f"{name} has entries that are not finite; mend the data")


def times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """M_n v_n for every instance: (N, b, d), (N, d) -> (N, b).

    On a CPU a batched product with one column is several times slower than one product per instance, once the
    matrices are large.
    """
    if matrices.device.type != "cpu" or matrices[0].numel() < LOOP_FROM:
        return torch.bmm(matrices, vectors.unsqueeze(-1)).squeeze(-1)
    result = vectors.new_empty(matrices.shape[:2])
    for matrix, vector, out in zip(matrices, vectors, result, strict=True):
        torch.mv(matrix, vector, out=out)
    return result


def gram_times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """A_n v_n = M_n^T (M_n v_n) for every instance, (N, d) -> (N, d)."""
    return residual_and_gradient(matrices, vectors, None)[1]


def residual_and_gradient(matrices: Tensor, x: Tensor, targets: Tensor | None) -> tuple[Tensor, Tensor]:
    """r = M x - y (y = 0 if None) and M^T r; each large matrix is read once from memory for both."""
    if matrices.device.type != "cpu" or matrices[0].numel() < LOOP_FROM:
        r = times(matrices, x)
        r = r if targets is None else r - targets
        return r, torch.bmm(r.unsqueeze(1), matrices).squeeze(1)
    r, g = x.new_empty(matrices.shape[:2]), torch.empty_like(x)
    for n, matrix in enumerate(matrices):
        torch.mv(matrix, x[n], out=r[n])
        if targets is not None:
            r[n] -= targets[n]
        torch.mv(matrix.mT, r[n], out=g[n])
    return r, g
