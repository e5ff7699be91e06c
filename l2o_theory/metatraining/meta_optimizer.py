"""MetaOptimizer: the rule that moves the weights of a learned optimizer along its meta-gradients.

    adam      beta1 = .9, beta2 = .999, eps = 1e-8             Chen et al., NeurIPS 2020, with rate 1e-3
    rmsprop   decay = .9, eps = 1e-10, no momentum             Wang et al., ICML 2021, with rate 1e-2, clip 1e4, "zero"

Settings as in the released programs of the two papers, in torch's form of the rules. The programs run TensorFlow 1,
whose RMSprop divides by sqrt(v + eps) and begins with v = 1, not 0: until 0.9^t falls below the mean square of a
meta-gradient its steps are shorter than these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.optimizers.adam import Adam, RMSprop
from l2o_theory.problems.trees import squared_norm

OptimizerName = Literal["adam", "rmsprop"]
NonFinite = Literal["skip", "zero"]
"""skip: a meta-gradient with an infinite or NaN entry moves nothing. zero: such entries count as 0, before the clip."""

_SETTINGS: dict[OptimizerName, dict[str, float]] = {"adam": {}, "rmsprop": {"decay": 0.9, "eps": 1e-10}}


@dataclass(frozen=True)
class MetaOptimizer:
    """One of the two rules, and what becomes of a gradient before it is used.

    Attributes:
        name: see the module.
        rate: step size.
        clip: largest absolute entry; None for no limit.
        non_finite: see `NonFinite`.

    Raises:
        InputError: an unknown name or treatment, or a rate or clip that is not positive.
    """

    name: OptimizerName = "adam"
    rate: float = 1e-3
    clip: float | None = None
    non_finite: NonFinite = "skip"

    def __post_init__(self) -> None:
        if self.name not in _SETTINGS or self.non_finite not in ("skip", "zero"):
            raise InputError(
                f"wanted adam or rmsprop, and skip or zero for entries that are not finite, got {self.name!r} and "
                f"{self.non_finite!r}"
            )
        if not 0 < self.rate < float("inf") or (self.clip is not None and not self.clip > 0):
            raise InputError(f"rate and clip must be positive, got {self.rate} and {self.clip}")

    @property
    def _rule(self) -> Adam | RMSprop:
        return Adam() if self.name == "adam" else RMSprop()

    def begin(self, weights: dict[str, Tensor]) -> Any:
        """The memory before the first step."""
        return self._rule.init(weights)

    def admitted(self, gradient: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """The gradient as it is used; None if it is to be skipped, as one is whose norm leaves the float range."""
        if self.non_finite == "zero":
            gradient = self._clipped({name: torch.where(g.isfinite(), g, 0.0) for name, g in gradient.items()})
        if not float(squared_norm(gradient)) < float("inf"):
            return None
        return self._clipped(gradient)

    def _clipped(self, gradient: dict[str, Tensor]) -> dict[str, Tensor]:
        if self.clip is None:
            return gradient
        limit = self.clip
        return {name: part.clamp(-limit, limit) for name, part in gradient.items()}

    def step(
        self, weights: dict[str, Tensor], gradient: dict[str, Tensor], memory: Any
    ) -> tuple[dict[str, Tensor], Any]:
        """Weights and memory after one step."""
        first = next(iter(weights.values()))
        meta = self._rule.meta(self.rate, **_SETTINGS[self.name], dtype=first.dtype, device=first.device)
        moved, memory = self._rule.update(weights, gradient, memory, meta)
        assert isinstance(moved, dict)
        return moved, memory
