"""Meta-gradients of Adam's step size through T inner steps on a multilayer perceptron of 1,510 weights, float32.

Time is CPU time of this process on one thread, so that a busy machine does not count; medians of `--repeats` runs that
alternate. Peak memory is the growth of the resident set of a fresh process (Linux). Rows:

1. 64 tasks at once against a loop over tasks (one task measured, times 64): bar 10 for the compiled steps; without a
   compiler the same sweep is reported with no bar.
2. checkpointed reverse against plain reverse: peak memory below 15 %, time below 2.2 times.
3. truncated meta-training, 1000 windows against 1: peak memory of the process within 2 %.
4. reverse against plain autograd code on a dict of weights and against torchopt: no slower; against a hand-written loop
   on one vector, with nothing in it that is not needed, with no bar. The torchopt row is skipped, and says so, where
   torchopt is not installed.

Exit code 1 if a bar is missed. Run: python benchmarks/bench_metagradients.py [--steps 1000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from l2o_theory.metagradients import Episode, Sweep, checkpointed, reverse
from l2o_theory.problems.flat import Flat

SIZES, EXAMPLES, TASKS, RATE = (64, 20, 10), 16, 64, 0.01


class Perceptron:
    """Cross entropy of a tanh perceptron on one batch."""

    constants = None

    def init(self, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Weights of standard deviation 0.1."""
        a, b, c = SIZES
        draw = lambda *shape: 0.1 * torch.randn(*shape, generator=generator)  # noqa: E731
        return {"w1": draw(a, b), "b1": draw(b), "w2": draw(b, c), "b2": draw(c)}

    def loss(self, params: Any, batch: Any = None) -> Tensor:
        """Mean cross entropy."""
        features, labels = batch
        hidden = torch.tanh(features @ params["w1"] + params["b1"])
        return functional.cross_entropy(hidden @ params["w2"] + params["b2"], labels)


def adam(x: Tensor, g: Tensor, m: Tensor, v: Tensor, t: Any, rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """torchopt's formula with eps_root, so that all routes differentiate the same steps."""
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * (g * g)
    return x - rate * (m / (1 - 0.9**t)) / (torch.sqrt(v / (1 - 0.999**t) + 1e-16) + 1e-8), m, v


class Adam:
    """The rule: on one vector."""

    def init(self, params: Any) -> Any:
        """(m, v, t) = 0."""
        return torch.zeros_like(params), torch.zeros_like(params), torch.zeros((), dtype=params.dtype)

    def update(self, params: Any, grads: Any, state: Any, meta: Any) -> Any:
        """One step."""
        m, v, t = state
        after = t + 1
        x, m, v = adam(params, grads, m, v, after, meta)
        return x, (m, v, after)


GENERATOR = torch.Generator().manual_seed(0)
STARTS = [Perceptron().init(GENERATOR) for _ in range(TASKS)]
PROBLEM = Flat(Perceptron(), STARTS[0])
VECTORS = torch.stack([PROBLEM.ravel(start) for start in STARTS])
FEATURES = torch.randn(TASKS, EXAMPLES, SIZES[0], generator=GENERATOR)
LABELS = torch.randint(0, SIZES[-1], (TASKS, EXAMPLES), generator=GENERATOR)
ONE = (FEATURES[0], LABELS[0])


def by_reverse(steps: int) -> Any:
    return reverse(Adam(), PROBLEM, torch.tensor(RATE), steps, start=VECTORS[0], batches=lambda t: ONE).gradient


def by_checkpoints(steps: int) -> Any:
    return checkpointed(Adam(), PROBLEM, torch.tensor(RATE), steps, start=VECTORS[0], batches=lambda t: ONE).gradient


def by_plain_dict(steps: int) -> Any:
    """What one writes by hand: a dict of weights, one graph."""
    rate, params = torch.tensor(RATE, requires_grad=True), {k: v.clone().requires_grad_() for k, v in STARTS[0].items()}
    means = {k: torch.zeros_like(v) for k, v in params.items()}
    squares, total = dict(means), torch.zeros(())
    for t in range(1, steps + 1):
        loss = PROBLEM.problem.loss(params, ONE)
        total = total + loss if t > 1 else total
        slopes = dict(zip(params, torch.autograd.grad(loss, list(params.values()), create_graph=True), strict=True))
        for k in slopes:
            params[k], means[k], squares[k] = adam(params[k], slopes[k], means[k], squares[k], t, rate)
    return torch.autograd.grad(total + PROBLEM.problem.loss(params, ONE), rate)[0]


def by_plain_vector(steps: int) -> Any:
    """The same on one vector: the least that autograd needs for this."""
    rate, x = torch.tensor(RATE, requires_grad=True), VECTORS[0].clone().requires_grad_()
    m, v, total = torch.zeros_like(x), torch.zeros_like(x), torch.zeros(())
    for t in range(1, steps + 1):
        loss = PROBLEM.loss(x, ONE)
        total = total + loss if t > 1 else total
        (slope,) = torch.autograd.grad(loss, x, create_graph=True)
        x, m, v = adam(x, slope, m, v, t, rate)
    return torch.autograd.grad(total + PROBLEM.loss(x, ONE), rate)[0]


def by_torchopt(steps: int) -> Any:
    import torchopt

    rate, params = torch.tensor(RATE, requires_grad=True), {k: v.clone().requires_grad_() for k, v in STARTS[0].items()}
    optimizer, total = torchopt.adam(lr=rate, eps_root=1e-16), torch.zeros(())
    state = optimizer.init(params)
    for t in range(steps):
        loss = PROBLEM.problem.loss(params, ONE)
        total = total + loss if t > 0 else total
        slopes = dict(zip(params, torch.autograd.grad(loss, list(params.values()), create_graph=True), strict=True))
        updates, state = optimizer.update(slopes, state, inplace=False)
        params = torchopt.apply_updates(params, updates, inplace=False)
    return torch.autograd.grad(total + PROBLEM.problem.loss(params, ONE), rate)[0]


def by_tasks(sweep: Sweep, segment: int | None) -> Callable[[int], Any]:
    batch = (FEATURES, LABELS)
    return lambda steps: (
        sweep.reverse(
            torch.tensor(RATE), steps, start=VECTORS, batches=lambda t: batch, segment=segment and min(segment, steps)
        ).gradient
    )


def online(windows: int) -> None:
    episode, phi = Episode(Adam(), PROBLEM, 20 * windows, 20, batches=lambda t: ONE), torch.tensor(RATE)
    carry = episode.begin(phi, VECTORS[0])
    while not episode.is_finished(carry):
        estimate, carry = episode.advance(phi, carry)
        phi = phi - 1e-9 * estimate.gradient


ROUTES: dict[str, Callable[[int], Any]] = {
    "reverse": by_reverse,
    "checkpointed": by_checkpoints,
    "plain autograd, dict": by_plain_dict,
    "plain autograd, vector": by_plain_vector,
    "torchopt": by_torchopt,
    "online": online,
}


def timed(routes: dict[str, Callable[[int], Any]], steps: int, repeats: int) -> tuple[dict[str, float], dict[str, Any]]:
    times: dict[str, list[float]] = {name: [] for name in routes}
    answers = {name: run(min(steps, 20)) for name, run in routes.items()}  # warm
    for _ in range(repeats):
        for name, run in routes.items():
            begin = time.process_time()
            answers[name] = run(steps)
            times[name].append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in times.items()}, answers


