"""Tasks: streams that do not depend on each other, the law of the draw, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares.tasks import TaskDistribution, stream, unit_vector


def test_a_task_depends_on_seed_and_index_alone() -> None:
    law = TaskDistribution(7, 0.5)
    alone = law.task(5, seed=3, index=4)
    among = list(law.tasks(5, 6, seed=3))[4]
    later = next(law.tasks(5, 1, seed=3, first=4))
    for other in (among, later):
        np.testing.assert_array_equal(alone.features, other.features)
        np.testing.assert_array_equal(alone.labels, other.labels)
        np.testing.assert_array_equal(alone.direction, other.direction)
    for different in (law.task(5, seed=4, index=4), law.task(5, seed=3, index=5)):
        assert not np.isclose(alone.features, different.features).any()
        assert not np.isclose(alone.w_star, different.w_star).any()


def test_a_small_task_is_the_beginning_of_a_large_one() -> None:
    law = TaskDistribution(6, 2.0)
    large, small = law.task(10, seed=1), law.task(4, seed=1)
    head = large.head(4)
    np.testing.assert_array_equal(head.features, small.features)
    # the product X w* may sum in another order for another number of rows
    np.testing.assert_allclose(head.labels, small.labels, rtol=1e-13)
    first, second = large.split(4, 5)
    np.testing.assert_array_equal(first.features, large.features[:4])
    np.testing.assert_array_equal(second.features, large.features[4:9])
    np.testing.assert_array_equal(second.labels, large.labels[4:9])


def test_streams_of_different_names_differ() -> None:
    names = ["features", "noise", "w_star", "freeze", "sgd"]
    firsts = [stream(name, 0, 0).random() for name in names]
    assert len(set(firsts)) == len(names)


def test_the_law_of_the_labels() -> None:
    law = TaskDistribution(5, 0.7)
    task = law.task(40_000, seed=11)
    residual = task.labels - task.features @ task.w_star
    # 5 standard errors of a sample variance, 5 * sqrt(2/n) = 0.035
    assert residual.var() == pytest.approx(0.49, rel=0.035)
    assert task.labels.var() == pytest.approx(1.49, rel=0.035)
    assert residual.var() != pytest.approx(0.7, rel=0.035)  # noise is a standard deviation, not a variance
    assert np.linalg.norm(task.w_star) == pytest.approx(1, rel=1e-15 * 10)  # rounding of a norm of 5 terms
    correlation = task.features.T @ residual / len(residual)
    assert np.abs(correlation).max() < 5 * 0.7 / np.sqrt(40_000)  # 5 standard errors


def test_unit_vectors_are_uniform() -> None:
    draws = np.stack([unit_vector(stream("w_star", 0, k), 4) for k in range(4000)])
    np.testing.assert_allclose(np.linalg.norm(draws, axis=1), 1, rtol=1e-14)
    # E u = 0 with standard error 1/sqrt(4 * 4000); E u_i^2 = 1/4, E u_i^4 = 3/24, so its standard error is 0.0028
    assert np.abs(draws.mean(0)).max() < 5 / np.sqrt(16_000)
    assert np.abs((draws**2).mean(0) - 0.25).max() < 5 * np.sqrt((3 / 24 - 1 / 16) / 4000)


def test_features_have_the_covariance_asked_for() -> None:
    covariance = np.array([[2.0, 0.6], [0.6, 0.5]])
    task = TaskDistribution(2, 1.0, covariance).task(40_000, seed=2)
    found = task.features.T @ task.features / 40_000
    # standard error of an entry is sqrt((C_ii C_jj + C_ij^2)/n) <= 0.0142
    assert np.abs(found - covariance).max() < 5 * 0.0142
    assert np.abs(found - np.linalg.cholesky(covariance)).max() > 5 * 0.0142  # the planted fault: C for its root
    weights = np.array([[1.0, 2.0], [0.0, 0.0]])
    wanted = [(w - task.w_star) @ covariance @ (w - task.w_star) for w in weights]
    np.testing.assert_allclose(task.risk(weights), wanted, rtol=1e-12)  # a root and a square: a few roundings


def test_a_singular_covariance_is_welcome() -> None:
    direction = np.array([3.0, 4.0]) / 5
    task = TaskDistribution(2, 1.0, np.outer(direction, direction)).task(20, seed=2)
    across = task.features @ np.array([-4.0, 3.0]) / 5
    assert np.abs(across).max() < 1e-6  # the square root of a rounding error of the eigenvalue 0


def test_float32_features() -> None:
    task = TaskDistribution(5, 1.0).task(6, dtype="float32")
    assert task.features.dtype == np.float32
    assert task.labels.dtype == np.float64


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TaskDistribution(0, 1.0), "dimension must be a whole number >= 1, got 0"),
        (lambda: TaskDistribution(2.5, 1.0), "dimension must be a whole number"),  # type: ignore[arg-type]
        (lambda: TaskDistribution(2, -1.0), "noise must be a finite number of at least 0, got -1.0"),
        (lambda: TaskDistribution(2, float("nan")), "noise must be"),
        (lambda: TaskDistribution(2, float("inf")), "noise must be"),
        (lambda: TaskDistribution(2, 1.0, np.eye(3)), r"shape \(2, 2\), got \(3, 3\)"),
        (lambda: TaskDistribution(2, 1.0, np.array([[1.0, 2.0], [0.0, 1.0]])), "symmetric"),
        (lambda: TaskDistribution(2, 1.0, np.array([[1.0, 2.0], [2.0, 1.0]])), "semidefinite, got an eigenvalue -1"),
        (lambda: TaskDistribution(2, 1.0).task(0), "samples must be a whole number >= 1"),
        (lambda: TaskDistribution(2, 1.0).task(3, seed=-1), "seed must be an integer of at least 0"),
        (lambda: TaskDistribution(2, 1.0).task(3, index=-1), "index must be"),
        (lambda: TaskDistribution(2, 1.0).task(3, dtype="float16"), 'dtype must be "float64" or "float32"'),
        (lambda: TaskDistribution(2, 1.0).task(3).split(2, 2), r"at most the 3 samples, got 2 \+ 2"),
        (lambda: TaskDistribution(2, 1.0).task(3).split(0, 2), "n1 must be"),
        (lambda: TaskDistribution(2, 1.0).task(3).head(4), "at most the 3 of the task, got 4"),
    ],
)
def test_bad_input_is_refused_in_one_line(make: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        make()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
