"""A peer in an environment of its own: a process that answers a name with the time of one call."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

Timing = tuple[float, float]
"""Seconds by the clock, and of processor time."""


def timing(call: Callable[[], object]) -> Timing:
    """One call in this process."""
    begin, worked = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - begin, time.process_time() - worked


class Peer:
    """Runs `script` of this folder; its first line is its name, empty if it cannot run there."""

    def __init__(self, python: str, script: str, *arguments: str | int | Path) -> None:
        self.process = subprocess.Popen(
            [python, str(Path(__file__).with_name(script)), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "OMP_NUM_THREADS")},
            text=True,
        )
        assert self.process.stdout is not None
        self.name = self.process.stdout.readline().strip()

    def time(self, call: str) -> Timing:
        """One call, as the peer saw it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{call}\n")
        self.process.stdin.flush()
        clock, worked = map(float, self.process.stdout.readline().split())
        return clock, worked
