"""Race: kernel and training step of an unrolled step-size network against autograd, in one process, one thread.

Kernel (float64, the network 2 -> 2 -> hidden -> 1, W_L away from 0, features full and detached):

    vmap(jacrev)        torch.func's Jacobian of the last residual, and J J^T
    rows                one backward pass per row of J

Training step (float32, as the published program; 2 -> 2 -> hidden -> 1): loss and gradient by autograd through the
unroll, against `loss_gradient`. Peak memory of one step: of fresh processes, beyond what they held before.

Medians, in processor time, so that other work on the machine weighs on neither side. Exit code 1 if a ratio misses its
bar or numbers differ.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from l2o_theory.ntk import loss_gradient, residual_ntk

KERNELS = {  # instances, unknowns, equations, inner steps, hidden width; bars against vmap(jacrev) and rows
    "N4_d32_b24_T10_h5120": ((4, 32, 24, 10, 5120), (80.0, 15.0)),
    "N8_d32_b24_T20_h256": ((8, 32, 24, 20, 256), (15.0, 0.0)),
}
STEPS = {
    "N10_d512_b400_T5_h5120": ((10, 512, 400, 5, 5120), 100.0),
    "N32_d32_b25_T20_h1024": ((32, 32, 25, 20, 1024), 2.0),
}
LARGE, MEMORY_BAR, REPEATS = "N10_d512_b400_T5_h5120", 0.1, 5


def drawn(size: tuple[int, int, int, int, int], dtype: torch.dtype) -> tuple[Any, Any]:
    """A network and instances as plain records."""
    instances, columns, rows, _, hidden = size
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    matrices = normal(instances, rows, columns)
    matrices /= matrices.norm(dim=1, keepdim=True)
    tau = 1 / torch.linalg.matrix_norm(matrices, 2)[:, None] ** 2
    weights = [normal(2, 2), normal(hidden, 2), 0.3 * normal(1, hidden) / hidden**0.5]
    network = SimpleNamespace(
        weights=[w.to(dtype) for w in weights], step_size=tau.to(dtype), order="gx", features="full", activation="relu"
    )
    targets = (matrices @ normal(instances, columns, 1))[..., 0]
    start = torch.zeros(instances, columns, dtype=dtype)
    return network, SimpleNamespace(matrices=matrices.to(dtype), targets=targets.to(dtype), start=start)


def residual(network: Any, problem: Any, steps: int, mode: str, weights: Sequence[Tensor]) -> Tensor:
    x = problem.start
    for _ in range(steps):
        r = torch.bmm(problem.matrices, x[..., None])[..., 0] - problem.targets
        g = torch.bmm(r[:, None], problem.matrices)[:, 0]
        layer = torch.stack((g, x), -1)
        layer = layer.detach() if mode == "detached" else layer
        for weight in weights[:-1]:
            layer = torch.relu(layer @ weight.T)
        x = x - network.step_size * 2 * torch.sigmoid((layer @ weights[-1].T)[..., 0]) * g
    return torch.bmm(problem.matrices, x[..., None])[..., 0] - problem.targets


def by_vmap(network: Any, problem: Any, steps: int, mode: str) -> Tensor:
    jacobians = torch.func.jacrev(lambda weights: residual(network, problem, steps, mode, weights).flatten())
    rows = torch.cat([part.flatten(1) for part in jacobians(tuple(network.weights))], 1)
    return rows @ rows.T


def by_rows(network: Any, problem: Any, steps: int, mode: str) -> Tensor:
    weights = [weight.clone().requires_grad_() for weight in network.weights]
    values = residual(network, problem, steps, mode, weights).flatten()
    parts = [torch.autograd.grad(value, weights, retain_graph=True) for value in values]
    rows = torch.stack([torch.cat([part.flatten() for part in row]) for row in parts])
    return rows @ rows.T


def by_autograd(network: Any, problem: Any, steps: int, mode: str) -> tuple[Tensor, ...]:
    weights = [weight.clone().requires_grad_() for weight in network.weights]
    loss = residual(network, problem, steps, mode, weights).square().sum() / 2
    return torch.autograd.grad(loss, weights)


def worked(task: Callable[[], Any]) -> float:
    begin = time.process_time()
    task()
    return time.process_time() - begin


def race(ours: Callable[[], Any], peers: dict[str, Callable[[], Any]]) -> tuple[float, dict[str, float]]:
    """Median processor seconds of our side, and how many times longer each peer takes."""
    ours()
    mine: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(REPEATS):
        mine += [worked(ours) for _ in range(5)]
        for name, peer in peers.items():
            theirs[name].append(worked(peer))
    typical = statistics.median(mine)
    return typical, {name: statistics.median(spent) / typical for name, spent in theirs.items()}


def kernels() -> bool:
    good = True
    for case, (size, bars) in KERNELS.items():
        network, problem = drawn(size, torch.float64)
        for mode in ("full", "detached"):
            arguments = (network, problem, size[3])
            ours = residual_ntk(*arguments, "closed_form", mode)
            wanted = by_rows(*arguments, mode)
            error = float((ours - wanted).abs().max() / torch.linalg.eigvalsh(wanted)[-1])
            peers = {"vmap(jacrev)": lambda a=arguments, m=mode: by_vmap(*a, m)}
            peers["rows"] = lambda a=arguments, m=mode: by_rows(*a, m)
            mine, ratios = race(lambda a=arguments, m=mode: residual_ntk(*a, "closed_form", m), peers)
            good &= error <= 1e-10 and all(ratio >= bar for ratio, bar in zip(ratios.values(), bars, strict=True))
            shown = "   ".join(f"{n} {r:6.1f} times, bar {b:g}" for (n, r), b in zip(ratios.items(), bars, strict=True))
            print(f"kernel {case:24} {mode:9} {1e3 * mine:6.2f} ms   {shown}   error {error:.0e}", flush=True)
    return good


def training_steps() -> bool:
    good = True
    for case, (size, bar) in STEPS.items():
        network, problem = drawn(size, torch.float32)
        for mode in ("full", "detached"):
            arguments = (network, problem, size[3])
            double = drawn(size, torch.float64)
            exact = loss_gradient(*double, size[3], features=mode).gradients
            error = max(
                float((g.double() - e).norm() / e.norm())
                for g, e in zip(loss_gradient(*arguments, features=mode).gradients, exact, strict=True)
            )
            mine, ratios = race(
                lambda a=arguments, m=mode: loss_gradient(*a, features=m),
                {"autograd": lambda a=arguments, m=mode: by_autograd(*a, m)},
            )
            good &= ratios["autograd"] >= bar and error < 1e-3
            shown = f"autograd {ratios['autograd']:6.1f} times, bar {bar:g}   float32 against float64 {error:.0e}"
            print(f"step   {case:24} {mode:9} {1e3 * mine:6.2f} ms   {shown}", flush=True)
    return good


def held(name: str) -> int:
    """Bytes this process holds now (VmRSS), or held at most (VmHWM; getrusage would count its parent's, too)."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def memory(side: str) -> None:
    """In a fresh process: bytes beyond what was held before."""
    size = STEPS[LARGE][0]
    network, problem = drawn(size, torch.float32)
    step = by_autograd if side == "autograd" else lambda *given: loss_gradient(*given[:3], features=given[3])
    small = drawn((2, 8, 4, 2, 64), torch.float32)
    step(*small, 2, "full")
    before = held("VmRSS")
    step(network, problem, size[3], "full")
    print(held("VmHWM") - before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory", choices=("ours", "autograd"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        memory(options.memory)
        return 0
    good = kernels() & training_steps()
    peaks = {}
    for side in ("ours", "autograd"):
        run = subprocess.run([sys.executable, __file__, "--memory", side], capture_output=True, text=True, check=True)
        peaks[side] = int(run.stdout)
    share = peaks["ours"] / peaks["autograd"]
    print(f"memory {LARGE}: {peaks['ours'] / 1e6:.0f} MB against {peaks['autograd'] / 1e6:.0f} MB, bar {MEMORY_BAR:g}")
    return int(not (good and share < MEMORY_BAR))


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":  # torch reads it once, when it is imported
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    sys.exit(main())
