"""Sweeps over many spectra: the methods of `Quadratic` on a common grid of step sizes and horizons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.analyzer import Objective, Quadratic
from l2o_theory.quadratic.arguments import Array, Steps, StepSize, parse_step_sizes, parse_steps

Swept = Literal["loss", "log_loss", "meta_gradient", "meta_curvature"]


def sweep(
    quadratics: Iterable[Quadratic],
    step_sizes: StepSize,
    steps: Steps,
    quantity: Swept = "meta_gradient",
    objective: Objective = "final",
) -> Array:
    """Evaluate one method of every spectrum at every step size and every horizon.

    Horizons up to 2^16 share powers of the residuals instead of taking an exponential each (module `powers`); work
    arrays stay below 10 MB whatever the size of the grid. Accuracy as for the methods themselves.

    Args:
        quadratics: s spectra, of any dimensions.
        step_sizes: vector of n step sizes.
        steps: vector of k horizons.
        quantity: name of the method.
        objective: for the two derivatives: of F ("final") or of G = (1/t) log F ("log_final").

    Returns:
        float64 array of shape (s, n, k).

    Raises:
        InputError: no spectra, arguments that are not vectors, an unknown quantity or objective.
    """
    spectra = list(quadratics)
    if not spectra or not all(isinstance(entry, Quadratic) for entry in spectra):
        raise InputError("quadratics must be a non-empty sequence of Quadratic; build them first")
    if quantity not in ("loss", "log_loss", "meta_gradient", "meta_curvature"):
        raise InputError(f"quantity must name a method of Quadratic such as 'meta_gradient', got {quantity!r}")
    sizes, horizons = parse_step_sizes(step_sizes), parse_steps(steps)
    shapes = sizes.high.shape, horizons.shape
    if [len(shape) for shape in shapes] != [1, 1]:
        raise InputError(f"step_sizes and steps must be vectors, got shapes {shapes[0]} and {shapes[1]}; flatten them")
    rows: Any = sizes.high if sizes.rationals is None else np.array(sizes.rationals, dtype=object)
    options = {"objective": objective} if quantity.startswith("meta") else {}
    return np.stack([getattr(entry, quantity)(rows[:, None], horizons, **options) for entry in spectra])
