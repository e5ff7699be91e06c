"""The example recipes say what their comments say, and the verb runs them, at a size for tests."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest
import torch

from l2o_theory.cli.main import main
from l2o_theory.errors import InputError
from l2o_theory.metatraining import MinibatchTasks, load_recipe
from l2o_theory.optimizers.catalogue import LEARNED

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUADRATICS, MNIST = EXAMPLES / "l2o_dm_quadratics.toml", EXAMPLES / "l2o_dm_mnist.toml"


def test_quadratics_is_the_setting_of_the_paper() -> None:
    setup = load_recipe(QUADRATICS)
    assert sum(weight.numel() for weight in setup.weights.values()) == 5141
    assert (setup.recipe.window, setup.recipe.rate, setup.recipe.order) == (20, 1e-3, 1)
    assert all(name in QUADRATICS.read_text() for name in LEARNED)  # its comment lists them


def test_mnist_is_the_released_schedule(tmp_path: Path) -> None:
    path = tmp_path / MNIST.name
    path.write_text(MNIST.read_text())
    with pytest.raises(InputError, match=r"mnist lacks train-images-idx3-ubyte or .*gz, train-labels-idx1-ubyte or"):
        load_recipe(path)
    (tmp_path / "mnist").mkdir()
    for name, shape in (("images-idx3", (200, 28, 28)), ("labels-idx1", (200,))):
        head = bytes((0, 0, 8, len(shape))) + b"".join(size.to_bytes(4, "big") for size in shape)
        body = bytes(200 * 784) if "images" in name else bytes(k % 10 for k in range(200))
        (tmp_path / "mnist" / f"train-{name}-ubyte").write_bytes(head + body)
    setup = load_recipe(path)
    assert isinstance(setup.family, MinibatchTasks)
    draw = setup.family.draw(1, 1, torch.Generator().manual_seed(0))
    assert isinstance(draw.starts, dict)
    assert sum(leaf.numel() for leaf in draw.starts.values()) == 15910
    assert float(draw.starts["bias1"].std()) == pytest.approx(0.01, rel=0.7)  # biases too, as in the released code
    curriculum, imitation = setup.recipe.curriculum, setup.recipe.imitation
    assert curriculum.horizons == (100, 200, 500, 1000, 1500, 2000, 2500, 3000)
    assert imitation is not None
    assert [imitation.share(stage) for stage in range(4)] == [0.0, 0.1, 0.3, 0.3]
    assert float(imitation.teachers[0].meta["step_size"]) == pytest.approx(0.01)


def test_the_verb_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = QUADRATICS.read_text()
    small = text.replace("updates = 1500", "updates = 60").replace("[100, 200, 500]", "[20, 40]")
    assert small.count("[20, 40]") == small.count("updates = 60") == 1
    path = tmp_path / "small.toml"
    path.write_text(small)
    monkeypatch.setattr(sys, "argv", ["l2o-theory", "metatrain", str(path), "--out", str(tmp_path), "--json"])
    with contextlib.suppress(SystemExit):
        main()
    assert '"updates": 60' in capsys.readouterr().out
    assert (tmp_path / "metatrain" / "small" / "weights.safetensors").exists()
