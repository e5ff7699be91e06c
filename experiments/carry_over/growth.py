"""How meta-gradients grow with the horizon and with the window, and whether the stretch of the state tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas, spread, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements
from l2o_theory.metatraining import student_interval

_predictions = load_plugin(Path(__file__).with_name("predictions.py"))
_windows = load_plugin(Path(__file__).with_name("windows.py"))
_MARKERS = {"quadratics": "o", "digits": "^"}


def draw(config: Configuration, out: Path, probes: dict[Any, Any], effects: dict[Any, Any]) -> Measurements:
    """Draw growth.{pdf,png,csv}; on the first optimizee, how well exponents are told."""
    optimizee, optimizers = config["arms.optimizees"][0], config["arms.optimizers"]
    ends = f"n = {config['probe.short']} to {config['probe.windows'][-1]}"
    caption = [
        f"Above: norm of the meta-gradients of f(x_n) and ln f(x_n), trained optimizers on {optimizee}; medians over "
        "tasks; bands: meta-seeds.",
        f"Dashed: Model 0 along the run, scaled where it starts. Below: exponents per step, {ends}; one mark per "
        f"meta-seed ({_windows.seeds(config)}),",
        "optimizer, optimizee (o quadratics, ^ digits) and status (dark: trained). (a) measured against Model 0 along "
        "the run. (b) growth with the",
        "window at fixed horizon against growth with the horizon at fixed window: exploding quadratics lie far below, "
        "chaos above the diagonal.",
        "(c) of ln f against f; dashed: linear growth in n.",
    ]
    with Canvas(2, 3, height=4.6, seed=config["seed"], caption=caption) as canvas:
        for axes, optimizer in zip(canvas.axes[0], optimizers, strict=False):
            _norms(axes, config, probes[optimizee, optimizer, "trained"])
            axes.set_title(f"{_windows.NAMES[optimizer]} on {optimizee}")
        for axes in canvas.axes[0][len(optimizers) :]:
            axes.set_axis_off()
        canvas.axes[0, 0].set_ylabel("norm")
        canvas.axes[0, 0].legend(loc="upper left")
        told = _scatter(canvas.axes[1], effects, config)
        columns = _columns(effects)
        return Measurements(told, canvas.save(out, "growth", columns))


def _norms(axes: Axes, config: Configuration, found: list[Any]) -> None:
    horizons = np.array(config["probe.windows"])
    plain, log, model = [], [], []
    for probe in found:
        norms = _predictions.final_norms(probe)
        plain.append(np.median(norms, 1))
        log.append(np.median(norms / np.array(probe["losses"])[:, horizons].T, 1))
        own = _predictions.stretched(probe).sum(2)[:, horizons - 1].T
        start = config["probe.windows"].index(config["probe.short"])
        model.append(np.median(own / own[start], 1) * plain[-1][start])
    spread(axes, horizons, plain, "final loss", label="of $f(x_n)$")
    spread(axes, horizons, log, "renormalised float64", label=r"of $\ln f(x_n)$")
    theory(axes, horizons[start:], np.median(model, 0)[start:], "final loss")
    axes.set(xscale="log", yscale="log", xlabel="horizon $n$", xticks=horizons, xticklabels=horizons)
    axes.tick_params(axis="x", which="minor", bottom=False)
    axes.tick_params(axis="y", which="minor", labelleft=False)


def _scatter(row: Any, effects: dict[Any, Any], config: Configuration) -> dict[str, float]:
    pairs: dict[int, list[tuple[float, float]]] = {}
    for (optimizee, _, status), found in effects.items():
        style = {
            "color": COLOURS[_windows.METHODS[status]],
            "marker": _MARKERS[optimizee],
            "linestyle": "",
            "markersize": 4,
        }
        for seed, one in enumerate(found):
            predicted = one["final_exponent"] - one["final_minus_model_0"]
            if optimizee == config["arms.optimizees"][0]:
                pairs.setdefault(seed, []).append((predicted, one["final_exponent"]))
            row[0].plot([predicted], [one["final_exponent"]], **style)
            row[1].plot([one["in_horizon"]], [one["in_window"]], **style)
            row[2].plot([one["final_exponent"]], [one["log_exponent"]], **style)
    for axes in row[:2]:
        low, high = min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])
        theory(axes, [low, high], [low, high])
    span = config["probe.windows"][-1] - config["probe.short"]
    linear = np.log(config["probe.windows"][-1] / config["probe.short"]) / span
    theory(row[2], row[2].get_xlim(), [linear, linear])
    row[0].set(title="(a) final loss", xlabel="Model 0, own run", ylabel="measured")
    row[1].set(title="(b) window against horizon", xlabel="with $N$ at fixed $K$", ylabel="with $K$ at fixed $N$")
    row[2].set(title="(c) logarithm of the loss", xlabel="of $f(x_n)$", ylabel=r"of $\ln f(x_n)$")
    correlations = [float(np.corrcoef(np.array(rows).T)[0, 1]) for rows in pairs.values()]
    between = student_interval(correlations)
    return {
        "growth.correlation": between.value,
        "growth.correlation.low": between.low,
        "growth.correlation.high": between.high,
    }


def _columns(effects: dict[Any, Any]) -> dict[str, list[Any]]:
    names = (
        "in_window", "in_horizon", "final_exponent", "final_minus_model_0", "stretch_exponent", "log_exponent"
    )  # fmt: skip
    columns: dict[str, list[Any]] = {name: [] for name in ("optimizee", "optimizer", "status", "meta_seed", *names)}
    for cell, found in effects.items():
        for seed, one in enumerate(found):
            for column, entry in zip(columns.values(), (*cell, seed, *(one[name] for name in names)), strict=True):
                column.append(entry)
    return columns
