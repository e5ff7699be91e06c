from __future__ import annotations

import numpy as np
import pytest

from l2o_theory.least_squares.minimum import minimum
from l2o_theory.least_squares.roots import increasing_root


def test_many_roots_at_once() -> None:
    wanted = np.array([0.1, 1, 7, 9.999])
    for power in (1, 3, 7):  # flat and steep zeros
        found = increasing_root(lambda x, p=power: (x / wanted) ** p - 1, np.full(4, 1e-3), np.full(4, 10.0))
        assert found == pytest.approx(wanted, rel=4e-15)
    assert increasing_root(lambda x: np.log(x), np.array([0.2]), np.array([3.0])) == pytest.approx([1], rel=4e-15)


def test_zeros_outside_give_the_nearer_end() -> None:
    low, high = np.array([1.0, 1.0, 2.0]), np.array([2.0, 2.0, 2.0])
    assert increasing_root(lambda x: x - np.array([0.5, 3.0, 9.0]), low, high).tolist() == [1, 2, 2]


def test_infinite_values_and_jumps() -> None:
    found = increasing_root(lambda x: np.where(x < 0.3, -np.inf, np.inf), np.array([0.1]), np.array([1.0]))
    assert found == pytest.approx([0.3], rel=1e-13)


def test_deepest_of_two_valleys() -> None:
    def valleys(x: np.ndarray) -> np.ndarray:
        return np.minimum((np.log(x) - 1) ** 2, (np.log(x) + 3) ** 2 - 0.1)

    assert minimum(valleys, 1e-4, 1e3) == pytest.approx(np.exp(-3), rel=1e-6)
    assert minimum(lambda x: valleys(1 / x), 1e-4, 1e3) == pytest.approx(np.exp(3), rel=1e-6)
    assert minimum(lambda x: np.where(x > 1, np.nan, -x), 1e-2, 1e2) == pytest.approx(1, rel=1e-5)
    assert minimum(lambda x: x, 0.5, 2) == pytest.approx(0.5, rel=1e-15)
