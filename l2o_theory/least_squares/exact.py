"""The conditional risks in rationals, and certain brackets around both step sizes   [derived here]."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import flint

from l2o_theory.quadratic import Quadratic
from l2o_theory.quadratic.optimum import round_down, round_up
from l2o_theory.rigor.balls import ball, precision

_BRACKET_BITS = 160  # far beyond float64: rounding outward costs one unit in the last place


@dataclass(frozen=True)
class ExactTask:
    """One Gram spectrum and one setting in exact numbers; formulas in `conditional`.

    Args:
        eigenvalues: positive ones of H = X^T X/n, falling.
        dimension: d.
        samples: n.
        variance: sigma^2 >= 0.
        steps: t >= 1.
    """

    eigenvalues: tuple[Fraction, ...]
    dimension: int
    samples: int
    variance: Fraction
    steps: int

    def risk(self, step_size: Fraction) -> Fraction:
        """R = (1/d) [(d-r) + SUM R_i^(2t)] + (sigma^2/n) SUM (1-R_i^t)^2/l_i."""
        bias, variance = Fraction(self.dimension - len(self.eigenvalues)), Fraction(0)
        for value in self.eigenvalues:
            left = (1 - step_size * value) ** self.steps
            bias += left**2
            variance += (1 - left) ** 2 / value
        return bias / self.dimension + self.variance / self.samples * variance

    def train_loss(self, step_size: Fraction) -> Fraction:
        """T = (1/2n) [SUM R_i^(2t) (n l_i/d + sigma^2) + sigma^2 (n-r)]."""
        total = self.variance * (self.samples - len(self.eigenvalues))
        for value in self.eigenvalues:
            signal = self.samples * value / self.dimension
            total += (1 - step_size * value) ** (2 * self.steps) * (signal + self.variance)
        return total / (2 * self.samples)

    def norm2(self, step_size: Fraction) -> Fraction:
        """E|w_t|^2 = SUM (1-R_i^t)^2 [1/d + sigma^2/(n l_i)]."""
        total = Fraction(0)
        for value, weight in zip(self.eigenvalues, self._weights(), strict=True):
            total += (1 - (1 - step_size * value) ** self.steps) ** 2 * weight
        return total

    def train_step_size_bracket(self) -> tuple[float, float]:
        """Around the minimiser of T: that of `Quadratic` with the weights c_i^2 = 1/d + sigma^2/(n l_i)."""
        low, high = Quadratic(self.eigenvalues, self._weights()).optimal_step_size_bracket(self.steps)
        return float(low), float(high)

    def risk_step_size_bracket(self) -> tuple[float, float]:
        """[eta(l_max), min(eta(l_min), 1/l_max)], eta(x) = [1 - (kappa/(x+kappa))^(1/t)]/x, rounded outward."""
        kappa, largest = self.variance * self.dimension / self.samples, self.eigenvalues[0]

        def best(value: Fraction) -> flint.arb:
            if not kappa:
                return 1 / ball(value)
            return -(-ball((value + kappa) / kappa).log() / self.steps).expm1() / ball(value)

        with precision(_BRACKET_BITS):
            high = min(round_up(best(self.eigenvalues[-1])), round_up(1 / ball(largest)))
            return round_down(best(largest)), high

    def _weights(self) -> list[Fraction]:
        return [Fraction(1, self.dimension) + self.variance / (self.samples * value) for value in self.eigenvalues]
