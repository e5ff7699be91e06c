r"""Averaged dynamics of simplified LODO: dense G, no momentum, meta-SGD of rate a  [derived here].

    G_{t+1} = G_t + a g_{t+1} g_t^T          averages, for small a, with D = H^-1 - G and one step as unit of time, to

    dD/dt = -a H D K,   K = H S H,   S = A S A^T + sigma^2 I,   A = D H                                          (ODE)
    V = tr(D^T H^-1 D)/2,   dV/dt = -a tr(D K D^T) <= -2 a sigma^2 h_min^3 V     as long as A has spectral radius < 1

If G_0 commutes with H and 0 < G_0 h_i < 2, each a_i = 1 - G_i h_i has its own equation and closed form:

    da_i/dt = -a sigma^2 h_i^3 a_i/(1 - a_i^2)
    a_i(t)^2 = -W0(-z e^(-2 a sigma^2 h_i^3 t)),   z = y0 e^-y0,   y0 = a_i(0)^2

With a fixed minimum and additive gradient noise of variance c the mode u = G h decays instead of settling at 1:

    du/dt = -a h c u/(2 - u),   u(t) = -2 W0(-(u0/2) e^(-u0/2) e^(-a h c t/2))
"""

from __future__ import annotations

from typing import Any

import numpy as np

from l2o_theory.errors import InputError
from l2o_theory.quadratic.arguments import Array
from l2o_theory.quasi_newton.tracking import TrackedQuadratic


def drift(error: Array, hessian: Array, rate: float, noise: float = 1.0) -> Array:
    """Right-hand side of (ODE) at D = `error`; both matrices of shape (n, n).

    Raises:
        InputError: A = D H has an eigenvalue outside the unit circle.
    """
    from scipy.linalg import solve_discrete_lyapunov

    A = error @ hessian
    if not np.abs(np.linalg.eigvals(A)).max() < 1:
        raise InputError("D H must have all eigenvalues inside the unit circle; start from a smaller preconditioner")
    covariance = solve_discrete_lyapunov(A, noise**2 * np.eye(len(A)))
    return -rate * hessian @ error @ (hessian @ covariance @ hessian)


def lyapunov(error: Array, hessian: Array) -> float:
    """V = tr(D^T H^-1 D)/2."""
    return float(np.sum(error * np.linalg.solve(hessian, error))) / 2


def residuals(task: TrackedQuadratic, start: float, rate: float, times: Any) -> Array:
    """a_i(t) = 1 - G_i h_i of the averaged dynamics from G_0 = `start` I; shape (len(times), n).

    Args:
        task: eigenvalues and noise.
        start: alpha_0 with 0 < alpha_0 h_max < 2.
        rate: meta step a > 0.
        times: numbers of steps t >= 0.

    Raises:
        InputError: start or rate out of range.
    """
    floats = task.floats
    h, variance = floats.eigenvalues, float(floats.variance)
    if not (rate > 0 and 0 < start * h.max() < 2):
        raise InputError(f"wanted rate > 0 and 0 < start < {2 / h.max():g}, got {rate} and {start}; change them")
    first = 1 - start * h
    decay = 2 * rate * variance * h**3 * np.asarray(times, dtype=np.float64)[:, None]
    return np.sign(first) * np.sqrt(_solved(first**2, decay))


def losses(task: TrackedQuadratic, start: float, rate: float, times: Any) -> Array:
    """(sigma^2/2) SUM_i h_i/(1 - a_i(t)^2): expected loss along `residuals`, without the floor of the fluctuations."""
    shares = 1 - residuals(task, start, rate, times) ** 2
    floats = task.floats
    return np.asarray(float(floats.variance) / 2 * np.sum(floats.eigenvalues / shares, axis=1))


def additive_noise_gain(start: float, curvature: float, variance: float, rate: float, times: Any) -> Array:
    """u(t) = G h at a fixed minimum with gradient noise of that variance: it decays to 0, whatever H is.

    Raises:
        InputError: u(0) outside (0, 2), or a factor not positive.
    """
    if not (0 < start < 2 and curvature > 0 and variance > 0 and rate > 0):
        raise InputError(f"wanted 0 < start < 2 and positive factors, got start {start}; change them")
    decay = rate * curvature * variance / 2 * np.asarray(times, dtype=np.float64)
    return np.asarray(2 * _solved(np.float64(start / 2), decay))


def _solved(start: Any, decay: Any) -> Array:
    """y in (0, 1) with y e^-y = y0 e^-y0 e^-decay: -W0 of its negative."""
    from scipy.special import lambertw

    return np.asarray(-lambertw(-start * np.exp(-start - decay)).real)
