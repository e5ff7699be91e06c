"""The loop: what it learns, how it counts, and that an interrupted run ends in the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from l2o_theory.errors import InputError, StoreError
from l2o_theory.metatraining.curriculum import Curriculum
from l2o_theory.metatraining.episode_lengths import RandomLengths
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.imitation import Imitation, Teacher
from l2o_theory.metatraining.meta_loss import MetaLoss
from l2o_theory.metatraining.meta_training import MetaTrained, meta_train, stream
from l2o_theory.metatraining.recipe import Recipe
from l2o_theory.metatraining.tasks import QuadraticTasks
from l2o_theory.optimizers import Adam, MathL2O
from l2o_theory.optimizers.learned.lstm_rule import LSTMRule
from l2o_theory.problems import RandomQuadratics

FAMILY = QuadraticTasks(RandomQuadratics(4, start_std=0.01))
RULE = LSTMRule(hidden=6)
WEIGHTS = RULE.meta(torch.Generator().manual_seed(0))
RECIPE = Recipe(Curriculum((10, 20, 40), period=2, least=2), updates=40, tasks=2, window=5, runs=4, rate=1e-2)


def same(a: MetaTrained, b: MetaTrained) -> bool:
    return a.judgements == b.judgements and all(torch.equal(a.weights[n], b.weights[n]) for n in a.weights)


def test_it_learns() -> None:
    trained = meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, updates=150, curriculum=Curriculum((20,), period=5)))
    draw = FAMILY.draw(32, 20, torch.Generator().manual_seed(99))
    before, after = (
        run_rule(RULE, FAMILY.problem, weights, draw, 20, at=(0, 20)).mean(1) for weights in (WEIGHTS, trained.weights)
    )
    assert after[1] < 0.7 * after[0]  # it stands near 0.35; the untrained network, the planted fault, does not descend
    assert before[1] > 0.7 * before[0]


def test_one_update_per_window_and_no_more_than_asked() -> None:
    done = []
    trained = meta_train(RULE, FAMILY, WEIGHTS, RECIPE, progress=lambda now, total: done.append(now))
    assert trained.updates == 40
    assert done[:3] == [2, 4, 6]  # episodes of 10 steps, windows of 5
    assert all(j.updates <= 40 for j in trained.judgements)
    other = meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, window=10))
    assert other.updates == 40
    assert not torch.equal(other.weights["linear.weight"], trained.weights["linear.weight"])  # planted: another window


def test_stages_follow_the_evaluations() -> None:
    trained = meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, updates=400))
    for before, after in zip(trained.judgements, trained.judgements[1:], strict=False):
        assert after.stage == before.stage + (before.decision == "advance")
    assert trained.stage >= 1


def test_evaluations_on_the_same_tasks_differ_by_the_weights_alone() -> None:
    still = replace(RECIPE, rate=1e-30, curriculum=Curriculum((10,), period=2))  # weights that do not move
    losses = {
        same: {j.loss for j in meta_train(RULE, FAMILY, WEIGHTS, replace(still, same_tasks=same)).judgements}
        for same in (True, False)
    }
    assert len(losses[True]) == 1
    assert len(losses[False]) > 5  # planted: fresh tasks for each


def test_imitation_epochs_are_drawn_by_their_probability() -> None:
    teacher = Imitation((Teacher(Adam(), Adam().meta(0.1)),), (0.5,))
    always = replace(teacher, probability=(1.0,))
    mixed, pure, none = (
        meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, imitation=imitation)) for imitation in (teacher, always, None)
    )
    values = [trained.weights["linear.weight"] for trained in (mixed, pure, none)]
    assert not torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])
    draws = [float(torch.rand((), generator=stream(0, "kind", epoch))) for epoch in range(400)]
    assert 0.42 < sum(draw < 0.5 for draw in draws) / 400 < 0.58  # three standard deviations of a fair coin


@pytest.mark.parametrize("probability", [0.0, 0.4])
def test_interrupted_and_resumed_is_the_undisturbed_run(tmp_path: Path, probability: float) -> None:
    recipe = replace(RECIPE, imitation=Imitation((Teacher(Adam(), Adam().meta(0.1)),), (probability,)))
    whole = meta_train(RULE, FAMILY, WEIGHTS, recipe, seed=3)

    def interrupt(now: int, total: int) -> None:
        if now >= 17:
            raise KeyboardInterrupt

    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        meta_train(RULE, FAMILY, WEIGHTS, recipe, seed=3, checkpoint=path, checkpoint_every=3, progress=interrupt)
    assert path.exists()
    resumed = meta_train(RULE, FAMILY, WEIGHTS, recipe, seed=3, checkpoint=path, checkpoint_every=3)
    assert same(resumed, whole)
    assert not same(meta_train(RULE, FAMILY, WEIGHTS, recipe, seed=4), whole)  # planted: another seed


def test_random_lengths_and_rmsprop_resume_as_well(tmp_path: Path) -> None:
    lengths = RandomLengths(least_windows=1, more_windows=2.0, least_steps=2, more_steps=3.0)
    recipe = replace(
        RECIPE, curriculum=Curriculum((10,), period=2), lengths=lengths, optimizer="rmsprop", non_finite="zero",
        clip=1e4, loss=MetaLoss("mean"),
    )  # fmt: skip
    done: list[int] = []
    whole = meta_train(RULE, FAMILY, WEIGHTS, recipe, seed=3, progress=lambda now, total: done.append(now))
    assert whole.updates == 40
    expected, counts = 0, []
    for epoch in range(len(done)):  # one meta-update per window that was drawn
        expected += len(lengths.ends(stream(3, "lengths", epoch)))
        counts.append(min(expected, 40))
    assert done == counts

    def interrupt(now: int, total: int) -> None:
        if now >= 17:
            raise KeyboardInterrupt

    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        meta_train(RULE, FAMILY, WEIGHTS, recipe, seed=3, checkpoint=path, checkpoint_every=1, progress=interrupt)
    assert same(meta_train(RULE, FAMILY, WEIGHTS, recipe, seed=3, checkpoint=path), whole)
    for other in ({"optimizer": "adam"}, {"lengths": None}, {"non_finite": "skip"}, {"loss": MetaLoss()}):
        with pytest.raises(InputError, match="another run"):
            meta_train(RULE, FAMILY, WEIGHTS, replace(recipe, **other), seed=3, checkpoint=path)


_PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_meta_training import FAMILY, RECIPE, RULE, WEIGHTS, meta_train
meta_train(RULE, FAMILY, WEIGHTS, RECIPE, checkpoint=Path({path!r}), checkpoint_every=1)
"""


