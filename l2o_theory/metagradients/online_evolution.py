r"""Evolution strategies window by window, with phi free to change in between: the sampled counterpart of `Episode`.

A window of K steps from s, with antithetic pairs phi +- sigma eps_i, i = 1..n, all on the same batches:

    (1/n) sum_i (L_w(phi + sigma eps_i) - L_w(phi - sigma eps_i)) xi_i/(2 sigma)

    persistent   every particle goes on from where it was itself; xi_i = all its perturbations of the episode, summed.
                 With phi held fixed the windows of an episode add up to `pes`: no truncation bias.
    otherwise    every window starts at x_s, h_s of one run at phi itself; xi_i = eps_i. Biased like `truncated`, whose
                 smoothed version it estimates.

Vicol, Metz and Sohl-Dickstein, arXiv 2112.13835, Algorithms 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.arguments import check_alike, check_count, check_params
from l2o_theory.metagradients.estimate import Diagnostics, MetaGradient
from l2o_theory.metagradients.objective import SUM, Batches, MetaObjective
from l2o_theory.metagradients.trajectory import Cuts, check_arguments, rebuilt, roll
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import detached, mapped, tensors


@dataclass(frozen=True, eq=False)
class Population:
    """Where an episode stands.

    Attributes:
        params, state: x_t and h_t; persistent: of all 2n particles along a first axis, first those of +eps, then those
            of -eps.
        applied: xi, the sum of the perturbations of each pair so far, shape (n, entries of phi).
        step: t.
    """

    params: Params
    state: State
    applied: Tensor
    step: int = 0


@dataclass(frozen=True)
class EvolutionEpisode:
    """N inner steps from a fresh x_0, window by window.

    Attributes:
        rule: the optimizer.
        problem: the optimizee.
        steps: N.
        sigma: standard deviation of the perturbation of each entry of phi.
        pairs: n, antithetic pairs of particles.
        persistent: see the module.
        objective: its shares are minimised, window by window.
        batches: t -> batch at x_t, the same for all particles.
        chunk_size: how many particles run together; None: all.

    Raises:
        InputError: sigma <= 0 or fewer than 2 pairs, without which there is no standard error.
    """

    rule: UpdateRule
    problem: Problem
    steps: int
    sigma: float
    pairs: int
    persistent: bool = True
    objective: MetaObjective = SUM
    batches: Batches | None = None
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise InputError(f"sigma must be a positive number, got {self.sigma}")
        if self.pairs < 2:
            raise InputError(f"pairs must be >= 2, else there is no standard error; got {self.pairs}")

    def begin(self, meta: Params, start: Params) -> Population:
        """x_0 and h_0, with everything checked once.

        Raises:
            InputError: see `unroll`.
        """
        check_arguments(self.rule, self.problem, meta, self.steps, start, self.batches, self.objective)
        params = detached(start)
        state = detached(self.rule.init(params))
        if self.persistent:
            params, state = self._copies(params), self._copies(state)
        entries = sum(leaf.numel() for leaf in tensors(meta))
        return Population(params, state, tensors(meta)[0].new_zeros(self.pairs, entries))

    def advance(
        self, meta: Params, population: Population, last: int, generator: Generator
    ) -> tuple[MetaGradient, Population]:
        """The window up to step `last`: the estimate for its share of the objective, and where the episode stands then.

        Args:
            meta: phi.
            population: where the episode stands.
            last: where the window ends.
            generator: source of the perturbations, on the processor: the same ones on every device.

        Raises:
            InputError: `last` is not ahead within the episode, or `meta` does not fit.
        """
        check_count("last", last, self.steps)
        if last <= population.step:
            raise InputError(f"the window must end after step {population.step}, where the episode stands, got {last}")
        check_params("meta", meta)
        check_alike(meta=meta, params=population.params)
        centre = torch.cat([leaf.detach().reshape(-1) for leaf in tensors(meta)])
        drawn = torch.randn((self.pairs, len(centre)), generator=generator, dtype=centre.dtype)
        noise = drawn.to(centre.device)
        span = (population.step, last)
        axis = 0 if self.persistent else None

        def particle(shift: Tensor, params: Params, state: State) -> tuple[Tensor, Params, State, Diagnostics]:
            return self._rolled(_shaped(meta, centre + self.sigma * shift), (params, state), span)

        batched = torch.func.vmap(particle, in_dims=(0, axis, axis), chunk_size=self.chunk_size)
        with torch.no_grad():
            values, params, state, runs = batched(torch.cat([noise, -noise]), population.params, population.state)
            if not self.persistent:
                _, params, state, _ = self._rolled(detached(meta), (population.params, population.state), span)
        applied = population.applied + noise
        ahead, behind = values.chunk(2)
        samples = ((ahead - behind) / (2 * self.sigma)).unsqueeze(1) * (applied if self.persistent else noise)
        estimate = MetaGradient(
            values.mean(),
            _shaped(meta, samples.mean(0)),
            mapped(lambda leaf: leaf.mean(0), runs),
            standard_error=_shaped(meta, samples.std(0) / self.pairs**0.5),
            estimates=self._words(span),
        )
        return estimate, Population(params, state, applied, last)

    def _copies(self, tree: State) -> State:
        """Every tensor once for each particle."""
        return mapped(lambda leaf: leaf.expand(2 * self.pairs, *leaf.shape) if isinstance(leaf, Tensor) else leaf, tree)

    def _rolled(
        self, meta: Params, carry: tuple[Params, State], span: tuple[int, int]
    ) -> tuple[Tensor, Params, State, Diagnostics]:
        path, params, state = roll(
            self.rule, self.problem, meta, carry, span, steps=self.steps, cuts=Cuts(order=1), batches=self.batches,
            objective=self.objective,
        )  # fmt: skip
        share = self.objective.share(path.judged or path.losses, span[0], self.steps)
        return share, params, state, path.diagnostics()

    def _words(self, span: tuple[int, int]) -> str:
        terms = f"the terms {span[0] + 1}..{span[1]}, smoothed by N(0, {self.sigma:g}^2)"
        if self.persistent:
            return f"the derivative of {terms}, in phi of the whole episode so far; no bias, but noise"
        return f"the derivative of {terms}; iterate and state are cut where the window starts"


def _shaped(like: Params, vector: Tensor) -> Params:
    """A vector in the structure of phi."""
    shapes = [leaf.shape for leaf in tensors(like)]
    parts = torch.split(vector, [shape.numel() for shape in shapes])
    return rebuilt(like, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])
