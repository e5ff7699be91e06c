"""compare: prediction and measurement side by side, a user's data, bad input, and a run that is killed."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes

from l2o_theory.cli.comparison import _with_error
from l2o_theory.figures.table import read_table

SMALL = ["--dimension", "60", "--samples", "30", "--steps", "10", "--tasks", "30", "--tests", "20", "--jobs", "1"]


@pytest.fixture
def diabetes(tmp_path: Path) -> Path:
    """scikit-learn's bundled data: 442 patients, 10 measurements, progression of the disease after a year."""
    data = load_diabetes(scaled=False)
    path = tmp_path / "diabetes.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*data.feature_names, "progression"])
        writer.writerows([*row, y] for row, y in zip(data.data.tolist(), data.target.tolist(), strict=True))
    return path


def gradient_descent_error(X, y, X_test, y_test, step_size, steps):
    """Second route: the loop, one step at a time."""
    w = np.zeros(X.shape[1])
    for _ in range(steps):
        w = w + step_size * X.T @ (y - X @ w) / len(y)
    return float(np.mean((y_test - X_test @ w) ** 2))


def test_predicted_beside_measured(call, tmp_path):
    answer = call("compare", *SMALL, "--noise", "0.25:4:log3", "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert [cell["noise"] for cell in document["cells"]] == [0.25, 1, 4]
    for cell in document["cells"]:
        for objective in ("train_by_train", "train_by_validation"):
            predicted, measured = cell["predicted"][objective], cell["measured"][objective]
            # 8 percent: the limit is off by about 1/sqrt(d) at d = 60, the measurement by a standard error of 2 percent
            assert measured["test_rmse"] == pytest.approx(predicted["test_rmse"], rel=0.08)
            # one step of the default grid is 10^(1/4); two at most between d = 60 and the limit
            assert abs(math.log10(measured["step_size"] / predicted["step_size"])) < 0.51
            assert predicted["test_rmse_error"] == 0 < measured["test_rmse_error"]
    assert [cell["measured"]["winner"] for cell in document["cells"][1:]] == ["train-by-validation"] * 2
    assert document["cells"][0]["predicted"]["winner"] == "train-by-train"
    (crossing,) = document["crossings"]
    assert 0.25 < crossing["noise"] < 1
    for path in document["files"]:
        assert (tmp_path / path).stat().st_size > 400
    assert {Path(path).suffix for path in document["files"]} == {".pdf", ".png", ".csv"}
    table = read_table(tmp_path / "l2o_results" / "compare" / "cells.csv")
    found = [cell["measured"]["train_by_train"]["test_rmse"] for cell in document["cells"]]
    assert [float(value) for value in table["measured_train_by_train_test"]] == found


def test_the_measurement_is_what_plain_gradient_descent_gives(call):
    """Second route: the same tasks, drawn again, every step size and step in a loop."""
    from l2o_theory.least_squares.tasks import TaskDistribution

    grid, tasks, tests = [0.05, 0.2, 0.4], 4, 3
    options = ["--dimension", "12", "--samples", "8", "--noise", "0.7", "--steps", "5", "--split", "5:3"]
    answer = call("compare", *options, "--tasks", tasks, "--tests", tests, "--grid", "0.05,0.2,0.4", "--json")
    (cell,) = json.loads(answer.out)["cells"]
    drawn = [TaskDistribution(12, 0.7).task(8, seed=0, index=index) for index in range(tasks + tests)]
    train = [np.mean([_errors(task, slice(0, 8), slice(0, 8), eta) for task in drawn[:tasks]]) for eta in grid]
    held = [np.mean([_errors(task, slice(0, 5), slice(5, 8), eta) for task in drawn[:tasks]]) for eta in grid]
    for objective, curve in (("train_by_train", train), ("train_by_validation", held)):
        eta = grid[int(np.argmin(curve))]
        assert cell["measured"][objective]["step_size"] == eta
        squares = []
        for task in drawn[tasks:]:
            w = np.zeros(12)
            for _ in range(5):
                w = w + eta * task.features.T @ (task.labels - task.features @ w) / 8
            squares.append(np.sum((w - task.w_star) ** 2) + 0.49)
        # 1e-9: rounding of five steps; the sweep goes through a Krylov space instead
        assert cell["measured"][objective]["test_rmse"] == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-9)
        # planted fault: without the label noise the error would be smaller
        assert cell["measured"][objective]["test_rmse"] > 1.01 * np.sqrt(np.mean(squares) - 0.49)


