"""Table of the bowl: every method, best first, with its settings by name and what a step of it costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas
from l2o_theory.figures.configuration import Configuration
from l2o_theory.quasi_newton import TrackedQuadratic

_rules = load_plugin(Path(__file__).with_name("elementwise.py"))
Array = NDArray[np.float64]
_EARLIER = "_earlier"


def earlier(name: str) -> str:
    """The name under which that method at the settings of an earlier tuning is reported."""
    return name + _EARLIER


def method(name: str) -> str:
    """The method of such a name, or of one without."""
    return name.removesuffix(_EARLIER)


def label(name: str) -> str:
    """What readers see."""
    if method(name) != name:
        return f"{method(name)}, tuned in an earlier run"
    if name in _rules.RULES:
        return f"{name}, tuned here"
    return "LODO, published settings" if name == "LODO" else name


def rows(
    config: Configuration,
    task: TrackedQuadratic,
    curves: Mapping[str, Array],
    values: Mapping[str, list[float]],
    times: Mapping[str, float],
) -> list[dict[str, Any]]:
    """The table, best first. Kind "exact": the stationary loss by formula; "measured": over the last tenth of a curve.

    Args:
        config: of the experiment.
        task: the bowl, for the exact rows.
        curves: losses of shape (runs, blocks) by name.
        values: hyper-parameters of the elementwise rules among them.
        times: microseconds per step by method.
    """
    rate, mu, best_ball = task.best_heavy_ball()
    sgd_rate, best_sgd = task.best_sgd()
    beta = config["lodo.triple"][2]
    exact = [
        ("Newton bound: no causal method is better", task.lower_bound(), "G = 1/H, beta 0"),
        ("LODO with a perfectly learned G", task.learned_loss(beta), f"G = (1 + beta)/H, beta {beta:g}"),
        ("Momentum, best by formula", best_ball, _named(("rate", "mu"), (rate, mu))),
        ("SGD, best constant rate by formula", best_sgd, _named(("rate",), (sgd_rate,))),
    ]
    found: list[dict[str, Any]] = [
        {"method": what, "kind": "exact", "loss": float(loss), "spread": 0.0, "settings": constants}
        | {"microseconds": np.nan, "name": ""}
        for what, loss, constants in exact
    ]
    settings = {
        "LODO": _named(("alpha0", "meta rate", "beta"), config["lodo.triple"]),
        "L-BFGS": _named(("eta0", "tau"), (config["lbfgs.eta0"], config["lbfgs.tau"])),
        **{name: _named(_rules.SETTINGS[method(name)], chosen) for name, chosen in values.items()},
    }
    for name, curve in curves.items():
        final = curve[:, -max(1, curve.shape[1] // 10) :].mean(axis=1)
        found.append(
            {"method": label(name), "kind": "measured", "loss": float(final.mean()), "spread": float(final.std())}
            | {"settings": settings[name], "microseconds": times.get(method(name), np.nan), "name": name}
        )
    return sorted(found, key=lambda row: float(row["loss"]))


def draw(config: Configuration, out: Path, table: list[dict[str, Any]]) -> tuple[Path, ...]:
    """bowl_table.{pdf,png,csv}."""
    caption = [
        f"Mean loss over the last tenth of {config['bowl.steps']} evaluations, {config['bowl.runs']} runs, ± standard "
        f"deviation. n = {config['bowl.dimension']}, eigenvalues 0.001 to 1, sigma = 1.",
        f"Tuned here: the best end of {config['tuning.draws']} runs of the published protocol, of which a single one "
        "may stop at no momentum (Adam: a loss of 18 or more).",
        "Tuned in an earlier run: where one run of the protocol ended in another program. Momentum is the hardest to "
        "tune by it: see its best.",
        f"L-BFGS: scaled by the newest pair, {config['lbfgs.steps']} steps of two evaluations, loss before the step.",
        "Last column: one step of the shipped optimizer on one run, best of five timings; it depends on the machine "
        "(Yogi: where pytorch_optimizer is installed).",
    ]
    heads = ("method", "loss", "settings", "µs/step")
    with Canvas(1, 1, height=0.2 * (len(table) + 1), seed=config["seed"], caption=caption, key="") as canvas:
        axes = canvas.axes[0, 0]
        axes.set_axis_off()
        places = (0.0, 0.375, 0.52, 0.995)
        for line, cells in enumerate([heads, *(_cells(row) for row in table)]):
            height = 1 - (line + 0.5) / (len(table) + 1)
            strong = "bold" if line == 0 or cells[0] == label("LODO") else "normal"
            for place, cell in zip(places, cells, strict=True):
                align = "right" if place > 0.9 else "left"
                look: dict[str, Any] = {"weight": strong, "fontsize": 7.5, "transform": axes.transAxes}
                axes.text(place, height, cell, ha=align, va="center", **look)
        keys = ("method", "kind", "loss", "spread", "settings", "microseconds")
        return canvas.save(out, "bowl_table", {key: [row[key] for row in table] for key in keys})


def _named(names: tuple[str, ...], values: Any) -> str:
    return ", ".join(f"{name} {value:.7g}" for name, value in zip(names, map(_rounded, values), strict=True))


def _rounded(value: float) -> float:
    """Four digits, or two of what a decay near 1 lacks to it."""
    close = 0.99 < value < 1
    return 1 - float(f"{1 - value:.2g}") if close else float(f"{value:.4g}")


def _cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    loss = f"{row['loss']:.4f} exact" if row["kind"] == "exact" else f"{row['loss']:.2f} ± {row['spread']:.2f}"
    wall = "-" if np.isnan(row["microseconds"]) else f"{row['microseconds']:.0f}"
    return row["method"], loss, row["settings"], wall
