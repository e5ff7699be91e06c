"""Ctrl-C ends a check at once, says what to do, and loses nothing that is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

BOOK = """
import os, time
from l2o_theory.claims.claim import Claim, Measurement
from l2o_theory.claims.verdict import Status

def hangs(seed):
    time.sleep(1000)

def fine(seed):
    return Measurement(True, ({"pid": os.getpid()},), 0.5, "none")

CLAIMS = [
    Claim(id=f"toy/{f.__name__}", title="t", source="test", statement="", kind="measurement", scope="all",
          expected=Status.NOT_FALSIFIED, measure=f)
    for f in (fine, hangs)
]
"""


def test_ctrl_c_stores_what_is_done(tmp_path: Path) -> None:
    (tmp_path / "book.py").write_text(BOOK)
    command = [sys.executable, "-m", "l2o_theory.cli.main", "check", "--claims", "book.py", "--jobs", "1"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert "toy/fine" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers hear it too
    out, err = process.communicate()
    assert process.returncode == 130
    assert "run the same command again to continue" in out
    assert err == ""
    again = subprocess.run([*command, "toy/fine"], cwd=tmp_path, capture_output=True, text=True)
    assert "toy/fine  (stored)" in again.stdout
    assert again.returncode == 0
