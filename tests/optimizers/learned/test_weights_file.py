from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from l2o_theory.errors import InputError, StoreError
from l2o_theory.optimizers.gradient_descent import GradientDescent
from l2o_theory.optimizers.learned.mlp_optimizer import MLPOptimizer
from l2o_theory.optimizers.learned.weights_file import load_weights, save_weights

RULE = MLPOptimizer()
WEIGHTS = RULE.meta(torch.Generator().manual_seed(3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_weights(tmp_path / "weights.safetensors", RULE, WEIGHTS)
    return tmp_path / "weights.safetensors"


def test_round_trip_is_exact(path: Path) -> None:
    back = load_weights(path, RULE, WEIGHTS)
    assert back.keys() == WEIGHTS.keys()
    assert all(torch.equal(back[name], weight) for name, weight in WEIGHTS.items())
    other = RULE.meta(torch.Generator().manual_seed(4))
    assert not torch.equal(back["hidden_weight"], other["hidden_weight"])  # planted: a file of other weights


def test_a_truncated_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match="no whole weights file"):
        load_weights(path, RULE, WEIGHTS)


def test_another_rule_or_shape_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="weights of MLPOptimizer, not of GradientDescent"):
        load_weights(path, GradientDescent(), WEIGHTS)
    smaller = {**WEIGHTS, "output_bias": WEIGHTS["output_bias"][:1]}
    with pytest.raises(InputError, match="build it as it was saved"):
        load_weights(path, RULE, smaller)
    save_file(WEIGHTS, tmp_path / "foreign.safetensors")
    with pytest.raises(InputError, match="an unknown rule"):
        load_weights(tmp_path / "foreign.safetensors", RULE, WEIGHTS)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights file"):
        load_weights(tmp_path / "absent.safetensors", RULE, WEIGHTS)
    with pytest.raises(StoreError, match="cannot write"):
        save_weights(tmp_path / "nowhere" / "w.safetensors", RULE, WEIGHTS)


def test_the_last_good_file_survives_bad_weights(path: Path) -> None:
    poisoned = {**WEIGHTS, "hidden_bias": WEIGHTS["hidden_bias"] * float("nan")}
    before = path.read_bytes()
    with pytest.raises(InputError, match="hidden_bias"):
        save_weights(path, RULE, poisoned)
    assert path.read_bytes() == before
