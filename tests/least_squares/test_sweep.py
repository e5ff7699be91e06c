"""The sweep against loops over tasks, step sizes and steps; its cells, killed and resumed; its bounds and refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.least_squares.sweep import Sweep, sweep
from l2o_theory.least_squares.tasks import Array, TaskDistribution
from l2o_theory.least_squares.trajectories import gradient_descent

LAW = TaskDistribution(18, 1.0)
SIZES = np.array([0.01, 0.1, 0.4, 2.5])
OPTIONS: dict[str, Any] = {
    "samples": 12,
    "split": (7, 4),
    "step_sizes": SIZES,
    "steps": range(1, 7),
    "tasks": 23,
    "seed": 5,
}
ARRAYS = [
    *("train_by_train", "risk", "frozen", "diverges"),
    *("train_by_validation", "split_train_loss", "split_risk", "split_frozen"),
]


class Shelf(dict[str, Mapping[str, Array]]):
    """Cells kept in memory; counts what is put."""

    def __init__(self) -> None:
        self.puts: Counter[str] = Counter()

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        self.puts[key] += 1
        self[key] = arrays


class Folder:
    """Cells as files, each written beside its place and renamed into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> dict[str, Array] | None:
        path = self.folder / f"{key}.npz"
        return dict(np.load(path)) if path.exists() else None

    def put(self, key: str, arrays: Mapping[str, Array]) -> None:
        assert not (self.folder / f"{key}.npz").exists(), "a cell was computed twice"
        np.savez(self.folder / "unfinished.npz", **arrays)
        (self.folder / "unfinished.npz").replace(self.folder / f"{key}.npz")


@pytest.fixture(scope="module")
def plain() -> Sweep:
    return sweep(LAW, **OPTIONS)


def same(first: Sweep, second: Sweep) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def test_every_number_matches_a_loop(plain: Sweep) -> None:
    assert plain.train_by_train.shape == (23, 4, 6)
    for index in (0, 9, 10, 22):
        task = LAW.task(12, seed=5, index=index)
        train, held_out = task.split(7, 4)
        for i, eta in enumerate(SIZES):
            whole, part = gradient_descent(task, eta, 6), gradient_descent(train, eta, 6)
            for t in range(1, 7):
                w, v = whole.weights[t], part.weights[t]
                wanted = {
                    "train_by_train": np.mean((task.labels - task.features @ w) ** 2) / 2,
                    "risk": np.sum((w - task.w_star) ** 2),
                    "frozen": whole.frozen_at is not None and whole.frozen_at <= t,
                    "train_by_validation": np.mean((held_out.labels - held_out.features @ v) ** 2) / 2,
                    "split_train_loss": np.mean((train.labels - train.features @ v) ** 2) / 2,
                    "split_risk": np.sum((v - task.w_star) ** 2),
                    "split_frozen": part.frozen_at is not None and part.frozen_at <= t,
                }
                for name, value in wanted.items():
                    # the bar; plain GD rounds at each step
                    assert getattr(plain, name)[index, i, t - 1] == pytest.approx(value, rel=1e-9), (name, eta, t)
    assert plain.frozen.any()
    assert plain.diverges[:, 3].all()
    assert not plain.diverges[:, 0].any()


def test_summaries(plain: Sweep) -> None:
    losses = plain.train_by_validation
    assert losses is not None
    np.testing.assert_allclose(plain.mean("train_by_validation"), sum(losses) / 23, rtol=1e-13)
    deviation = np.sqrt(((losses - losses.mean(0)) ** 2).sum(0) / 22 / 23)
    np.testing.assert_allclose(plain.standard_error("train_by_validation"), deviation, rtol=1e-12)
    best = plain.best_step_size("train_by_train")
    for t in range(6):
        assert best[t] == SIZES[int(np.argmin([plain.train_by_train[:, i, t].mean() for i in range(4)]))]
    lone = sweep(LAW, **(OPTIONS | {"tasks": 1}))
    assert np.isnan(lone.standard_error("train_by_train")).all()


