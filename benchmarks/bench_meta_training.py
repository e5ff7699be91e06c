"""Race: one meta-update of the coordinatewise LSTM optimizer, window 20, against plain PyTorch, in one process.

    64 tasks     random quadratics, d = 10; the peer is an eager loop over tasks with nn.LSTMCell. Bar: 5 times faster.
    network      15 910 coordinates (784-20-10 perceptron, batch 128), first-order; the floor is the time of the
                 matrix products and of one pass over the activations alone. Bar: at most 4.5 times the floor.
    jax          the network's meta-update, Adam on phi included, against a jitted jax scan of the same
                 (jax_scan_peer.py), with and without recomputation. Bar: faster than the faster of the two, one core
                 each, by processor time. jax on all cores against our one, by the clock, is shown beside it: it has
                 no bar, as other work on the machine weighs on it.
    memory       peak of 100 further meta-updates over that of one. Bar: 2 percent.

Both sides compute the same meta-gradient from the same numbers; that is checked first. Medians of interleaved runs, of
processor time on one thread if nothing else is said. Exit code 1 if a bar is missed or the gradients differ. jax wants
an environment of its own:

    python3.11 -m venv peers && peers/bin/pip install jax numpy
    python benchmarks/bench_meta_training.py --jax peers/bin/python        (or JAX_PYTHON=peers/bin/python)

Without it that race is not run, and its bar is reported as not measured. On one core the peer is pinned to it, with
XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1".
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from peer import Peer, Timing, timing
from torch import Tensor, nn

from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.metatraining.tasks import Draw, MinibatchTasks, QuadraticTasks, TaskFamily
from l2o_theory.metatraining.window import advance, begin
from l2o_theory.optimizers import Adam
from l2o_theory.optimizers.learned.lstm_rule import LSTMRule, log_and_sign
from l2o_theory.problems import MLP, Classification, Dataset, RandomQuadratics

TASKS, DIMENSION, WINDOW, REPEATS = 64, 10, 20, 5
VARIANTS = ("scan", "remat")
RULE = LSTMRule()


def meta_gradient(family: TaskFamily, draw: Draw, meta: dict[str, Tensor]) -> dict[str, Tensor]:
    standing = begin(RULE, family.problem, draw.starts, draw.batches(0))
    found = advance(RULE, family.problem, meta, standing, WINDOW, draw.batches, steps=WINDOW, loss=MetaLoss())
    return found.gradient


class TorchLSTM(nn.Module):
    """The same optimizer from torch's modules."""

    def __init__(self, meta: dict[str, Tensor]) -> None:
        super().__init__()
        self.cells = nn.ModuleList([nn.LSTMCell(2, 20), nn.LSTMCell(20, 20)])
        self.linear = nn.Linear(20, 1)
        with torch.no_grad():
            for number, (cell, inputs) in enumerate(zip(self.cells, (2, 20), strict=True), start=1):
                i, j, f, o = meta[f"lstm{number}.weight"].chunk(4, 1)
                bi, bj, bf, bo = meta[f"lstm{number}.bias"].chunk(4)
                weight = torch.cat([i, f, j, o], 1).T
                cell.weight_ih.copy_(weight[:, :inputs])
                cell.weight_hh.copy_(weight[:, inputs:])
                cell.bias_ih.copy_(torch.cat([bi, bf + 1, bj, bo]))
                cell.bias_hh.zero_()
            self.linear.weight.copy_(meta["linear.weight"].T)
            self.linear.bias.copy_(meta["linear.bias"])

    def forward(self, g: Tensor, memory: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """The step and the new memory."""
        signal, after = log_and_sign(g), []
        for cell, state in zip(self.cells, memory, strict=True):
            after.append(cell(signal, state))
            signal = after[-1][0]
        return 0.01 * self.linear(signal).squeeze(-1), after


def eager_loop(draw: Draw, network: TorchLSTM) -> Tensor:
    """First-order meta-gradient of the output weights, mean over tasks: one graph per task, one after the other."""
    network.zero_grad()
    batch = draw.batches(0)
    for task in range(TASKS):
        W, y, x = batch["matrix"][task], batch["target"][task], draw.starts[task]
        memory = [(torch.zeros(DIMENSION, 20), torch.zeros(DIMENSION, 20)) for _ in range(2)]
        total = torch.zeros(())
        for _ in range(WINDOW):
            point = x.detach().requires_grad_()
            (g,) = torch.autograd.grad(((W @ point - y) ** 2).sum(), point)
            step, memory = network(g, memory)
            x = x + step
            total = total + ((W @ x - y) ** 2).sum()
        (total / TASKS).backward()
    return network.linear.weight.grad.T


def floor(meta: dict[str, Tensor], coordinates: int) -> Callable[[], None]:
    """The matrix products of two LSTMs, forward and backward, and one pass over their activations."""
    x, wide = torch.randn(coordinates, 40), torch.randn(coordinates, 80)
    weight = torch.randn(40, 80)

    def run() -> None:
        for _ in range(2 * WINDOW):
            torch.mm(x, weight, out=wide)
            torch.mm(wide, weight.T, out=x)
            torch.mm(x.T, wide)
            x.mul_(0.5)
            wide.mul_(0.5)

    return run


def median_times(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPEATS + 1):
        for name, run in runs.items():
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values[1:]) for name, values in times.items()}  # the first run warms up


def median(timings: list[Timing], which: int) -> float:
    return statistics.median(timing[which] for timing in timings[2:])  # the first two warm up