def resident(field: str) -> float:
    """MB of this process: VmRSS now, VmHWM at most since the mark was reset."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 1024


def peak_memory(route: str, size: int) -> tuple[float, float]:
    """MB that the resident set of a fresh process grew by at most, and its peak."""
    run = subprocess.run(
        [sys.executable, __file__, "--child", route, "--steps", str(size)], capture_output=True, text=True, check=True
    )
    growth, peak = map(float, run.stdout.split())
    return growth, peak


def child(route: str, size: int) -> int:
    ROUTES[route](2)
    with open("/proc/self/clear_refs", "w") as marks:
        marks.write("5")  # the peak of importing torch is not ours
    before = resident("VmRSS")
    ROUTES[route](size)
    print(resident("VmHWM") - before, resident("VmHWM"))
    return 0


def report(text: str, value: float, bar: float | None, *, below: bool) -> bool:
    if bar is None:
        print(f"{text}: {value:.3g}")
        return False
    missed = value >= bar if below else value <= bar
    print(f"{text}: {value:.3g} (bar: {'below' if below else 'above'} {bar:g}){'  MISSED' if missed else ''}")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.child:
        return child(options.child, options.steps)
    names = ["reverse", "checkpointed", "plain autograd, dict", "plain autograd, vector"]
    if importlib.util.find_spec("torchopt") is None:
        print("torchopt: skipped, it is not installed (pip install torchopt)")
    else:
        names.append("torchopt")
    routes = {name: ROUTES[name] for name in names}
    routes["64 tasks at once"] = by_tasks(Sweep(Adam(), PROBLEM, tasks=True), None)
    if shutil.which("c++") is None and shutil.which("g++") is None:
        print("compiled steps: skipped, there is no C++ compiler on the path")
    else:
        sweep = Sweep(Adam(), PROBLEM, tasks=True, compiled=True)
        routes["64 tasks at once, compiled"] = by_tasks(sweep, None)
        routes["64 tasks at once, compiled, no checkpoints"] = by_tasks(sweep, options.steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's compiler warns about torch
        times, answers = timed(routes, options.steps, options.repeats)
    for name, value in times.items():
        print(
            f"  {name}: {1e3 * value / options.steps:.3f} ms of CPU per inner step, meta-gradient {answers[name]:.6g}"
        )
    missed = []
    for name in (name for name in times if name.startswith("64")):
        ratio, bar = TASKS * times["reverse"] / times[name], 10 if "compiled" in name else None
        missed.append(report(f"loop over 64 tasks / {name}", ratio, bar, below=False))
    for name in names[2:]:
        bar = None if name.endswith("vector") else 1.0
        missed.append(report(f"time, reverse / {name}", times["reverse"] / times[name], bar, below=True))
    missed.append(report("time, checkpointed / reverse", times["checkpointed"] / times["reverse"], 2.2, below=True))
    (whole, _), (saved, _) = (peak_memory(name, options.steps) for name in ("plain autograd, vector", "checkpointed"))
    print(f"  peak memory: plain {whole:.1f} MB, checkpointed {saved:.1f} MB")
    missed.append(report("peak memory, checkpointed / plain", saved / whole, 0.15, below=True))
    (_, single), (_, many) = (peak_memory("online", size) for size in (1, 1000))
    print(f"  peak memory of meta-training, whole process: 1 window {single:.1f} MB, 1000 windows {many:.1f} MB")
    missed.append(report("peak memory, 1000 windows / 1 window - 1", many / single - 1, 0.02, below=True))
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
