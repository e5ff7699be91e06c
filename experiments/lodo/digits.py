"""A small network that reads drawn digits, on the CPU: LODO where the noise is that of mini-batches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.figures.canvas import Canvas, spread
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces

_images = load_plugin(Path(__file__).with_name("images.py"))
Array = NDArray[np.float64]
_SIZE, _HIDDEN, _BATCH, _TRAIN, _TEST, _BLOCK = 12, 32, 64, 2000, 1000, 10


def _makers() -> dict[str, Callable[[Any, float, int], Any]]:
    """Name -> optimizer from parameters, its one tuned scale, and a seed."""
    import torch

    from l2o_theory.optimizers.lodo import LODO

    return {
        "Momentum": lambda p, scale, seed: torch.optim.SGD(p, lr=scale, momentum=0.9),
        "RMSprop": lambda p, scale, seed: torch.optim.RMSprop(p, lr=scale, alpha=0.9),
        "Adam": lambda p, scale, seed: torch.optim.Adam(p, lr=scale),
        "LODO": lambda p, scale, seed: LODO(
            p, alpha0=scale, meta_lr=1e-3, beta=0.9, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
        ),
    }


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Choose each method's scale by training loss, run it on fresh seeds, draw digits.{pdf,png,csv}."""
    found: dict[str, Any] = {}
    for place, name in enumerate(_makers(), start=1):
        setting = {
            "method": name,
            "seed": config["seed"],
            "steps": config["digits.steps"],
            "runs": config["digits.runs"],
        }
        setting["scales"] = list(_scales(config, name))
        found[name] = pieces.get("digits", setting, lambda m=name: _method(config, m))
        progress("digits network", place, len(_makers()))
    numbers = {f"digits.{name}.loss": float(np.mean(entry["final"])) for name, entry in found.items()}
    numbers |= {f"digits.{name}.accuracy": float(np.mean(entry["accuracy"])) for name, entry in found.items()}
    numbers["digits.LODO.over_adam"] = numbers["digits.LODO.loss"] / numbers["digits.Adam.loss"]
    return Measurements(numbers, _draw(config, out, found))


def _scales(config: Configuration, name: str) -> tuple[float, ...]:
    scales: tuple[float, ...] = config[f"digits.{'adaptive' if name in ('Adam', 'RMSprop') else 'plain'}_scales"]
    return scales


def _method(config: Configuration, name: str) -> dict[str, Any]:
    chosen = min(_scales(config, name), key=lambda scale: _train(config, name, scale, 1000)["final"])
    runs = [_train(config, name, chosen, seed) for seed in range(config["digits.runs"])]
    return {"scale": chosen} | {key: [entry[key] for entry in runs] for key in ("curve", "final", "accuracy")}


def _train(config: Configuration, name: str, scale: float, seed: int) -> dict[str, Any]:
    """Training losses of blocks of 10 steps, the mean of the last tenth (1e9 if not finite), test accuracy."""
    import torch

    pictures, labels = _images.drawn(_TRAIN + _TEST, _SIZE, config["seed"])
    inputs = torch.from_numpy(pictures.reshape(len(pictures), -1) / 255 - 0.2).float()
    targets = torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(seed)
    shapes = ((_HIDDEN, _SIZE**2), (_HIDDEN,), (10, _HIDDEN), (10,))
    weights = [torch.randn(s, generator=generator) / s[-1] ** 0.5 * (len(s) > 1) for s in shapes]
    parameters = [torch.nn.Parameter(w) for w in weights]

    def logits(x: Any) -> Any:
        hidden = torch.tanh(torch.nn.functional.linear(x, parameters[0], parameters[1]))
        return torch.nn.functional.linear(hidden, parameters[2], parameters[3])

    optimizer, losses = _makers()[name](parameters, scale, seed), []
    for _ in range(config["digits.steps"]):
        rows = torch.randint(_TRAIN, (_BATCH,), generator=generator)
        loss = torch.nn.functional.cross_entropy(logits(inputs[rows]), targets[rows])
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    full = np.full(config["digits.steps"], np.inf)
    full[: len(losses)] = losses
    final = float(full[-max(1, len(full) // 10) :].mean())
    with torch.no_grad():
        right = (logits(inputs[_TRAIN:]).argmax(1) == targets[_TRAIN:]).double().mean()
    curve = np.nan_to_num(full, nan=1e9, posinf=1e9).reshape(-1, _BLOCK).mean(axis=1)
    return {"curve": curve.tolist(), "final": final if np.isfinite(final) else 1e9, "accuracy": float(right)}


def _draw(config: Configuration, out: Path, found: dict[str, Any]) -> tuple[Path, ...]:
    chosen = ", ".join(f"{name} {entry['scale']:g}" for name, entry in found.items())
    caption = [
        f"144-32-10 network on drawn seven-segment digits, batches of {_BATCH}; median and range of "
        f"{config['digits.runs']} seeds.",
        f"One scale per method, chosen by training loss on another seed: {chosen}.",
        "Additive mini-batch noise: the setting of the claim lodo/additive_noise/decays, not that of the bowl.",
    ]
    columns: dict[str, list[Any]] = {"method": [], "run": [], "step": [], "loss": []}
    with Canvas(1, 1, height=2.6, seed=config["seed"], caption=caption) as canvas:
        axes = canvas.axes[0, 0]
        for name, entry in found.items():
            curves = np.array(entry["curve"])
            x = (np.arange(curves.shape[1]) + 1) * _BLOCK
            spread(axes, x, curves, name, label=name)
            for index, row in enumerate(curves):
                columns["method"] += [name] * len(row)
                columns["run"] += [index] * len(row)
                columns["step"] += x.tolist()
                columns["loss"] += row.tolist()
        axes.set(xlabel="step", ylabel="training loss", yscale="log")
        axes.legend()
        return canvas.save(out, "digits", columns)
