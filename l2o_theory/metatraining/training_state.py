"""TrainingState: where a meta-training stands between two epochs, as plain data that a checkpoint holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from l2o_theory.metatraining.curriculum import Position
from l2o_theory.metatraining.observer import Judgement
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.problems.trees import detached, mapped


@dataclass
class TrainingState:
    """Changed in place as training goes on.

    Attributes:
        weights: phi.
        best: the best phi by evaluation.
        memory, imitation_memory: of the meta-optimizer, for descent and for imitation.
        position: in the curriculum.
        epoch, updates, evaluations, skipped: so far.
        is_over: whether the curriculum has said stop.
        judgements: all evaluations.
    """

    weights: dict[str, Tensor]
    best: dict[str, Tensor]
    memory: Any
    imitation_memory: Any
    position: Position = field(default_factory=Position)
    epoch: int = 0
    updates: int = 0
    evaluations: int = 0
    skipped: int = 0
    is_over: bool = False
    judgements: list[Judgement] = field(default_factory=list)

    @classmethod
    def fresh(cls, weights: dict[str, Tensor], recipe: Recipe) -> TrainingState:
        """Before the first epoch."""
        start, optimizer = detached(weights), recipe.meta_optimizer
        return cls(start, start, optimizer.begin(start), optimizer.begin(start))

    @classmethod
    def restored(cls, saved: dict[str, Any], device: torch.device) -> TrainingState:
        """From what `saved` gave, on this device."""
        there = mapped(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, saved)
        there["position"] = Position(**there["position"])
        there["judgements"] = [Judgement(**judgement) for judgement in there["judgements"]]
        return cls(**there)

    def saved(self) -> dict[str, Any]:
        """Dicts, lists, numbers and tensors only."""
        plain = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        judgements = [asdict(judgement) for judgement in self.judgements]
        return {**plain, "position": asdict(self.position), "judgements": judgements}

    @property
    def result(self) -> dict[str, Tensor]:
        """The best weights by evaluation; the last ones if there was no evaluation to keep any."""
        return self.best if any(judgement.decision == "keep" for judgement in self.judgements) else self.weights
