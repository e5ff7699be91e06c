"""Expected risk and training loss of early-stopped gradient descent, and the step size that each objective picks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.least_squares.measure import CANDIDATES, Decay, Measure, descent, flow
from l2o_theory.least_squares.settings import broadcast, parse_reals
from l2o_theory.quadratic.arguments import Array

_BLOCK = 1 << 18  # numbers in one work array: small enough for the cache, large enough to hide the interpreter
_BELOW_ONE = 1 - 1e-15  # l * (1/l) may round to just below 1


@dataclass(frozen=True, eq=False)
class BestRisk:
    """The smallest risk over the step sizes (0, 1/largest eigenvalue].

    Args:
        step_size: where it is reached.
        risk: R there.
        is_interior: False where R still falls at 1/largest, so that the step size is that edge and no minimum lies
            inside; with t = 1 and little noise, or without noise, this happens.
    """

    step_size: Any
    risk: Any
    is_interior: Any


class ExpectedRisks(ABC):
    """Expected values of t steps of gradient descent from 0 on a least-squares task, for one setting or an array.

    Task: w* uniform on the unit sphere of R^d, y = <w*, x> + xi, xi of standard deviation `noise`, n training samples.
    Methods broadcast `step_size` (>= 0) against the settings and return floats or float64 arrays. No freeze rule.
    Beyond 2/largest eigenvalue values grow without bound in t: ask `diverges`; past the float range they are inf.
    """

    noise: Array
    steps: NDArray[np.int64]

    @abstractmethod
    def _measure(self, rows: NDArray[np.intp]) -> Measure:
        """The spectra of the given settings (flat positions), with nodes enough for their `steps`."""

    @abstractmethod
    def _flow_measure(self, rows: NDArray[np.intp], times: Array | None) -> Measure:
        """The same, with nodes enough for gradient flow up to `times`, or up to the best time."""

    @abstractmethod
    def _width(self) -> int:
        """Atoms per setting."""

    @property
    @abstractmethod
    def largest_eigenvalue(self) -> Any:
        """Upper end of the spectrum."""

    def risk(self, step_size: Any) -> Any:
        """R = E|w_t - w*|^2."""
        return self._evaluate(Measure.risk, step_size)

    def train_loss(self, step_size: Any) -> Any:
        """T = E (1/2n) SUM (y - <w_t, x>)^2 over the training samples."""
        return self._evaluate(Measure.train_loss, step_size)

    def validation_loss(self, step_size: Any) -> Any:
        """V = (R + sigma^2)/2, the expected loss on fresh samples."""
        return 0.5 * (self.risk(step_size) + self.noise**2)

    def test_rmse(self, step_size: Any) -> Any:
        """sqrt(R + sigma^2): root of the expected square error on a fresh noisy sample."""
        return np.sqrt(self.risk(step_size) + self.noise**2)

    def train_rmse(self, step_size: Any) -> Any:
        """sqrt(2 T)."""
        return np.sqrt(2 * self.train_loss(step_size))

    def expected_norm2(self, step_size: Any) -> Any:
        """E|w_t|^2; compare with the freeze rule's (40 sigma)^2."""
        return self._evaluate(Measure.norm2, step_size)

    def diverges(self, step_size: Any) -> Any:
        """Whether eta > 2/largest eigenvalue: w_t then grows without bound as t does, and so do R and T."""
        eta, largest = broadcast(
            "step_size and settings", parse_reals(step_size, "step_size", positive=False), self._edges()
        )
        return scalar(eta * largest > 2)

    def best_train_step_size(self) -> Any:
        """What train-by-train picks: the unique minimiser of T over all step sizes (T is strictly convex)."""
        return self._optimise(lambda measure, steps: measure.best_train_step_size(steps), 4)

    def best_risk(self) -> BestRisk:
        """What train-by-validation picks: the minimiser of R over (0, 1/largest eigenvalue], the edge included.

        Beyond the edge some components overshoot; for even t, R may have a second local minimum near 2/x.
        """
        step_size = self.best_risk_step_size()
        return BestRisk(step_size, self.risk(step_size), scalar(step_size * self._edges() < _BELOW_ONE))

    def best_risk_step_size(self) -> Any:
        """`best_risk().step_size`."""
        return self._optimise(lambda measure, steps: measure.best_risk_step_size(steps), CANDIDATES)

    def gradient_flow_optimum(self) -> Any:
        """s*, the best time of gradient flow, to which t eta*_valid tends as t grows; inf without noise."""
        rows = np.arange(self.noise.size)[:, None]
        times = [self._flow_measure(row, None).best_flow_time()[0] for row in rows]
        return scalar(np.array(times).reshape(self.noise.shape))

    def gradient_flow_risk(self, time: Any) -> Any:
        """R of gradient flow stopped at `time` >= 0: the limit of R(time/t) as t grows."""
        times, rows = self._paired(time, "time")
        result = np.empty(times.size)
        for place in range(times.size):  # each time has its own number of nodes
            one = times.flat[place : place + 1]
            measure = self._flow_measure(rows.flat[place : place + 1], one)
            result[place] = measure.risk(flow(one, measure.atoms))[0]
        return scalar(result.reshape(times.shape))

    def _edges(self) -> Array:
        return np.asarray(self.largest_eigenvalue, dtype=np.float64)

    def _flat_steps(self) -> Array:
        return self.steps.reshape(-1).astype(np.float64)

    def _paired(self, place: Any, name: str) -> list[NDArray[Any]]:
        """Step sizes or times, and the flat position of the setting that each goes with."""
        settings = np.arange(self.noise.size).reshape(self.noise.shape)
        return broadcast(f"{name} and settings", parse_reals(place, name, positive=False), settings)

    def _evaluate(self, quantity: Callable[[Measure, Decay], Array], step_size: Any) -> Any:
        """`quantity` at every setting and step size, block by block."""
        etas, rows = self._paired(step_size, "step_size")
        flat_etas, flat_rows, steps = etas.reshape(-1), rows.reshape(-1), self._flat_steps()
        result = np.empty(flat_etas.size)
        for block in blocks(flat_etas.size, self._width()):
            measure = self._measure(flat_rows[block])
            result[block] = quantity(measure, descent(flat_etas[block], steps[flat_rows[block]], measure.atoms))
        return scalar(result.reshape(etas.shape))

    def _optimise(self, find: Callable[[Measure, Array], Array], passes: int) -> Any:
        """`find` for every setting; `passes`: how many work arrays of a block it holds at once."""
        result, rows, steps = np.empty(self.noise.size), np.arange(self.noise.size), self._flat_steps()
        for block in blocks(self.noise.size, passes * self._width()):
            result[block] = find(self._measure(rows[block]), steps[block])
        return scalar(result.reshape(self.noise.shape))


def blocks(rows: int, width: int) -> list[slice]:
    """Slices of `rows` rows, each holding about 2^18 numbers when a row holds `width`."""
    length = max(1, _BLOCK // max(1, width))
    return [slice(start, start + length) for start in range(0, rows, length)]


def scalar(values: NDArray[Any]) -> Any:
    """A Python number for an array without axes, else the array."""
    return values.item() if values.ndim == 0 else values
