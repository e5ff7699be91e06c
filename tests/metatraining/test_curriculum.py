"""The advance rule on scripted evaluations."""

from __future__ import annotations

import math

import pytest

from l2o_theory.errors import InputError
from l2o_theory.metatraining.curriculum import Curriculum, Position

RELEASED = (100, 200, 500, 1000, 1500, 2000, 2500, 3000)


def play(curriculum: Curriculum, values: list[float], rebase: list[float]) -> list[tuple[int, str]]:
    """(stage before, decision) after each value; `rebase` holds the restored weights' loss at each advance."""
    position, told = Position(), []
    bases = iter(rebase)
    for value in values:
        stage = position.stage
        position, decision = curriculum.observe(position, value)
        told.append((stage, decision))
        if decision == "advance":
            position = curriculum.rebased(position, next(bases))
        if decision == "stop":
            break
    return told


def test_a_scripted_sequence() -> None:
    """5, 4, 3, 3.5 advances after the fourth; from 2.0 on, 2.5, 2.1, 2.2 stop."""
    told = play(Curriculum(RELEASED), [5, 4, 3, 3.5, 2.5, 2.1, 2.2], [2.0])
    assert told == [
        *[(0, "keep")] * 3, (0, "advance"), (1, "go on"), (1, "go on"), (1, "stop")
    ]  # fmt: skip
    patient = play(Curriculum(RELEASED, least=5), [5, 4, 3, 3.5, 2.5], [2.0])
    assert patient[3] == (0, "go on")  # planted: another `least` decides otherwise


def test_first_evaluations_never_end_a_stage() -> None:
    told = play(Curriculum(RELEASED), [2.0, 3.0, 4.0], [1.0])
    assert told == [(0, "keep"), (0, "go on"), (0, "advance")]


def test_judged_at_the_next_horizon() -> None:
    curriculum = Curriculum(RELEASED)
    assert [curriculum.judging_horizon(stage) for stage in range(8)] == [*RELEASED[1:], 3000]


def test_last_stage_of_the_released_program() -> None:
    """It enters no eighth stage; ours does and judges it at its own horizon."""
    values = [3.0, 2.0, 1.0, 9.0] * 8
    ours = play(Curriculum(RELEASED), values, [5.0] * 7)
    released = play(Curriculum(RELEASED, ends_early=True), values, [5.0] * 7)
    assert ours[-1] == (7, "stop")
    assert released[-1] == (6, "stop")
    assert len(ours) == len(released) + 4


def test_without_a_curriculum_nothing_stops() -> None:
    told = play(Curriculum((100,)), [2.0, 3.0, 4.0, 5.0, 1.0], [])
    assert [decision for _, decision in told] == ["keep", "go on", "go on", "go on", "keep"]


def test_nan_is_no_improvement() -> None:
    told = play(Curriculum((1, 2)), [math.nan, math.nan, math.nan], [])
    assert told[-1] == (0, "stop")


@pytest.mark.parametrize("horizons", [(), (0,), (5, 5), (5, 3)])
def test_bad_horizons_are_refused(horizons: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="horizons must grow"):
        Curriculum(horizons)
