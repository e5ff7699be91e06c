"""The noisy quadratic bowl: one table of methods, learning curves, and the Hessian error with the level it settles at.

[paper and official code: noisy_quadratic_bowl.py]; the bounds, floors and exact rows are derived here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures.canvas import Canvas, spread, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.quasi_newton import TrackedQuadratic

_beside = Path(__file__)
_moving, _rules, _tuning, _joined, _lbfgs = (
    load_plugin(_beside.with_name(f"{name}.py")) for name in ("moving_bowl", "elementwise", "tuning", "joined", "lbfgs")
)
Array = NDArray[np.float64]
METHODS = ("Momentum", "RMSprop", "Adam", "Yogi")
_BLOCK = 100  # steps averaged into one point of a curve


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Tune and run every method, draw bowl_table, learning_curves and hessian_error."""
    curves, tuned, errors = {}, {}, {}
    stages = [*METHODS, "L-BFGS", "LODO", "small bowls", "wall time"]
    for place, name in enumerate(stages, start=1):
        if name in METHODS:
            tuned[name] = pieces.get(
                "tuned", {**_parameters(config, "tuning"), "method": name}, lambda m=name: _tune(config, m)
            )
            found = pieces.get(
                "followed",
                {**_parameters(config), "method": name, "values": tuned[name]},
                lambda m=name: {"curve": _followed(config, _rule(m, np.array(tuned[m])[None]))},
            )
            curves[name] = np.array(found["curve"])
        elif name == "L-BFGS":
            found = pieces.get("lbfgs", _parameters(config, "lbfgs"), lambda: {"curve": _lbfgs_curve(config)})
            curves[name] = np.array(found["curve"])
        elif name == "LODO":
            found = pieces.get("lodo", _parameters(config, "lodo"), lambda: _lodo(config))
            curves[name], errors[name] = np.array(found["curve"]), found["errors"]
        elif name == "small bowls":
            for beta in config["small.betas"]:
                setting = {**_parameters(config, "small"), "beta": beta}
                errors[beta] = pieces.get("small", setting, lambda b=beta: _small(config, b))["errors"]
        else:
            times = pieces.get(
                "times", {"steps": config["bowl.timed_steps"], "n": config["bowl.dimension"]}, lambda: _times(config)
            )
        progress("noisy quadratic bowl", place, len(stages))
    rows = _rows(config, curves, tuned, times)
    files = (*_table(config, out, rows), *_curves(config, out, curves), *_errors(config, out, errors))
    return Measurements(_numbers(config, rows, curves, tuned, errors), files)


def _parameters(config: Configuration, *sections: str) -> dict[str, Any]:
    chosen = {name: config[name] for name in config if name == "seed" or name.split(".")[0] in ("bowl", *sections)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in chosen.items()}


def _eigenvalues(config: Configuration) -> Array:
    values: Array = _moving.eigenvalues(config["bowl.dimension"])
    return values


def _rule(name: str, candidates: Array) -> Callable[[Array], Array]:
    rule: Callable[..., Callable[[Array], Array]] = _rules.RULES[name][0]
    return rule(*(candidates[:, [k]] for k in range(candidates.shape[1])))


def _tune(config: Configuration, name: str) -> list[float]:
    """The best end of several runs of the published protocol, on tasks of their own."""
    _, start, decays = _rules.RULES[name]
    schedule = list(zip(config["tuning.sd"], config["tuning.steps"], strict=True))

    def score(candidates: Array, steps: int, generation: int) -> Array:
        bowls = _moving.Bowls(len(candidates), _eigenvalues(config), 1_000_000 * (config["seed"] + 1) + generation)
        losses: Array = _moving.last_tenth(bowls.follow(steps, _rule(name, candidates)))
        return losses

    seeds = ([config["seed"], METHODS.index(name), 7 + draw] for draw in range(config["tuning.draws"]))
    ends = [_tuning.tune(start, decays, schedule, score, np.random.default_rng(seed)) for seed in seeds]
    losses = score(np.array(ends), schedule[-1][1], len(schedule))
    best: list[float] = ends[int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))]
    return best


def _followed(config: Configuration, step: Callable[[Array], Array]) -> list[list[float]]:
    """Block means of the losses of every run on the common tasks and moves."""
    bowls = _moving.Bowls(config["bowl.runs"], _eigenvalues(config), config["seed"])
    return _blocks(bowls.follow(config["bowl.steps"], step))


