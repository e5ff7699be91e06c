"""The 94,696-weight network that predicts one pixel from those before it [official code: autoregression_mnist.py].

Input 28 x 28 x 5: visible pixels, the sign of "column not beyond the queried one", the mask, row and column. 1x1 conv
5 -> 20; five stages of four residual blocks (1x1 20 -> 40, atan, depthwise 3x3 40 -> 120, atan, 1x1 120 -> 20) and
2x2 mean pooling; linear 20 -> 256. Weights and biases N(0, 1/(fan_in + 1)). `--device cuda` runs it on a GPU; on the
CPU the configuration makes a few steps only, to show that the network learns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from l2o_theory.claims.discovery import load_plugin
from l2o_theory.errors import InputError
from l2o_theory.figures.canvas import Canvas, measured
from l2o_theory.figures.configuration import Configuration
from l2o_theory.figures.experiment import Measurements, Progress
from l2o_theory.figures.pieces import Pieces
from l2o_theory.optimizers.lodo import LODO

_images = load_plugin(Path(__file__).with_name("images.py"))
WEIGHTS = 94_696


class Block(nn.Module):
    """x + W_3 atan(W_2 atan(W_1 x)) with a depthwise W_2."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Conv2d(20, 40, 1)
        self.mix = nn.Conv2d(40, 120, 3, padding=1, groups=40)
        self.narrow = nn.Conv2d(120, 20, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (batch, 20, h, w) to the same."""
        update: Tensor = self.narrow(torch.atan(self.mix(torch.atan(self.widen(x)))))
        return x + update


class Autoregression(nn.Module):
    """Logits of the 256 values of the queried pixel, from input of shape (batch, 5, 28, 28)."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Conv2d(5, 20, 1)
        self.stages = nn.ModuleList(nn.Sequential(*(Block() for _ in range(4))) for _ in range(5))
        self.last = nn.Linear(20, 256)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    fan_in = module.weight[0].numel()
                    for parameter in (module.weight, module.bias):
                        drawn = torch.randn(parameter.shape, generator=generator)
                        parameter.copy_(drawn / (fan_in + 1) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (batch, 256)."""
        x = self.first(x)
        for stage in self.stages:
            x = functional.avg_pool2d(stage(x), 2, ceil_mode=True, count_include_pad=False)
        logits: Tensor = self.last(x.mean((2, 3)))
        return logits


def batch(pictures: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (size, 5, 28, 28) and the pixels asked for, one random pixel of each of `size` random images."""
    rows, columns = pictures.shape[1:]
    chosen = torch.randint(len(pictures), (size,), generator=generator)
    asked = torch.randint(rows * columns, (size,), generator=generator)
    image = pictures[chosen]
    order = torch.arange(rows * columns).reshape(rows, columns)
    visible = (order[None] < asked[:, None, None]).float()
    beside = torch.where(torch.arange(columns)[None, None] <= (asked % columns)[:, None, None], 1.0, -1.0)
    across = (2 * torch.arange(columns) / columns - 1).expand(rows, columns)
    down = (2 * torch.arange(rows) / rows - 1)[:, None].expand(rows, columns)
    shape = image.shape
    parts = [image * visible / 256, beside.expand(shape), 2 * visible - 1, down.expand(shape), across.expand(shape)]
    return torch.stack(parts, dim=1), image.reshape(size, -1)[torch.arange(size), asked].long()


def run(config: Configuration, out: Path, *, pieces: Pieces, progress: Progress) -> Measurements:
    """Train with Adam and LODO for the steps of the configuration, draw autoregression.{pdf,png,csv}."""
    makers: dict[str, Callable[[Any], Any]] = {
        "Adam": lambda p: torch.optim.Adam(p, lr=1e-3),
        "LODO": lambda p: LODO(
            p, *config["autoregression.triple"], generator=torch.Generator().manual_seed(config["seed"])
        ),
    }
    setting = {name: _plain(config[name]) for name in config if name.startswith("autoregression.")}
    found = {}
    for place, (name, make) in enumerate(makers.items(), start=1):
        found[name] = pieces.get(
            "autoregression", {**setting, "method": name, "seed": config["seed"]}, lambda m=make: _train(config, m)
        )
        progress("image network", place, len(makers))
    losses = {name: np.array(entry["losses"]) for name, entry in found.items()}
    numbers = {"autoregression.weights": float(found["LODO"]["weights"])}
    tail = max(1, config["autoregression.steps"] // 4)
    for name, values in losses.items():
        numbers[f"autoregression.{name}.fall"] = float(values[:tail].mean() - values[-tail:].mean())
    return Measurements(numbers, _draw(config, out, found, losses))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is one.

    Raises:
        InputError: CUDA is asked for and there is none, or another name.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"autoregression.device must be auto, cpu or cuda, got {name!r}; change it in config.toml")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("autoregression.device is cuda, but torch finds no CUDA device; use auto or cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def _train(config: Configuration, make: Callable[[Any], Any]) -> dict[str, Any]:
    place, folder = device(config["autoregression.device"]), config["autoregression.images"]
    raw: NDArray[np.uint8] = _images.mnist(Path(folder)) if folder else _images.drawn(512, 28, config["seed"])[0]
    pictures = torch.from_numpy(raw.astype(np.float32))
    generator = torch.Generator().manual_seed(config["seed"])
    network = Autoregression(generator).to(place)
    optimizer, losses, seconds = make(network.parameters()), [], []
    for _ in range(config["autoregression.steps"]):
        inputs, wanted = batch(pictures, config["autoregression.batch"], generator)
        begun = time.perf_counter()
        loss = functional.cross_entropy(network(inputs.to(place)), wanted.to(place))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        seconds.append(time.perf_counter() - begun)
    weights = sum(parameter.numel() for parameter in network.parameters())
    return {"losses": losses, "weights": weights, "seconds": float(np.median(seconds)), "device": place.type}


def _draw(config: Configuration, out: Path, found: dict[str, Any], losses: dict[str, Any]) -> tuple[Path, ...]:
    kind = "MNIST" if config["autoregression.images"] else "drawn digits"
    alpha0, meta_lr, beta = config["autoregression.triple"]
    caption = [
        f"{WEIGHTS} weights, {kind}, batches of {config['autoregression.batch']}, on {found['LODO']['device']}. "
        f"LODO at the published {alpha0:g}, {meta_lr:g}, {beta:g}; Adam at 0.001.",
        "A run this short shows that the step works at this size, not which method is better.",
    ]
    columns: dict[str, list[Any]] = {"method": [], "step": [], "loss": []}
    with Canvas(1, 1, height=2.3, seed=config["seed"], caption=caption) as canvas:
        axes = canvas.axes[0, 0]
        for name, values in losses.items():
            measured(axes, np.arange(len(values)), values, name, label=name)
            columns["method"] += [name] * len(values)
            columns["step"] += list(range(len(values)))
            columns["loss"] += values.tolist()
        axes.set(xlabel="step", ylabel="cross-entropy of a pixel")
        axes.legend()
        return canvas.save(out, "autoregression", columns)
