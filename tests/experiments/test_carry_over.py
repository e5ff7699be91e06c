"""The experiment on what carries over: exact where the theory is, resumes to the byte, and every number by hand."""

from __future__ import annotations

import math
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator

from l2o_theory.claims.discovery import load_plugin, plugin_folder
from l2o_theory.errors import InputError
from l2o_theory.figures import list_experiments, reproduce
from l2o_theory.figures.configuration import load_configuration
from l2o_theory.metagradients import first_order, truncated, unroll
from l2o_theory.metatraining.tasks import QuadraticTasks
from l2o_theory.optimizers import LSTMRule
from l2o_theory.problems import RandomQuadratics
from l2o_theory.problems.trees import tensors
from l2o_theory.quadratic.truncation import TruncatedDescent

SOURCE = list_experiments()["carry_over"]
probing = load_plugin(SOURCE / "probing.py")
predictions = load_plugin(SOURCE / "predictions.py")
FIGURES = ("windows", "growth", "variance", "summary")
TINY = """
[quick]
arms.optimizers = ["rnnprop"]
arms.quadratics_seeds = 2
arms.digits_seeds = 2
training.horizon = 4
training.window = 2
training.quadratics_updates = 2
training.digits_updates = 2
training.judged = 2
probe.windows = [1, 2, 4]
probe.early = 1
probe.short = 2
probe.quadratics_tasks = 3
probe.digits_tasks = 2
"""
EXPECTED = """
[[expected]]
quantity = "control.kept_error"
describes = "Model A along a run of gradient descent"
at_most = 1e-12
reason = "rounding"
source = "derived here"
"""


def copied(folder: Path) -> Path:
    copy = shutil.copytree(SOURCE, folder / "carry_over", ignore=shutil.ignore_patterns("__pycache__"))
    config = copy / "config.toml"
    config.write_text(config.read_text().split("[quick]")[0] + TINY)
    (copy / "expected.toml").write_text(EXPECTED)
    return copy


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("tiny"))


def test_an_interrupted_run_resumes_and_ends_in_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done >= total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(str(tiny), out=tmp_path / "cut", quick=True, progress=stop)
    resumed = reproduce(str(tiny), out=tmp_path / "cut", quick=True)
    assert resumed.outcome == "met"
    assert 0 < resumed.computed < resumed.computed + resumed.reused
    assert {path.name for path in resumed.figures} == {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert {path.name for path in resumed.tables} == {f"{name}.csv" for name in FIGURES}
    kept = {path.name: path.read_bytes() for path in resumed.tables + resumed.figures}
    whole = reproduce(str(tiny), out=tmp_path / "whole", quick=True)
    assert whole.reused == 0
    for path in whole.tables + whole.figures:
        assert path.read_bytes() == kept[path.name], path.name


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"rnnprop"]', '"adam"]', "arms.optimizers has 'adam'"),
        ("probe.windows = [1, 2, 4]", "probe.windows = [1, 3, 4]", "divide the last one"),
        ("probe.early = 1", "probe.early = 2", "probe.early < probe.short"),
        ("digits_seeds = 2", "digits_seeds = 1", "arms.digits_seeds must be >= 2"),
        ("[quick]", "[quick]\ntraining.rates = [0.1]", "training.rates needs one number for each"),
    ],
)
def test_bad_configurations_are_refused_before_any_work(tmp_path: Path, old: str, new: str, told: str) -> None:
    copy = copied(tmp_path)
    config = copy / "config.toml"
    head, _, tail = config.read_text().rpartition("[quick]")
    assert old in "[quick]" + tail
    config.write_text(head + ("[quick]" + tail).replace(old, new))
    with pytest.raises(InputError, match=told):
        reproduce(str(copy), out=tmp_path / "out", quick=True)


@pytest.fixture(scope="module")
def controls() -> dict[str, float]:
    found: dict[str, float] = load_plugin(SOURCE / "controls.py").measured(0)
    return found


