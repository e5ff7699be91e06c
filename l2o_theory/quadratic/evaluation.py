"""One call, one quantity: broadcast, take the float or the ball route, repair what floats cannot resolve."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic import exact, float64, powers
from l2o_theory.quadratic.arguments import (
    Array,
    StepSizes,
    common_shape,
    parse_digits,
    parse_step_sizes,
    parse_steps,
)
from l2o_theory.quadratic.float64 import FloatValues
from l2o_theory.quadratic.spectrum import Spectrum

_DOUBTFUL = 1e-4  # the float route is good to about 1e-14 before cancellation; below this its result may miss 1e-10
_FLOAT_ACCURACY = 1e-10  # relative error promised by the float route
_MANY = 4  # horizons from which on sharing powers pays
_FLOAT_DIGITS = 20  # digits of a ball that is to be rounded to float64
_WIDEST = 1e300  # largest |step_size| * L whose product and halves stay inside the float range


def evaluate(spectrum: Spectrum, quantity: str, step_size: Any, steps: Any, digits: int | None = None) -> Any:
    """Return `quantity` (a key of `definition.RATIONAL` or `LOGARITHM_OF`) at the broadcast arguments.

    Without `digits`: a float, or a float64 array of the broadcast shape. Entries whose terms cancel are recomputed in
    ball arithmetic and rounded. With `digits`: a `flint.arb`, or an object array of them.

    Raises:
        InputError: unusable step sizes, steps or digits, or shapes that do not broadcast.
        PrecisionError: with digits, a value that is zero or nearly so, at a t too large to decide exactly.
    """
    sizes, horizons = parse_step_sizes(step_size), parse_steps(steps)
    shape = common_shape(sizes, horizons)
    which_size = np.broadcast_to(np.arange(sizes.high.size).reshape(sizes.high.shape), shape)
    which_horizon = np.broadcast_to(np.arange(horizons.size).reshape(horizons.shape), shape)

    def certified(index: int, wanted: int) -> Any:
        t = int(horizons.flat[which_horizon.flat[index]])
        return exact.ball_value(spectrum.exact, quantity, sizes.exact(int(which_size.flat[index])), t, wanted)

    if digits is not None:
        wanted = parse_digits(digits)
        balls = np.empty(shape, dtype=object)
        for position in range(balls.size):
            balls.flat[position] = certified(position, wanted)
        return balls if shape else balls.item()
    if np.max(np.abs(sizes.high), initial=0.0) * spectrum.floats.largest >= _WIDEST:
        raise InputError(f"step_size * eigenvalue must stay below {_WIDEST:g}; rescale, or ask for digits=")
    if spectrum.floats.is_wide:  # rare enough to leave to the balls altogether
        values, doubtful = np.empty(shape), np.ones(shape, dtype=bool)
    else:
        values, doubtful = _floats(spectrum, quantity, sizes, horizons, which_size, which_horizon)
    for index in np.flatnonzero(doubtful):
        values.flat[index] = float(certified(int(index), _FLOAT_DIGITS))
    return values if shape else values.item()


def _floats(
    spectrum: Spectrum, quantity: str, sizes: StepSizes, horizons: Any, which_size: Any, which_horizon: Any
) -> tuple[Array, Any]:
    """Return the float values and which of them are doubtful, both of the broadcast shape."""
    shape = which_size.shape
    which_size, which_horizon = which_size.reshape(-1), which_horizon.reshape(-1)
    if sizes.high.size * horizons.size != which_size.size:
        values, doubtful = _pairs(spectrum, quantity, sizes, horizons, which_size, which_horizon)
        return values.reshape(shape), doubtful.reshape(shape)
    distinct, column = np.unique(horizons.reshape(-1), return_inverse=True)
    by_powers = _powers_pay(spectrum, quantity, sizes, distinct)
    high, low = sizes.high.reshape(-1), sizes.low.reshape(-1)
    with np.errstate(all="ignore"):  # overflow to inf and underflow to 0 are the documented float answers
        if by_powers:
            raw = powers.evaluate(spectrum.floats, high, distinct)
            grid, doubts = _pick(raw, quantity, distinct, powers.growth(distinct) / _FLOAT_ACCURACY)
        else:
            residual = _exact_residual(spectrum, sizes, np.arange(high.size))
            grid, doubts = _pick(
                float64.evaluate(
                    spectrum.floats, high, low, distinct[None], residual, curvature="curvature" in quantity
                ),
                quantity,
                distinct,
                _DOUBTFUL,
            )
    values, doubtful = grid[which_size, column[which_horizon]], doubts[which_size, column[which_horizon]]
    again = np.flatnonzero(doubtful)
    if by_powers and again.size:
        values[again], doubtful[again] = _pairs(
            spectrum, quantity, sizes, horizons, which_size[again], which_horizon[again]
        )
    return values.reshape(shape), doubtful.reshape(shape)


def _powers_pay(spectrum: Spectrum, quantity: str, sizes: StepSizes, distinct: Any) -> bool:
    """Whether the chain of squares is both cheaper than one exponential per horizon and accurate enough."""
    floats = spectrum.floats
    return bool(
        len(distinct) >= _MANY
        and distinct[-1] <= powers.LARGEST_HORIZON
        and "curvature" not in quantity
        and not (sizes.low.any() or floats.low.any())
    )


def _exact_residual(spectrum: Spectrum, sizes: StepSizes, which_size: Any) -> Callable[[int, int], Fraction]:
    return lambda row, column: 1 - sizes.exact(int(which_size[row])) * spectrum.active_rationals[column]


def _pairs(
    spectrum: Spectrum, quantity: str, sizes: StepSizes, horizons: Any, which_size: Any, which_horizon: Any
) -> tuple[Array, Any]:
    """Evaluate (step size, horizon) pairs one by one, shape (n,)."""
    t = horizons.reshape(-1)[which_horizon][:, None]
    high, low = sizes.high.reshape(-1)[which_size], sizes.low.reshape(-1)[which_size]
    residual = _exact_residual(spectrum, sizes, which_size)
    raw = float64.evaluate(spectrum.floats, high, low, t, residual, curvature="curvature" in quantity)
    with np.errstate(all="ignore"):  # as for a grid
        values, doubtful = _pick(raw, quantity, t, _DOUBTFUL)
    return values[:, 0], doubtful[:, 0]


def _pick(raw: FloatValues, quantity: str, steps: Any, least: Any) -> tuple[Array, Any]:
    """Return one quantity out of the float values, and where its doubt is below `least`."""
    certain = np.zeros(raw.log_loss.shape, dtype=bool)
    if quantity == "loss":
        return np.exp(raw.log_loss), certain
    if quantity == "log_loss":
        return raw.log_loss, raw.log_loss_doubt < least
    if quantity == "log_gradient":
        return raw.log_gradient, raw.log_gradient_doubt < least
    if quantity == "log_curvature":
        return raw.log_curvature, raw.log_curvature_doubt < least
    if quantity == "curvature":
        return np.exp(raw.log_of_curvature), certain
    # F' = t F G', by logarithms: the factors may leave the float range when the product does not.
    nothing_left = np.isneginf(raw.log_loss)
    terms = np.log(steps), raw.log_loss, np.log(np.abs(raw.log_gradient))
    log_size = np.where(nothing_left, -np.inf, terms[0] + terms[1] + terms[2])
    doubtful = ~nothing_left & (raw.log_gradient_doubt < least)
    if quantity == "gradient":
        sign = np.where(nothing_left, 0.0, np.sign(raw.log_gradient))
        return np.where(nothing_left, 0.0, sign * np.exp(log_size)), doubtful
    size = np.abs(terms[0]) + np.abs(terms[1]) + np.abs(terms[2]) + 1
    return log_size, doubtful | (np.abs(log_size) < least * size)
