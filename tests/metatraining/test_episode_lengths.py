"""Lengths of episodes: regular ones by enumeration, random ones by the law of a rounded exponential number."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.metatraining.episode_lengths import RandomLengths, regular_ends


def test_regular_windows_cover_the_episode_once() -> None:
    assert regular_ends(100, 20) == (20, 40, 60, 80, 100)
    assert regular_ends(7, 3) == (3, 6, 7)
    assert regular_ends(5, 20) == (5,)


def test_random_lengths_follow_the_rounded_exponential_law() -> None:
    """E round(Exp(m)) = sum_{k >= 1} exp(-(k - 1/2)/m) = exp(-1/(2m))/(1 - exp(-1/m)); standard deviation near m."""
    law, generator = RandomLengths(2, 3.0, 4, 5.0), torch.Generator().manual_seed(0)
    episodes = [law.ends(generator) for _ in range(2000)]
    windows = torch.tensor([float(len(ends)) for ends in episodes])
    steps = torch.tensor([float(b - a) for ends in episodes for a, b in pairwise((0, *ends))])
    for values, least, mean in ((windows, 2, 3.0), (steps, 4, 5.0)):
        assert values.min() == least
        expected = least + math.exp(-0.5 / mean) / (1 - math.exp(-1 / mean))
        error = mean / len(values) ** 0.5
        assert abs(float(values.mean()) - expected) < 4 * error
        assert abs(float(values.mean()) - (expected - 0.5)) > 4 * error  # planted: rounded down


def test_the_same_generator_gives_the_same_episode_and_no_spread_is_regular() -> None:
    law = RandomLengths()
    assert law.ends(torch.Generator().manual_seed(5)) == law.ends(torch.Generator().manual_seed(5))
    assert law.ends(torch.Generator().manual_seed(5)) != law.ends(torch.Generator().manual_seed(6))
    assert RandomLengths(3, 0.0, 7, 0.0).ends(torch.Generator()) == regular_ends(21, 7)


@pytest.mark.parametrize(
    "bad", [{"least_windows": 0}, {"least_steps": 0}, {"more_windows": -1.0}, {"more_steps": math.inf}]
)
def test_bad_lengths_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be"):
        RandomLengths(**bad)  # type: ignore[arg-type]
