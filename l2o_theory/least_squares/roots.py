"""Zeros of increasing functions, many at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from l2o_theory.quadratic.arguments import Array

_ITERATIONS = 60  # each at least halves the bracket, so that 60 exhaust float64
_TOLERANCE = 4 * np.finfo(np.float64).eps


def increasing_root(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where each entry of `function` turns from negative to positive between `low` and `high` (Ridders' method).

    Args:
        function: maps places, shape (rows,), to values of the same shape; increasing near the zero.
        low, high: 0 < low <= high, shape (rows,).

    Returns:
        the zeros to a few units in the last place; the end of the interval nearest to the zero where it lies outside.
    """
    low, high = np.array(low), np.array(high)
    f_low, f_high = function(low), function(high)
    outside = (high > low) & (f_high <= 0)
    root = np.where(outside, high, low)
    done = outside | (high <= low) | (f_low >= 0)
    for _ in range(_ITERATIONS):
        if np.all(done):
            break
        middle = 0.5 * (low + high)
        f_middle = function(middle)
        with np.errstate(all="ignore"):  # a row that is done may hold anything
            move = (middle - low) * f_middle / np.sqrt(f_middle**2 - f_low * f_high)
        guess = np.clip(np.where(np.isfinite(move), middle - move, middle), low, high)
        f_guess = function(guess)
        arrived = (np.abs(guess - root) <= _TOLERANCE * guess) | (f_guess == 0)
        root = np.where(done, root, guess)
        done |= arrived
        for place, value in ((middle, f_middle), (guess, f_guess)):
            left, right = (value < 0) & (place > low), (value >= 0) & (place < high)
            low, f_low = np.where(left, place, low), np.where(left, value, f_low)
            high, f_high = np.where(right, place, high), np.where(right, value, f_high)
    return root
