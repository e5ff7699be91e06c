"""Race: the empirical NTK of multilayer perceptrons, layer by layer, against two peers in the same run.

    torch.func          vmap(jacrev) of the network and the contraction of its Jacobians, layer by layer
    neural-tangents     structured derivatives, compiled, on one core and on all: the better of the two. Once as it
                        comes; once with vmap_axes=0, the user's promise that samples do not influence one another,
                        which is hard to make by hand: `empirical_ntk` tests it

float32, input width 32, ReLU, biases; our side on one thread. Medians, the peers run in turn. What runs on one thread
on both sides is compared by processor time, so that other work on the machine weighs on neither; neural-tangents on
all cores is compared by the clock. The kernels are compared with each other, and in float64 with the Jacobian's.
Peak memory: of a fresh process, beyond what it held before, for 8192 inputs, width 128, one output, as a multiple of
the kernel and the activations.

neural-tangents needs jax 0.4.20 to 0.4.23, and so an environment of its own:

    python3.11 -m venv peers && peers/bin/pip install jax==0.4.20 jaxlib==0.4.20 'numpy<2' 'scipy<1.13' neural-tangents
    python benchmarks/bench_ntk.py --neural-tangents peers/bin/python

Without it those rows are skipped and say so. Exit code 1 if numbers differ, memory is above its bar, a ratio to torch
or neural-tangents as it comes is below its bar, or neural-tangents with vmap_axes=0 is the faster. By how much it is
the slower is printed beside what the products of matrices alone would allow: its own time over the time, in this run,
of the products that both sides need (forward; backward to the first layer; half of each symmetric Gram matrix). At
width 2048 the two with the widest weight matrix are nearly all that either side does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from peer import Peer, Timing, timing
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from l2o_theory.ntk import empirical_ntk

INPUTS, REPEATS, MEMORY_BAR = 32, 7, 4.0
CASES = {  # width, hidden layers, samples, outputs; bars against neural-tangents and torch.func
    "128x2_n512_o1": ((128, 2, 512, 1), (4.0, 30.0)),
    "2048x2_n64_o1": ((2048, 2, 64, 1), (4.0, 30.0)),
    "256x3_n16_o32": ((256, 3, 16, 32), (4.0, 30.0)),
    "512x2_n32_o10": ((512, 2, 32, 10), (2.0, 30.0)),
}


def drawn(width: int, hidden: int, samples: int, outputs: int) -> tuple[nn.Sequential, Tensor]:
    torch.manual_seed(0)
    sizes = [INPUTS, *[width] * hidden, outputs]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1]), torch.randn(samples, INPUTS)


def median(timings: list[Timing]) -> Timing:
    clock, worked = zip(*timings, strict=True)
    return statistics.median(clock), statistics.median(worked)


def through_jacobians(module: nn.Module, x: Tensor) -> Tensor:
    """Theta[n, m, a, b] by torch.func, as its own tutorial does it."""
    parameters = {name: value.detach() for name, value in module.named_parameters()}

    def single(weights: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(module, weights, (sample[None],))[0]

    jacobians = vmap(jacrev(single), (None, 0))(parameters, x)
    return sum(torch.einsum("Naf,Mbf->NMab", j.flatten(2), j.flatten(2)) for j in jacobians.values())


class Floor:
    """The dense products of matrices that a kernel needs, forward, backward and of slopes and inputs, and no more."""

    def __init__(self, module: nn.Sequential, x: Tensor) -> None:
        weights = [layer.weight.detach() for layer in module if isinstance(layer, nn.Linear)]
        count, outputs = len(x), len(weights[-1])
        inputs = [x, *(torch.randn(count, len(weight)) for weight in weights[:-1])]
        slopes = [torch.randn(count * outputs, len(weight)) for weight in weights[:-1]]
        self.once = [(given, weight.T) for given, weight in zip(inputs, weights, strict=True)]
        self.once += list(zip(slopes[1:], weights[1:-1], strict=True))
        self.halves = [(factor, factor.T) for factor in inputs + slopes]
        self.results = [torch.empty(len(a), b.shape[1]) for a, b in self.once + self.halves]

    def time(self) -> Timing:
        """The products; of a symmetric one, half of its time."""
        whole, half = self.results[: len(self.once)], self.results[len(self.once) :]
        once = timing(lambda: [torch.mm(a, b, out=c) for (a, b), c in zip(self.once, whole, strict=True)])
        twice = timing(lambda: [torch.mm(a, b, out=c) for (a, b), c in zip(self.halves, half, strict=True)])
        return once[0] + twice[0] / 2, once[1] + twice[1] / 2


def saved(folder: Path, case: str, module: nn.Sequential, x: Tensor) -> None:
    layers = [layer for layer in module if isinstance(layer, nn.Linear)]
    arrays = {f"w{i}": layer.weight.detach().numpy() for i, layer in enumerate(layers)}
    arrays |= {f"b{i}": layer.bias.detach().numpy() for i, layer in enumerate(layers)}
    np.savez(folder / f"{case}.npz", x=x.numpy(), **arrays)


def agree(module: nn.Sequential, x: Tensor, other: np.ndarray | None) -> bool:
    """Both sides in float64 to 1e-12, and neural-tangents' kernel in float32 to 1e-4, of the largest entry."""
    few = x[:8].double()
    double = nn.Sequential(*module).double()
    ours, theirs = empirical_ntk(double, few), through_jacobians(double, few)
    good = bool((ours - theirs).abs().max() <= 1e-12 * theirs.abs().max())
    double.float()
    if other is not None:
        kernel = empirical_ntk(module, x).numpy()
        good &= bool(np.abs(kernel - other).max() <= 1e-4 * np.abs(kernel).max())
    return good


