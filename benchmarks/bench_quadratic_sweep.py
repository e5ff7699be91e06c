"""Race: a sweep of G' over 20 spectra (d = 500) x 200 step sizes x 16 horizons against plain numpy, in one process.

32 million terms. The peer is the textbook formula with log and exp, broadcast over (step sizes, horizons, d): once over
everything ("whole", gigabytes of temporaries) and once spectrum by spectrum and horizon by horizon ("looped", so that
its temporaries are small). The bar of 2.5 is on the whole broadcast; the looped peer is shown beside it. Horizons are
doubled, spread evenly in the logarithm, or evenly; the bar holds for each. Median of 5 interleaved runs.

Exit code 1 if a ratio is below the bar, our peak memory over inputs and outputs reaches 100 MB, or the numbers differ.
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc

import numpy as np

from l2o_theory.quadratic import Quadratic, sweep

SPECTRA, DIMENSION, STEP_SIZES, HORIZONS, BAR, MEMORY_BAR = 20, 500, 200, 16, 2.5, 100e6
GRIDS = {
    "doubled": 2 ** np.arange(HORIZONS),
    "logarithmic": np.unique(np.round(np.logspace(0, 4.8, HORIZONS)).astype(np.int64)),
    "even": 60 * np.arange(1, HORIZONS + 1),
}


def whole(eigenvalues: np.ndarray, weights: np.ndarray, step_sizes: np.ndarray, horizons: np.ndarray) -> np.ndarray:
    residual = 1 - step_sizes[:, None] * eigenvalues[:, None, :]
    exponent = (
        np.log(weights * eigenvalues)[:, None, None] + 2 * horizons[:, None] * np.log(np.abs(residual))[:, :, None]
    )
    share = np.exp(exponent - exponent.max(-1, keepdims=True))
    return -2 * (share * (eigenvalues[:, None, :] / residual)[:, :, None]).sum(-1) / share.sum(-1)


def looped(eigenvalues: np.ndarray, weights: np.ndarray, step_sizes: np.ndarray, horizons: np.ndarray) -> np.ndarray:
    result = np.empty((len(eigenvalues), len(step_sizes), len(horizons)))
    for index, (values, squares) in enumerate(zip(eigenvalues, weights, strict=True)):
        residual = 1 - step_sizes[:, None] * values
        logs, slopes, start = np.log(np.abs(residual)), values / residual, np.log(squares * values)
        for column, steps in enumerate(horizons):
            exponent = start + 2 * steps * logs
            share = np.exp(exponent - exponent.max(-1, keepdims=True))
            result[index, :, column] = -2 * (share * slopes).sum(-1) / share.sum(-1)
    return result


def main() -> int:
    rng = np.random.default_rng(0)
    eigenvalues, weights = 10 ** rng.uniform(-3, 0, (SPECTRA, DIMENSION)), rng.random((SPECTRA, DIMENSION))
    quadratics = [Quadratic(*pair) for pair in zip(eigenvalues, weights, strict=True)]
    step_sizes = np.linspace(0.1, 2.2, STEP_SIZES)
    failed = False
    for name, horizons in GRIDS.items():
        runs = {
            "ours": lambda h=horizons: sweep(quadratics, step_sizes, h, "meta_gradient", "log_final"),
            "whole": lambda h=horizons: whole(eigenvalues, weights, step_sizes, h),
            "looped": lambda h=horizons: looped(eigenvalues, weights, step_sizes, h),
        }
        times: dict[str, list[float]] = {peer: [] for peer in runs}
        values = {}
        for _ in range(5):
            for peer, run in runs.items():
                begin = time.perf_counter()
                values[peer] = run()
                times[peer].append(time.perf_counter() - begin)
        seconds = {peer: statistics.median(taken) for peer, taken in times.items()}
        tracemalloc.start()
        output = runs["ours"]()
        peak = tracemalloc.get_traced_memory()[1] - output.nbytes
        tracemalloc.stop()
        difference = np.max(np.abs(values["ours"] / values["whole"] - 1))
        ratio = seconds["whole"] / seconds["ours"]
        failed |= ratio < BAR or peak >= MEMORY_BAR or difference > 1e-8  # the peers round exponents of size 2t
        ours, loop = seconds["ours"], seconds["looped"]
        print(
            f"{name:12} ours {ours:.3f} s, whole {seconds['whole']:.3f} s, looped {loop:.3f} s; "
            f"ratio {ratio:.1f} (bar {BAR}), looped {loop / ours:.1f}; "
            f"peak {peak / 1e6:.1f} MB; largest relative difference {difference:.1e}"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