def test_float32_draws_and_passes_over_float32(call):
    from l2o_theory.least_squares.tasks import TaskDistribution

    options = ["--dimension", "12", "--samples", "8", "--noise", "0.7", "--steps", "5", "--tasks", 4, "--tests", 3]
    document = json.loads(call("compare", *options, "--grid", "0.2", "--dtype", "float32", "--json").out)
    found = document["cells"][0]["measured"]["train_by_train"]["test_rmse"]
    assert (document["dtype"], document["device"]) == ("float32", "cpu")
    wanted = {}
    for dtype in ("float32", "float64"):
        squares = []
        for index in range(4, 7):
            task, w = TaskDistribution(12, 0.7).task(8, seed=0, index=index, dtype=dtype), np.zeros(12)
            for _ in range(5):
                w = w + 0.2 * task.features.T @ (task.labels - task.features @ w) / 8
            squares.append(np.sum((w - task.w_star) ** 2) + 0.49)
        wanted[dtype] = np.sqrt(np.mean(squares))
    assert found == pytest.approx(wanted["float32"], rel=1e-5)  # float32 products: 6e-8 each, some tens of them
    assert found != pytest.approx(wanted["float64"], rel=1e-3)  # the planted fault: another draw
    # what was stored for one type is not taken for the other
    assert json.loads(call("compare", *options, "--grid", "0.2", "--json").out)["stored"]["reused"] == 0
    assert "float32 features" in call("compare", *options, "--grid", "0.2", "--dtype", "float32").out


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens where CUDA is missing")
def test_a_missing_gpu_is_said_before_any_work(call, tmp_path):
    answer = call("compare", *SMALL, "--device", "cuda")
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert line == "error: device 'cuda' is not available to torch here; use \"cpu\""
    assert answer.out == ""
    assert not (tmp_path / "l2o_results").exists()


@pytest.mark.gpu
def test_cuda_gives_the_same_table(call):
    found = json.loads(call("compare", *SMALL, "--device", "cuda", "--json").out)
    wanted = json.loads(call("compare", *SMALL, "--json").out)
    assert found["device"] == "cuda"
    for objective in ("train_by_train", "train_by_validation"):
        pair = [document["cells"][0]["measured"][objective] for document in (found, wanted)]
        assert pair[0]["test_rmse"] == pytest.approx(pair[1]["test_rmse"], rel=1e-9)


def _errors(task, rows, held, eta):
    X, y = task.features, task.labels
    return gradient_descent_error(X[rows], y[rows], X[held], y[held], eta, 5)


