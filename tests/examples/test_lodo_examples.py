"""The examples of LODO run as they are, learn, and differ from a script without it in one line."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mean(losses: list[float]) -> float:
    return sum(losses) / len(losses)


def test_one_line_switches_a_script() -> None:
    """The commented line is what stood there before: with it in place of LODO's, the script runs too."""
    source = (EXAMPLES / "lodo_plain_loop.py").read_text()
    lines = source.splitlines()
    place = next(i for i, line in enumerate(lines) if line.strip().startswith("optimizer = LODO("))
    assert lines[place - 1].strip().startswith("# optimizer = torch.optim.Adam(")
    before = [*lines[: place - 1], lines[place - 1].replace("# ", ""), *lines[place + 1 :]]
    script = ModuleType("before")
    exec(compile("\n".join(before), "before", "exec"), script.__dict__)
    adam, lodo = script.main(8), loaded("lodo_plain_loop").main(8)
    assert adam != lodo
    assert lodo[-1] < 0.6 * lodo[0]
    assert adam[-1] < 0.6 * adam[0]


def test_scheduler() -> None:
    losses, rates = loaded("lodo_scheduler").main()
    assert mean(losses[-30:]) < 0.5 * mean(losses[:30])
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1)
    assert rates[-1] < 0.01


def test_lightning_style() -> None:
    losses = loaded("lodo_lightning").main(8)
    assert len(losses) == 8 * 16
    assert mean(losses[-16:]) < 0.6 * mean(losses[:16])


def test_hugging_face_style() -> None:
    before, after = loaded("lodo_hugging_face").main()
    assert after < 0.2 * before


def test_an_example_runs_as_a_script() -> None:
    run = subprocess.run([sys.executable, EXAMPLES / "lodo_scheduler.py"], capture_output=True, text=True, check=True)
    assert "step 300" in run.stdout
