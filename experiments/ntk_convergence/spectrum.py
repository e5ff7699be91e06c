"""The tangent kernel, the features, the factors and the first-order prediction, at the start and on the way."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from matplotlib.ticker import MaxNLocator

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, measured, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metatraining.factor_statistics import factor_statistics
from l2o_theory.metatraining.step_size_training import TrainingPlan, train_step_size_network
from l2o_theory.metatraining.unrolled_loss import trajectory
from l2o_theory.ntk import ntk_spectrum, residual_ntk

lines = load_plugin(Path(__file__).with_name("lines.py"))
_EXPANSION = 50.0
_CUT = 1e-10  # of the features' singular values
_RATES = (1e-7, 1e-3)
_KERNEL_ITERATIONS = 400
_CLOSE = 60  # iterations whose loss ratio is set beside its first-order prediction


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Draw spectrum, factors and drift, each as pdf, png and csv."""
    own = {"k": _iterations(config), "every": config["training.kernel_every"]}
    found = {}
    for place, rate in enumerate(_RATES, start=1):
        parameters = {**lines.identity(config, "program"), **own, "rate": rate}
        found[rate] = pieces.get("kernel", parameters, lambda rate=rate: _compute(config, rate))
        progress("kernel and features", place, len(_RATES))
    start, end = found[_RATES[0]]["start"], found[_RATES[0]]["end"]
    numbers = {
        "spectrum.kernel_rank": float(start["kernel_rank"]),
        "spectrum.lambda_max": start["eigenvalues"][0],
        "spectrum.feature_rank": float(start["feature_rank"]),
        "spectrum.feature_rank_at_first_step": float(start["feature_rank_at_first_step"]),
        "spectrum.zero_columns": float(start["zero_columns"]),
        "spectrum.kernel_rank_after_training": float(end["kernel_rank"]),
        "spectrum.kernel_drift": found[_RATES[0]]["records"][-1]["ntk_drift"],
        "factors.exactly_one_after_training": end["exactly_one"],
        "factors.saturated_after_one_step": found[_RATES[1]]["saturated_after_one_step"],
    }
    mild = found[_RATES[0]]
    errors = [abs(p - r) for p, r in zip(mild["predicted"], mild["ratios"], strict=True)]
    numbers["drift.largest_error_of_the_prediction"] = max(errors)
    files = _draw_spectrum(config, out, found) + _draw_factors(config, out, found)
    return Measurements(numbers, files + _draw_drift(config, out, mild))


def _iterations(config: Configuration) -> int:
    return min(_KERNEL_ITERATIONS, int(config["training.iterations"]))


def _compute(config: Configuration, rate: float) -> dict[str, Any]:
    programs = lines.programs_of(config, "program", dtype="float64")
    network = lines.network_of(config, "program", programs, _EXPANSION)
    steps, k = config["program.steps"], _iterations(config)
    plan = TrainingPlan(steps, k, rate, record_every=config["training.kernel_every"], measure_ntk=True)
    one = train_step_size_network(network, programs, TrainingPlan(steps, 1, rate))
    run = train_step_size_network(network, programs, plan)
    close = train_step_size_network(network, programs, TrainingPlan(steps, min(_CLOSE, k), rate))
    first = one.records[1]
    return {
        "start": _state(config, programs, network),
        "one": _state(config, programs, one.network),
        "end": _state(config, programs, run.network),
        "records": [
            {"iteration": r.iteration, "ntk_drift": r.ntk_drift, "drift": r.drift, "loss": r.loss} for r in run.records
        ],
        "predicted": [record.predicted_ratio for record in close.records[:-1]],
        "ratios": [after / before for before, after in pairwise(close.losses)],
        "saturated_after_one_step": first.near_zero + first.near_two + first.exactly_one,
    }


def _state(config: Configuration, programs: Any, network: Any) -> dict[str, Any]:
    steps = config["program.steps"]
    spectrum = ntk_spectrum(residual_ntk(network, programs, steps))
    iterates, factors = trajectory(network, programs, steps)
    x = iterates[-2]
    features = network.hidden(x, programs.gradient(x)).reshape(x.numel(), -1)
    singular = torch.linalg.svdvals(features)
    first = torch.linalg.svdvals(network.hidden(iterates[0], programs.gradient(iterates[0])).reshape(x.numel(), -1))
    statistics = factor_statistics(factors)
    return {
        "eigenvalues": list(spectrum.eigenvalues or ()),
        "kernel_rank": spectrum.rank,
        "singular_values": singular.tolist(),
        "feature_rank": int((singular > _CUT * singular[0]).sum()),
        "feature_rank_at_first_step": int((first > _CUT * first[0]).sum()),
        "zero_columns": int((~features.any(dim=1)).sum()),
        "by_step": [list(row) for row in statistics.by_step],
        "exactly_one": statistics.exactly_one,
    }


