"""Outcomes: who wins, by what factor, and with which standard error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares.outcome import Choice, Outcome, Protocol, choice, least, measured

CURVES = (np.array([1.0, 0.5, 2.0]), np.array([0.4, 0.5, np.nan]))
GRID = (0.1, 0.2, 0.4)


def test_the_smaller_test_error_wins() -> None:
    outcome = Outcome(Choice(0.2, 0.1, 3.0), Choice(0.1, 0.5, 2.0), *CURVES)
    assert (outcome.winner, outcome.factor) == ("train-by-validation", 1.5)
    swapped = Outcome(Choice(0.1, 0.5, 2.0), Choice(0.2, 0.1, 3.0), *CURVES)
    assert (swapped.winner, swapped.factor) == ("train-by-train", 1.5)


def test_no_winner_without_a_difference() -> None:
    same = Outcome(Choice(0.2, 0.1, 3.0), Choice(0.2, 0.1, 3.0), *CURVES)
    assert (same.winner, same.factor) == (None, 1.0)
    wild = choice(0.4, 1.0, 1e9, bound=40)
    assert wild.diverges
    assert math.isinf(wild.test)
    both = Outcome(wild, choice(0.5, 1.0, math.nan, bound=40), *CURVES)
    assert both.winner is None
    one = Outcome(wild, Choice(0.2, 0.1, 3.0), *CURVES)
    assert (one.winner, one.factor) == ("train-by-validation", math.inf)


def test_an_error_of_zero_wins_without_a_division() -> None:
    exact = Outcome(Choice(0.2, 0.0, 0.0), Choice(0.1, 0.5, 0.5), *CURVES)
    assert (exact.winner, exact.factor) == ("train-by-train", math.inf)
    both = Outcome(Choice(0.2, 0.0, 0.0), Choice(0.1, 0.0, 0.0), *CURVES)
    assert (both.winner, both.factor) == (None, 1.0)
    zeros, ones = np.zeros(4), np.ones(4)
    found = measured(GRID, CURVES, train=(zeros, ones), test=(zeros, ones))
    assert (found.factor, found.factor_error) == (math.inf, 0.0)


def test_entries_that_are_no_numbers_are_never_the_least() -> None:
    assert least(np.array([np.nan, 3.0, np.inf, 2.0])) == 3
    assert least(np.array([1.0, 1.0])) == 0


def test_standard_errors_against_resampling() -> None:
    """Second route: the spread of the figures over 2000 fresh samples of the same law."""
    random = np.random.default_rng(0)

    def draw() -> Outcome:
        common = random.gamma(50, size=100)  # shared by both, as the tasks are
        first, second = common * random.gamma(80, size=100) / 2000, common * random.gamma(80, size=100) / 4000
        return measured(GRID, CURVES, train=(first, second), test=(first, second))

    drawn = [draw() for _ in range(2000)]
    assert {outcome.winner for outcome in drawn} == {"train-by-validation"}
    spread = np.std([outcome.by_train.test for outcome in drawn])
    # 10 percent: the spread of 2000 draws is known to 1.6 percent, each standard error of 100 to 7
    assert np.mean([outcome.by_train.test_error for outcome in drawn]) == pytest.approx(spread, rel=0.1)
    factor_spread = np.std([outcome.factor for outcome in drawn])
    paired = np.mean([outcome.factor_error for outcome in drawn])
    assert paired == pytest.approx(factor_spread, rel=0.1)
    # planted: as if the tasks were not shared
    unpaired = np.mean([o.factor * math.hypot(o.by_train.test_error, o.by_validation.test_error) for o in drawn])
    assert unpaired != pytest.approx(factor_spread, rel=0.1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dimension": 0}, "dimension must be >= 1"),
        ({"samples": 0}, "samples must be >= 1"),
        ({"steps": 0}, "steps must be >= 1"),
        ({"noise": -0.1}, "noise"),
        ({"noise": math.nan}, "noise"),
        ({"noise": math.inf}, "noise"),
        ({"split": (6, 5)}, "does not fit 10 samples"),
        ({"split": (10, 0)}, "does not fit"),
    ],
)
def test_protocols_are_checked(change: dict, words: str) -> None:
    good = {"dimension": 5, "samples": 10, "noise": 1.0, "steps": 3, "split": (5, 5)}
    assert Protocol(**good).bound == 40
    with pytest.raises(InputError, match=words):
        Protocol(**(good | change))
