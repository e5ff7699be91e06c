"""A worker process: says when it is ready, then reads claim ids, one JSON line each, and answers each with another.

It ends when its input ends, even in the middle of a check: so it never outlives the process that started it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from l2o_theory.claims.claim import Claim
from l2o_theory.claims.discovery import load_claims
from l2o_theory.claims.runner import check


def main() -> None:
    """Serve until the input ends. The first line of input holds paths, budget and seed; every other one a claim id."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    answers = _private_output()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    order = json.loads(lines.get())
    paths = None if order["paths"] is None else [Path(path) for path in order["paths"]]
    claims = load_claims(paths).claims
    answers.write("ready\n")
    answers.flush()
    while True:
        answer = _answer(claims[json.loads(lines.get())], order["budget"], order["seed"])
        answers.write(answer + "\n")
        answers.flush()


def _private_output() -> TextIO:
    """The pipe to the parent, out of reach of claims that print: their output goes to standard error."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return pipe


def _listen(lines: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _answer(claim: Claim, budget: Any, seed: int) -> str:
    try:
        return json.dumps({"verdict": check(claim, budget=budget, seed=seed).to_json()})
    except Exception as error:  # a faulty claim must not take the others down; the reader gets its reason
        return json.dumps({"failure": f"{type(error).__name__}: {error}"})