def _draw_spectrum(config: Configuration, out: Path, found: dict[float, Any]) -> tuple[Path, ...]:
    mild = found[_RATES[0]]
    k, coordinates = _iterations(config), config["program.instances"] * config["program.unknowns"]
    rows = config["program.instances"] * config["program.equations"]
    caption = [
        f"{_size(config)}, width {config['program.width']}, e = {_EXPANSION:g}, float64. Left: eigenvalues "
        "of K = J J^T",
        f"({rows} x {rows}). Right: singular values of the last hidden features ({coordinates} columns); the "
        f"displayed "
        "rate is proportional to",
        "the square of the least one. What lies below the dashed cuts cannot be told from 0 and is not drawn.",
    ]
    columns: dict[str, list[float]] = {"index": list(range(1, max(rows, coordinates) + 1))}
    states = (("start", "start"), ("end", f"after {k} steps, rate {_RATES[0]:g}"))
    with Canvas(1, 2, height=2.6, caption=caption, seed=config["seed"], key="Solid: measured.") as canvas:
        panels = (("eigenvalues", "kernel_rank", 1e-12, rows), ("singular_values", "feature_rank", _CUT, coordinates))
        for axes, (name, rank, cut, count) in zip(canvas.axes[0], panels, strict=True):
            for colour, (state, label) in zip(lines.shades(2), states, strict=True):
                values, level = mild[state][name], cut * mild[state][name][0]
                seen = [value for value in values if value > level]
                axes.plot(range(1, len(seen) + 1), seen, color=colour, label=f"{label}: {mild[state][rank]} of {count}")
                axes.plot([1, count], [level, level], color=colour, linestyle=(0, (4, 2)), linewidth=1.0)
                columns[f"{name} {state}"] = [*values, *[float("nan")] * (len(columns["index"]) - len(values))]
            axes.set_yscale("log")
            axes.set_xlabel("index")
            axes.legend(loc="upper right", title="rank")
        canvas.axes[0][0].set_ylabel("eigenvalue of the tangent kernel")
        canvas.axes[0][1].set_ylabel("singular value of the features")
        return canvas.save(out, "spectrum", columns)


def _draw_factors(config: Configuration, out: Path, found: dict[float, Any]) -> tuple[Path, ...]:
    caption = [
        f"Share of the factors P within 0.01 of 2, of 0, and exactly 1, by inner step t; {_size(config)}, e = "
        f"{_EXPANSION:g}.",
        f"Dotted: after one training step, solid: after {_iterations(config)}. Exactly 1: dead features, plain "
        "gradient descent while the first layer leaves them there.",
    ]
    columns: dict[str, list[float]] = {"step": list(range(1, config["program.steps"] + 1))}
    page = {"caption": caption, "seed": config["seed"], "key": "All measured."}
    with Canvas(1, 2, height=2.4, sharey=True, **page) as canvas:
        for axes, rate in zip(canvas.axes[0], _RATES, strict=True):
            for state, dash in (("one", ":"), ("end", "-")):
                shares = zip(*found[rate][state]["by_step"], strict=True)
                for colour, label, values in zip(
                    lines.shades(3), ("near 0", "near 2", "exactly 1"), shares, strict=True
                ):
                    named = label if state == "end" else None
                    axes.plot(columns["step"], values, color=colour, linestyle=dash, label=named)
                    columns[f"{label}, {state}, rate {rate:g}"] = list(values)
            axes.set_ylim(-0.02, 1.02)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_title(f"rate {rate:g}")
            axes.set_xlabel("inner step t")
        canvas.axes[0][0].set_ylabel("share of the factors")
        canvas.axes[0][0].legend(loc="upper right")
        return canvas.save(out, "factors", columns)


def _draw_drift(config: Configuration, out: Path, mild: dict[str, Any]) -> tuple[Path, ...]:
    caption = [
        f"Training at rate {_RATES[0]:g}, e = {_EXPANSION:g}; {_size(config)}. Left: F(W^(k+1))/F(W^k) and its "
        "prediction",
        "1 + <dF/dW, W^(k+1) - W^k>/F with the true gradient, exact to first order in the rate.",
        "Right: how far kernel and weights moved. The weights hardly move, the kernel does: no linearised training.",
    ]
    ratios, predicted, records = mild["ratios"], mild["predicted"], mild["records"]
    columns: dict[str, list[Any]] = {"iteration": [], "quantity": [], "value": []}
    with Canvas(1, 2, height=2.5, caption=caption, seed=config["seed"]) as canvas:
        left, right = canvas.axes[0]
        measured(left, range(len(ratios)), ratios, "step-size network", label="measured")
        theory(left, range(len(predicted)), predicted, label="first order")
        left.set_xlabel("training step k")
        left.set_ylabel("loss ratio of one step")
        left.legend(loc="lower right")
        for colour, name, label in zip(
            lines.shades(2), ("ntk_drift", "drift"), ("|K_k - K_0|/|K_0|", "|W^k - W^0|/|W^0|"), strict=True
        ):
            moved = [record for record in records if record["iteration"] > 0]
            right.plot([r["iteration"] for r in moved], [r[name] for r in moved], "o-", color=colour, label=label, ms=3)
            for record in records:
                _note(columns, record["iteration"], label, record[name])
        right.set_yscale("log")
        right.set_xlabel("training step k")
        right.set_ylabel("relative distance from the start")
        right.legend(loc="center right")
        for k, (seen, told) in enumerate(zip(ratios, predicted, strict=True)):
            _note(columns, k, "loss ratio", seen)
            _note(columns, k, "predicted loss ratio", told)
        return canvas.save(out, "drift", columns)


def _note(columns: dict[str, list[Any]], *row: Any) -> None:
    for column, value in zip(columns, row, strict=True):
        columns[column].append(value)


def _size(config: Configuration) -> str:
    return (
        f"{config['program.unknowns']} x {config['program.equations']}, {config['program.instances']} instances, T = "
        f"{config['program.steps']}"
    )
