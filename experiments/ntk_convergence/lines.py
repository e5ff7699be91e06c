"""What the figures of this experiment share: programs and networks from the configuration, baselines as lines."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from l2o_theory.errors import InputError
from l2o_theory.figures.canvas import COLOURS, measured
from l2o_theory.figures.configuration import Configuration
from l2o_theory.optimizers import initialization
from l2o_theory.optimizers.baselines import CONSTANT_STEP, GRADIENT_DESCENT, NESTEROV
from l2o_theory.optimizers.step_size_network import StepSizeNetwork
from l2o_theory.problems.quadratic_programs import QuadraticPrograms, program_law

METHODS = (GRADIENT_DESCENT, CONSTANT_STEP, NESTEROV)
KEY = "Dashed and dotted: references, measured as well. Solid: trained networks."


def programs_of(config: Configuration, table: str, *, fresh: int = 0, dtype: str = "float32") -> QuadraticPrograms:
    """The instances of a table ("program" or "large"); `fresh` others from another seed if given.

    Raises:
        InputError: the device is not there.
    """
    device = config["device"]
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f'device = "{device}", but torch sees no CUDA device; leave out --device, or write "cpu"')
    count = fresh or config[f"{table}.instances"]
    seed = config["seed"] + 777 + (1000 if fresh else 0)
    drawn = program_law(count, config[f"{table}.equations"], config[f"{table}.unknowns"], seed=seed)
    return drawn.to(device=device, dtype=getattr(torch, dtype)).with_steps(0.9999)


def network_of(config: Configuration, table: str, programs: QuadraticPrograms, expansion: float) -> StepSizeNetwork:
    """The published start for these programs."""
    dtype, device = programs.matrices.dtype, programs.matrices.device
    widths = (2, 2, config[f"{table}.width"], 1)
    weights = initialization.orthogonal(widths, float(expansion), seed=config["seed"], dtype=dtype)
    return StepSizeNetwork(tuple(w.to(device) for w in weights), programs.step_sizes, order="gx")


def identity(config: Configuration, table: str) -> dict[str, Any]:
    """What a piece of this table depends on beside its own parameters."""
    sizes = {
        name: config[name] for name in config if name.startswith(f"{table}.") and not isinstance(config[name], tuple)
    }
    return {**sizes, "seed": config["seed"], "device": config["device"]}


def shades(count: int) -> list[Any]:
    """Colours for a growing parameter, dark to light."""
    return [colormaps["viridis"](place) for place in np.linspace(0.0, 0.85, count)]


def draw_levels(axes: Axes, levels: dict[str, float], *, at: float, below: str = "") -> None:
    """One dashed level per baseline, named at x = `at`, over or `below` it; methods that coincide share the place."""
    named: dict[float, list[str]] = {}
    for name in METHODS:
        axes.axhline(levels[name], color=COLOURS[name], linestyle=(0, (4, 2)), linewidth=1.0)
        same = next((level for level in named if abs(level - levels[name]) <= 1e-6 * abs(level)), levels[name])
        named.setdefault(same, []).append(name)
    for level, names in named.items():
        shift, edge = (-4, "top") if below in names else (2, "bottom")
        style = {"fontsize": 6, "color": "#333333", "path_effects": [withStroke(linewidth=1.5, foreground="white")]}
        place = {"xytext": (0, shift), "textcoords": "offset points", "ha": "right", "va": edge}
        axes.annotate(", ".join(names), (at, level), zorder=5, **place, **style)


def draw_curves(axes: Axes, x: Any, curves: dict[str, Any]) -> None:
    """The baselines along x."""
    for name in METHODS:
        measured(axes, x, curves[name], name, linestyle=(0, (4, 2)), linewidth=1.0, label=name)


def legend_above(figure: Figure, axes: Axes, title: str) -> None:
    """One legend for all panels, above them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, [f"{title} {label}" for label in labels], loc="outside upper center", ncols=len(labels))
