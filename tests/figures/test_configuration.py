"""A configuration is read as declared, or refused in one line that names the remedy."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import Parameter, load_configuration

PARAMETERS = {
    "runs.steps": Parameter(int, many=True, least=1),
    "runs.rate": Parameter(float, least=0),
    "runs.eta": Parameter(Fraction),
    "runs.label": Parameter(str),
}
GOOD = """
seed = 3
[runs]
steps = [1, 80]
rate = 1
eta = "2/3"
label = "a"
[quick]
runs.steps = [1]
"""


def _load(tmp_path: Path, text: str, **options: object) -> object:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_configuration(path, PARAMETERS, **options)  # type: ignore[arg-type]


def test_values_come_back_as_declared(tmp_path: Path) -> None:
    config = dict(_load(tmp_path, GOOD))  # type: ignore[call-overload]
    assert config == {
        "seed": 3,
        "runs.steps": (1, 80),
        "runs.rate": 1.0,
        "runs.eta": Fraction(2, 3),
        "runs.label": "a",
    }
    assert isinstance(config["runs.rate"], float)


def test_quick_and_seed_replace(tmp_path: Path) -> None:
    config = _load(tmp_path, GOOD, quick=True, seed=7)
    assert config["seed"] == 7  # type: ignore[index]
    assert config["runs.steps"] == (1,)  # type: ignore[index]
    assert _load(tmp_path, GOOD)["runs.steps"] == (1, 80)  # type: ignore[index]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = [1, 80]", "step = [1, 80]", "unknown parameter runs.step; did you mean runs.steps"),
        ("seed = 3", "", "missing seed; add it"),
        ("seed = 3", "seed = -1", "seed must be >= 0, got -1"),
        ("seed = 3", "seed = true", "seed must be an integer, got True"),
        ("[1, 80]", "[1, 0.5]", r"runs.steps\[1\] must be an integer, got 0.5"),
        ("[1, 80]", "[]", "runs.steps must be a list of at least one entry"),
        ("[1, 80]", "80", "runs.steps must be a list of at least one entry, got 80"),
        ("[1, 80]", "[0]", r"runs.steps\[0\] must be >= 1, got 0"),
        ("rate = 1", "rate = nan", "runs.rate must be finite"),
        ("rate = 1", 'rate = "1"', "runs.rate must be a number, got '1'"),
        ("rate = 1", "rate = -0.5", "runs.rate must be >= 0, got -0.5"),
        ('"2/3"', '"2/0"', "runs.eta must be a rational"),
        ('label = "a"', "label = 1", "runs.label must be a text, got 1"),
        ("runs.steps = [1]", "runs.stepz = [1]", "unknown parameter runs.stepz; did you mean runs.steps"),
        ("runs.steps = [1]", 'runs.steps = ["1"]', r"quick.runs.steps\[0\] must be an integer"),
        ("[quick]", "[quick", "is not TOML"),
        ("[quick]\nruns.steps = [1]", "quick = 1", "quick must be a table"),
    ],
)
def test_bad_values_are_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = GOOD.replace(old, new, 1)
    if new == "quick = 1":
        text = new + text
    assert text != GOOD
    with pytest.raises(InputError, match=message) as caught:
        _load(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*config\.toml"):
        load_configuration(tmp_path / "config.toml", PARAMETERS)
