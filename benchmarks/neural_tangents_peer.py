"""The other side of the race in bench_ntk.py: neural-tangents, in an interpreter that has it.

Started by the race, not by hand: PYTHON neural_tangents_peer.py FOLDER THREADS AXES. It reads weights and inputs from
the folder, then takes the name of a case per line and answers with the seconds that one call took: by the clock, and of
processor time. The kernel is that of structured derivatives, compiled: as the library's defaults have it (AXES "none"),
or with its promise vmap_axes=0 that samples do not influence one another (AXES "0"). The first call of each case is
not timed; its kernel is left in the folder, so that the race can compare it. THREADS 1 keeps it on one core.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    folder, threads, axes = Path(sys.argv[1]), int(sys.argv[2]), {"none": None, "0": 0}[sys.argv[3]]
    if threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax
    import neural_tangents
    import numpy as np

    def network(layers: Any, x: Any) -> Any:
        for weight, bias in layers[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        weight, bias = layers[-1]
        return x @ weight + bias

    method = neural_tangents.NtkImplementation.STRUCTURED_DERIVATIVES
    kernel = jax.jit(neural_tangents.empirical_ntk_fn(network, trace_axes=(), vmap_axes=axes, implementation=method))
    print(f"ready: jax {jax.__version__}, neural-tangents {neural_tangents.__version__}", flush=True)
    loaded: dict[str, Any] = {}
    for line in sys.stdin:
        case = line.strip()
        if case not in loaded:
            data = np.load(folder / f"{case}.npz")
            count = (len(data.files) - 1) // 2
            weights = [jax.numpy.array(np.ascontiguousarray(data[f"w{i}"].T)) for i in range(count)]
            layers = [(weight, jax.numpy.array(data[f"b{i}"])) for i, weight in enumerate(weights)]
            loaded[case] = (jax.numpy.array(data["x"]), layers)
            first = kernel(loaded[case][0], None, layers).block_until_ready()
            np.save(folder / f"{case}.npy", np.asarray(first))
        x, layers = loaded[case]
        begin, worked = time.perf_counter(), time.process_time()
        kernel(x, None, layers).block_until_ready()
        print(time.perf_counter() - begin, time.process_time() - worked, flush=True)


if __name__ == "__main__":
    main()
