"""The example recipe says what its comments say, and the verb runs it, at a size for tests."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest

from l2o_theory.cli.main import main
from l2o_theory.metatraining import load_recipe
from l2o_theory.optimizers.catalogue import LEARNED

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "l2o_dm_quadratics.toml"


def test_it_is_the_setting_of_the_paper() -> None:
    setup = load_recipe(EXAMPLE)
    assert sum(weight.numel() for weight in setup.weights.values()) == 5141
    assert (setup.recipe.window, setup.recipe.rate, setup.recipe.order) == (20, 1e-3, 1)
    assert all(name in EXAMPLE.read_text() for name in LEARNED)  # its comment lists them


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = EXAMPLE.read_text()
    small = text.replace("updates = 1500", "updates = 60").replace("[100, 200, 500]", "[20, 40]")
    assert small != text
    path = tmp_path / "small.toml"
    path.write_text(small)
    monkeypatch.setattr(sys, "argv", ["l2o-theory", "metatrain", str(path), "--out", str(tmp_path), "--json"])
    with contextlib.suppress(SystemExit):
        main()
    assert '"updates": 60' in capsys.readouterr().out
    assert (tmp_path / "metatrain" / "small" / "weights.safetensors").exists()
