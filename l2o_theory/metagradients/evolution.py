"""Meta-gradients from function values: evolution strategies, in antithetic pairs, and persistent over windows.

All of them estimate the gradient of a SMOOTHED objective, E L(phi + sigma eps), eps ~ N(0, I), without bias. None needs
a derivative in phi, so chaotic and discontinuous unrolls are no obstacle, and none needs memory that grows with N.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients.arguments import check_count
from l2o_theory.metagradients.estimate import Diagnostics, MetaGradient
from l2o_theory.metagradients.objective import SUM, Batches, MetaObjective
from l2o_theory.metagradients.trajectory import Cuts, Path, Start, check_arguments, rebuilt, roll, started
from l2o_theory.optimizers.rule import State, UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import tensors


def es(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    sigma: float,
    samples: int,
    generator: Generator,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
    chunk_size: int | None = None,
) -> MetaGradient:
    """(1/n) sum_i L(phi + sigma eps_i) eps_i / sigma, unbiased for the gradient of E L(phi + sigma eps).

    Its variance does not vanish with sigma: the value L(phi) itself is multiplied by eps/sigma. Prefer
    `antithetic_es`; this one is here to be compared with.

    Args:
        rule, problem, meta, steps, start, objective, batches: as for `reverse`.
        sigma: standard deviation of the perturbation of each entry of phi.
        samples: n >= 2, the number of unrolls.
        generator: source of the perturbations.
        chunk_size: how many unrolls run together; None: all.

    Raises:
        InputError: as for `reverse`, sigma <= 0, or fewer than 2 samples.
    """
    unroll = _Perturbed(rule, problem, meta, steps, steps, start, sigma, objective, batches)
    return unroll.estimate(samples, generator, chunk_size, antithetic=False)


def antithetic_es(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    sigma: float,
    samples: int,
    generator: Generator,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
    chunk_size: int | None = None,
) -> MetaGradient:
    """(1/n) sum_i (L(phi + sigma eps_i) - L(phi - sigma eps_i)) eps_i / (2 sigma), unbiased for what `es` estimates.

    Args:
        samples: n >= 2 pairs, so 2n unrolls.
        rule, problem, meta, steps, start, sigma, generator, objective, batches, chunk_size: as for `es`.

    Raises:
        InputError: as for `es`.
    """
    unroll = _Perturbed(rule, problem, meta, steps, steps, start, sigma, objective, batches)
    return unroll.estimate(samples, generator, chunk_size, antithetic=True)


def pes(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    window: int,
    start: Start,
    sigma: float,
    samples: int,
    generator: Generator,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
    chunk_size: int | None = None,
    antithetic: bool = True,
) -> MetaGradient:
    """Persistent evolution strategies: a fresh eps_w in each window, weighed with all that was applied so far,

        (1/n) sum_i sum_w L_w xi_w / sigma,    xi_w = eps_1 + ... + eps_w,

    unbiased for the gradient in phi of E L(phi + sigma eps_1, ..., phi + sigma eps_W), one perturbation per window.
    L_w is the share of window w in the objective; iterate and state are carried on, so unlike evolution strategies
    on single windows it has no truncation bias. Vicol, Metz and Sohl-Dickstein, arXiv 2112.13835.

    Args:
        window: K, the steps per perturbation; K = N is `es`.
        antithetic: take pairs +eps, -eps; `samples` then counts pairs.
        rule, problem, meta, steps, start, sigma, samples, generator, objective, batches, chunk_size: as for `es`.

    Raises:
        InputError: as for `es`, and a window outside 1..N.
    """
    check_count("window", window, steps)
    unroll = _Perturbed(rule, problem, meta, steps, window, start, sigma, objective, batches)
    return unroll.estimate(samples, generator, chunk_size, antithetic=antithetic)


@dataclass(frozen=True)
class _Perturbed:
    """N steps with phi + sigma eps_w in window w."""

    rule: UpdateRule
    problem: Problem
    meta: Params
    steps: int
    window: int
    start: Start
    sigma: float
    objective: MetaObjective
    batches: Batches | None

    def estimate(self, samples: int, generator: Generator, chunk_size: int | None, *, antithetic: bool) -> MetaGradient:
        """The mean over samples of sum_w L_w xi_w / sigma, and its standard error."""
        check_arguments(self.rule, self.problem, self.meta, self.steps, self.start, self.batches, self.objective)
        if not 0 < self.sigma < float("inf"):
            raise InputError(f"sigma must be a positive number, got {self.sigma}")
        check_count("samples", samples)
        if samples < 2:
            raise InputError("samples must be >= 2, else there is no standard error; got 1")
        size, windows = sum(leaf.numel() for leaf in tensors(self.meta)), -(-self.steps // self.window)
        like = tensors(self.meta)[0]
        noise = torch.randn((samples, windows, size), generator=generator, dtype=like.dtype, device=like.device)

        def particle(noise: Tensor) -> tuple[Tensor, Tensor]:
            """Estimate and value of one sample, or of one pair."""
            ahead, weights = self.shares(noise), noise.cumsum(0) / self.sigma
            if not antithetic:
                return ahead @ weights, ahead.sum()
            behind = self.shares(-noise)
            return (ahead - behind) @ weights / 2, (ahead.sum() + behind.sum()) / 2

        with torch.no_grad():
            estimates, values = torch.func.vmap(particle, chunk_size=chunk_size)(noise)
        spread = self.shaped(estimates.std(0) / samples**0.5)
        perturbed = "one perturbation per run" if windows == 1 else f"a fresh perturbation every {self.window} steps"
        text = f"the gradient of the objective smoothed by N(0, {self.sigma:g}^2), {perturbed}; no bias, but noise"
        gradient = self.shaped(estimates.mean(0))
        return MetaGradient(values.mean(), gradient, self.diagnostics(), standard_error=spread, estimates=text)

    def shaped(self, vector: Tensor) -> Params:
        """A vector in the structure of phi."""
        shapes = [leaf.shape for leaf in tensors(self.meta)]
        parts = torch.split(vector, [shape.numel() for shape in shapes])
        return rebuilt(self.meta, [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)])

    def shares(self, noise: Tensor) -> Tensor:
        """L_w for noise of shape (windows, entries of phi). Shape (windows,)."""
        centre = torch.cat([leaf.detach().reshape(-1) for leaf in tensors(self.meta)])
        carry = started(self.rule, self.shaped(centre + self.sigma * noise[0]), self.start)
        found = []
        for index, eps in enumerate(noise):
            first, last = index * self.window, min((index + 1) * self.window, self.steps)
            path, carry = self._rolled(self.shaped(centre + self.sigma * eps), carry, (first, last))
            found.append(self.objective.share(path.judged or path.losses, first, self.steps))
        return torch.stack(found)

    def diagnostics(self) -> Diagnostics:
        """Of the run at phi itself."""
        with torch.no_grad():
            begin = started(self.rule, self.meta, self.start)
            return self._rolled(self.meta, begin, (0, self.steps))[0].diagnostics()

    def _rolled(
        self, meta: Params, carry: tuple[Params, State], span: tuple[int, int]
    ) -> tuple[Path, tuple[Params, State]]:
        path, params, state = roll(
            self.rule, self.problem, meta, carry, span, steps=self.steps, cuts=Cuts(order=1), batches=self.batches,
            objective=self.objective,
        )  # fmt: skip
        return path, (params, state)
