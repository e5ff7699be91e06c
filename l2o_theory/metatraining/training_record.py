"""What a training of a step-size network is asked to do, what it notes on the way, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from l2o_theory.errors import InputError
from l2o_theory.metatraining.unrolled_loss import Route, require_steps
from l2o_theory.optimizers.step_size_network import StepSizeNetwork


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes:
        steps: T of the unroll; only X_T is in the loss.
        iterations: training steps.
        rate: eta, one for all layers or one per layer (see `initialization.equivalent_rates`).
        optimizer: "sgd" (no momentum) or "adam" (torch's defaults; one rate).
        record_every: iterations between two records; 0 and the last are always recorded.
        measure_ntk: whether the records compare the tangent kernel with that of the start; it costs an (N b)^2 matrix.
        route: how gradients are computed, see `unrolled_loss`.

    Raises:
        InputError: T or iterations < 1, a rate that is not positive and finite, or several rates with Adam.
    """

    steps: int
    iterations: int
    rate: float | tuple[float, ...]
    optimizer: Literal["sgd", "adam"] = "sgd"
    record_every: int = 1
    measure_ntk: bool = False
    route: Route = "adjoint"

    def __post_init__(self) -> None:
        require_steps(self.steps)
        counts = (self.iterations, self.record_every)
        if not all(isinstance(count, int) and not isinstance(count, bool) and count >= 1 for count in counts):
            raise InputError(f"iterations and record_every must be integers >= 1, got {counts[0]!r}, {counts[1]!r}")
        rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
        if not rates or not all(0 < rate < float("inf") for rate in rates):
            raise InputError(f"learning rates must be positive and finite, got {self.rate}")
        if self.optimizer not in ("sgd", "adam") or (self.optimizer == "adam" and len(rates) > 1):
            raise InputError(f"wanted sgd, or adam with one rate; got {self.optimizer!r} with {self.rate}")


@dataclass(frozen=True)
class TrainingRecord:
    """One recorded iteration.

    Attributes:
        iteration: k.
        loss: F(W^k).
        near_zero, near_two, exactly_one: see `FactorStatistics`.
        gradient_norm: length of the direction back-propagation returned.
        drift: |W^k - W^0|/|W^0| over all layers.
        ntk_drift: |K_k - K_0|_F/|K_0|_F for the kernel K = J J^T of the last residual; NaN if not measured.
        predicted_ratio: first-order prediction of F_{k+1}/F_k; NaN at the last iteration.
    """

    iteration: int
    loss: float
    near_zero: float
    near_two: float
    exactly_one: float
    gradient_norm: float
    drift: float
    ntk_drift: float
    predicted_ratio: float


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What came out.

    Attributes:
        network: with the last weights.
        losses: F(W^0), ..., F(W^K).
        records: see `TrainingRecord`.
        diverged_at: the iteration whose loss or weights were not finite; None if all were.
    """

    network: StepSizeNetwork
    losses: tuple[float, ...]
    records: tuple[TrainingRecord, ...]
    diverged_at: int | None = None

    @property
    def gain(self) -> float:
        """1 - F(W^K)/F(W^0); for a start with W_L = 0 the gain over gradient descent on the training instances."""
        return 1 - self.losses[-1] / self.losses[0]

    def gain_at(self, iteration: int) -> float:
        """1 - F(W^k)/F(W^0)."""
        return 1 - self.losses[iteration] / self.losses[0]
