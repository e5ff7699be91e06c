"""Recipe: everything that says how a learned optimizer is meta-trained, but for rule, tasks and seed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from torch import Generator

from l2o_theory.errors import InputError
from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.episode_lengths import RandomLengths, regular_ends
from l2o_theory.metatraining.evolution import Evolution
from l2o_theory.metatraining.imitation import Imitation
from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.metatraining.meta_optimizer import MetaOptimizer, NonFinite, OptimizerName


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to meta-train.

    Attributes:
        curriculum: horizons and when to move on; one horizon is plain training.
        updates: meta-updates at most.
        tasks: tasks per episode, side by side.
        window: K, steps of back-propagation per meta-update.
        lengths: draws episodes and windows at random in place of the curriculum's horizon and `window`; the
            curriculum then has one horizon, at which weights are judged.
        optimizer: the meta-optimizer, "adam" or "rmsprop", see `MetaOptimizer`.
        rate: of the meta-optimizer.
        loss: what a window minimises.
        order: 1 holds inner gradients constant.
        runs: tasks per evaluation.
        same_tasks: whether every evaluation is on the same tasks, so that two differ by the weights alone. Fresh ones,
            as in the released code, make a stage end by chance where tasks differ much, as random quadratics do.
        imitation: epochs that imitate a teacher, if any; they have a meta-optimizer of their own.
        clip: largest absolute entry of a meta-gradient; None for no limit.
        non_finite: "skip" a meta-gradient that has entries that are not finite, or take those as "zero".
        skips: meta-gradients that may be skipped before training gives up.
        evolution: takes meta-gradients of the descent from function values in place of back-propagation; `order` is
            then without meaning.

    Raises:
        InputError: a number below 1, another order, a rate or clip that is not positive, an unknown optimizer, or
            several horizons beside `lengths`.
    """

    curriculum: Curriculum
    updates: int
    tasks: int = 8
    window: int = 20
    lengths: RandomLengths | None = None
    optimizer: OptimizerName = "adam"
    rate: float = 1e-3
    loss: MetaLoss = field(default_factory=MetaLoss)
    order: Literal[1, 2] = 1
    runs: int = 20
    same_tasks: bool = False
    imitation: Imitation | None = None
    clip: float | None = None
    non_finite: NonFinite = "skip"
    skips: int = 20
    evolution: Evolution | None = None

    def __post_init__(self) -> None:
        for name in ("updates", "tasks", "window", "runs", "skips"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.order not in (1, 2):
            raise InputError(f"order must be 1 (inner gradients are constants) or 2, got {self.order!r}")
        if self.lengths is not None and len(self.curriculum.horizons) > 1:
            raise InputError(f"with lengths drawn at random give one horizon, to judge at, not {self.curriculum}")
        _ = self.meta_optimizer  # refuses what it cannot do

    @property
    def meta_optimizer(self) -> MetaOptimizer:
        """What moves the weights."""
        return MetaOptimizer(self.optimizer, self.rate, self.clip, self.non_finite)

    def window_ends(self, stage: int, generator: Generator) -> tuple[int, ...]:
        """Where the windows of an episode in this stage end; the last one is its horizon."""
        if self.lengths is not None:
            return self.lengths.ends(generator)
        return regular_ends(self.curriculum.horizons[stage], self.window)

    @property
    def description(self) -> dict[str, str]:
        """Everything in it by name, with teachers by their rule and numbers."""
        teachers = [] if self.imitation is None else self.imitation.teachers
        shares = None if self.imitation is None else self.imitation.probability
        told = [(repr(t.rule), {n: v.tolist() for n, v in t.meta.items()}) for t in teachers]
        plain = {entry.name: repr(getattr(self, entry.name)) for entry in fields(self) if entry.name != "imitation"}
        return {f"recipe's {name}": text for name, text in {**plain, "imitation": repr((told, shares))}.items()}
