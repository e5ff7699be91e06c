"""Truncated meta-gradients by running the recursions: dual numbers in Fractions, no closed form, no power."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

F = Fraction


def unrolled(
    eigenvalues: Sequence[Fraction],
    start: Sequence[Fraction],
    eta: Fraction,
    horizon: int,
    window: int,
    loss_weight: Callable[[int], Fraction] = lambda t: F(1),
    first_order: bool = False,
) -> Fraction:
    """Run x and its tangent dx/deta side by side; the tangent restarts from 0 after every `window` steps."""
    x, tangent, total = list(start), [F(0)] * len(start), F(0)
    for t in range(1, horizon + 1):
        for i, value in enumerate(eigenvalues):
            through = F(0) if first_order else value * tangent[i]  # how the inner gradient itself moves
            tangent[i] = tangent[i] - value * x[i] - eta * through
            x[i] = x[i] - eta * value * x[i]
            total += loss_weight(t) * value * x[i] * tangent[i]
        if t % window == 0:
            tangent = [F(0)] * len(start)
    return total


def unrolled_loss(eigenvalues: Sequence[Fraction], start: Sequence[Fraction], eta: Fraction, horizon: int) -> Fraction:
    """Sum of the losses of the steps 1..N."""
    x, total = list(start), F(0)
    for _ in range(horizon):
        x = [a - eta * value * a for a, value in zip(x, eigenvalues, strict=True)]
        total += sum((value * a * a / 2 for a, value in zip(x, eigenvalues, strict=True)), F(0))
    return total