def against_promise(one: Timing, several: Timing, own: Timing, floor: Timing, bar: float) -> bool:
    """The race against neural-tangents with vmap_axes=0, printed: are we the faster?"""
    ratios = one[1] / own[1], several[0] / own[0]
    most = min(one[1] / floor[1], several[0] / floor[0])
    print(f"{'':15} with vmap_axes=0, one core {ratios[0]:.2f} times, all {ratios[1]:.2f}", end="")
    print(f"; products alone {1e3 * floor[1]:.2f} ms, so at most {most:.2f}: ", end="")
    print(f"{bar:g} " + ("reached" if min(ratios) >= bar else "not reached" if most >= bar else "out of reach"))
    return min(ratios) > 1


def race(case: str, folder: Path, peers: list[Peer]) -> bool:
    sizes, (bar_peer, bar_torch) = CASES[case]
    module, x = drawn(*sizes)
    saved(folder, case, module, x)
    products = Floor(module, x)
    empirical_ntk(module, x)
    ours: list[Timing] = []
    torch_func: list[Timing] = []
    floors: list[Timing] = []
    others: list[list[Timing]] = [[] for _ in peers]
    for _ in range(REPEATS):
        for _ in range(3):
            ours.append(timing(lambda: empirical_ntk(module, x)))
            floors.append(products.time())
        torch_func.append(timing(lambda: through_jacobians(module, x)))
        for spent, peer in zip(others, peers, strict=True):
            spent.append(peer.time(case))
    (clock, worked), jacobians = median(ours), median(torch_func)[1]
    print(
        f"{case:15} ours {1e3 * worked:6.2f} ms   torch.func {jacobians / worked:6.1f} times, bar {bar_torch:g}", end=""
    )
    good = jacobians / worked >= bar_torch
    if others:
        single, several, promised, promised_several = map(median, others)
        one, all_cores = single[1] / worked, several[0] / clock
        print(f"   neural-tangents, one core {one:5.1f} times, all {all_cores:5.1f}, bar {bar_peer:g}")
        good &= min(one, all_cores) >= bar_peer
        good &= against_promise(promised, promised_several, (clock, worked), median(floors), bar_peer)
    else:
        print()
    if not agree(module, x, np.load(folder / f"{case}.npy") if others else None):
        print(f"{'':15} THE KERNELS DIFFER", flush=True)
        return False
    return good


def held(name: str) -> int:
    """Bytes this process holds now (VmRSS), or held at most (VmHWM; getrusage would count its parent's, too)."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def memory() -> None:
    """In a fresh process: the peak beyond what was held before, as a multiple of kernel and activations."""
    module, x = drawn(128, 2, 8192, 1)
    empirical_ntk(module, x[:300])
    before = held("VmRSS")
    kernel = empirical_ntk(module, x)
    peak = held("VmHWM") - before
    activations = len(x) * (INPUTS + 128 + 128 + 1)
    print(peak / (4 * (kernel.numel() + activations)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neural-tangents", metavar="PYTHON", help="an interpreter with jax 0.4 and neural-tangents")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        memory()
        return 0
    with tempfile.TemporaryDirectory() as name:
        peers = []
        if options.neural_tangents:
            settings = [(threads, axes) for axes in ("none", "0") for threads in (1, 0)]
            peers = [Peer(options.neural_tangents, "neural_tangents_peer.py", name, *setting) for setting in settings]
            if not all(peer.name for peer in peers):
                print(f"{options.neural_tangents} cannot import jax and neural_tangents: its rows are skipped")
                peers = []
            else:
                print(peers[0].name)
        else:
            print("neural-tangents: skipped, no interpreter given (--neural-tangents PYTHON)")
        good = sum(race(case, Path(name), peers) for case in CASES) == len(CASES)
        for peer in peers:
            peer.process.terminate()
    run = subprocess.run([sys.executable, __file__, "--memory"], capture_output=True, text=True, check=True)
    print(f"peak memory {float(run.stdout):.2f} times kernel and activations, bar {MEMORY_BAR:g}")
    return int(not (good and float(run.stdout) <= MEMORY_BAR))


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":  # torch reads it once, when it is imported
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    sys.exit(main())
