"""How far each arm came: the losses it was judged by, and the horizon it trained at, against meta-updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import COLOURS, Canvas
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements

_arms = load_plugin(Path(__file__).with_name("arms.py"))


def draw(config: Configuration, out: Path, results: dict[str, Any]) -> Measurements:
    """Draw stages.{pdf,png,csv}; numbers: meta-updates made and last stage of every arm."""
    found, numbers = results["found"], dict[str, float]()
    for arm, runs in found.items():
        numbers[f"quadratics.{arm}.least_updates"] = min(run["updates"] for run in runs)
        numbers[f"quadratics.{arm}.most_updates"] = max(run["updates"] for run in runs)
        numbers[f"quadratics.{arm}.stage"] = float(np.mean([run["stage"] for run in runs]))
        numbers[f"quadratics.{arm}.skipped"] = sum(run["skipped"] for run in runs)
    return Measurements(numbers, _draw(config, out, found))


def _draw(config: Configuration, out: Path, found: dict[str, Any]) -> tuple[Path, ...]:
    caption = [
        f"(a) the loss that decides, over {config['quadratics.judged']} problems every {config['training.period']} "
        "epochs: at the horizon of training for plain, aug and il, at the next one for",
        "a curriculum. Dots: evaluations that were kept. (b) horizon of the training episodes. One line per "
        "meta-seed, up to its last evaluation.",
    ]
    columns: dict[str, list[Any]] = {
        "arm": [], "meta_seed": [], "updates": [], "horizon": [], "loss": [], "decision": []
    }  # fmt: skip
    with Canvas(1, 2, height=2.8, seed=config["seed"], caption=caption, key="Solid: measured.") as canvas:
        judged, trained = canvas.axes[0]
        for arm, runs in found.items():
            steps = _arms.horizons(config, arm)
            for seed, run in enumerate(runs):
                if not run["judgements"]:
                    continue
                updates, stages, losses, decisions = (list(part) for part in zip(*run["judgements"], strict=True))
                label = arm if seed == 0 else None
                judged.plot(updates, losses, color=COLOURS[arm], linewidth=0.7, label=label)
                kept = [place for place, decision in enumerate(decisions) if decision == "keep"]
                best = [updates[k] for k in kept], [losses[k] for k in kept]
                judged.plot(*best, ".", color=COLOURS[arm], markersize=3)
                at = [steps[stage] for stage in stages]
                trained.step([0, *updates], [steps[0], *at], where="pre", color=COLOURS[arm], linewidth=0.9)
                for name, part in zip(columns, ([arm] * len(at), [seed] * len(at), updates, at), strict=False):
                    columns[name] += part
                columns["loss"] += losses
                columns["decision"] += decisions
        judged.set(title="(a) evaluations", ylabel="mean loss", yscale="log", xlabel="meta-updates")
        trained.set(title="(b) horizon", ylabel="steps per episode", yscale="log", xlabel="meta-updates")
        ticks = sorted(set(columns["horizon"]))
        trained.set(yticks=ticks, yticklabels=ticks)
        trained.tick_params(axis="y", which="minor", left=False, labelleft=False)
        judged.legend(loc="lower left", ncols=2)
        return canvas.save(out, "stages", columns)