def test_the_measurement_is_exact_where_the_theory_is(controls: dict[str, float]) -> None:
    """Model A to rounding; chaos stretches by ln 3; beyond 2/L the explosion is in N, on the double well it is in K."""
    assert controls["control.kept_error"] < 1e-12
    assert controls["control.first_order_error"] < 1e-12
    assert controls["control.dropped_term_error"] > 1e-3  # planted
    # 64 angles, 12 steps: ln|sin(3^12 a)/sin(a)| has standard deviation near 1, so 12 steps give 0.1/8
    assert controls["control.chaotic.stretch_exponent"] == pytest.approx(math.log(3), abs=0.05)
    # Model 0 sums 3^(t-s), all but the last few terms of which are lost in rounding
    assert controls["control.chaotic.final_minus_model_0"] == pytest.approx(0, abs=1e-5)
    # past 2/L the shocks g_s grow as the iterate does, which Model 0 leaves out: t terms alike, a factor 24/12
    assert controls["control.divergent.final_minus_model_0"] == pytest.approx(math.log(2) / 12, abs=1e-3)
    assert (
        controls["control.divergent.window_minus_horizon"] < -1 < 1 < controls["control.chaotic.window_minus_horizon"]
    )


def test_a_window_that_forgets_to_cut_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "kept_steps", lambda horizon, window: np.arange(1.0, horizon + 1))
    probe = {"neighbours": [[1.0, 1.0, 1.0, 1.0]]}
    assert predictions.model_a(probe, 1)[0] == 1  # the fault: a window of 1 would keep everything
    monkeypatch.undo()
    assert predictions.model_a(probe, 1)[0] == predictions.frozen(4, 1) == 0.4


def test_model_a_from_inner_gradients_is_the_closed_form_in_rationals() -> None:
    """sum_t r_K(t) <g_t, g_{t-1}> over the same with t, against TruncatedDescent, both exact."""
    eigenvalues, start, step = [Fraction(1), Fraction(1, 10)], [Fraction(1), Fraction(2)], Fraction(1, 2)
    iterates = [start]
    for _ in range(12):
        iterates.append([x - step * curve * x for x, curve in zip(iterates[-1], eigenvalues, strict=True)])
    slopes = [[curve * x for x, curve in zip(point, eigenvalues, strict=True)] for point in iterates]
    products = [sum(a * b for a, b in zip(slopes[t], slopes[t - 1], strict=True)) for t in range(1, 13)]
    descent = TruncatedDescent(eigenvalues, [x * x for x in start])
    for window in (1, 2, 3, 5, 12):
        kept = [Fraction(int(r)) for r in predictions.kept_steps(12, window)]
        own = -sum(r * product for r, product in zip(kept, products, strict=True))
        assert own == descent.meta_gradient(step, 12, window, digits="exact")
    earlier = [sum(a * sum(slopes[s][i] for s in range(t)) for i, a in enumerate(slopes[t])) for t in range(1, 13)]
    assert -sum(earlier) == descent.first_order(step, 12, digits="exact")
    assert -sum(earlier[1:]) != descent.first_order(step, 12, digits="exact")  # planted: a term dropped


@pytest.fixture(scope="module")
def small() -> tuple[Any, ...]:
    """An untrained LSTM optimizer on three quadratics, its probe, and the tasks one by one."""
    rule, problem = LSTMRule(hidden=3), RandomQuadratics(4)
    meta = rule.meta(Generator().manual_seed(1))
    meta["linear.weight"] = 20 * meta["linear.weight"]  # steps that are felt
    draw = QuadraticTasks(problem).draw(3, 8, Generator().manual_seed(2))
    probe = probing.probe(rule, problem, meta, probing.tasks_of(draw, 8), (1, 2, 4, 8), short=2, chunk=2, seed=0)
    return rule, problem, meta, draw, probe