def saved(folder: Path, draw: Draw, meta: dict[str, Tensor]) -> None:
    batches = [draw.batches(t) for t in range(WINDOW + 1)]
    arrays = {f"phi.{name}": leaf.numpy() for name, leaf in meta.items()}
    arrays |= {f"x.{name}": leaf[0].numpy() for name, leaf in draw.starts.items()}
    features = torch.stack([batch["features"][0] for batch in batches]).numpy()
    labels = torch.stack([batch["labels"][0] for batch in batches]).int().numpy()
    np.savez(folder / "inputs.npz", features=features, labels=labels, **arrays)


def distance(ours: dict[str, Tensor], theirs: Mapping[str, np.ndarray]) -> float:
    """Relative, of all leaves together: the bias of the output alone is a sum that nearly cancels."""
    left, right = (np.concatenate([np.ravel(side[name]) for name in ours]) for side in (ours, theirs))
    return float(np.linalg.norm(left - right) / np.linalg.norm(right))


def race_jax(python: str, family: TaskFamily, draw: Draw, meta: dict[str, Tensor]) -> bool:
    """Whether ours is faster on one core and the meta-gradients agree."""
    memory = Adam().init(meta)

    def update() -> None:
        Adam().update(meta, meta_gradient(family, draw, meta), memory, Adam().meta(1e-3, dtype=torch.float32))

    if shutil.which(python) is None:
        print(f"jax: there is no interpreter {python}; its bar is NOT MEASURED, which counts as missed")
        return False
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        saved(Path(name), draw, meta)
        peers = [Peer(python, "jax_scan_peer.py", name, threads) for threads in (1, cores)]
        if not all(peer.name for peer in peers):
            print(f"jax: {python} cannot run jax_scan_peer.py; its bar is NOT MEASURED, which counts as missed")
            return False
        ours: list[Timing] = []
        theirs: dict[tuple[int, str], list[Timing]] = {(side, variant): [] for side in (0, 1) for variant in VARIANTS}
        for _ in range(REPEATS + 2):
            ours.append(timing(update))
            for (side, variant), spent in theirs.items():
                spent.append(peers[side].time(variant))
        for peer in peers:
            peer.process.terminate()
        gradient = meta_gradient(family, draw, meta)
        difference = max(distance(gradient, np.load(Path(name) / f"{variant}.npz")) for variant in VARIANTS)
    print(f"{peers[0].name}: the meta-gradients differ by {difference:.1e} (bar 1e-4)")
    ratios = []
    for side, (which, label) in enumerate(((1, "one core, processor time"), (0, f"jax on {cores} cores, clock"))):
        own = median(ours, which)
        scan, remat = (median(theirs[side, variant], which) for variant in VARIANTS)
        ratios.append(min(scan, remat) / own)
        print(f"{label}: ours {1e3 * own:.0f} ms, scan {1e3 * scan:.0f}, remat {1e3 * remat:.0f}: "
              f"{ratios[-1]:.2f} times ({'no bar' if side else 'bar 1'})")  # fmt: skip
    return ratios[0] > 1 and difference < 1e-4  # float32; 20 steps of sums over 15 910 coordinates


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--jax", metavar="PYTHON", default=os.environ.get("JAX_PYTHON"), help="an interpreter with jax and numpy"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    meta = RULE.meta(torch.Generator().manual_seed(0), dtype=torch.float32)
    family = QuadraticTasks(RandomQuadratics(DIMENSION, start_std=0.01, dtype=torch.float32))
    draw = family.draw(TASKS, WINDOW, torch.Generator().manual_seed(1))
    network = TorchLSTM(meta)
    ours, theirs = meta_gradient(family, draw, meta)["linear.weight"], eager_loop(draw, network)
    difference = float((ours - theirs).norm() / theirs.norm())
    found = median_times({"ours": lambda: meta_gradient(family, draw, meta), "loop": lambda: eager_loop(draw, network)})
    ratio = found["loop"] / found["ours"]
    print(f"64 tasks: {1e3 * found['ours']:.0f} ms, loop {1e3 * found['loop']:.0f} ms: {ratio:.1f} times (bar 5);"
          f" gradients differ by {difference:.1e}")  # fmt: skip

    data = Dataset(torch.rand(1024, 784), torch.randint(10, (1024,)), 10)
    images = MinibatchTasks(Classification(MLP((784, 20, 10), std=0.01), data), 128)
    one = images.draw(1, WINDOW, torch.Generator().manual_seed(2))
    coordinates = sum(leaf[0].numel() for leaf in one.starts.values())
    found = median_times({"ours": lambda: meta_gradient(images, one, meta), "floor": floor(meta, coordinates)})
    multiple = found["ours"] / found["floor"]
    print(f"{coordinates} coordinates: {1e3 * found['ours']:.0f} ms, floor {1e3 * found['floor']:.0f} ms: "
          f"{multiple:.1f} times the floor (bar 4.5)")  # fmt: skip

    if options.jax:
        beaten = race_jax(options.jax, images, one, meta)
    else:
        beaten = True
        print("jax: skipped, this bar is NOT MEASURED: name an interpreter that has it (--jax PYTHON or JAX_PYTHON)")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        meta_gradient(family, draw, meta)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / before - 1
    print(f"memory: 100 further meta-updates add {100 * growth:.2f} percent to the peak (bar 2)")
    agree = difference < 1e-4  # float32 sums over 1280 losses
    return int(ratio < 5 or multiple > 4.5 or growth > 0.02 or not (agree and beaten))


if __name__ == "__main__":
    sys.exit(main())