def test_the_table_fits_eighty_columns(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    answer = call("compare", *SMALL, "--noise", "0.353553:2:log2")
    lines = answer.out.splitlines()
    rows = [line for line in lines if "validation" in line or line.startswith("sigma")]
    assert len(rows) >= 5
    assert all(len(line) <= 80 for line in rows)
    assert "…" not in answer.out
    assert any(line.startswith("tie at sigma = ") for line in lines)


def test_quiet_says_one_line(call):
    answer = call("compare", *SMALL, "--quiet")
    (line,) = answer.out.splitlines()
    assert line.startswith("compared 1 cell")


def test_every_size_gets_a_plot(call, tmp_path):
    options = ["--dimension", "20", "--samples", "10,30", "--noise", "1,2", "--steps", "3", "--tasks", "5"]
    answer = call("compare", *options, "--tests", "3", "--json")
    document = json.loads(answer.out)
    assert len(document["cells"]) == 4
    names = {path.stem for path in (tmp_path / "l2o_results" / "compare").glob("*.png")}
    assert names == {"along_noise_samples_10", "along_noise_samples_30"}


def test_step_sizes_beyond_stability_diverge_in_words(call):
    answer = call("compare", *SMALL, "--grid", "5,10")
    assert answer.code == 0
    assert "diverges" in answer.out
    assert "both diverge" in answer.out
    assert "smaller steps to --grid" in answer.out
    assert "inf" not in answer.out
    document = json.loads(call("compare", *SMALL, "--grid", "5,10", "--noise", "1,2", "--json").out)
    for cell in document["cells"]:
        assert cell["measured"]["train_by_train"]["diverges"]
        assert cell["measured"]["train_by_train"]["test_rmse"] is None
        assert cell["predicted"]["winner"] is None


def test_noiseless_tasks(call):
    document = json.loads(call("compare", *SMALL, "--noise", "0,0.5", "--json").out)
    assert document["cells"][0]["measured"]["train_by_train"]["test_rmse"] < 1


def test_diabetes(call, diabetes):
    answer = call("compare", "--data", diabetes, "--samples", "40,200", "--tasks", "40", "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    data = document["data"]
    assert (data["rows"], data["dimension"], data["target"]) == (442, 10, "progression")
    # the standard deviation of the residuals that any regression package prints for these data: 54.15
    assert data["noise"] * data["signal"] == pytest.approx(54.15, abs=0.01)
    for cell in document["cells"]:
        for objective in ("train_by_train", "train_by_validation"):
            predicted, measured = cell["predicted"][objective], cell["measured"][objective]
            # 6 percent: the prediction assumes w* of random direction, the data have one w*
            assert measured["test_rmse"] == pytest.approx(predicted["test_rmse"], rel=0.06)
            assert 54 < measured["test_rmse"] < 77  # between the noise and the spread of the target
    assert document["cells"][0]["measured"]["winner"] == "train-by-validation"
    assert "442 rows" in answer.err


def test_another_target_and_known_noise(call, diabetes):
    document = json.loads(call("compare", "--data", diabetes, "--target", "bmi", "--noise", "2", "--json").out)
    assert document["data"]["target"] == "bmi"
    assert "progression" in document["data"]["features"]
    assert document["data"]["noise_rule"] == "given"
    assert document["cells"][0]["noise"] == 2


DATA = "a,b,y\n" + "\n".join(f"{k},{k * k % 7},{k + k % 3}" for k in range(20)) + "\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--noise", "2:1:3"], "empty range"),
        (["--noise", "1:1:0"], "empty range"),
        (["--noise", "-1"], "noise must be >= 0"),
        (["--noise", "nan"], "must be finite"),
        (["--samples", "30", "--split", "20:20"], "split 20 + 20 does not fit 30 samples"),
        (["--split", "1.5"], "--split '1.5' is no split"),
        (["--split", "0:10"], "does not fit"),
        (["--samples", "0"], "samples must be >= 1"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--steps", "100001"], "--steps must be at most 100000"),
        (["--grid", "0:1:3"], "positive step sizes"),
        (["--target", "y"], "--target goes with --data"),
        (["--data", "d.csv", "--device", "cuda"], "--device cuda goes with sampled tasks"),
        (["--data", "d.csv", "--dtype", "float32"], "--dtype float32 goes with sampled tasks"),
        (["--data", "absent.csv"], "no file absent.csv"),
        (["--data", "d.csv", "--dimension", "5"], "--dimension goes with sampled tasks"),
        (["--data", "d.csv", "--samples", "20"], "below the 20 rows"),
        (["--data", "d.csv", "--samples", "500"], "below the 20 rows"),
        (["--data", "d.csv", "--noise", "1,2"], "one value with --data"),
        (["--data", "decimal.csv"], "'1,5', not a number; write a decimal point"),
        (["--data", "d.csv", "--target", "twice"], "no column 'twice'"),
        (["--data", "twice.csv", "--target", "b"], "2 columns 'b'"),
        (["--data", "header.csv"], "got 0 rows of 3 columns"),
        (["--data", "fake.npz"], "no .npz file of plain arrays"),
        (["--data", "d.csv", "--target", "z"], "no column 'z'"),
        (["--data", "constant.csv"], "'a' is constant"),
        (["--data", "text.csv"], "'red', not a number"),
        (["--data", "nan.csv"], "not finite in data row 2"),
        (["--data", "lengths.npz"], "X has 5 rows and y 4"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(call, tmp_path, options, words):
    (tmp_path / "d.csv").write_text(DATA)
    (tmp_path / "constant.csv").write_text("a,b,y\n1,2,3\n1,3,4\n1,5,6\n1,0,2\n")
    (tmp_path / "text.csv").write_text(DATA.replace("2,4,4", "2,red,4"))
    (tmp_path / "nan.csv").write_text(DATA.replace("1,1,2", "1,nan,2"))
    (tmp_path / "decimal.csv").write_text("a;b;y\n1,5;2;3\n2;3;4\n1;0;2\n")
    (tmp_path / "twice.csv").write_text(DATA.replace("a,b,y", "b,b,y"))
    (tmp_path / "header.csv").write_text("a,b,y\n")
    (tmp_path / "fake.npz").write_text("plain text")
    np.savez(tmp_path / "lengths.npz", X=np.ones((5, 2)), y=np.ones(4))
    answer = call("compare", *options)
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert not (tmp_path / "l2o_results").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(call, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "d.csv").write_text(DATA)
    for options in (SMALL, ["--data", "d.csv"]):
        answer = call("compare", *options, "--out", "file/results")
        assert answer.code == 2
        assert "--out DIR" in answer.err
        assert answer.out == ""


def start(out: Path, *more: str, session: bool = False) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "l2o_theory.cli.main", "compare", *SMALL, "--noise", "0.25:4:log5", "--out", out]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True, start_new_session=session)


