"""The other side of the race in bench_meta_training.py: the same meta-update as a jitted scan, where jax is installed.

Started by the race, not by hand: PYTHON jax_scan_peer.py FOLDER THREADS. It reads weights, start and minibatches from
FOLDER/inputs.npz, then takes the name of a variant per line and answers with the seconds that one meta-update took: by
the clock, and of processor time. The first call of each variant compiles and is not timed; its meta-gradient is left in
the folder, so that the race can compare it. THREADS 1 keeps it on one core.

    scan     lax.scan over the window keeps every activation for the way back
    remat    jax.checkpoint around the optimizer's step: they are computed again on the way back. (Around the whole
             iteration, optimizee included, it was 5 percent slower.)

Both are given what ours uses: inner gradients are constants, so the way back runs over <g_t, x_t> and never enters the
optimizee, which is less work than differentiating the losses and gives the same.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RATE, SCALE, K, EPS = 1e-3, 0.01, 5.0, 1.1920929e-7  # of Adam; of the optimizer


def loss(x: Any, features: Any, labels: Any) -> Any:
    hidden = jax.nn.sigmoid(features @ x["weight1"] + x["bias1"])
    logits = jax.nn.log_softmax(hidden @ x["weight2"] + x["bias2"])
    return -jnp.take_along_axis(logits, labels[:, None], 1).mean()


def cell(weight: Any, bias: Any, signal: Any, memory: Any) -> tuple[Any, Any]:
    i, j, f, o = jnp.split(jnp.concatenate([signal, memory[0]], 1) @ weight + bias, 4, 1)
    c = jax.nn.sigmoid(f + 1) * memory[1] + jax.nn.sigmoid(i) * jnp.tanh(j)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def step(weights: Any, x: Any, g: Any, state: Any) -> Any:
    flat = jnp.concatenate([g[name].reshape(-1) for name in sorted(g)])
    magnitude = jnp.maximum(jnp.log(jnp.abs(flat) + EPS) / K, -1)
    signal, after = jnp.stack([magnitude, jnp.clip(flat * np.exp(np.float32(K)), -1, 1)], 1), []
    for number, memory in enumerate(state, start=1):
        after.append(cell(weights[f"lstm{number}.weight"], weights[f"lstm{number}.bias"], signal, memory))
        signal = after[-1][0]
    moves = SCALE * (signal @ weights["linear.weight"] + weights["linear.bias"])[:, 0]
    ends = np.cumsum([x[name].size for name in sorted(x)])[:-1]
    pieces = jnp.split(moves, ends)
    moved = {name: x[name] + piece.reshape(x[name].shape) for name, piece in zip(sorted(x), pieces, strict=True)}
    return moved, tuple(after)


def window(weights: Any, x: Any, state: Any, held: Any, remat: bool) -> Any:
    """sum_t <g_t, x_t>, whose derivative in phi is that of sum_t f(x_t); sum_t f(x_t), and where it ends."""
    slope_and_value = jax.value_and_grad(loss)
    stepped = jax.checkpoint(step) if remat else step

    def body(carry: Any, batch: Any) -> Any:
        x, state, g = carry
        x, state = stepped(weights, x, g, state)
        value, g = jax.lax.stop_gradient(slope_and_value(x, *batch))
        return (x, state, g), (value, sum(jnp.vdot(g[name], x[name]) for name in x))

    first = jax.lax.stop_gradient(slope_and_value(x, held[0][0], held[1][0]))[1]
    carry, (values, slopes) = jax.lax.scan(body, (x, state, first), (held[0][1:], held[1][1:]))
    return slopes.sum(), (values.sum(), carry[0], carry[1])


def meta_update(remat: bool) -> Any:
    def update(weights: Any, moments: Any, x: Any, state: Any, held: Any) -> Any:
        g, left = jax.grad(lambda phi: window(phi, x, state, held, remat), has_aux=True)(weights)
        first = {name: 0.9 * moments[0][name] + 0.1 * g[name] for name in g}
        second = {name: 0.999 * moments[1][name] + 0.001 * g[name] ** 2 for name in g}
        count = moments[2] + 1
        rate = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        moved = {name: weights[name] - rate * first[name] / (jnp.sqrt(second[name]) + 1e-8) for name in g}
        return moved, (first, second, count), g, left

    return jax.jit(update)


def arguments(folder: Path) -> tuple[Any, ...]:
    """Weights, Adam's memory, x_0, h_0 and the minibatches."""
    data = np.load(folder / "inputs.npz")
    phi = {name[4:]: jnp.asarray(data[name]) for name in data.files if name.startswith("phi.")}
    start = {name[2:]: jnp.asarray(data[name]) for name in data.files if name.startswith("x.")}
    size = (sum(leaf.size for leaf in start.values()), 20)
    zeros = {name: jnp.zeros_like(value) for name, value in phi.items()}
    state = tuple((jnp.zeros(size), jnp.zeros(size)) for _ in range(2))
    return (
        phi,
        (zeros, zeros, jnp.zeros(())),
        start,
        state,
        (jnp.asarray(data["features"]), jnp.asarray(data["labels"])),
    )


def serve(folder: Path) -> None:
    given = arguments(folder)
    variants: dict[str, Callable[..., Any]] = {"scan": meta_update(False), "remat": meta_update(True)}
    print(f"jax {jax.__version__}", flush=True)
    compiled: set[str] = set()
    for line in sys.stdin:
        name = line.strip()
        if name not in compiled:
            compiled.add(name)
            found = jax.block_until_ready(variants[name](*given))
            np.savez(folder / f"{name}.npz", **{key: np.asarray(g) for key, g in found[2].items()})
        begin, worked = time.perf_counter(), time.process_time()
        jax.block_until_ready(variants[name](*given))
        print(time.perf_counter() - begin, time.process_time() - worked, flush=True)


if __name__ == "__main__":
    if sys.argv[2] == "1":  # before jax starts its threads
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax
    import numpy as np
    from jax import numpy as jnp

    serve(Path(sys.argv[1]))
