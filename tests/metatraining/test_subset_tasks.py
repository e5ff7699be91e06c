"""Subsets: own samples, noise, splits and epochs of every task, followed by the index that each sample carries."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.metatraining.subset_tasks import SubsetTasks
from l2o_theory.metatraining.tasks import Draw
from l2o_theory.problems import MLP, Classification, Dataset

POOL, CLASSES = 60, 10_000  # so many classes that a label drawn anew is almost surely wrong


def numbered() -> Dataset:
    """Sample i has the features (i, 1) and the label i."""
    index = torch.arange(POOL)
    return Dataset(torch.stack([index.double(), torch.ones(POOL).double()], 1), index, CLASSES)


def family(**settings: float) -> SubsetTasks:
    problem = Classification(MLP((2, CLASSES)), numbered())
    return SubsetTasks(problem, **{"training": 13, "validation": 12, "size": 4, **settings})  # type: ignore[arg-type]


def rows(batch: dict[str, Tensor]) -> Tensor:
    """Which samples of the pool a batch holds, shape (tasks, samples)."""
    return batch["features"][..., 0].long()


def drawn(seed: int = 0, **settings: float) -> Draw:
    return family(**settings).draw(3, 9, Generator().manual_seed(seed))


def test_training_and_validation_samples_are_disjoint_and_the_tasks_differ() -> None:
    draw = drawn()
    assert draw.training is not None
    assert draw.validation is not None
    training, validation = rows(draw.training(0)), rows(draw.validation(0))
    assert (training.shape, validation.shape) == ((3, 13), (3, 12))
    for ours, theirs in zip(training, validation, strict=True):
        assert len(set(ours.tolist()) | set(theirs.tolist())) == 25
    assert len({tuple(sorted(task.tolist())) for task in training}) == 3
    assert torch.equal(rows(draw.training(7)), training)  # the same at every step
    overlap = rows(drawn(validation=0, training=25).training(0))  # type: ignore[misc]
    assert len(set(overlap[0].tolist()) & set(validation[0].tolist())) > 0  # planted: no split at all


def test_every_epoch_shows_each_training_sample_at_most_once_in_another_order() -> None:
    draw = drawn()
    assert draw.training is not None
    own = rows(draw.training(0))
    steps = torch.stack([rows(draw.batches(step)) for step in range(10)])  # (steps, tasks, size)
    for task in range(3):
        epochs = [steps[first : first + 3, task].flatten().tolist() for first in (0, 3, 6)]  # 3 batches of 4 from 13
        for epoch in epochs:
            assert len(set(epoch)) == 12
            assert set(epoch) <= set(own[task].tolist())
        assert epochs[0] != epochs[1]
    independent = torch.randint(13, (3, 4), generator=Generator().manual_seed(0)).flatten().tolist()
    assert len(set(independent)) < 12  # planted: batches with replacement


@pytest.mark.parametrize(("noise", "count"), [(0.0, 0), (0.2, 5), (0.5, 12), (1.0, 25)])
def test_exactly_floor_of_rate_times_samples_labels_of_each_task_are_drawn_anew(noise: float, count: int) -> None:
    draw = drawn(noise=noise)
    assert draw.training is not None
    assert draw.validation is not None
    wrong = sum((rows(b) != b["labels"]).sum(1) for b in (draw.training(0), draw.validation(0)))
    assert isinstance(wrong, Tensor)
    assert bool((wrong <= count).all())
    assert int(wrong.sum()) >= 3 * count - 1  # one of 75 labels may be drawn as it was, with odds of 75 in 10 000
    batch, everything = draw.batches(2), draw.training(0)
    noisy = {(int(r), int(label)) for r, label in zip(rows(everything)[0], everything["labels"][0], strict=True)}
    assert {(int(r), int(label)) for r, label in zip(rows(batch)[0], batch["labels"][0], strict=True)} <= noisy


def test_noise_falls_on_both_parts() -> None:
    batches = [drawn(seed, noise=0.4) for seed in range(10)]
    shares = []
    for part in ("training", "validation"):
        found = [getattr(draw, part)(0) for draw in batches]
        shares.append(sum(int((rows(b) != b["labels"]).sum()) for b in found) / sum(b["labels"].numel() for b in found))
    assert all(0.3 < share < 0.5 for share in shares)  # 0.4 with a standard deviation of 0.025


def test_seeds_and_starts() -> None:
    one, same, other = drawn(1), drawn(1), drawn(2)
    assert torch.equal(rows(one.batches(5)), rows(same.batches(5)))
    assert not torch.equal(rows(one.batches(5)), rows(other.batches(5)))
    assert isinstance(one.starts, dict)
    assert one.starts["weight1"].shape == (3, 2, CLASSES)
    assert not torch.equal(one.starts["weight1"][0], one.starts["weight1"][1])


def test_without_validation_there_is_none_to_judge_by() -> None:
    draw = drawn(validation=0)
    assert draw.validation is None
    with pytest.raises(InputError, match=r"validation data, .* \(held_out\)"):
        draw.judging("validation")
    with pytest.raises(InputError, match=r"training data, .* \(subset, "):
        replace(draw, training=None).judging("training")
    assert draw.judging("training") is draw.training


@pytest.mark.parametrize(
    "bad", [{"training": 3}, {"size": 0}, {"validation": 48}, {"validation": -1}, {"noise": 1.5}, {"noise": -0.1}]
)
def test_impossible_subsets_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"wanted 1 <= size|must lie in"):
        family(**bad)


@pytest.mark.gpu
def test_a_gpu_draws_the_same_tasks() -> None:
    data = numbered().to(device="cuda")
    family_there = SubsetTasks(Classification(MLP((2, CLASSES)), data), 13, 12, 4, 0.4)
    here, there = drawn(noise=0.4), family_there.draw(3, 9, Generator().manual_seed(0))
    assert here.validation is not None
    assert there.validation is not None
    for step in (0, 5, 9):
        for name, leaf in here.batches(step).items():
            assert torch.equal(there.batches(step)[name].cpu(), leaf)
    assert torch.equal(there.validation(0)["labels"].cpu(), here.validation(0)["labels"])