def test_processes_orders_and_steps_change_nothing(plain: Sweep) -> None:
    done: list[int] = []
    same(plain, sweep(LAW, **OPTIONS, jobs=2, progress=done.append))
    assert sorted(done) == [3, 10, 10]
    fresh = sweep(LAW, **(OPTIONS | {"tasks": 3}), first=20)
    np.testing.assert_allclose(fresh.train_by_train, plain.train_by_train[20:], rtol=1e-12)
    last = sweep(LAW, **(OPTIONS | {"steps": [6], "tasks": 10}))
    np.testing.assert_allclose(last.risk[..., 0], plain.risk[:10, :, 5], rtol=1e-12)
    assert not np.allclose(sweep(LAW, **(OPTIONS | {"seed": 6})).risk[:, 0], plain.risk[:, 0])


def test_stored_cells_are_not_computed_again(plain: Sweep) -> None:
    shelf = Shelf()
    same(plain, sweep(LAW, **OPTIONS, cells=shelf))
    assert len(shelf.puts) == 3
    same(plain, sweep(LAW, **OPTIONS, cells=shelf))
    sweep(LAW, **(OPTIONS | {"tasks": 20}), cells=shelf)  # the first 20 of the same tasks
    assert set(shelf.puts.values()) == {1}
    assert len(shelf.puts) == 3
    key = next(iter(shelf))
    shelf[key] = {name: values * 0 for name, values in shelf[key].items()}  # a planted cell shows in the result
    assert (sweep(LAW, **OPTIONS, cells=shelf).risk == 0).any()


@pytest.mark.parametrize(
    "change",
    [
        *({"samples": 13}, {"split": (7, 5)}, {"split": None}, {"step_sizes": SIZES * 1.0001}, {"steps": range(1, 8)}),
        *({"seed": 6}, {"first": 1}, {"freeze": 39.0}, {"freeze": None}, {"sampler": "reduced"}, {"dtype": "float32"}),
    ],
)
def test_a_cell_of_another_sweep_is_not_taken(change: dict[str, Any]) -> None:
    shelf = Shelf()
    sweep(LAW, **(OPTIONS | {"tasks": 10}), cells=shelf)
    sweep(LAW, **(OPTIONS | {"tasks": 10} | change), cells=shelf)
    for law in (TaskDistribution(18, 1.1), TaskDistribution(17, 1.0), TaskDistribution(18, 1.0, np.eye(18))):
        sweep(law, **(OPTIONS | {"tasks": 10}), cells=shelf)
    assert len(shelf.puts) == 5


