"""The pool turns every way in which a check can go wrong into a verdict, and goes on with the rest."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from l2o_theory.claims.discovery import load_claims
from l2o_theory.claims.verdict import Status, Verdict
from l2o_theory.execution.pool import Job, check_all

CLAIMS = """
import os, sys, time
from l2o_theory.claims.claim import Claim, Measurement
from l2o_theory.claims.verdict import Status

def fine(seed):
    print("a claim that prints must not disturb the answers")
    row = {"seed": seed, "threads": os.environ["OMP_NUM_THREADS"]}
    return Measurement(holds=True, table=(row,), margin=0.5, arithmetic="none")

def fails(seed):
    raise RuntimeError("no such luck")

def dies(seed):
    print("last words", file=sys.stderr, flush=True)
    os._exit(7)

def is_killed(seed):
    os.kill(os.getpid(), 9)

def hangs(seed):
    time.sleep(1000)

def answers_nonsense(seed):
    return Measurement(holds=True, table=({"row": object()},), margin=0.5, arithmetic="none")

def claim(name, measure):
    return Claim(id=f"toy/{name}", title=name, source="test", statement="", kind="measurement", scope="all",
                 expected=Status.NOT_FALSIFIED, measure=measure)

CLAIMS = [claim(f.__name__, f) for f in (dies, fails, is_killed, answers_nonsense, fine)] + [claim("last", fine)]
HANGING = [claim("hangs", hangs)]
"""


def run(folder: Path, names: list[str] | None = None, text: str = CLAIMS, **options: float) -> dict[str, Verdict]:
    file = folder / "claims.py"
    file.write_text(text)
    claims = [claim for claim in load_claims([file]).claims.values() if names is None or claim.id in names]
    job = Job([file], "quick", seed=3, limit=options.get("limit"))
    return {verdict.claim: verdict for verdict in check_all(claims, job, workers=int(options.get("workers", 2)))}


def test_each_claim_gets_one_verdict_whatever_the_others_do(tmp_path: Path) -> None:
    verdicts = run(tmp_path)
    undecided = {name: v.reason for name, v in verdicts.items() if v.status is Status.UNDECIDED}
    assert undecided == {
        "toy/dies": "the worker process died (exit code 7): last words",
        "toy/fails": "RuntimeError: no such luck",
        "toy/is_killed": "the worker process died (killed by signal 9)",
        "toy/answers_nonsense": "TypeError: Object of type object is not JSON serializable",
    }
    assert {name for name, v in verdicts.items() if v.status is Status.NOT_FALSIFIED} == {"toy/fine", "toy/last"}


def test_workers_get_the_seed_and_one_thread(tmp_path: Path) -> None:
    verdict = run(tmp_path, ["toy/fine"])["toy/fine"]
    assert verdict.evidence[0].content["table"] == [{"seed": 3, "threads": "1"}]


def test_a_check_that_hangs_is_given_up(tmp_path: Path) -> None:
    text = CLAIMS + "CLAIMS += HANGING\n"
    verdicts = run(tmp_path, ["toy/hangs", "toy/fine"], text, workers=1, limit=3)
    assert verdicts["toy/hangs"].reason == "no verdict within 3 seconds; raise --budget"
    assert verdicts["toy/fine"].status is Status.NOT_FALSIFIED


def test_closing_the_iterator_ends_the_workers(tmp_path: Path) -> None:
    file = tmp_path / "claims.py"
    pids = tmp_path / "pids"
    file.write_text(
        CLAIMS.replace("time.sleep(1000)", f"open({str(pids)!r}, 'a').write(str(os.getpid())); time.sleep(1000)")
        + "CLAIMS = HANGING + [claim('fine', fine)]\n"
    )
    claims = list(load_claims([file]).claims.values())
    answers = check_all(claims, Job([file], "quick", 0), workers=2)
    assert next(answers).claim == "toy/fine"
    while not (pids.exists() and pids.read_text()):
        time.sleep(0.01)  # the other worker is still starting, or has just opened the file
    answers.close()
    assert not Path("/proc", pids.read_text()).exists()


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """The parent kills itself with SIGKILL as soon as a worker hangs; the worker sees its input end."""
    file = tmp_path / "claims.py"
    text = CLAIMS.replace(
        "time.sleep(1000)",
        "print(os.getpid(), file=sys.stderr, flush=True); os.kill(os.getppid(), 9); time.sleep(1000)",
    )
    file.write_text(text + "CLAIMS = HANGING\n")
    program = f"""
        from pathlib import Path
        from l2o_theory.claims.discovery import load_claims
        from l2o_theory.execution import pool
        file = Path({str(file)!r})
        pool.tempfile.TemporaryFile = lambda **_: open({str(tmp_path / "log")!r}, "w+")
        next(pool.check_all(list(load_claims([file]).claims.values()), pool.Job([file], "quick", 0), workers=1))
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)]).returncode == -9
    worker = (tmp_path / "log").read_text().split()[-1]
    state = Path("/proc", worker, "stat")
    while state.exists() and state.read_text().split()[2] != "Z":
        pass  # it is on its way out; the test's own timeout catches one that stays
    assert not state.exists() or state.read_text().split()[2] == "Z"


@pytest.mark.parametrize("workers", [1, 5])
def test_no_claims_no_workers(tmp_path: Path, workers: int) -> None:
    assert run(tmp_path, [], workers=workers) == {}
