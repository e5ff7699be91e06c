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
from l2o_theory.figures.canvas import Canvas, measured, spread, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.quasi_newton import TrackedQuadratic

_beside = Path(__file__)
_moving, _rules, _tuning, _joined, _lbfgs, _table = (
    load_plugin(_beside.with_name(f"{name}.py"))
    for name in ("moving_bowl", "elementwise", "tuning", "joined", "lbfgs", "bowl_table")
)
Array = NDArray[np.float64]
METHODS = ("Momentum", "RMSprop", "Adam", "Yogi")
TUNED_EARLIER = ("Momentum", "RMSprop", "Adam")
_BLOCK = 100  # steps averaged into one point of a curve


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Tune and run every method, draw bowl_table, learning_curves and hessian_error."""
    curves, values, errors = {}, {}, {}
    stages = [*METHODS, "L-BFGS", "LODO", "small bowls", "wall time"]
    for place, name in enumerate(stages, start=1):
        if name in METHODS:
            values[name] = pieces.get(
                "tuned", {**_parameters(config, "tuning"), "method": name}, lambda m=name: _tune(config, m)
            )
            curves[name] = _curve(config, pieces, name, values[name])
            if name in TUNED_EARLIER:
                again = _table.earlier(name)
                values[again] = list(config[f"earlier.{name.lower()}"])
                curves[again] = _curve(config, pieces, name, values[again])
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
    rows = _table.rows(config, TrackedQuadratic(_eigenvalues(config)), curves, values, times)
    files = (*_table.draw(config, out, rows), *_curves(config, out, curves), *_errors(config, out, errors))
    return Measurements(_numbers(config, rows, curves, values, errors), files)


def _curve(config: Configuration, pieces: Pieces, method: str, values: list[float]) -> Array:
    found = pieces.get(
        "followed",
        {**_parameters(config), "method": method, "values": values},
        lambda: {"curve": _followed(config, _rule(method, np.array(values)[None]))},
    )
    return np.array(found["curve"])


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


def _curves(config: Configuration, out: Path, curves: dict[str, Array]) -> tuple[Path, ...]:
    task = TrackedQuadratic(_eigenvalues(config))
    caption = [
        "Mean loss over a tenth of the past, median and range of the runs; the same tasks and moves for all methods.",
        "L-BFGS evaluates twice per step; its loss before the step is shown. How the others were tuned: see the table.",
    ]
    levels = {
        "Newton bound": task.lower_bound(),
        "perfectly learned G": task.learned_loss(config["lodo.triple"][2]),
        "best Momentum": task.best_heavy_ball()[2],
        "best constant SGD": task.best_sgd()[1],
    }
    key = "Dashed: theory. Solid, dotted: measured."
    with Canvas(1, 1, height=3.4, seed=config["seed"], caption=caption, key=key) as canvas:
        axes = canvas.axes[0, 0]
        for name, curve in curves.items():
            x = (np.arange(curve.shape[1]) + 1) * _BLOCK * (2 if name == "L-BFGS" else 1)
            smooth, method = np.apply_along_axis(_smoothed, 1, curve), _table.method(name)
            if method == name:
                spread(axes, x, smooth, name, label=_table.label(name))
            else:
                measured(axes, x, np.median(smooth, axis=0), method, label=_table.label(name), linestyle=":")
        end = max(curve.shape[1] for curve in curves.values()) * _BLOCK
        for label, level in levels.items():
            theory(axes, [_BLOCK, end], [level, level])
            side = "top" if label == "Newton bound" else "center" if level > 10 else "bottom"
            axes.annotate(label, (end, float(level)), xytext=(3, 0), textcoords="offset points", fontsize=6.5, va=side)
        axes.set(xscale="log", xlabel="evaluations", ylabel="loss", ylim=(6, 34), xlim=(_BLOCK, 2.4 * end))
        axes.legend(ncols=3, loc="upper right")
        columns: dict[str, list[Any]] = {"method": [], "run": [], "evaluations": [], "loss": []}
        for name, curve in curves.items():
            for index, row in enumerate(curve):
                columns["method"] += [_table.label(name)] * len(row)
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
    values: dict[str, list[float]],
    errors: dict[Any, Any],
) -> dict[str, float]:
    task = TrackedQuadratic(_eigenvalues(config))
    numbers = {f"bowl.{row['name']}.loss": row["loss"] for row in rows if row["kind"] == "measured"}
    numbers |= {f"bowl.{row['name']}.spread": row["spread"] for row in rows if row["kind"] == "measured"}
    numbers["bowl.bound"] = float(task.lower_bound())
    numbers["bowl.least_over_bound"] = min(r["loss"] for r in rows if r["kind"] == "measured") / numbers["bowl.bound"]
    for name in ("Momentum", _table.earlier("Momentum")):
        exact = float(task.heavy_ball_loss(*values[name]))
        numbers[f"bowl.{name}.over_formula"] = numbers[f"bowl.{name}.loss"] / exact
    at_30000 = curves["LODO"][:, 27_000 // _BLOCK : 30_000 // _BLOCK]
    numbers["bowl.LODO.loss_at_30000"] = float(at_30000.mean()) if at_30000.shape[1] == 3_000 // _BLOCK else np.nan
    numbers["bowl.LODO.first_100"] = float(curves["LODO"][:, 0].mean())
    numbers["bowl.LODO.hessian_error"] = float(np.mean(errors["LODO"][-1][1]))
    for beta in config["small.betas"]:
        tail = [value for _, values in errors[beta][-10:] for value in values]
        numbers[f"small.beta_{beta:g}.hessian_error"] = float(np.mean(tail))
    return numbers
