"""Relative variance of the meta-gradient against the horizon on quadratics of random curvature: kappa^N, exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from l2o_theory.figures.canvas import COLOURS, Canvas, measured, theory
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.metagradients import MetaObjective, truncated
from l2o_theory.optimizers import GradientDescent
from l2o_theory.problems import Quadratic
from l2o_theory.quadratic.random_curvature import RandomCurvature

_GROUPS = 20  # of draws, for standard errors


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Sample meta-gradients at every horizon, draw variance.{pdf,png,csv}."""
    law = RandomCurvature(config["variance.curvatures"], step_size=config["variance.step_size"])
    runs = [(n, n) for n in config["variance.horizons"]]
    runs += [(n, config["variance.window"]) for n in config["variance.windowed_horizons"]]
    runs = list(dict.fromkeys(runs))  # K = N appears in both lists
    rows = []
    for done, (horizon, window) in enumerate(runs, start=1):
        rows.append(_row(config, pieces, law, horizon, window))
        progress("variance against the horizon", done, len(runs))
    return Measurements(_numbers(law, rows), _draw(config, out, law, rows))


def sampled(config: Configuration, horizon: int, window: int) -> Tensor:
    """One meta-gradient of the final loss per draw of N curvatures, through the last K steps; K divides N."""
    values = torch.tensor([float(v) for v in config["variance.curvatures"]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1000 * config["seed"] + horizon)
    places = torch.randint(len(values), (config["variance.draws"], horizon), generator=generator)
    # the last entry is the curvature of the final loss, 1 as in the model
    curvatures = torch.cat([values[places], torch.ones(len(places), 1, dtype=torch.float64)], 1).unsqueeze(2)
    problem = Quadratic([1.0], start=[1.0])
    meta = torch.tensor(float(config["variance.step_size"]), dtype=torch.float64)

    def one(task: Tensor) -> Tensor:
        found = truncated(
            GradientDescent(), problem, meta, horizon, window=window, start=problem.init(),
            objective=MetaObjective("final"), batches=lambda step: task[step],
        )  # fmt: skip
        gradient: Tensor = found.gradient  # type: ignore[assignment]
        return gradient

    return torch.func.vmap(one)(curvatures)


def _row(config: Configuration, pieces: Pieces, law: RandomCurvature, horizon: int, window: int) -> Any:
    def compute() -> dict[str, Any]:
        groups = sampled(config, horizon, window).reshape(_GROUPS, -1)
        second, mean = (groups**2).mean(1), groups.mean(1)
        ratio = float(second.mean() / mean.mean() ** 2 - 1)
        # both averages have errors: delete one group at a time
        totals = second.sum() - second, mean.sum() - mean
        jackknife = (totals[0] / (_GROUPS - 1)) / (totals[1] / (_GROUPS - 1)) ** 2 - 1
        error = float((((jackknife - jackknife.mean()) ** 2).sum() * (_GROUPS - 1) / _GROUPS).sqrt())
        return {"measured": ratio, "error": error}

    parts = ("seed", "variance.draws")
    key = {
        **{part: config[part] for part in parts}, "curvatures": [str(v) for v in config["variance.curvatures"]],
        "step_size": str(config["variance.step_size"]), "horizon": horizon, "window": window,
    }  # fmt: skip
    exact = float(law.relative_variance(horizon, window))
    return {"horizon": horizon, "window": window, "exact": exact, **pieces.get("variance", key, compute)}


def _numbers(law: RandomCurvature, rows: list[Any]) -> dict[str, float]:
    away = [abs(row["measured"] - row["exact"]) / row["error"] for row in rows]
    numbers = {
        "variance.standard_errors_away": max(away),
        "variance.kappa": float(law.growth),
        "variance.growth_per_step_at_40": float(law.relative_variance(40) / law.relative_variance(39)),
    }
    for row in rows:
        numbers[f"variance.N={row['horizon']}.K={row['window']}"] = row["measured"]
    return numbers


def _draw(config: Configuration, out: Path, law: RandomCurvature, rows: list[Any]) -> tuple[Path, ...]:
    window = config["variance.window"]
    caption = [
        "Variance over squared mean of the meta-gradient of the final loss: tasks per meta-batch for a signal-to-"
        "noise ratio of 1.",
        f"Curvature one of {_listed(config)} at each step, with equal probability; step size "
        f"{config['variance.step_size']}. Solid, with one standard error: {config['variance.draws']}",
        f"draws by automatic differentiation. It grows like kappa^N, kappa = {float(law.growth):.4f}, window or not.",
    ]
    with Canvas(1, 1, height=2.9, seed=config["seed"], caption=caption) as canvas:
        axes = canvas.axes[0, 0]
        horizons = np.arange(1, config["variance.longest"] + 1)
        theory(axes, horizons, law.relative_variance(horizons), label="exact, full and window", zorder=5)
        multiples = horizons[horizons % window == 0]
        theory(axes, multiples, law.relative_variance(multiples, window), zorder=5)
        end = float(law.relative_variance(int(horizons[-1])))
        axes.plot(
            horizons, end * float(law.growth) ** (horizons - horizons[-1]), color=COLOURS["bracket"], linestyle=":",
            label=r"$\kappa^N$",
        )  # fmt: skip
        full = [row for row in rows if row["window"] == row["horizon"]]
        cut = [row for row in rows if row["window"] == window]
        for chosen, method, label in ((full, "full gradient", "full"), (cut, "truncated", f"last {window} steps")):
            x, y, error = (np.array([row[name] for row in chosen]) for name in ("horizon", "measured", "error"))
            measured(axes, x, y, method, label=label, marker="o", markersize=3, linewidth=2.0)
            axes.fill_between(x, np.maximum(y - error, 1e-2), y + error, color=COLOURS[method], alpha=0.2, linewidth=0)
        axes.set(yscale="log", xlabel="horizon $N$", ylabel="variance / mean$^2$")
        axes.legend(loc="upper left")
        names = ("horizon", "window", "exact", "measured", "error")
        return canvas.save(out, "variance", {name: [row[name] for row in rows] for name in names})


def _listed(config: Configuration) -> str:
    return ", ".join(str(value) for value in config["variance.curvatures"])
