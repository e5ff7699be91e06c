"""The deepest point of a function of one positive number, evaluated on whole grids at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from l2o_theory.quadratic.arguments import Array

_SCAN, _ZOOM, _ROUNDS = 65, 17, 7  # the last grid is about 1e-7 wide: below, rounding hides a flat minimum


def minimum(function: Callable[[Array], Array], low: float, high: float) -> float:
    """Minimiser between 0 < low < high: a geometric scan of 65 places, then ever finer grids about the best.

    Relative accuracy about 1e-7. Minima narrower than a cell of the first scan can be missed; NaN counts as +inf.
    """
    places = np.geomspace(low, high, _SCAN)
    for _ in range(_ROUNDS):
        values = function(places)
        best = int(np.argmin(np.where(np.isnan(values), np.inf, values)))
        start, end = places[max(best - 1, 0)], places[min(best + 1, places.size - 1)]
        places = np.geomspace(start, end, _ZOOM)
    values = function(places)
    return float(places[np.argmin(np.where(np.isnan(values), np.inf, values))])
