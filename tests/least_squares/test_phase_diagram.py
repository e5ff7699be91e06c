from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from l2o_theory.errors import InputError
from l2o_theory.least_squares import contest, crossing, limit, phase_diagram


def by_scan(ratio: float, noise: float, steps: int, protocol: str) -> tuple[float, float]:
    """Risks of both objectives by brute force: the minimum of a dense scan of each meta-objective."""
    whole, part = limit(ratio, noise, steps), limit(2 * ratio, noise, steps)
    train = np.geomspace(1e-2, 2 / whole.largest_eigenvalue, 40_001)
    validation = np.geomspace(1e-6, 1, 40_001) / part.largest_eigenvalue
    chosen = validation[np.argmin(part.risk(validation))]
    paid = whole.risk(chosen) if protocol == "published" else part.risk(chosen)
    return whole.risk(train[np.argmin(whole.train_loss(train))]), paid


@pytest.mark.parametrize("protocol", ["published", "own"])
@pytest.mark.parametrize(("ratio", "noise"), [(2, 0.2), (2, 1), (0.5, 3), (1, 0.4)])
def test_contest_against_a_scan(protocol: Any, ratio: float, noise: float) -> None:
    fight = contest(ratio, noise, 40, protocol=protocol)
    train, validation = by_scan(ratio, noise, 40, protocol)
    assert fight.train_risk == pytest.approx(train, rel=1e-3)  # the scan's spacing; the risk slopes at TbT's choice
    assert fight.validation_risk == pytest.approx(validation, rel=1e-4)
    assert fight.risk_factor == fight.train_risk / fight.validation_risk
    wanted = math.sqrt((fight.train_risk + noise**2) / (fight.validation_risk + noise**2))
    assert fight.rmse_factor == pytest.approx(wanted, rel=1e-14)
    other = contest(ratio, noise, 40, protocol="own" if protocol == "published" else "published")
    assert other.validation_risk != pytest.approx(fight.validation_risk, rel=1e-4)


def test_crossings_of_an_independent_computation() -> None:
    assert crossing(2, 40) == pytest.approx(0.3411, abs=5e-5)
    assert crossing(2, 40, protocol="own") == pytest.approx(0.5740, abs=5e-5)
    assert crossing(2, 40, split=0.6) != pytest.approx(0.3411, abs=5e-3)


@pytest.mark.parametrize("protocol", ["published", "own"])
def test_objectives_tie_at_the_crossing_and_change_places_there(protocol: Any) -> None:
    noise = crossing(2, 40, protocol=protocol)
    for factor, winner in ((0.99, "train"), (1.01, "validation")):
        train, validation = by_scan(2, noise * factor, 40, protocol)
        assert ("train" if train < validation else "validation") == winner
    assert contest(2, noise, 40, protocol=protocol).risk_factor == pytest.approx(1, abs=1e-10)


def test_train_by_train_wins_on_one_side_only() -> None:
    noises = np.geomspace(1e-3, 50, 60)
    ratios, steps = np.array([0.3, 1, 2, 20]), 40
    wins = phase_diagram(ratios, noises, steps).risk_factor > 1
    assert wins.shape == (60, 4)
    assert np.all(np.sum(np.diff(wins.astype(int), axis=0) != 0, axis=0) == 1)
    assert not wins[0].any()
    assert wins[-1].all()
    borders = crossing(ratios, steps)
    assert np.all(noises[np.sum(~wins, axis=0) - 1] <= borders)
    assert np.all(borders <= noises[np.sum(~wins, axis=0)])


def test_converged_runs_have_no_crossing() -> None:
    # d/n = 0.05: after 1000 steps all three step sizes give the least-squares solution unless validation stops early
    assert crossing(0.05, 1000) == 0.0
    assert crossing(0.05, 1000, protocol="own") > 1  # half of the samples cost more than early stopping saves
    assert contest(0.05, 0.01, 1000).risk_factor == pytest.approx(1, abs=1e-3)


def test_broadcasting_and_edge_flag() -> None:
    borders = crossing([0.5, 2], [[1], [40]])
    assert borders.shape == (2, 2)
    assert borders[1, 1] == pytest.approx(crossing(2, 40), rel=1e-10)
    fight = contest(1, [0.1, 3], 1)
    assert fight.has_interior_minimum.tolist() == [False, True]
    assert contest(2, 0, 40).risk_factor < 1
    assert isinstance(contest(2, 1, 40).rmse_factor, float)


@pytest.mark.parametrize(
    "call",
    [
        lambda: contest(0, 1, 40),
        lambda: contest(2, -1, 40),
        lambda: contest(2, 1, 0),
        lambda: contest(2, 1, 40, split=1),
        lambda: contest(2, 1, 40, split=0),
        lambda: contest(2, 1, 40, split=[0.5, 0.6]),  # type: ignore[arg-type]
        lambda: contest(2, 1, 40, protocol="mine"),  # type: ignore[arg-type]
        lambda: crossing(float("nan"), 40),
        lambda: crossing([1, 2], [1, 2, 3]),
        lambda: phase_diagram(2, [1], 40),
        lambda: phase_diagram([], [1], 40),
        lambda: phase_diagram([1], [[1]], 40),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Any) -> None:
    with pytest.raises(InputError) as refusal:
        call()
    assert "\n" not in str(refusal.value)
