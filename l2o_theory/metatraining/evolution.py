"""Evolution: that, and how, a recipe takes its meta-gradients from function values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from l2o_theory.errors import InputError

EvolutionKind = Literal["es", "pes"]


@dataclass(frozen=True)
class Evolution:
    """Antithetic pairs of perturbed weights, on the same tasks and minibatches; see `EvolutionEpisode`.

    Attributes:
        kind: "pes": particles go on over the windows of an episode, no truncation bias. "es": every window starts
            from the run of the weights themselves, biased like truncated back-propagation, less noisy.
        sigma: standard deviation of the perturbation of every weight.
        pairs: n, so 2n runs side by side.

    Raises:
        InputError: another kind, sigma <= 0, or fewer than 2 pairs.
    """

    kind: EvolutionKind = "pes"
    sigma: float = 0.01
    pairs: int = 16

    def __post_init__(self) -> None:
        if self.kind not in ("es", "pes"):
            raise InputError(f"the estimator must be es or pes, got {self.kind!r}")
        if not 0 < self.sigma < float("inf") or self.pairs < 2:
            raise InputError(f"wanted sigma > 0 and pairs >= 2, got {self.sigma} and {self.pairs}")
