"""Windows of meta-training by evolution strategies: all tasks of an episode as one problem, for `EvolutionEpisode`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.metagradients.objective import MetaObjective
from l2o_theory.metagradients.online_evolution import EvolutionEpisode
from l2o_theory.metatraining.evolution import Evolution
from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.metatraining.tasks import Draw
from l2o_theory.metatraining.window import started, stepped, task_losses
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Batch, Constants, Params, Problem
from l2o_theory.problems.trees import mapped, tensors


class SampledWindows:
    """An episode whose meta-gradients come from function values; see `Episode` of `episodes`.

    Args:
        rule, problem: the optimizer, and the loss of one task.
        weights: phi at the start of the episode.
        evolution: how to sample.
        loss: what is minimised.
        draw: the tasks.
        steps: N.
        generator: source of the perturbations.
    """

    def __init__(
        self,
        rule: UpdateRule,
        problem: Problem,
        weights: dict[str, Tensor],
        evolution: Evolution,
        loss: MetaLoss,
        draw: Draw,
        steps: int,
        generator: Generator,
    ) -> None:
        self._loss, self._generator = loss, generator
        with torch.no_grad():
            first = task_losses(problem, draw.starts, draw.batches(0))
        self._tasks = len(first)
        judging = draw.judging(loss.data)
        together = _Together(problem)
        if loss.kind in ("log", "normalised"):
            terms = _Together(problem, loss, first)
            objective = MetaObjective("sum", problem=terms, batches=judging or draw.batches)
        else:
            objective = MetaObjective("final" if loss.kind == "final" else "sum", batches=judging)
        self._episode = EvolutionEpisode(
            _SideBySide(rule), together, steps, evolution.sigma, evolution.pairs, evolution.kind == "pes",
            objective, draw.batches,
        )  # fmt: skip
        self._population = self._episode.begin(weights, draw.starts)

    def window(self, weights: dict[str, Tensor], last: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Value and estimate of the meta-gradient of the window that ends at step `last`."""
        scale = self._loss.share(last - self._population.step) / self._tasks
        found, self._population = self._episode.advance(weights, self._population, last, self._generator)
        gradient = mapped(lambda part: scale * part, found.gradient)
        assert isinstance(gradient, dict)
        return scale * found.value, gradient

    @property
    def is_lost(self) -> bool:
        """Whether a particle has left the float range: all later estimates would be infinite or NaN."""
        return not all(bool(leaf.isfinite().all()) for leaf in tensors(self._population.params))


@dataclass(frozen=True, eq=False)
class _SideBySide:
    """The rule on every task at once."""

    rule: UpdateRule

    def init(self, params: Params) -> State:
        return started(self.rule, params)

    def update(self, params: Params, grads: Params, state: State, meta: Params) -> tuple[Params, State]:
        return stepped(self.rule, params, grads, state, meta)


@dataclass(frozen=True, eq=False)
class _Together:
    """Sum over tasks of f, whose gradient holds that of every task; of the terms of a meta-loss if there is one."""

    problem: Problem
    judge: MetaLoss | None = None
    first: Tensor | None = None

    @property
    def constants(self) -> Constants:
        return Constants()

    def init(self, generator: Generator | None = None) -> Params:
        return self.problem.init(generator)

    def loss(self, params: Params, batch: Batch = None) -> Tensor:
        losses = task_losses(self.problem, params, batch)
        if self.judge is not None and self.first is not None:
            losses, _ = self.judge.term(losses, self.first)
        return losses.sum()
