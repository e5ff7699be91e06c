"""Predictions meet their measurements, and a wrong prediction is caught."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from l2o_theory.errors import InputError
from l2o_theory.figures.expectation import compare, load_expectations

TEXTS = 'quantity = "q"\ndescribes = "d"\nreason = "r"\nsource = "derived here"\n'


def _outcome(tmp_path: Path, entry: str, measured: float, *, seed: int = 0, quick: bool = False) -> str:
    path = tmp_path / "expected.toml"
    path.write_text(f"[[expected]]\n{TEXTS}{entry}\n")
    (comparison,) = compare(load_expectations(path), {"q": measured}, seed=seed, quick=quick)
    return comparison.outcome


@pytest.mark.parametrize(
    ("entry", "measured", "outcome"),
    [
        ("value = 2\ntolerance = 0.5", 2.5, "met"),
        ("value = 2\ntolerance = 0.5", 2.5000001, "not met"),
        ("value = 2\ntolerance = 0", 2, "met"),
        ("value = 2\ntolerance = 0", 2.0000001, "not met"),
        ("value = 2\ntolerance = 0.5", math.nan, "not met"),
        ("at_most = 1", 1, "met"),
        ("at_most = 1", 1.1, "not met"),
        ("at_most = 1", math.nan, "not met"),
        ("at_least = 1", 0.9, "not met"),
        ("at_least = 1", math.inf, "met"),
        ("at_least = 1\nat_most = 2", 3, "not met"),
    ],
)
def test_the_outcome_follows_the_range(tmp_path: Path, entry: str, measured: float, outcome: str) -> None:
    assert _outcome(tmp_path, entry, measured) == outcome


def test_predictions_apply_to_their_seed_and_to_full_runs(tmp_path: Path) -> None:
    entry = "value = 9\ntolerance = 0\nseed = 4\nfull = true"
    assert _outcome(tmp_path, entry, 0, seed=4) == "not met"
    assert _outcome(tmp_path, entry, 0, seed=5) == "not applicable"
    assert _outcome(tmp_path, entry, 0, seed=4, quick=True) == "not applicable"


def test_a_quantity_that_was_not_measured_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "expected.toml"
    path.write_text(f"[[expected]]\n{TEXTS}at_most = 1\n")
    with pytest.raises(InputError, match=r"predicts q, which the run did not report; reported are other"):
        compare(load_expectations(path), {"other": 1.0}, seed=0, quick=False)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("value = 1", "value with tolerance"),
        ("tolerance = 1", "value with tolerance"),
        ("value = 1\ntolerance = -1", "value with tolerance"),
        ("value = 1\ntolerance = nan", "value with tolerance"),
        ("value = 1\ntolerance = 1\nat_most = 2", "value with tolerance"),
        ('at_most = "1"', "at_most must be of type float, got '1'"),
        ("at_most = true", "at_most must be of type float, got True"),
        ("at_most = 1\nseed = 0.5", "seed must be of type int"),
        ("at_most = 1\nfull = 1", "full must be of type bool"),
        ("at_most = 1\nmaximum = 1", "unknown key 'maximum'"),
    ],
)
def test_a_malformed_prediction_is_refused_in_one_line(tmp_path: Path, entry: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        _outcome(tmp_path, entry, 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "expected = 3", "expected = [3]", '[[expected]]\nquantity = "q"\nat_most = 1'])
def test_a_file_without_usable_predictions_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "expected.toml").write_text(text)
    with pytest.raises(InputError):
        load_expectations(tmp_path / "expected.toml")
