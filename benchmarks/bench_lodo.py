"""Race: one LODO step against the straightforward one, a jitted JAX one, and the passage of its data.

n = 95,000, depth 16, block size 4 (theta: 12 million numbers), float32, Adam on theta, one thread on one processor
core. All run in turn, in one process; the median of each is compared. Processor time is measured, not the clock on the
wall, so that what else the machine does weighs less.

    eager    the sweeps and the hypergradient as einsum over the blocks, torch.optim.Adam on theta
    jax      the same step jitted, its arguments donated; only where jax is installed
    floor    9 passes over arrays of theta's size: reading theta on both sweeps up and on the last one down, and reading
             and writing theta and both moments on the sweep that updates them

Then the growth with n (slope of log time over log n by least squares), and the peak memory of a fresh process over
theta. Exit code 1 if a bar is missed: eager 2, jax 1, floor 4, slope 1 +- 0.05, memory 4.

A step visits its lines 4 x 16 times in a random order. Read line by line, that costs an access to memory each once the
vector of 2n lines does not fit the cache, and the time would grow like n^1.2. The compiled sweeps deal the lines into
buckets that fit instead (sweep.c), so that memory is read and written in order at every n.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

if os.environ.get("OMP_NUM_THREADS") != "1":
    sys.exit("this race is run on one thread: set OMP_NUM_THREADS=1")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before jax starts its own threads

import torch
from torch import Tensor

from l2o_theory.optimizers import LODO, Preconditioner

N, ROUNDS = 95_000, 11
SIZES = (10_000, 30_000, 95_000, 300_000, 1_000_000, 3_000_000)
ALPHA0, META_LR, BETA = 0.1, 1e-5, 0.9

MEMORY = """
import resource, torch
from l2o_theory.optimizers import LODO
x = torch.nn.Parameter(torch.zeros(10))
for n in (10, {n}):
    x = torch.nn.Parameter(torch.zeros(n))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    optimizer = LODO([x], engine="native")
    for _ in range(3):
        x.grad = torch.ones(n)
        optimizer.step()
