"""The plots of `l2o-theory compare`: one for each combination of the parameters that are not on the axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from l2o_theory.cli.comparison import varied
from l2o_theory.cli.request import Found, Request
from l2o_theory.figures.comparison import columns, draw_along, draw_objectives
from l2o_theory.figures.table import write_table
from l2o_theory.least_squares.comparison import predict
from l2o_theory.least_squares.outcome import Compared, Outcome, Protocol

_FINE = 161  # predictions along the axis, so that the dashed curve shows each change of the chosen step size


def draw(request: Request, found: Found) -> list[Path]:
    """Draw all plots and write the table of all cells into out/compare; return the files, the first plot's first.

    Raises:
        StoreError: the folder cannot be written.
    """
    folder = request.out / "compare"
    names = varied(found.cells)
    files: list[Path] = []
    if not names:
        (cell,) = found.cells
        caption = [*found.headline, f"{_setting(cell.protocol)}. Diamonds: minima, open where predicted."]
        files += draw_objectives(folder, "objectives", cell, request.grid, caption=caption, seed=request.seed)
    axis: Literal["noise", "samples", "steps"] = "noise"
    if names and "noise" not in names:
        axis = "samples" if "samples" in names else "steps"
    for group in _groups(found.cells, axis) if names else ():
        first = group[0].protocol
        others = [name for name in names if name != axis]
        suffix = "".join(f"_{name}_{getattr(first, name):g}" for name in others)
        both = "Both step sizes train on all n samples. Band: two standard errors."
        caption = [*found.headline, f"{_setting(first, without=axis)}. {both}"]
        tie = [place["noise"] for place in found.crossings if _is_at(place, first)] if axis == "noise" else []
        files += draw_along(
            folder,
            f"along_{axis}{suffix}",
            group,
            axis,
            caption=caption,
            seed=request.seed,
            between=_between(request, group, axis) if found.data is None else (),
            crossing=tie[0] if tie else None,
        )
    return [*files, write_table(folder / "cells.csv", columns(found.cells))]


def _groups(cells: Sequence[Compared], axis: str) -> list[list[Compared]]:
    groups: dict[tuple[float, ...], list[Compared]] = {}
    for cell in sorted(cells, key=lambda cell: float(getattr(cell.protocol, axis))):
        others = tuple(getattr(cell.protocol, name) for name in ("samples", "noise", "steps") if name != axis)
        groups.setdefault(others, []).append(cell)
    return list(groups.values())


def _between(request: Request, group: Sequence[Compared], axis: str) -> list[tuple[Protocol, Outcome]]:
    first, last = group[0].protocol, group[-1].protocol
    if axis == "steps" or not 0 < getattr(first, axis) < getattr(last, axis):
        return []
    places = np.geomspace(getattr(first, axis), getattr(last, axis), _FINE)[1:-1]
    if axis == "noise":
        protocols = [replace(first, noise=float(noise)) for noise in places]
    else:
        sizes = sorted({round(size) for size in places})
        protocols = [request.protocol(first.dimension, size, first.noise, first.steps) for size in sizes]
    return [(protocol, predict(protocol, request.grid)) for protocol in protocols]


def _is_at(place: dict[str, object], protocol: Protocol) -> bool:
    return (place["samples"], place["steps"]) == (protocol.samples, protocol.steps)


def _setting(protocol: Protocol, without: str = "") -> str:
    parts = {
        "samples": f"n = {protocol.samples}, split {protocol.split[0]} + {protocol.split[1]}",
        "noise": f"sigma = {protocol.noise:.4g}",
        "steps": f"t = {protocol.steps}",
    }
    return ", ".join(text for name, text in parts.items() if name != without)