def _blocks(losses: Array) -> list[list[float]]:
    runs, steps = losses.shape
    return np.asarray(losses[:, : steps // _BLOCK * _BLOCK].reshape(runs, -1, _BLOCK).mean(axis=2)).tolist()


def _lbfgs_curve(config: Configuration) -> list[list[float]]:
    bowls = _moving.Bowls(config["bowl.runs"], _eigenvalues(config), config["seed"])
    step = _lbfgs.lbfgs(bowls.hessians, config["lbfgs.eta0"], config["lbfgs.tau"])
    return _blocks(bowls.follow(config["lbfgs.steps"], step))


def _lodo(config: Configuration) -> dict[str, Any]:
    bowls = _moving.Bowls(config["bowl.runs"], _eigenvalues(config), config["seed"])
    alpha0, meta_lr, beta = config["lodo.triple"]
    learners = _joined.Learners(bowls.shape, config["seed"], alpha0=alpha0, meta_lr=meta_lr, beta=beta)
    errors: list[tuple[int, list[float]]] = [(0, learners.hessian_errors(bowls.hessians).tolist())]
    watch = _joined.watcher(learners, bowls.hessians, config["lodo.watch"], errors)
    return {"curve": _blocks(bowls.follow(config["bowl.steps"], learners, watch)), "errors": errors}


def _small(config: Configuration, beta: float) -> dict[str, Any]:
    """LODO with meta-SGD on bowls small and round enough to be learned within the steps."""
    spectrum = np.array(config["small.eigenvalues"])
    bowls = _moving.Bowls(config["bowl.runs"], spectrum, config["seed"])
    options = {"alpha0": config["small.alpha0"], "depth": config["small.depth"], "block_size": 2, "beta": beta}
    learners = _joined.Learners(
        bowls.shape, config["seed"], meta_lr=config["small.meta_lr"], meta_optimizer="sgd", **options
    )
    errors: list[tuple[int, list[float]]] = [(0, learners.hessian_errors(bowls.hessians).tolist())]
    watch = _joined.watcher(learners, bowls.hessians, max(1, config["small.steps"] // 50), errors)
    bowls.follow(config["small.steps"], learners, watch)
    return {"errors": errors}


def _times(config: Configuration) -> dict[str, float]:
    """Microseconds per step of one run, shipped optimizers, gradient not counted: the best of five timings."""
    import torch

    from l2o_theory.optimizers.lodo import LODO
    from l2o_theory.optimizers.lodo.baselines import baseline

    n, steps = config["bowl.dimension"], config["bowl.timed_steps"]
    found = {}
    made: dict[str, Callable[[list[Any]], Any]] = {
        "Momentum": lambda p: baseline("Momentum", p, lr=0.1),
        "RMSprop": lambda p: baseline("RMSprop", p, lr=1e-3),
        "Adam": lambda p: baseline("Adam", p, lr=1e-3),
        "Yogi": lambda p: baseline("Yogi", p, lr=1e-3),
        "L-BFGS": lambda p: baseline("L-BFGS", p),
        "LODO": lambda p: LODO(p, generator=torch.Generator().manual_seed(0)),
    }
    for name, make in made.items():
        x = torch.nn.Parameter(torch.ones(n, dtype=torch.float64))
        try:
            optimizer = make([x])
        except InputError:  # Yogi needs an optional package; the table shows a dash
            continue

        def closure(x: Any = x) -> Any:
            x.grad = x.detach().clone()
            return x.detach() @ x.grad / 2

        timings = []
        for _ in range(5):
            begun = time.perf_counter()
            for _ in range(steps):
                optimizer.step(closure)
            timings.append((time.perf_counter() - begun) / steps * 1e6)
        found[name] = min(timings)
    return found


def _final(curve: Array) -> Array:
    """Mean over the last tenth of the steps, per run."""
    return np.asarray(curve[:, -max(1, curve.shape[1] // 10) :].mean(axis=1))


def _rows(
    config: Configuration, curves: dict[str, Array], tuned: dict[str, list[float]], times: dict[str, float]
) -> list[dict[str, Any]]:
    """The table, best first; `predicted` where the stationary loss is known exactly."""
    task = TrackedQuadratic(_eigenvalues(config))
    r, mu, best_ball = task.best_heavy_ball()
    rate, best_sgd = task.best_sgd()
    beta = config["lodo.triple"][2]
    exact = [
        ("Newton bound (no causal method is better)", float(task.lower_bound()), "G = 1/H, beta = 0"),
        ("perfect LODO at its beta", float(task.learned_loss(beta)), f"G = (1+beta)/H, beta = {beta:g}"),
        ("best heavy ball", best_ball, f"rate {r:.4f}, mu {mu:.4f}"),
        ("best constant-rate SGD", best_sgd, f"rate {rate:.4f}"),
    ]
    rows: list[dict[str, Any]] = [
        {"method": name, "loss": loss, "spread": 0.0, "kind": "exact", "settings": settings, "microseconds": np.nan}
        for name, loss, settings in exact
    ]
    for name, curve in curves.items():
        final = _final(curve)
        if name == "LODO":
            settings = "published: " + ", ".join(f"{value:g}" for value in config["lodo.triple"])
        elif name == "L-BFGS":
            settings = f"matched pair, {config['lbfgs.eta0']:g}, {config['lbfgs.tau']:g}"
        else:
            settings = "tuned: " + ", ".join(f"{value:.4g}" for value in tuned[name])
        rows.append(
            {"method": name, "loss": float(final.mean()), "spread": float(final.std()), "kind": "measured"}
            | {"settings": settings, "microseconds": times.get(name, np.nan)}
        )
    return sorted(rows, key=lambda row: float(row["loss"]))


def _table(config: Configuration, out: Path, rows: list[dict[str, Any]]) -> tuple[Path, ...]:
    caption = [
        f"Mean loss over the last tenth of {config['bowl.steps']} evaluations "
        f"(L-BFGS: {config['lbfgs.steps']} steps of two, loss before the step);",
        f"{config['bowl.runs']} runs, ± standard deviation. n = {config['bowl.dimension']}, eigenvalues 0.001 to 1, "
        "sigma = 1. Last column: one step of the shipped optimizer,",
        "one run, best of five timings; it depends on the machine (Yogi: where pytorch_optimizer is installed).",
        f"Tuned: the best end of {config['tuning.draws']} runs of the published protocol, of which a single one may "
        "stop at no momentum (Adam: a loss of 18 or more).",
        "Momentum is the hardest to tune by it; the best heavy ball is what is possible.",
    ]
    heads = ("method", "loss", "settings", "µs/step")
    with Canvas(1, 1, height=0.22 * (len(rows) + 1), seed=config["seed"], caption=caption) as canvas:
        axes = canvas.axes[0, 0]
        axes.set_axis_off()
        places = (0.0, 0.43, 0.58, 0.99)
        for line, cells in enumerate([heads, *(_cells(row) for row in rows)]):
            height = 1 - (line + 0.5) / (len(rows) + 1)
            strong = "bold" if line == 0 or cells[0] == "LODO" else "normal"
            for place, cell in zip(places, cells, strict=True):
                align = "right" if place > 0.9 else "left"
                axes.text(place, height, cell, ha=align, va="center", weight=strong, transform=axes.transAxes)
        table = {
            key: [row[key] for row in rows] for key in ("method", "kind", "loss", "spread", "settings", "microseconds")
        }
        return canvas.save(out, "bowl_table", table)


def _cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
    loss = f"{row['loss']:.4f} exact" if row["kind"] == "exact" else f"{row['loss']:.2f} ± {row['spread']:.2f}"
    wall = "-" if np.isnan(row["microseconds"]) else f"{row['microseconds']:.0f}"
    return row["method"], loss, row["settings"], wall


def _curves(config: Configuration, out: Path, curves: dict[str, Array]) -> tuple[Path, ...]:
    task = TrackedQuadratic(_eigenvalues(config))
    caption = [
        "Mean loss over a tenth of the past, median and range of the runs; the same tasks and moves for all methods.",
        "L-BFGS evaluates twice per step; its loss before the step is shown.",
    ]
    levels = {
        "Newton bound": task.lower_bound(),
        "perfect LODO at its beta": task.learned_loss(config["lodo.triple"][2]),
        "best heavy ball": task.best_heavy_ball()[2],
        "best SGD": task.best_sgd()[1],
    }
    with Canvas(1, 1, height=3.2, seed=config["seed"], caption=caption) as canvas:
        axes = canvas.axes[0, 0]
        for name, curve in curves.items():
            x = (np.arange(curve.shape[1]) + 1) * _BLOCK * (2 if name == "L-BFGS" else 1)
            spread(axes, x, np.apply_along_axis(_smoothed, 1, curve), name, label=name)
        end = max(curve.shape[1] for curve in curves.values()) * _BLOCK
        for label, level in levels.items():
            theory(axes, [_BLOCK, end], [level, level])
            side = "top" if label == "Newton bound" else "center" if level > 10 else "bottom"
            axes.annotate(label, (end, float(level)), xytext=(3, 0), textcoords="offset points", fontsize=6.5, va=side)
        axes.set(xscale="log", xlabel="evaluations", ylabel="loss", ylim=(6, 32), xlim=(_BLOCK, 2.4 * end))
        axes.legend(ncols=3, loc="upper right")
        columns: dict[str, list[Any]] = {"method": [], "run": [], "evaluations": [], "loss": []}
        for name, curve in curves.items():
            for index, row in enumerate(curve):
                columns["method"] += [name] * len(row)
                columns["run"] += [index] * len(row)
                columns["evaluations"] += [(k + 1) * _BLOCK * (2 if name == "L-BFGS" else 1) for k in range(len(row))]
                columns["loss"] += row.tolist()
        return canvas.save(out, "learning_curves", columns)


def _smoothed(values: Array) -> Array:
    """Mean over a window that grows with time, a tenth of the past: for the eye only, the table keeps the blocks."""
    ends = np.arange(1, len(values) + 1)
    starts = ends - np.maximum(1, ends // 10)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def _errors(config: Configuration, out: Path, errors: dict[Any, Any]) -> tuple[Path, ...]:
    """Hessian error of the bowl and of small bowls, with the level that a perfect learner settles at: beta, not 0."""
    caption = [
        "Published metric |I - G H|/sqrt(n), median and range of the runs. Dashed: beta, where a perfect learner "
        "settles (G = (1+beta)/H), not 0.",
        f"(a) the bowl. (b) eigenvalues {', '.join(f'{v:g}' for v in config['small.eigenvalues'])}, meta-SGD: "
        "small enough to be learned; what keeps it off the level is the floor and the bias of the meta rate.",
    ]
    columns: dict[str, list[Any]] = {"bowl": [], "beta": [], "evaluations": [], "run": [], "error": []}
    with Canvas(1, 2, height=2.5, seed=config["seed"], caption=caption) as canvas:
        large, small = canvas.axes[0]
        shades = ("meta-descent, near start", "meta-descent", "meta-descent, far start")
        for place, (name, rows) in enumerate(errors.items()):
            beta = config["lodo.triple"][2] if name == "LODO" else name
            axes = large if name == "LODO" else small
            shade = "LODO" if name == "LODO" else shades[(place - 1) % 3]
            x, values = np.array([row[0] for row in rows]), np.array([row[1] for row in rows]).T
            spread(axes, x, values, shade, label=f"beta = {beta:g}")
            theory(axes, x[[0, -1]], [beta, beta], shade)
            for index, run_values in enumerate(values):
                columns["bowl"] += ["paper" if name == "LODO" else "small"] * len(x)
                columns["beta"] += [beta] * len(x)
                columns["evaluations"] += x.tolist()
                columns["run"] += [index] * len(x)
                columns["error"] += run_values.tolist()
        large.set(title="(a) the bowl, n = " + str(config["bowl.dimension"]), ylim=(0, 1.05), xlabel="evaluations")
        large.set_ylabel(r"$|I-GH|_F/\sqrt{n}$")
        small.set(title="(b) small bowls", ylim=(0, 1.05), xlabel="evaluations")
        large.legend()
        small.legend()
        return canvas.save(out, "hessian_error", columns)


def _numbers(
    config: Configuration,
    rows: list[dict[str, Any]],
    curves: dict[str, Array],
    tuned: dict[str, list[float]],
    errors: dict[Any, Any],
) -> dict[str, float]:
    task = TrackedQuadratic(_eigenvalues(config))
    numbers = {f"bowl.{row['method']}.loss": row["loss"] for row in rows if row["kind"] == "measured"}
    numbers |= {f"bowl.{row['method']}.spread": row["spread"] for row in rows if row["kind"] == "measured"}
    numbers["bowl.bound"] = float(task.lower_bound())
    numbers["bowl.least_over_bound"] = min(r["loss"] for r in rows if r["kind"] == "measured") / numbers["bowl.bound"]
    rate, mu = tuned["Momentum"]
    numbers["bowl.Momentum.over_formula"] = numbers["bowl.Momentum.loss"] / float(task.heavy_ball_loss(rate, mu))
    at_30000 = curves["LODO"][:, 27_000 // _BLOCK : 30_000 // _BLOCK]
    numbers["bowl.LODO.loss_at_30000"] = float(at_30000.mean()) if at_30000.shape[1] == 3_000 // _BLOCK else np.nan
    numbers["bowl.LODO.first_100"] = float(curves["LODO"][:, 0].mean())
    numbers["bowl.LODO.hessian_error"] = float(np.mean(errors["LODO"][-1][1]))
    for beta in config["small.betas"]:
        tail = [value for _, values in errors[beta][-10:] for value in values]
        numbers[f"small.beta_{beta:g}.hessian_error"] = float(np.mean(tail))
    return numbers
