"""Label noise: how many labels are drawn anew, how many of those change, and that nothing else does."""

from __future__ import annotations

import math

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.problems.label_noise import with_label_noise


@pytest.mark.parametrize(
    ("n", "rate", "count"), [(400, 0.2, 80), (7, 0.5, 3), (100, 0.29, 29), (5, 1.0, 5), (5, 0.0, 0)]
)
def test_exactly_so_many_labels_are_drawn_anew(n: int, rate: float, count: int) -> None:
    """With classes beyond any old label every label drawn shows; 0.29 * 100 is below 29 in floating point."""
    labels = torch.zeros(n, dtype=torch.int64)
    noisy = with_label_noise(labels, rate, 1 << 40, torch.Generator().manual_seed(1))
    assert int((noisy != labels).sum()) == count
    assert not bool(labels.any())  # the argument is left alone


def test_a_label_drawn_may_be_the_old_one() -> None:
    """Of k replaced labels a share 1 - 1/classes changes: binomial, mean 0.9 k and standard deviation sqrt(.09 k)."""
    labels = torch.arange(20_000) % 10
    noisy = with_label_noise(labels, 0.2, 10, torch.Generator().manual_seed(2))
    changed, drawn = int((noisy != labels).sum()), 4000
    assert abs(changed - 0.9 * drawn) < 4 * math.sqrt(0.09 * drawn)
    assert abs(changed - drawn) > 4 * math.sqrt(0.09 * drawn)  # planted: the old label excluded
    flips = noisy[noisy != labels].bincount(minlength=10)
    assert bool(((flips - changed / 10).abs() < 5 * math.sqrt(changed / 10)).all())  # uniform over classes


def test_places_are_drawn_anew_and_repeat_with_the_seed() -> None:
    labels = torch.zeros(50, dtype=torch.int64)
    one, same, other = (with_label_noise(labels, 0.4, 1000, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one != 0, other != 0)
    assert int((one != 0)[:20].sum()) < 20  # planted: the first floor(rate n) places


def test_rates_outside_the_unit_interval_are_refused() -> None:
    for rate in (-0.1, 1.1, math.nan):
        with pytest.raises(InputError, match=r"in \[0, 1\]"):
            with_label_noise(torch.zeros(3, dtype=torch.int64), rate, 10)
