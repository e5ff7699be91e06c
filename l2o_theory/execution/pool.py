"""The pool: hands claims to worker processes and yields verdicts as they come; whatever goes wrong is a verdict too."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import l2o_theory
from l2o_theory.claims.claim import Claim
from l2o_theory.claims.verdict import Status, Verdict

_LIMITS = {"quick": 600.0, "full": 7200.0}  # seconds per claim: far above what any takes, so that a hang ends
_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_ROOT = str(Path(l2o_theory.__file__).resolve().parents[1])
# The checkout's folder goes last: nothing in it, or in the user's folder (-P), can stand in for an installed library.
_PROGRAM = f"import sys; sys.path.append({_ROOT!r}); from l2o_theory.execution.worker import main; main()"


@dataclass(frozen=True)
class Job:
    """What the workers need to know besides the claim.

    Attributes:
        paths: claim files and folders; None for the built-in claims.
        budget: "quick" or "full".
        seed: the seed of the run.
        limit: seconds after which a check is given up; None for the usual limit of the budget.
    """

    paths: Sequence[Path] | None
    budget: str
    seed: int
    limit: float | None = None


def check_all(
    claims: Sequence[Claim], job: Job, *, workers: int, started: Callable[[str], None] = lambda claim: None
) -> Generator[Verdict, None, None]:
    """Check the claims in `workers` processes of one thread each; yields verdicts in the order in which they finish.

    A check that raises, crashes its process or exceeds the limit gives UNDECIDED with the reason. Closing the iterator
    ends the processes.

    Args:
        claims: what to check.
        job: where the claims come from, and how to check them.
        workers: number of processes.
        started: called with a claim's id when its check begins, from another thread.
    """
    waiting: queue.SimpleQueue[Claim] = queue.SimpleQueue()
    for claim in claims:
        waiting.put(claim)
    done: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    crew = [_Worker(job) for _ in range(min(workers, len(claims)))]
    threads = [threading.Thread(target=worker.serve, args=(waiting, done, started), daemon=True) for worker in crew]
    try:
        for thread in threads:
            thread.start()
        for _ in claims:
            yield done.get()
    finally:
        for worker in crew:
            worker.dismiss()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        for worker in crew:
            worker.close()


class _Worker:
    """One place in the crew: a process, replaced by a new one when it dies."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._limit = job.limit if job.limit is not None else _LIMITS[job.budget]
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115  closed by close()
        self._lock = threading.Lock()
        self._dismissed = False

    def serve(
        self, waiting: queue.SimpleQueue[Claim], done: queue.SimpleQueue[Verdict], started: Callable[[str], None]
    ) -> None:
        while not self._dismissed:
            try:
                claim = waiting.get_nowait()
            except queue.Empty:
                break
            started(claim.id)
            done.put(self._verdict(claim))
        self.dismiss()

    def dismiss(self) -> None:
        """End the process, whatever it is doing."""
        with self._lock:
            self._dismissed = True
            if self._process is not None:
                self._end(self._process)
                self._process = None

    def close(self) -> None:
        """Let go of the log; call it when `serve` has returned."""
        self._log.close()

    def _verdict(self, claim: Claim) -> Verdict:
        with self._lock:
            if self._dismissed:
                return _undecided(claim, "the run was stopped")
            is_new = self._process is None
            process = self._process = self._process or self._start()
        is_ready = not is_new or _is_ready(process)  # loading the claims does not count against the limit
        if is_ready:
            self._log.seek(0)  # parent and worker share the position: what follows is about this claim alone
            self._log.truncate()
        overdue = threading.Event()

        def give_up() -> None:
            overdue.set()
            process.kill()

        timer = threading.Timer(self._limit, give_up)
        timer.start()
        answer = _exchange(process, claim.id)
        timer.cancel()
        if answer is None:
            self._process = None
            self._end(process)
            late = f"no verdict within {self._limit:g} seconds; raise --budget"
            return _undecided(claim, late if overdue.is_set() else self._cause_of_death(process))
        if "failure" in answer:
            return _undecided(claim, answer["failure"])
        return Verdict.from_json(answer["verdict"])

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
        )
        paths = None if self._job.paths is None else [str(path.resolve()) for path in self._job.paths]
        _send(process, {"paths": paths, "budget": self._job.budget, "seed": self._job.seed})
        return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # the last line was on its way when the process ended
                    stream.close()

    def _cause_of_death(self, process: subprocess.Popen[str]) -> str:
        self._log.seek(0)
        words = [line.strip() for line in self._log if line.strip()]
        code = process.returncode
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        return f"the worker process died ({how}){f': {words[-1]}' if words else ''}"


def _send(process: subprocess.Popen[str], message: Any) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
    except OSError:
        pass  # it has died: reading its answer says so


def _is_ready(process: subprocess.Popen[str]) -> bool:
    """Wait until the worker has loaded its claims; False if it died over it."""
    assert process.stdout is not None
    try:
        return process.stdout.readline() == "ready\n"
    except ValueError:
        return False  # dismissed meanwhile


def _exchange(process: subprocess.Popen[str], claim: str) -> dict[str, Any] | None:
    """The worker's answer about a claim, or None if it died first."""
    assert process.stdout is not None
    _send(process, claim)
    try:
        return dict(json.loads(process.stdout.readline()))
    except ValueError:
        return None  # an empty or unfinished line


def _undecided(claim: Claim, reason: str) -> Verdict:
    return Verdict(
        claim.id, Status.UNDECIDED, claim.expected, claim.scope, trust="none: the check did not finish", reason=reason
    )
