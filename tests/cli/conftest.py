"""A small book of claims, and the command line called in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from l2o_theory.cli.main import main

BOOK = """
from l2o_theory.claims.claim import Claim, Measurement, Mutation
from l2o_theory.claims.verdict import Status
from l2o_theory.rigor.statement import Parameter, Statement

X = Parameter("x", low="0", high="1", landmarks=("1/2",))
RANGE = {"low": "x > 0", "high": "x < 1"}

CLAIMS = [
    Claim(
        id="toy/parabola/bound", title="[bold]A parabola[/bold] <b>below</b> its top", source="derived here",
        statement="x (1 - x) <= 1/3 on (0, 1)", kind="upper", scope="all x in (0, 1)", expected=Status.PROVED,
        formal=Statement((X,), RANGE, "x*(1 - x) <= 1"), witness={"x": "1/2"},
        mutations=(Mutation("constant 1 -> 1/5", {"conclusion": "x*(1 - x) <= 1/5"}),),
    ),
    Claim(
        id="toy/parabola/strict", title="The top is not reached", source="nobody says so",
        statement="x (1 - x) < 1/4 on (0, 1)", kind="upper", scope="all x in (0, 1)", expected=Status.FALSIFIED,
        formal=Statement((X,), RANGE, "x*(1 - x) < 1/4"), witness={"x": "1/3"}, counterexample={"x": "1/2"},
    ),
    Claim(
        id="toy/measured", title="A measurement", source="derived here", statement="seen, not derived",
        kind="measurement", scope="here", expected=Status.NOT_FALSIFIED,
        measure=lambda seed: Measurement(True, ({"seed": seed},), 0.5, "float64", ("wrong by two",)),
    ),
]
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.py"
    path.write_text(BOOK)
    return path


@pytest.fixture(scope="session")
def checked_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """The results of one check of the book, in a folder nobody may change, and what that check said."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "book.py").write_text(BOOK)
    run = subprocess.run(
        [sys.executable, "-m", "l2o_theory.cli.main", "check", "--claims", "book.py", "--jobs", "2"],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    return folder / "l2o_results", Answer(run.returncode, run.stdout, run.stderr)


@pytest.fixture
def results(checked_once: tuple[Path, Answer], tmp_path: Path) -> Path:
    """A copy of those results where the command line looks for them: checks of the unchanged book are stored there."""
    return Path(shutil.copytree(checked_once[0], tmp_path / "l2o_results"))


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Answer]:
    """Call `l2o-theory` with the given arguments, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["l2o-theory", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            main()
        written = capsys.readouterr()
        return Answer(int(ending.value.code or 0), written.out, written.err)

    return run
