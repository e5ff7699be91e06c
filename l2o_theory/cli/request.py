"""What `l2o-theory compare` was asked for, and how it finds out: on sampled tasks, or on a user's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2o_theory.cli.output import Output
from l2o_theory.cli.ranges import parse_one, parse_range
from l2o_theory.cli.stages import Stages
from l2o_theory.errors import InputError
from l2o_theory.least_squares.comparison import halves, measure, predict
from l2o_theory.least_squares.outcome import Compared, Protocol
from l2o_theory.least_squares.phase_diagram import crossing
from l2o_theory.least_squares.regression import Regression, read_table, standardise
from l2o_theory.least_squares.splits import compare_splits, refuse_without_test_rows
from l2o_theory.least_squares.sweep import parse_device
from l2o_theory.store.cells import Cells, identity_of
from l2o_theory.store.results import Results

_FARTHEST = 100_000  # steps; the freeze rule looks at each of them


@dataclass(frozen=True)
class Arithmetic:
    """Worker processes, device and type of the features; see `sweep`."""

    jobs: int
    device: str
    dtype: str


@dataclass(frozen=True)
class Request:
    """What was asked, parsed."""

    steps: list[int]
    grid: tuple[float, ...]
    tasks: int
    tests: int
    split: str | None
    seed: int
    arithmetic: Arithmetic
    out: Path
    fresh: bool

    @classmethod
    def parsed(
        cls,
        steps: str,
        grid: str,
        tasks: int,
        tests: int,
        split: str | None,
        seed: int,
        arithmetic: Arithmetic,
        out: Path,
        fresh: bool,
    ) -> Request:
        """Read the ranges.

        Raises:
            InputError: a range that `parse_range` refuses, a step size that is not positive, a horizon below 1.
        """
        horizons = sorted(int(value) for value in parse_range(steps, "--steps", whole=True))
        if horizons[0] < 1:
            raise InputError(f"--steps must be at least 1, got {horizons[0]}; raise it")
        if horizons[-1] > _FARTHEST:
            raise InputError(
                f"--steps must be at most {_FARTHEST}, got {horizons[-1]}; every step is looked at: lower it"
            )
        step_sizes = tuple(sorted(parse_range(grid, "--grid")))
        if not step_sizes[0] > 0:
            raise InputError(f"--grid must hold positive step sizes, got {step_sizes[0]:g}; raise its start")
        return cls(horizons, step_sizes, tasks, tests, split, seed, arithmetic, out, fresh)

    def protocol(self, dimension: int, samples: float, noise: float, steps: int) -> Protocol:
        """One cell, with the split that these samples get.

        Raises:
            InputError: a split that is none, or does not fit; other sizes that `Protocol` refuses.
        """
        return Protocol(dimension, int(samples), noise, steps, self._split(int(samples)))

    def _split(self, samples: int) -> tuple[int, int]:
        """N1:N2, or the share of the training part."""
        if self.split is None:
            return halves(samples)
        try:
            if ":" in self.split:
                first, second = self.split.split(":")
                return int(first), int(second)
            share = float(self.split)
        except ValueError:
            share = -1.0
        if not 0 < share < 1:
            raise InputError(f"--split {self.split!r} is no split; write N1:N2, as in 250:250, or a share such as 0.5")
        return round(share * samples), samples - round(share * samples)


@dataclass(frozen=True)
class Found:
    """What came out: the cells, a headline, and for each group where the crossing lies."""

    cells: list[Compared]
    headline: tuple[str, ...]
    crossings: list[dict[str, Any]]
    data: dict[str, Any] | None
    store: Cells | None


def sampled(request: Request, dimension: int, samples: str, noise: str, output: Output) -> Found:
    """Cells of sampled tasks: predicted by the limit, measured by the sweep; parts of it are stored as they finish."""
    sizes, noises = parse_range(samples, "--samples", whole=True), parse_range(noise, "--noise")
    places = [(n, sigma) for n in sizes for sigma in noises]
    protocols = {
        (n, sigma): [request.protocol(dimension, n, sigma, steps) for steps in request.steps] for n, sigma in places
    }
    predicted = {place: [predict(protocol, request.grid) for protocol in protocols[place]] for place in places}
    arithmetic = request.arithmetic
    parse_device(arithmetic.device)  # before the store is made
    store = Cells(request.out / "cells", identity_of("least_squares"), fresh=request.fresh)
    cells: list[Compared] = []
    with Stages(output, len(places), request.tasks + request.tests) as stages:
        for n, sigma in places:
            with stages.stage(f"n = {n:g}, sigma = {sigma:.4g}") as advance:
                outcomes = measure(
                    protocols[n, sigma],
                    request.grid,
                    tasks=request.tasks,
                    tests=request.tests,
                    seed=request.seed,
                    jobs=arithmetic.jobs if arithmetic.device == "cpu" else 1,  # processes would share the device
                    device=arithmetic.device,
                    dtype=arithmetic.dtype,
                    cells=store,
                    progress=advance,
                )
            cells += [Compared(*cell) for cell in zip(protocols[n, sigma], predicted[n, sigma], outcomes, strict=True)]
    effort = f"{request.tasks} tasks to tune on, {request.tests} fresh ones to test on"
    kind = "" if arithmetic.dtype == "float64" else f" {arithmetic.dtype} features;"
    place = "" if arithmetic.device == "cpu" else f" computed on {arithmetic.device};"
    headline = (f"d = {dimension}, {effort};{kind}{place} predicted: limit of large d",)
    return Found(cells, headline, _crossings([cell.protocol for cell in cells]), None, store)


def on_data(
    request: Request, path: Path, target: str | None, samples: str | None, noise: str | None, output: Output
) -> Found:
    """Cells of random splits of the user's rows, in the units of the target."""
    given = None if noise is None else parse_one(noise, "--noise")
    regression = standardise(read_table(path, target), given)
    usual = (max(regression.rows * 3 // 4, 2),)
    sizes = usual if samples is None else parse_range(samples, "--samples", whole=True)
    protocols = [
        request.protocol(regression.dimension, n, regression.noise, steps) for n in sizes for steps in request.steps
    ]
    refuse_without_test_rows(regression, protocols)
    with Results.create(request.out):
        pass  # refuse a folder that cannot be written before the work, not after it
    with Stages(output, 1, request.tasks, "random splits") as stages, stages.stage(path.name) as advance:
        pairs = compare_splits(
            regression, protocols, request.grid, tasks=request.tasks, seed=request.seed, progress=advance
        )
    cells = [Compared(protocol, *pair) for protocol, pair in zip(protocols, pairs, strict=True)]
    headline = (
        f"{path.name}: {regression.rows} rows, {regression.dimension} standardised features; target "
        f"{regression.target!r}, centred, in its own units",
        f"noise {regression.noise * regression.signal:.4g}, sigma/|w*| = {regression.noise:.4g} ({regression.rule})",
        f"{request.tasks} random splits; predicted: expectation over the direction of w* and the noise, given X",
    )
    return Found(cells, headline, [], _described(regression, path), None)


def _described(regression: Regression, path: Path) -> dict[str, Any]:
    return {
        "file": str(path),
        "rows": regression.rows,
        "dimension": regression.dimension,
        "features": list(regression.names),
        "target": regression.target,
        "noise": regression.noise,
        "signal": regression.signal,
        "noise_rule": regression.rule,
    }


def _crossings(protocols: Sequence[Protocol]) -> list[dict[str, Any]]:
    """For each sample size and horizon the noise at which both objectives predict the same test error."""
    settings = {(p.dimension, p.samples, p.steps, p.split) for p in protocols}
    found = []
    for dimension, samples, steps, split in sorted(settings):
        noise = crossing(dimension / samples, steps, split=split[0] / samples)
        found.append({"dimension": dimension, "samples": samples, "steps": steps, "split": split, "noise": noise})
    return found
