"""Evolution strategies in a recipe: against a loop over particles and tasks, and that they train and resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from l2o_theory.errors import InputError
from l2o_theory.metagradients import reverse
from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.evolution import Evolution
from l2o_theory.metatraining.meta_loss import JudgingData, LossKind, MetaLoss
from l2o_theory.metatraining.meta_training import MetaTrained, meta_train
from l2o_theory.metatraining.observer import Judgement, MetaUpdate
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.sampled_windows import SampledWindows
from l2o_theory.metatraining.tasks import MinibatchTasks, QuadraticTasks, TaskFamily
from l2o_theory.optimizers import GradientDescent
from l2o_theory.optimizers.learned import L2OScale, LSTMRule, MLPOptimizer, RNNprop
from l2o_theory.problems import MLP, Classification, Dataset, RandomQuadratics

TASKS, STEPS, WINDOW, PAIRS, SIGMA = 3, 5, 2, 3, 0.05


def data(seed: int) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(12, 3, generator=generator, dtype=torch.float64)
    return Dataset(features, torch.randint(2, (12,), generator=generator), 2)


QUADRATICS = QuadraticTasks(RandomQuadratics(3, start_std=0.5))
NETWORK = MinibatchTasks(Classification(MLP((3, 2)), data(0)), 5, held_out=data(1))


def pick(tree: Any, task: int) -> Any:
    return {name: leaf[task] for name, leaf in tree.items()} if isinstance(tree, dict) else tree[task]


def by_hand(
    rule: Any, family: TaskFamily, weights: dict[str, Tensor], loss: MetaLoss, persistent: bool
) -> list[dict[str, Tensor]]:
    """One particle and one task after the other; perturbations drawn again from the same seed."""
    draw = family.draw(TASKS, STEPS, torch.Generator().manual_seed(4))
    judging = draw.batches if loss.data == "batches" else draw.validation
    assert judging is not None
    f, noise = family.problem.loss, torch.Generator().manual_seed(8)
    sizes = [weight.numel() for weight in weights.values()]
    centre = torch.cat([weight.reshape(-1) for weight in weights.values()])

    def shaped(vector: Tensor) -> dict[str, Tensor]:
        parts = zip(weights.items(), vector.split(sizes), strict=True)
        return {name: part.reshape(weight.shape) for (name, weight), part in parts}

    def run(phi: dict[str, Tensor], place: Any, task: int, first: int, last: int) -> Any:
        x, state = place
        start, total = f(pick(draw.starts, task), pick(draw.batches(0), task)), torch.zeros(()).double()
        for t in range(first, last):
            gradient = torch.func.grad(f)(x, pick(draw.batches(t), task))
            x, state = rule.update(x, gradient, state, phi)
            value = f(x, pick(judging(t + 1), task))
            if loss.kind in ("sum", "mean"):
                total = total + value / (1 if loss.kind == "sum" else last - first)
            elif loss.kind == "final":
                total = total + value if t + 1 == STEPS else total
            else:
                scaled = value if loss.kind == "log" else value / (start + 1e-6)
                total = total + (scaled + 1e-6).log()
        return total, (x, state)

    begun = {task: (pick(draw.starts, task), rule.init(pick(draw.starts, task))) for task in range(TASKS)}
    particles = {(i, sign, task): begun[task] for i in range(PAIRS) for sign in (1, -1) for task in range(TASKS)}
    applied, found = torch.zeros(PAIRS, len(centre), dtype=torch.float64), []
    for first in range(0, STEPS, WINDOW):
        last = min(first + WINDOW, STEPS)
        eps = torch.randn(PAIRS, len(centre), generator=noise, dtype=torch.float64)
        applied = applied + eps if persistent else eps
        estimate = torch.zeros_like(centre)
        for i, task in ((i, task) for i in range(PAIRS) for task in range(TASKS)):
            shares = {}
            for sign in (1, -1):
                place = particles[i, sign, task] if persistent else begun[task]
                phi = shaped(centre + sign * SIGMA * eps[i])
                shares[sign], particles[i, sign, task] = run(phi, place, task, first, last)
            estimate = estimate + (shares[1] - shares[-1]) / (2 * SIGMA) * applied[i] / (PAIRS * TASKS)
        begun = {task: run(weights, begun[task], task, first, last)[1] for task in range(TASKS)}
        found.append(shaped(estimate))
    return found


def sampled(rule: Any, family: TaskFamily, weights: Any, loss: MetaLoss, kind: Any) -> list[dict[str, Tensor]]:
    draw = family.draw(TASKS, STEPS, torch.Generator().manual_seed(4))
    noise = torch.Generator().manual_seed(8)
    episode = SampledWindows(rule, family.problem, weights, Evolution(kind, SIGMA, PAIRS), loss, draw, STEPS, noise)
    return [episode.window(weights, min(first + WINDOW, STEPS))[1] for first in range(0, STEPS, WINDOW)]


def distance(a: list[dict[str, Tensor]], b: list[dict[str, Tensor]]) -> float:
    return max(float((x[n] - y[n]).abs().max()) for x, y in zip(a, b, strict=True) for n in x)


@pytest.mark.parametrize(
    ("family", "kind", "on"),
    [
        (QUADRATICS, "sum", "batches"),
        (QUADRATICS, "normalised", "batches"),
        (NETWORK, "mean", "batches"),
        (NETWORK, "final", "batches"),
        (NETWORK, "log", "validation"),
        (NETWORK, "sum", "validation"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_equals_a_loop_over_particles_and_tasks(family: TaskFamily, kind: LossKind, on: JudgingData) -> None:
    rule = LSTMRule(hidden=2, layers=1)
    weights = rule.meta(torch.Generator().manual_seed(2))
    loss = MetaLoss(kind, on)
    pes, es = (sampled(rule, family, weights, loss, name) for name in ("pes", "es"))
    slow = by_hand(rule, family, weights, loss, True), by_hand(rule, family, weights, loss, False)
    assert distance(pes, slow[0]) < 1e-10  # sums in another order, divided by sigma
    assert distance(es, slow[1]) < 1e-10
    assert distance(pes, slow[1]) > 1e-6  # planted: particles that forget, weights that are not summed


@pytest.mark.parametrize("rule", [RNNprop(), L2OScale(), MLPOptimizer()], ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("family", [QUADRATICS, NETWORK], ids=["quadratics", "network"])
def test_every_rule_can_be_sampled(rule: Any, family: TaskFamily) -> None:
    weights = rule.meta(torch.Generator().manual_seed(2))
    found = sampled(rule, family, weights, MetaLoss(), "pes")
    assert distance(found, by_hand(rule, family, weights, MetaLoss(), True)) < 1e-9


def test_persistence_removes_the_truncation_that_windows_have() -> None:
    """One meta-parameter, many pairs, little smoothing: the sum over windows is the derivative through all steps."""
    rule, weights = GradientDescent(), {"step_size": torch.tensor(0.02, dtype=torch.float64)}
    draw = QUADRATICS.draw(TASKS, 12, torch.Generator().manual_seed(4))
    whole = torch.stack([
        reverse(rule, QUADRATICS.problem, weights, 12, start=pick(draw.starts, task),
                batches=lambda t, task=task: pick(draw.batches(t), task)).gradient["step_size"]  # type: ignore[index]
        for task in range(TASKS)
    ]).mean()  # fmt: skip
    pairs, sums = 20_000, {}
    for kind in ("pes", "es"):
        evolution, noise = Evolution(kind, 1e-4, pairs), torch.Generator().manual_seed(1)  # type: ignore[arg-type]
        episode = SampledWindows(rule, QUADRATICS.problem, weights, evolution, MetaLoss(), draw, 12, noise)
        sums[kind] = sum(float(episode.window(weights, last)[1]["step_size"]) for last in (4, 8, 12))
    # a pair estimates g eps^2, of relative standard deviation sqrt(2): 1 % for so many, a little more over windows
    assert sums["pes"] == pytest.approx(float(whole), rel=0.05)
    assert sums["es"] / float(whole) < 0.7


FAMILY = QuadraticTasks(RandomQuadratics(4, start_std=0.01))
RULE = LSTMRule(hidden=4)
WEIGHTS = RULE.meta(torch.Generator().manual_seed(0))
RECIPE = Recipe(
    Curriculum((10, 20), period=2, least=2), updates=24, tasks=2, window=5, runs=4, rate=1e-2,
    evolution=Evolution("pes", 0.05, 6),
)  # fmt: skip


def same(a: MetaTrained, b: MetaTrained) -> bool:
    return a.judgements == b.judgements and all(torch.equal(a.weights[n], b.weights[n]) for n in a.weights)


class Breaker:
    """Interrupts in the middle of an episode, when particles are under way."""

    def begin(self, updates: int, judgements: Sequence[Judgement]) -> None: ...
    def judged(self, judgement: Judgement, steps: int) -> None: ...
    def flush(self) -> None: ...

    def updated(self, update: MetaUpdate) -> None:
        if update.updates == 17:  # the first of the two windows of an episode
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["es", "pes"])
def test_interrupted_between_two_windows_and_resumed_is_the_undisturbed_run(tmp_path: Path, kind: Any) -> None:
    recipe = replace(RECIPE, evolution=replace(RECIPE.evolution, kind=kind))  # type: ignore[type-var]
    whole, path = meta_train(RULE, FAMILY, WEIGHTS, recipe), tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        meta_train(RULE, FAMILY, WEIGHTS, recipe, checkpoint=path, checkpoint_every=3, observers=[Breaker()])
    assert same(meta_train(RULE, FAMILY, WEIGHTS, recipe, checkpoint=path), whole)
    other = replace(recipe, evolution=replace(recipe.evolution, sigma=0.06))  # type: ignore[type-var]
    assert not same(meta_train(RULE, FAMILY, WEIGHTS, other), whole)  # planted: another sigma
    with pytest.raises(InputError, match="recipe's evolution"):
        meta_train(RULE, FAMILY, WEIGHTS, other, checkpoint=path)


def test_it_learns_from_function_values_alone() -> None:
    recipe = replace(RECIPE, updates=240, curriculum=Curriculum((20,), period=5), evolution=Evolution("pes", 0.05, 24))
    trained = meta_train(RULE, FAMILY, WEIGHTS, recipe)
    draw = FAMILY.draw(32, 20, torch.Generator().manual_seed(99))
    before, after = (
        run_rule(RULE, FAMILY.problem, weights, draw, 20, at=(0, 20)).mean(1) for weights in (WEIGHTS, trained.weights)
    )
    assert after[1] < 0.85 * after[0]
    assert before[1] > 0.95 * before[0]  # the planted fault: weights that have learned nothing


def test_a_lost_episode_ends() -> None:
    """A step size far beyond 2/L: particles leave the float range, the rest of the episode is not tried."""
    weights = {"step_size": torch.tensor(1e30, dtype=torch.float64)}
    draw = FAMILY.draw(2, 40, torch.Generator().manual_seed(0))
    noise = torch.Generator().manual_seed(1)
    episode = SampledWindows(GradientDescent(), FAMILY.problem, weights, Evolution(), MetaLoss(), draw, 40, noise)
    assert not episode.is_lost
    episode.window(weights, 20)
    assert episode.is_lost


def test_bad_evolution() -> None:
    for change, message in [
        ({"kind": "cma"}, "es or pes"),
        ({"sigma": 0.0}, "sigma > 0"),
        ({"pairs": 1}, "pairs >= 2"),
    ]:
        with pytest.raises(InputError, match=message):
            replace(Evolution(), **change)
