"""Ranges: what was typed is what is run; what is empty or no number is refused in one line."""

from __future__ import annotations

import math

import pytest

from l2o_theory.cli.ranges import parse_one, parse_range
from l2o_theory.errors import InputError


def test_even_logarithmic_and_mixed_ranges() -> None:
    assert parse_range("0.5:2:4", "--noise") == (0.5, 1.0, 1.5, 2.0)
    assert parse_range("3", "--noise") == (3.0,)
    assert parse_range("2:2:1", "--noise") == (2.0,)
    assert parse_range("1, 0.5:1:2", "--noise") == (1.0, 0.5)  # a value that comes twice is run once
    noise = parse_range("0.25:4:log9", "--noise")
    assert noise[::2] == (0.25, 0.5, 1.0, 2.0, 4.0)
    # 1e-11: the points between are rounded to twelve digits
    assert noise == pytest.approx([2 ** (k / 2 - 2) for k in range(9)], rel=1e-11)


def test_whole_numbers_are_rounded_only_inside_a_range() -> None:
    assert parse_range("10:100:log3", "--samples", whole=True) == (10.0, 32.0, 100.0)
    with pytest.raises(InputError, match="integer"):
        parse_range("10.5", "--samples", whole=True)


def test_the_default_grid_is_the_published_one() -> None:
    grid = parse_range("1e-6:1:log25", "--grid")
    assert grid == pytest.approx([10 ** (k / 4 - 6) for k in range(25)], rel=1e-11)
    assert [math.log10(v) for v in grid] != pytest.approx([-6 + k / 5 for k in range(25)])  # planted: another spacing


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a number"),
        ("one", "not a number"),
        ("nan", "finite"),
        ("inf", "finite"),
        ("1:2", "no range"),
        ("1:2:3:4", "no range"),
        ("2:1:3", "empty"),
        ("1:2:0", "empty"),
        ("1:2:1", "empty"),
        ("1:2:log-3", "empty"),
        ("0:1:log3", "start above 0"),
        ("1:2:2.5", "integer"),
        ("1:2:99999999", "more than"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refusal:
        parse_range(text, "--noise")
    assert "--noise" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_one_value_where_one_is_wanted() -> None:
    assert parse_one("2", "--dimension") == 2
    with pytest.raises(InputError, match="one value"):
        parse_one("1,2", "--dimension")