def test_probes_are_what_the_plain_estimators_give_task_by_task(small: tuple[Any, ...]) -> None:
    rule, problem, meta, draw, probe = small
    for task in range(3):
        batch = {name: leaf[task] for name, leaf in draw.batches(0).items()}
        given: dict[str, Any] = {"start": draw.starts[task], "batches": lambda t, batch=batch: batch}
        found = [truncated(rule, problem, meta, 8, window=k, **given) for k in (1, 2, 4, 8)]
        found += [first_order(rule, problem, meta, 8, window=k, **given) for k in (8, 2)]
        rows = torch.stack([torch.cat([leaf.flatten() for leaf in tensors(one.gradient)]) for one in found])
        assert np.allclose(probe["gram"][task], (rows @ rows.T).numpy(), rtol=1e-9, atol=1e-14)
        assert np.allclose(probe["growth"]["8"][task][0], rows[3].norm(), rtol=1e-9)
        shorter = truncated(rule, problem, meta, 6, window=2, **given)  # three windows of 2
        assert np.allclose(probe["growth"]["2"][task][2], float(shorter.norm), rtol=1e-9)
        losses = unroll(rule, problem, meta, 8, **given).losses.tolist()
        assert np.allclose(probe["losses"][task][1:], losses, rtol=1e-12)


def test_final_gradients_and_stretch_are_difference_quotients(small: tuple[Any, ...]) -> None:
    rule, problem, meta, draw, probe = small
    batches = [{name: leaf[task] for name, leaf in draw.batches(0).items()} for task in range(3)]

    def ended(task: int, meta: Any, start: Any, steps: int) -> Any:
        return unroll(rule, problem, meta, steps, start=start, batches=lambda t: batches[task])

    def final(bias: float) -> list[float]:
        moved = {**meta, "linear.bias": meta["linear.bias"] + bias}
        return [float(ended(task, moved, draw.starts[task], 4).losses[-1]) for task in range(3)]

    gradients = probing.finally_(rule, problem, meta, probing.tasks_of(draw, 8), 4, 3)
    place = sum(meta[name].numel() for name in list(meta)[: list(meta).index("linear.bias")])
    quotient = (np.array(final(1e-5)) - np.array(final(-1e-5))) / 2e-5
    assert np.allclose(gradients[:, place].numpy(), quotient, rtol=1e-6)  # the error of central differences is 1e-10
    push = torch.randn((3, 4), generator=Generator().manual_seed(0), dtype=torch.float64)
    push = push / push.norm(dim=1, keepdim=True)
    for task in range(3):
        ends = [ended(task, meta, draw.starts[task] + h * push[task], 8).params for h in (1e-6, -1e-6)]
        told = math.log(float((ends[0] - ends[1]).norm()) / 2e-6)
        assert probe["stretch"][task][8] == pytest.approx(told, abs=1e-4)


def test_statistics_by_hand(small: tuple[Any, ...]) -> None:
    probe = small[4]
    gradients = np.array([[1.0, 0.0], [3.0, 1.0], [2.0, -4.0]])
    told = predictions.relative_variance({"final": [(gradients @ gradients.T).tolist()]})
    mean = gradients.mean(0)
    assert told[0] == pytest.approx(((gradients - mean) ** 2).sum() / 2 / (mean @ mean))
    gram = np.array(probe["gram"][0])
    square = gram[1, 1] - 2 * gram[1, 3] + gram[3, 3]
    assert predictions.biases(probe)[0, 1] == pytest.approx(math.sqrt(square / gram[3, 3]))
    assert predictions.kept(probe)[0, 1] == pytest.approx(gram[1, 3] / gram[3, 3])
    flat = {"slopes": [[1.0] * 5], "stretch": [[0.0] * 5]}
    assert predictions.kappa(flat) == pytest.approx(1)
    assert predictions.model_0(flat, 2)[0] == pytest.approx(predictions.frozen(4, 2))  # nothing stretches: frozen
    grown = {"slopes": [[1.0] * 5], "stretch": [[t * math.log(2) for t in range(5)]]}
    kept = sum(2**j for t in (1, 2, 3, 4) for j in range(1, (t - 1) % 2 + 2))
    assert predictions.model_0(grown, 2)[0] == pytest.approx(
        kept / sum(2**j for t in (1, 2, 3, 4) for j in range(1, t + 1))
    )
    halves = {"slopes": [[1.0, 1.0, 3.0]], "stretch": [[0.0, 0.0, 0.0]]}  # factors 1 and 3: (1 + 9)/2 over 2^2
    assert predictions.kappa(halves) == pytest.approx(5 / 4)


