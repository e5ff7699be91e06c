"""The phase diagram on a 200 x 200 grid over (d/n, sigma) at t = 40: both step sizes and both risks of 40 000 settings.

Also: one call at one setting over 100 step sizes, and its best step sizes. Medians of 5 runs, single thread where the
environment says so. Exit code 1 if the diagram takes 10 seconds or a single evaluation 20 milliseconds.
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from l2o_theory.least_squares import limit, phase_diagram

DIAGRAM_BAR, SINGLE_BAR = 10.0, 0.02


def median(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> int:
    ratios, noises = np.geomspace(0.1, 10, 200), np.geomspace(0.1, 4, 200)
    diagram = median(lambda: phase_diagram(ratios, noises, 40), 5)
    tracemalloc.start()
    phase_diagram(ratios, noises, 40)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    step_sizes, case = np.geomspace(1e-6, 1, 100), limit(2, 1, 40)
    curve = median(lambda: (case.risk(step_sizes), case.train_loss(step_sizes)), 50)
    choice = median(lambda: (case.best_train_step_size(), case.best_risk()), 50)
    print(f"phase diagram, 200 x 200, t = 40: {diagram:.2f} s, peak {peak:.0f} MB (bar {DIAGRAM_BAR:.0f} s)")
    print(
        f"risk and training loss at 100 step sizes: {1e3 * curve:.2f} ms; both best step sizes: {1e3 * choice:.2f} ms"
    )
    return int(diagram >= DIAGRAM_BAR or max(curve, choice) >= SINGLE_BAR)


if __name__ == "__main__":
    sys.exit(main())
