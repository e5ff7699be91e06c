"""The example trains, saves, loads and uses a learned optimizer, at a size for tests."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "train_a_learned_optimizer.py"


def test_a_little_training_beats_none() -> None:
    script = runpy.run_path(str(EXAMPLE))
    losses = script["main"](updates=60, steps=40)
    untrained = script["main"](updates=1, steps=40)  # the planted fault: an optimizer that has learned nothing
    assert losses["learned"] < 0.9 * math.log(10)
    assert untrained["learned"] > math.log(10)
    assert losses["Adam, lr 0.1"] < losses["Adam, lr 0.01"] < math.log(10) * 1.2
