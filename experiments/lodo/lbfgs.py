"""Stochastic L-BFGS with matched scaling pair, many runs at once, as a step for `Bowls.follow`.

x <- x - eta_t H_t g, eta_t = eta0 tau/(tau + t), H_t by the two-loop recursion from the last 48 pairs (s, y), y the
change of the gradient on the draw of the step: on a quadratic y = H s. Scaling by s.y/y.y of the newest pair; the
published program takes s of the oldest pair there, a loop variable left over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def lbfgs(hessians: Array, eta0: float, tau: float, memory: int = 48, start: float = 1e-10) -> Callable[[Array], Array]:
    """The displacement that follows a gradient; one step stands for two evaluations."""
    pairs: deque[tuple[Array, Array, Array]] = deque(maxlen=memory)
    steps = 0

    def dot(a: Array, b: Array) -> Array:
        return np.einsum("ri,ri->r", a, b)[:, None]

    def step(gradient: Array) -> Array:
        nonlocal steps
        q, weights = gradient, []
        for s, y, product in reversed(pairs):
            weights.append(dot(s, q) / product)
            q = q - weights[-1] * y
        if pairs:
            s, y, product = pairs[-1]
            q = q * (product / dot(y, y))
        else:
            q = q * start
        for (s, y, product), weight in zip(pairs, reversed(weights), strict=True):
            q = q + (weight - dot(y, q) / product) * s
        move = -eta0 * tau / (tau + steps) * q
        steps += 1
        change = (hessians @ move[:, :, None])[:, :, 0]
        pairs.append((move, change, dot(move, change)))
        return move

    return step