def test_killed_and_resumed_is_bit_equal(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    program = _PROGRAM.format(tests=str(Path(__file__).parent), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL) if process.poll() is None else None
    process.wait()
    assert path.exists()
    assert same(meta_train(RULE, FAMILY, WEIGHTS, RECIPE, checkpoint=path), meta_train(RULE, FAMILY, WEIGHTS, RECIPE))


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, updates=2), checkpoint=path)
    with pytest.raises(InputError, match="another run"):
        meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, updates=2, rate=1e-3), checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"cannot read .* delete it to start over"):
        meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, updates=2), checkpoint=path)
    torch.save({"format": 1, "key": "of an earlier version"}, path)
    with pytest.raises(StoreError, match="is of another version; delete it"):
        meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, updates=2), checkpoint=path)


def test_step_sizes_that_print_alike_are_two_rules(tmp_path: Path) -> None:
    def trained(last: float) -> None:
        rule = MathL2O(torch.tensor([0.01, 0.01, last], dtype=torch.float64), hidden=2)
        weights = rule.meta(torch.Generator().manual_seed(0))
        family = QuadraticTasks(RandomQuadratics(3))
        recipe = Recipe(Curriculum((4,)), updates=1, tasks=2, window=4)
        meta_train(rule, family, weights, recipe, checkpoint=tmp_path / "run.pt")

    trained(0.0100001)
    trained(0.0100001)
    with pytest.raises(InputError, match="other rule's step_size"):
        trained(0.0100002)


class Scaled:
    """A rule of a user who wrote no repr."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def init(self, params: Tensor) -> tuple[()]:
        return ()

    def update(self, params: Tensor, grads: Tensor, state: tuple[()], meta: dict[str, Tensor]) -> tuple[Tensor, tuple]:
        return params - self.scale * meta["a"] * grads, state


class Quadratics:
    """Likewise, a family."""

    def __init__(self, dimension: int) -> None:
        self.problem, self.inner = RandomQuadratics(4), QuadraticTasks(RandomQuadratics(dimension))
        self.draw = self.inner.draw


def test_objects_that_do_not_print_what_they_hold_are_told_apart(tmp_path: Path) -> None:
    weights = {"a": torch.full((), 0.01, dtype=torch.float64)}
    recipe = Recipe(Curriculum((4,)), updates=1, tasks=2, window=4)

    def trained(scale: float, dimension: int) -> None:
        meta_train(Scaled(scale), Quadratics(dimension), weights, recipe, checkpoint=tmp_path / "run.pt")

    trained(0.5, 4)
    trained(0.5, 4)  # other objects at other addresses
    with pytest.raises(InputError, match="other rule's scale;"):
        trained(0.6, 4)
    with pytest.raises(InputError, match="other tasks;"):
        trained(0.5, 5)


class Poisoned:
    """A rule whose meta-gradient is NaN: sqrt of a number that is 0."""

    def init(self, params: Tensor) -> tuple[()]:
        return ()

    def update(self, params: Tensor, grads: Tensor, state: tuple[()], meta: dict[str, Tensor]) -> tuple[Tensor, tuple]:
        return params - (0 * meta["a"]).sqrt() * grads, state


def test_meta_gradients_that_are_not_finite_are_skipped_counted_and_end_it(tmp_path: Path) -> None:
    weights = {"a": torch.ones((), dtype=torch.float64)}
    few = replace(RECIPE, updates=6, skips=6, curriculum=Curriculum((10,), period=100))
    trained = meta_train(Poisoned(), FAMILY, weights, few)
    assert (trained.skipped, trained.updates) == (6, 6)
    assert torch.equal(trained.weights["a"], weights["a"])
    with pytest.raises(InputError, match="the last at meta-update 7"):
        meta_train(Poisoned(), FAMILY, weights, replace(few, updates=20))


def test_bad_recipes_are_refused() -> None:
    with pytest.raises(InputError, match="window must be >= 1"):
        replace(RECIPE, window=0)
    with pytest.raises(InputError, match="rate and clip must be positive"):
        replace(RECIPE, rate=-1.0)
    with pytest.raises(InputError, match="one horizon"):
        replace(RECIPE, lengths=RandomLengths())
    with pytest.raises(InputError, match="adam or rmsprop"):
        replace(RECIPE, optimizer="sgd")
    with pytest.raises(InputError, match="kind must be one of"):
        MetaLoss("average")
    with pytest.raises(InputError, match="training data"):
        meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, loss=MetaLoss(data="training")))
    with pytest.raises(InputError, match="held_out"):
        meta_train(RULE, FAMILY, WEIGHTS, replace(RECIPE, loss=MetaLoss(data="validation")))