def test_a_verdict_needs_the_whole_interval() -> None:
    summary = load_plugin(SOURCE / "summary.py")
    row = summary.Prediction("a sentence", "an effect", -0.1, 0.1)
    assert [row.verdict(*ends) for ends in ((-0.05, 0.05), (0.05, 0.2), (0.11, 0.2), (-0.3, -0.2))] == [
        "yes", "open", "no", "no",
    ]  # fmt: skip


def test_every_row_of_the_table_is_measured(small: tuple[Any, ...]) -> None:
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS)
    rows = load_plugin(SOURCE / "summary.py").predictions(5, config["probe.short"], config["probe.windows"][-1])
    effects = predictions.effects(small[4], (1, 2, 4, 8), 2, 1)
    assert {row.effect for row in rows} <= set(effects)
    assert all(math.isfinite(value) for value in effects.values())


def test_committed_effects_are_those_of_this_configuration_and_judged_by_student_s_interval() -> None:
    folder = plugin_folder("proofs_checks") / "training"
    record = load_plugin(folder / "_carry_over.py").RECORD
    config = load_configuration(SOURCE / "config.toml", load_plugin(SOURCE / "run.py").PARAMETERS)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
    assert plain == record["config"]
    claims = load_plugin(folder / "carry_over.py")
    for cells in record["effects"].values():
        assert len(cells) == 12
        for cell, values in cells.items():
            assert len(values) == config[f"arms.{cell.partition('.')[0]}_seeds"]
    # every trained optimizer is asked, and one outside the range is enough
    assert len(claims.rows(("bias", "trained", "", 0.5, math.inf))) == 6
    assert (
        claims.slack(("bias", "trained", "", 0.5, math.inf)) > 0 > claims.slack(("bias", "trained", "", 0.7, math.inf))
    )


def test_an_interval_across_the_end_of_the_range_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    claims = load_plugin(plugin_folder("proofs_checks") / "training" / "carry_over.py")
    values = [0.70, 0.75, 0.80]
    quantile = 0.95 / math.sqrt(2 * 0.975 * 0.025)  # of Student's t with 2 degrees of freedom, in closed form
    reach = quantile * 0.05 / math.sqrt(3)  # the values have standard deviation 0.05
    monkeypatch.setitem(claims.RECORD["effects"], "planted", {"quadratics.lstm.trained": values})
    (row,) = claims.rows(("planted", "trained", "", 0, 1))
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((0.75, 0.75 - reach, 0.75 + reach), rel=1e-12)
    assert claims.holds(("planted", "trained", "", 0.6, 0.9))
    assert not claims.holds(("planted", "trained", "", 0.9, 1.0))
    with pytest.raises(InputError, match="add meta-seeds"):
        claims.holds(("planted", "trained", "", 0.7, 0.9))


@pytest.mark.slow
@pytest.mark.timeout(7200)  # 15 to 20 minutes on a core of its own
def test_the_full_run_meets_its_predictions(tmp_path: Path) -> None:
    result = reproduce("carry_over", out=tmp_path)
    assert {c.expectation.quantity: c.measured for c in result.comparisons if c.outcome != "met"} == {}


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a minute and a half on a core of its own
def test_the_quick_run_meets_its_predictions(tmp_path: Path) -> None:
    quick = reproduce("carry_over", out=tmp_path, quick=True)
    assert {c.expectation.quantity: c.measured for c in quick.comparisons if c.outcome == "not met"} == {}
    assert sum(c.outcome == "met" for c in quick.comparisons) >= 6