PROGRAM = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_sweep import Folder, LAW, OPTIONS, sweep
done = []
def progress(tasks):
    done.append(tasks)
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
sweep(LAW, **OPTIONS, cells=Folder(Path(sys.argv[1])), progress=progress)
"""


def test_killed_in_the_middle_and_resumed(tmp_path: Path, plain: Sweep) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(Path(__file__).parent)]
    killed = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npz")}
    assert len(before) == 2
    same(plain, sweep(LAW, **OPTIONS, cells=Folder(tmp_path)))
    assert len(list(tmp_path.glob("*.npz"))) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_reduced_sampler_sees_the_same_means() -> None:
    options = OPTIONS | {"tasks": 2000, "steps": [1, 6], "step_sizes": SIZES[:3]}
    first, second = sweep(LAW, **options), sweep(LAW, **options, sampler="reduced")
    for objective in ("train_by_train", "train_by_validation"):
        gap = first.mean(objective) - second.mean(objective)  # type: ignore[arg-type]
        error = np.hypot(first.standard_error(objective), second.standard_error(objective))  # type: ignore[arg-type]
        assert (np.abs(gap) < 5 * error).all()  # 12 comparisons at 5 standard errors, seeds fixed
    assert not np.isclose(first.train_by_train, second.train_by_train).any()


def test_float32_is_close(plain: Sweep) -> None:
    law = TaskDistribution(18, 1.0)
    found = sweep(law, **(OPTIONS | {"tasks": 5}), dtype="float32", freeze=None)
    for index in range(5):
        task = law.task(12, seed=5, index=index, dtype="float32")
        w = gradient_descent(task, 0.1, 6, freeze=None).weights[6]
        # float32 products: 6e-8 each, some tens of them
        assert found.risk[index, 1, 5] == pytest.approx(float(task.risk(w)), rel=1e-5)


def test_torch_measures_the_same_in_batches(plain: Sweep) -> None:
    found = sweep(LAW, **OPTIONS, device="cpu:0")  # a torch device that every machine has
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-9, err_msg=name)
    law = TaskDistribution(18, 1.0, np.diag(np.linspace(0.1, 2, 18)))
    options = OPTIONS | {"tasks": 4}
    np.testing.assert_allclose(sweep(law, **options, device="cpu:0").risk, sweep(law, **options).risk, rtol=1e-9)


def test_a_covariance_reaches_the_risk() -> None:
    law = TaskDistribution(18, 1.0, np.diag(np.linspace(0.1, 2, 18)))
    found, task = sweep(law, **(OPTIONS | {"tasks": 4})), law.task(12, seed=5, index=3)
    weights = gradient_descent(task, 0.1, 6).weights[6]
    wanted = ((weights - task.w_star) ** 2 * np.linspace(0.1, 2, 18)).sum()
    assert found.risk[3, 1, 5] == pytest.approx(wanted, rel=1e-9)


def test_the_stated_memory_is_not_exceeded() -> None:
    # far larger results than tasks, so that it is the results that are counted
    options = OPTIONS | {"step_sizes": np.geomspace(0.01, 1, 400), "tasks": 400}
    with pytest.raises(InputError, match="MB") as caught:
        sweep(LAW, **options, memory=1)
    stated = int(str(caught.value).split("about ")[1].split(" MB")[0]) * 10**6
    tracemalloc.start()
    result = sweep(LAW, **options)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.risk.nbytes < peak < stated
    assert stated < 3 * peak  # an estimate, not a blanket refusal


def test_memory_is_bounded_and_stated() -> None:
    with pytest.raises(InputError, match=r"the sweep needs about \d+ MB, got a memory of 30 MB; ask for fewer"):
        sweep(LAW, **OPTIONS, memory=30 * 10**6)
    with pytest.raises(InputError, match="MB"):
        sweep(LAW, **(OPTIONS | {"tasks": 10**7}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": (8, 5)}, r"at most the 12 samples, got 8 \+ 5"),
        ({"split": (0, 5)}, "n1 must be"),
        ({"split": 7}, "split must be a pair"),
        ({"samples": 0}, "samples must be"),
        ({"tasks": 0}, "tasks must be"),
        ({"jobs": 0}, "jobs must be"),
        ({"step_sizes": []}, "non-empty"),
        ({"step_sizes": [0.0]}, "positive and finite"),
        ({"steps": []}, "non-empty"),
        ({"steps": [3, 3]}, "rising"),
        ({"seed": -1}, "seed must be"),
        ({"first": -1}, "index must be"),
        ({"sampler": "quick"}, 'sampler must be "plain" or "reduced"'),
        ({"dtype": "int8"}, "dtype must be"),
        ({"device": "nowhere"}, "device 'nowhere' is not available"),
    ],
)
def test_bad_input_is_refused_in_one_line(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        sweep(LAW, **(OPTIONS | change))
    assert "\n" not in str(caught.value)


def test_what_cannot_be_answered_is_refused() -> None:
    found = sweep(LAW, **(OPTIONS | {"split": None, "step_sizes": [1e200], "freeze": None, "tasks": 2}))
    assert found.train_by_validation is None
    with pytest.raises(InputError, match="pass split"):
        found.mean("train_by_validation")
    with pytest.raises(InputError, match="objective must be"):
        found.mean("risk")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="every step size of the grid diverges"):
        found.best_step_size("train_by_train")
    with pytest.raises(InputError, match="freeze=None"):
        sweep(TaskDistribution(18, 0.0), **OPTIONS)
    with pytest.raises(InputError, match="identity covariance"):
        sweep(TaskDistribution(18, 1.0, np.eye(18)), **OPTIONS, sampler="reduced")


def test_a_missing_gpu_is_said() -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(InputError, match="device 'cuda' is not available"):
        sweep(LAW, **OPTIONS, device="cuda")