def finish(out: Path, *more: str) -> dict:
    process = start(out, *more, "--json", "--quiet")
    document, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(document)


def test_a_run_killed_twice_gives_the_same_table_and_computes_nothing_twice(tmp_path):
    calm, out = finish(tmp_path / "calm"), tmp_path / "killed"
    stored = 0
    for _ in range(2):
        process = start(out)
        next(line for line in process.stdout if line.startswith("["))
        process.kill()
        process.communicate()
        found = list((out / "cells").glob("*.npz"))
        assert len(found) >= stored
        stored = len(found)
        assert stored >= 1
    before = {path.name: path.stat().st_mtime_ns for path in (out / "cells").glob("*.npz")}
    resumed = finish(out)
    assert resumed["cells"] == calm["cells"]
    assert resumed["stored"]["reused"] == stored
    assert resumed["stored"]["reused"] + resumed["stored"]["computed"] == calm["stored"]["computed"]
    after = {path.name: path.stat().st_mtime_ns for path in (out / "cells").glob("*.npz")}
    assert {name: after[name] for name in before} == before
    assert (out / "compare" / "cells.csv").read_bytes() == (tmp_path / "calm" / "compare" / "cells.csv").read_bytes()


def living(session: int) -> list[str]:
    """Processes of a session that have not ended, as /proc lists them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            state, _, _, own = stat.read_text().rpartition(")")[2].split()[:4]
            if int(own) == session and state != "Z":
                found.append(stat.parent.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for orphans in /proc")
def test_a_run_of_two_processes_is_killed_in_the_middle_of_a_sweep(tmp_path):
    many = ["--tasks", "150", "--noise", "0.5,2"]  # 15 cells and 2 for the test, for each noise
    calm, cells = finish(tmp_path / "calm", *many), tmp_path / "killed" / "cells"
    process = start(tmp_path / "killed", *many, "--jobs", "2", session=True)
    deadline = time.monotonic() + 120
    while len(list(cells.glob("*.npz"))) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert len(living(process.pid)) >= 3  # itself and two workers
    process.kill()
    assert "[" not in process.communicate()[0]  # before the first stage was done
    before = {path.name: path.stat().st_mtime_ns for path in cells.glob("*.npz")}
    assert 3 <= len(before) < 17
    while living(process.pid):  # the workers see that nobody waits for them
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert {path.name: path.stat().st_mtime_ns for path in cells.glob("*.npz")} == before
    resumed = finish(tmp_path / "killed", *many, "--jobs", "2")
    assert resumed["cells"] == calm["cells"]
    assert resumed["stored"] == {"reused": len(before), "computed": calm["stored"]["computed"] - len(before)}
    after = {path.name: path.stat().st_mtime_ns for path in cells.glob("*.npz")}
    assert {name: after[name] for name in before} == before
    tables = [(tmp_path / name / "compare" / "cells.csv").read_bytes() for name in ("calm", "killed")]
    assert tables[0] == tables[1]


def test_an_interrupted_run_says_how_to_go_on(tmp_path):
    process = start(tmp_path / "stopped", "--noise", "0.25:4:log60")
    next(line for line in process.stdout if line.startswith("["))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()
    assert process.returncode == 130
    assert "run the same command again to continue" in said
    assert list((tmp_path / "stopped" / "cells").glob("*.npz"))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.5742, 0.0042, "1.574(4)"),
        (5.6702, 0.021, "5.67(2)"),
        (0.0478, 0.00096, "0.048(1)"),
        (0.0478, 0.00094, "0.0478(9)"),
        (4.12078, 0.00008, "4.12078(8)"),
        (4738.8, 236.0, "4739(236)"),
        (1.5742, 0.0, "1.574"),
        (1.0, 1e-14, "1.000000000(1)"),
    ],
)
def test_standard_errors_belong_to_the_last_digits(value, error, text):
    assert _with_error(value, error) == text


def test_fresh_computes_anew(call):
    first = json.loads(call("compare", *SMALL, "--json").out)
    again = json.loads(call("compare", *SMALL, "--json").out)
    fresh = json.loads(call("compare", *SMALL, "--json", "--fresh").out)
    assert again["stored"] == {"reused": first["stored"]["computed"], "computed": 0}
    assert fresh["stored"] == first["stored"]
    assert first["cells"] == again["cells"] == fresh["cells"]
    # planted counterpart: another seed shares nothing that is stored, and gives another table
    other = json.loads(call("compare", *SMALL, "--json", "--seed", "1").out)
    assert other["stored"]["reused"] == 0
    assert other["cells"] != first["cells"]