blocks = optimizer.preconditioner.blocks
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / (blocks.numel() * blocks.element_size()))
"""


def seconds(task: Callable[[], Any]) -> float:
    begin = time.process_time()
    task()
    return time.process_time() - begin


def ours(n: int, gradient: Tensor) -> Callable[[], Any]:
    x = torch.nn.Parameter(torch.zeros(n))
    optimizer = LODO([x], ALPHA0, META_LR, BETA, engine="native")
    x.grad = gradient
    return optimizer.step


def eager(p: Preconditioner, gradient: Tensor) -> Callable[[], Any]:
    theta = torch.nn.Parameter(p.blocks.clone())
    adam = torch.optim.Adam([theta], lr=META_LR)
    forward, inverse = p.permutations, p.permutations.argsort(1)
    depth, count, size, _ = theta.shape
    x, m, kept = torch.zeros(N), torch.zeros(N), None

    def sweep(v: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        u, up, down = torch.nn.functional.pad(v, (0, p.lines - N)), [], []
        for i in reversed(range(depth)):
            up.append(u[forward[i]].view(count, size))
            u = torch.einsum("brc,bc->br", theta[i], up[-1]).reshape(-1)
        for i in range(depth):
            down.append(u.view(count, size))
            u = torch.einsum("brc,br->bc", theta[i], down[-1]).reshape(-1)[inverse[i]]
        return up[::-1], down, u[:N]

    @torch.no_grad()
    def step() -> None:
        nonlocal m, kept, x
        if kept is not None:
            up, down, _ = sweep(gradient)
            layers = zip(kept[0], kept[1], up, down, strict=True)
            theta.grad = torch.stack(
                [
                    -ALPHA0 * (torch.einsum("br,bc->brc", dm, ag) + torch.einsum("br,bc->brc", dg, am))
                    for am, dm, ag, dg in layers
                ]
            )
            adam.step()
        m = BETA * m + (1 - BETA) * gradient
        *kept, moved = sweep(m)
        x = x - ALPHA0 * moved

    return step


def jitted(p: Preconditioner, gradient: Tensor) -> Callable[[], Any] | None:
    try:
        import jax
    except ImportError:
        return None
    from jax import numpy as jnp

    forward, inverse = (jnp.asarray(i.int().numpy()) for i in (p.permutations, p.permutations.argsort(1)))
    size = p.block_size

    def sweep(theta: Any, v: Any) -> tuple[list[Any], list[Any], Any]:
        u, up, down = jnp.pad(v, (0, p.lines - N)), [], []
        for i in reversed(range(p.depth)):
            up.append(u[forward[i]].reshape(-1, size))
            u = jnp.einsum("brc,bc->br", theta[i], up[-1]).reshape(-1)
        for i in range(p.depth):
            down.append(u.reshape(-1, size))
            u = jnp.einsum("brc,br->bc", theta[i], down[-1]).reshape(-1)[inverse[i]]
        return up[::-1], down, u[:N]

    def step(state: Any, g: Any) -> Any:
        theta, first, second, m, x, s, kept = state
        up, down, _ = sweep(theta, g)
        updated: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        rate = META_LR * jnp.sqrt(1 - 0.999**s) / (1 - 0.9**s)
        for i in range(p.depth):
            h = -ALPHA0 * (kept[1][i][:, :, None] * up[i][:, None, :] + down[i][:, :, None] * kept[0][i][:, None, :])
            f, v = 0.9 * first[i] + 0.1 * h, 0.999 * second[i] + 0.001 * h * h
            for values, value in zip(updated, (theta[i] - rate * f / (jnp.sqrt(v) + 1e-7), f, v), strict=True):
                values.append(value)
        theta, m = updated[0], BETA * m + (1 - BETA) * g
        *kept, moved = sweep(theta, m)
        return theta, updated[1], updated[2], m, x - ALPHA0 * moved, s + 1, tuple(kept)

    compiled = jax.jit(step, donate_argnums=0)
    theta = [jnp.asarray(layer.numpy()) for layer in p.blocks]
    lines = [jnp.zeros((p.lines // size, size)) for _ in range(p.depth)]
    zeros = [[jnp.zeros_like(layer) for layer in theta] for _ in range(2)]
    state = (theta, *zeros, jnp.zeros(N), jnp.zeros(N), jnp.float32(1), (lines, [line + 0 for line in lines]))
    g = jnp.asarray(gradient.numpy())

    def run() -> None:
        nonlocal state
        state = jax.block_until_ready(compiled(state, g))

    return run


def floor(p: Preconditioner) -> Callable[[], Any]:
    a, b, c = p.blocks.clone(), p.blocks.clone(), p.blocks.clone()

    def nine() -> None:
        torch.add(a, b, out=c)
        torch.add(a, c, out=b)
        torch.add(b, c, out=a)

    return nine


def race() -> bool:
    gradient = torch.randn(N)
    p = Preconditioner(N, alpha0=ALPHA0, dtype=torch.float32)
    entrants = {"ours": ours(N, gradient), "eager": eager(p, gradient), "jax": jitted(p, gradient), "floor": floor(p)}
    spent: dict[str, list[float]] = {name: [] for name, task in entrants.items() if task}
    for round_ in range(ROUNDS + 2):
        for name, task in entrants.items():
            if task is not None:
                duration = seconds(task)
                if round_ > 1:  # the first two compile, or learn nothing yet
                    spent[name].append(duration)
    median = {name: statistics.median(times) for name, times in spent.items()}
    print(f"one step of LODO at n = {N}: {1e3 * median['ours']:.1f} ms")
    missed = False
    for name, bar in (("eager", 2.0), ("jax", 1.0)):
        if name not in median:
            print(f"{name:8} NOT MEASURED: not installed where this race runs (pip install {name})")
            continue
        ratio = median[name] / median["ours"]
        missed |= ratio < bar
        print(f"{name:8} {1e3 * median[name]:7.1f} ms   {ratio:5.2f} times ours         bar: at least {bar:g}")
    ratio = median["ours"] / median["floor"]
    print(f"{'floor':8} {1e3 * median['floor']:7.1f} ms   ours is {ratio:5.2f} times it   bar: at most 4")
    return missed or ratio > 4


def growth() -> bool:
    times = []
    for n in SIZES:
        step = ours(n, torch.randn(n))
        step()
        rounds = max(5, min(50, 1_000_000 // n))
        times.append(statistics.median(seconds(step) for _ in range(rounds)))
        print(f"n = {n:9,}   {1e9 * times[-1] / n:7.0f} ns an entry")
    slope = float(np.polyfit(np.log(SIZES), np.log(times), 1)[0])
    print(f"time grows like n^{slope:.3f}, bar 1 +- 0.05")
    return not math.isclose(slope, 1, abs_tol=0.05)


def memory(n: int = 500_000) -> bool:
    """Comes first: a child's peak starts at what its parent holds when it is born."""
    run = subprocess.run([sys.executable, "-c", MEMORY.format(n=n)], capture_output=True, text=True, check=True)
    print(f"peak memory {float(run.stdout):.2f} times theta, bar 4")
    return float(run.stdout) > 4


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sys.exit(int(any([memory(), race(), growth()])))
