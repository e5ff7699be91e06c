"""Intervals for differences of ln of the mean loss: closed forms, enumeration, and coverage on a law where D is known.

Law: ln f_si = a + u_s + v_i + e_si with independent normals, the other optimizer ln f'_i = b + v_i. Given u the
expectation over tasks is in closed form: D = a - b + var(e)/2, with no other term.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from l2o_theory.errors import InputError
from l2o_theory.metatraining.comparison import (
    Interval,
    _added,
    level,
    one_sided_p,
    paired_difference,
    student_interval,
)

Array = NDArray[np.float64]
REPEATS = 400
LEAST, MOST = 0.91, 0.985  # 0.95 +- 3.5 standard errors of a share of 400 runs, and the bootstrap a little below


def drawn(
    seed: int, *, seeds: int, tasks: int, over_seeds: float, over_tasks: float, own: float = 0.0
) -> tuple[Array, Array, float]:
    """Losses of two optimizers that share what makes a task hard, and D over all tasks and meta-seeds."""
    random = np.random.default_rng(seed)
    u, v = over_seeds * random.normal(size=(seeds, 1)), over_tasks * random.normal(size=(1, tasks))
    e = own * random.normal(size=(seeds, tasks))
    return np.exp(-1 + u + v + e), np.exp(-0.7 + v)[0], -0.3 + own**2 / 2


def coverage(interval: Callable[[int], tuple[Interval, float]]) -> tuple[float, float]:
    """Share of the runs whose interval holds the truth, and the mean half width."""
    held, widths = 0, []
    for seed in range(REPEATS):
        found, truth = interval(seed)
        held += found.low <= truth <= found.high
        widths.append((found.high - found.low) / 2)
    return held / REPEATS, float(np.mean(widths))


def test_value_is_ln_of_means_not_the_mean_of_logarithms() -> None:
    losses, other = [[1.0, 3.0], [2.0, 4.0]], [2.0, 6.0]
    found = paired_difference(losses, other)
    assert found.by_seed == pytest.approx((math.log(2 / 4), math.log(3 / 4)))
    assert found.value == pytest.approx((math.log(2 / 4) + math.log(3 / 4)) / 2)
    planted = float(np.mean(np.log(losses)) - np.mean(np.log(other)))  # the mean inside and outside exchanged
    assert abs(found.value - planted) > 0.02
    assert level(losses) == pytest.approx([math.log(2), math.log(3)])


def test_student_s_interval_with_two_degrees_of_freedom_is_in_closed_form() -> None:
    """P(T <= q) = (1 + q/sqrt(2 + q^2))/2."""
    found = student_interval([-1.0, -2.0, -3.0])
    quantile = 0.95 * math.sqrt(2 / (1 - 0.95**2))
    assert (found.value, found.low, found.high) == pytest.approx((-2, -2 - quantile / 3**0.5, -2 + quantile / 3**0.5))
    t = -2 * 3**0.5
    assert one_sided_p([-1.0, -2.0, -3.0]) == pytest.approx((1 + t / math.sqrt(2 + t * t)) / 2)
    assert one_sided_p([1.0, 2.0, 3.0]) > 0.95  # planted: the other side
    assert (one_sided_p([-1.0, -1.0]), one_sided_p([0.0, 0.0])) == (0.0, 1.0)
    assert str(Interval(-2, -4.5, 0.5)) == "-2 [-4.5, 0.5]"
    assert student_interval([-1.0, -2.0, -3.0]).contains_zero  # -2 +- 2.48
    assert not student_interval([-1.0, -1.1, -0.9]).contains_zero


def test_the_bootstrap_is_that_of_all_resamples() -> None:
    """Three tasks have 27 equally likely resamples: the quantiles are those of the enumerated law."""
    losses, other = np.array([[1.0, 2.0, 6.0]]), np.array([2.0, 1.0, 3.0])
    law = sorted(
        math.log(losses[0, list(rows)].sum() / other[list(rows)].sum())
        for rows in itertools.product(range(3), repeat=3)
    )
    found = paired_difference(losses, other, confidence=0.5, resamples=20_000).over_tasks
    # the quartiles of a law of atoms of mass 1/27 and more are atoms, found exactly unless a jump lies within the
    # Monte Carlo error 0.003 of 0.25, which is 27 * 0.003 = 0.08 atoms
    assert found.low == pytest.approx(law[6])
    assert found.high == pytest.approx(law[20])
    unpaired = np.random.default_rng(0)
    planted = np.log(unpaired.choice(losses[0], (20_000, 3)).sum(1) / unpaired.choice(other, (20_000, 3)).sum(1))
    assert abs(np.quantile(planted, 0.25) - found.low) > 0.05


def test_over_meta_seeds_the_interval_covers_and_two_samples_do_not() -> None:
    """Tasks fixed, both optimizers from the same meta-seeds: pairing takes out what the seeds share."""

    def both(seed: int) -> tuple[Array, Array, float]:
        random = np.random.default_rng(seed)
        u, w = 0.5 * random.normal(size=(5, 1)), 0.1 * random.normal(size=(5, 1))
        v = np.random.default_rng(7).normal(size=(1, 20))
        return np.exp(u + w + v), np.exp(0.2 + u + v), -0.2

    def paired(seed: int) -> tuple[Interval, float]:
        first, second, truth = both(seed)
        found = paired_difference(first, second, resamples=2).over_seeds
        assert found is not None
        return found, truth

    def unpaired(seed: int) -> tuple[Interval, float]:
        first, second, truth = both(seed)
        return paired_difference(first, np.roll(second, 1, axis=0), resamples=2).over_seeds or Interval(0, 0, 0), truth

    share, width = coverage(paired)
    assert LEAST <= share <= MOST
    _, planted = coverage(unpaired)
    assert planted > 3 * width  # planted: seeds of one optimizer against other seeds of the other


def test_over_tasks_the_interval_covers_and_unpaired_resamples_do_not() -> None:
    """Meta-seeds fixed: the hardness that the tasks share cancels only if both are resampled alike."""

    def sampled(seed: int) -> tuple[Array, Array, float]:
        random = np.random.default_rng(seed)
        v, e = random.normal(size=200), 0.3 * random.normal(size=(2, 200))
        return np.exp(v + e[0]), np.exp(0.1 + v + e[1]), -0.1

    def paired(seed: int) -> tuple[Interval, float]:
        first, second, truth = sampled(seed)
        return paired_difference(first, second, resamples=400, seed=seed).over_tasks, truth

    def unpaired(seed: int) -> tuple[Interval, float]:
        first, second, truth = sampled(seed)
        random = np.random.default_rng(seed)
        rows = random.integers(200, size=(2, 200, 200))
        values = np.log(first[rows[0]].mean(1) / second[rows[1]].mean(1))
        low, high = np.quantile(values, [0.025, 0.975])
        return Interval(0, float(low), float(high)), truth

    share, width = coverage(paired)
    assert LEAST - 0.02 <= share <= MOST  # a percentile bootstrap of skewed ratios covers a little less
    too_much, planted = coverage(unpaired)
    assert too_much > MOST
    assert planted > 2 * width


def test_over_both_the_interval_covers_and_runs_as_independent_units_do_not() -> None:
    """Fresh tasks and fresh meta-seeds: neither interval alone holds the truth often enough."""
    law = {"seeds": 4, "tasks": 60, "over_seeds": 0.2, "over_tasks": 1.0, "own": 0.8}

    def of(name: str) -> Callable[[int], tuple[Interval, float]]:
        def interval(seed: int) -> tuple[Interval, float]:
            first, second, truth = drawn(seed, **law)  # type: ignore[arg-type]
            found: Interval = getattr(paired_difference(first, second, resamples=300, seed=seed), name)
            return found, truth

        return interval

    def pseudoreplicated(seed: int) -> tuple[Interval, float]:
        first, second, truth = drawn(seed, **law)  # type: ignore[arg-type]
        return paired_difference(first.reshape(-1), np.tile(second, 4), resamples=300, seed=seed).over_tasks, truth

    share, _ = coverage(of("over_both"))
    assert share >= LEAST - 0.02
    assert coverage(of("over_tasks"))[0] < 0.8
    assert coverage(pseudoreplicated)[0] < 0.8  # planted: 240 runs counted as independent


def test_without_meta_seeds_there_is_no_interval_over_them() -> None:
    found = paired_difference([1.0, 2.0, 4.0], [2.0, 3.0, 5.0])
    assert (found.over_seeds, found.p) == (None, None)
    assert found.over_both is found.over_tasks
    same = paired_difference([[1.0, 2.0]] * 3, [[1.0, 2.0]] * 3)
    assert (same.value, same.over_both.low, same.over_both.high, same.p) == (0, 0, 0, 1.0)


@pytest.mark.parametrize(
    ("losses", "other", "told"),
    [
        ([[1.0, 2.0]], [1.0, 2.0, 3.0], "same tasks"),
        ([[1.0, 2.0]] * 3, [[1.0, 2.0]] * 2, "same tasks and meta-seeds"),
        ([1.0, float("nan")], [1.0, 2.0], "diverged"),
        ([1.0, float("inf")], [1.0, 2.0], "diverged"),
        ([1.0, -1.0], [1.0, 2.0], ">= 0"),
        ([], [], "shape"),
        ([[1.0, 2.0], [0.0, 0.0]], [1.0, 2.0], "solves every task exactly"),
    ],
)
def test_what_cannot_be_compared_is_refused(losses: list[float], other: list[float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        paired_difference(losses, other)


def test_both_variances_are_added_with_their_degrees_of_freedom() -> None:
    # variance of the mean over 2 meta-seeds 1, over 4 tasks 3: 4^2/(1/1 + 9/3) = 4 degrees, whose t_0.975 is 2.776445
    found = _added(np.array([0.0, 2.0]), 3.0, 4, 0.95)
    assert (found.value, found.low) == pytest.approx((1.0, 1 - 2.776445 * 2), rel=1e-6)


def test_tasks_solved_exactly_bound_nothing() -> None:
    # a resample of three tasks is the solved one thrice with probability 1/27: its ln is -inf, and inf - inf is NaN
    solved = [[0.0, 1.0, 2.0], [0.0, 2.0, 2.0]]
    for pair in ((solved, [1.0, 1.0, 2.0]), ([[1.0, 1.0, 2.0]] * 2, solved[0]), (solved, solved[0])):
        found = paired_difference(*pair)
        for interval in (found.over_tasks, found.over_both):
            assert (interval.low, interval.high) == (-math.inf, math.inf)
            assert interval.value == pytest.approx(sum(found.by_seed) / 2)
    assert found.over_seeds is not None
    assert math.isfinite(found.over_seeds.high)


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="confidence"):
        paired_difference([1.0, 2.0], [1.0, 2.0], confidence=1.0)
    with pytest.raises(InputError, match="resamples"):
        paired_difference([1.0, 2.0], [1.0, 2.0], resamples=1)
    with pytest.raises(InputError, match="two values"):
        student_interval([1.0])
