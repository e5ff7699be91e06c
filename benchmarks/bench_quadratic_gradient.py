"""Race: exact meta-gradient against torch reverse mode through the unroll, in one process.

d = 100, t = 10^5, 256 step sizes at once, float64, CPU, one thread each. The peer unrolls w <- w - eta * (l * w) for
all 256 step sizes as one batch and differentiates sum F. At t = 10^5 its graph takes 20 GB and more, so by default the
whole batch is unrolled to t = 2500, 5000 and 10^4 (2 GB), median of 5 each, and the SMALLEST time per step of the three
is multiplied by 10^5, in the peer's favour. `--whole` instead unrolls all 10^5 steps, the batch cut into 4 parts of 64
step sizes (5 GB each), once. Ours: median of 15 runs.

Exit code 1 if the ratio is below 5000, or if our time at t = 10^9 exceeds three times that at t = 10.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import torch

from l2o_theory.quadratic import Quadratic

DIMENSION, STEPS, STEP_SIZES, BAR = 100, 100_000, 256, 5000.0


def seconds(task: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        task()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def reverse_mode(eigenvalues: np.ndarray, weights: np.ndarray, step_sizes: np.ndarray, steps: int) -> np.ndarray:
    spectrum = torch.tensor(eigenvalues)
    eta = torch.from_numpy(step_sizes[:, None]).requires_grad_()
    w = torch.from_numpy(np.sqrt(weights)).expand(len(step_sizes), -1)
    for _ in range(steps):
        w = w - eta * (spectrum * w)
    (gradient,) = torch.autograd.grad(0.5 * (spectrum * w * w).sum(), eta)
    return gradient[:, 0].numpy()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true", help="unroll all 10^5 steps, in 4 parts of the batch, once")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    quadratic = Quadratic(10 ** rng.uniform(-3, 0, DIMENSION), rng.random(DIMENSION) / DIMENSION)
    step_sizes = np.linspace(0.01, 1.99, STEP_SIZES)  # below 2/L, so that the peer's numbers stay finite

    short = quadratic.meta_gradient(step_sizes, 200)
    peer_short = reverse_mode(quadratic.eigenvalues, quadratic.weights, step_sizes, 200)
    np.testing.assert_allclose(short, peer_short, rtol=1e-6)  # the peer rounds at each of its 200 steps

    ours = {t: seconds(lambda t=t: quadratic.meta_gradient(step_sizes, t), 15) for t in (10, STEPS, 10**9)}
    tracemalloc.start()
    quadratic.meta_gradient(step_sizes, STEPS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    def unroll(steps: int, part: np.ndarray) -> Callable[[], np.ndarray]:
        return lambda: reverse_mode(quadratic.eigenvalues, quadratic.weights, part, steps)

    if arguments.whole:
        peer = sum(seconds(unroll(STEPS, part), 1) for part in np.split(step_sizes, 4))
        print(f"torch  t=1e5, four parts of 64: {peer:.1f} s")
    else:
        times = {steps: seconds(unroll(steps, step_sizes), 5) for steps in (STEPS // 40, STEPS // 20, STEPS // 10)}
        peer = STEPS * min(taken / steps for steps, taken in times.items())
        per_step = ", ".join(f"t={steps}: {taken / steps * 1e6:.0f}" for steps, taken in times.items())
        print(f"torch  microseconds per step: {per_step}; t=1e5 taken as {peer:.1f} s")
    ratio = peer / ours[STEPS]
    print(f"ours   t=10: {ours[10] * 1e3:.3f} ms, t=1e5: {ours[STEPS] * 1e3:.3f} ms, t=1e9: {ours[10**9] * 1e3:.3f} ms")
    print(f"ours   peak memory {peak / 1e6:.1f} MB")
    print(f"ratio  {ratio:.0f} (bar {BAR:.0f})")
    return 0 if ratio >= BAR and ours[10**9] <= 3 * ours[10] else 1


if __name__ == "__main__":
    sys.exit(main())
