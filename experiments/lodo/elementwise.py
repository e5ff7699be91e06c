"""Update rules that act coordinate by coordinate, many runs at once, each row with hyper-parameters of its own.

A rule takes columns of hyper-parameters, shape (runs, 1), and returns a function from the gradient to the displacement.
Keras' conventions, as in the published baselines: epsilon outside the bias correction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rule = Callable[..., Callable[[Array], Array]]


def momentum(rate: Array, mu: Array) -> Callable[[Array], Array]:
    """v <- mu v - rate g; the displacement is v."""
    velocity = np.zeros(1)

    def step(g: Array) -> Array:
        nonlocal velocity
        velocity = mu * velocity - rate * g
        return velocity

    return step


def rmsprop(rate: Array, rho: Array, mu: Array) -> Callable[[Array], Array]:
    """s <- rho s + (1-rho) g^2, v <- mu v - rate g/sqrt(s + 1e-7)."""
    square, velocity = np.zeros(1), np.zeros(1)

    def step(g: Array) -> Array:
        nonlocal square, velocity
        square = rho * square + (1 - rho) * g * g
        velocity = mu * velocity - rate * g / np.sqrt(square + 1e-7)
        return velocity

    return step


def adam(rate: Array, first: Array, second: Array) -> Callable[[Array], Array]:
    """M, V averages of g, g^2; displacement -rate sqrt(1-b2^s)/(1-b1^s) M/(sqrt V + 1e-7)."""
    return _moments(rate, first, second, lambda V, square: V + (1 - second) * (square - V), 1e-7)


def yogi(rate: Array, first: Array, second: Array) -> Callable[[Array], Array]:
    """As Adam with V <- V - (1-b2) sign(V - g^2) g^2 and epsilon 1e-3."""
    return _moments(rate, first, second, lambda V, square: V - (1 - second) * np.sign(V - square) * square, 1e-3)


def _moments(
    rate: Array, first: Array, second: Array, learn: Callable[[Array, Array], Array], epsilon: float
) -> Callable[[Array], Array]:
    M, V, steps = np.zeros(1), np.zeros(1), 0

    def step(g: Array) -> Array:
        nonlocal M, V, steps
        steps += 1
        M = M + (1 - first) * (g - M)
        V = learn(V, g * g)
        corrected = rate * np.sqrt(1 - second**steps) / (1 - first**steps)
        return -corrected * M / (np.sqrt(np.maximum(V, 0)) + epsilon)

    return step


RULES: Mapping[str, tuple[Rule, tuple[float, ...], tuple[bool, ...]]] = {
    "Momentum": (momentum, (0.01, 0.0), (False, True)),
    "RMSprop": (rmsprop, (0.001, 0.9, 0.0), (False, True, True)),
    "Adam": (adam, (0.001, 0.9, 0.999), (False, True, True)),
    "Yogi": (yogi, (0.001, 0.9, 0.999), (False, True, True)),
}
"""Name -> rule, where tuning starts [official code: tuning/*], which parameters are decays (log(1-v) is searched).

The program searches RMSprop's rho as a scale; here it is a decay, which the baseline deserves.
"""

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "Momentum": ("rate", "mu"),
    "RMSprop": ("rate", "rho", "mu"),
    "Adam": ("rate", "beta1", "beta2"),
    "Yogi": ("rate", "beta1", "beta2"),
}
"""What a table calls the parameters of each rule."""
