"""What optimizers are trained on, and what they are tested on: families of tasks by name.

quadratics: held-out problems, twice the dimension, starts far away. digits: other starts and batches, images that
training has not seen, the full 8 x 8 pixels, perceptrons with ReLU and sigmoid units. mnist: the perceptron of training
and the four transfer optimizees of arXiv 2010.09089, with batches from the test images, as in its released code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Generator

from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import Configuration
from l2o_theory.metatraining import Draw, MinibatchTasks, QuadraticTasks, TaskFamily
from l2o_theory.problems import (
    IMAGE_NETWORKS,
    MLP,
    Classification,
    Dataset,
    RandomQuadratics,
    image_optimizee,
    load_digits,
)

TASKS = ("quadratics", "digits", "mnist")
_STD = 0.01  # of initial weights
_FAR = 1.0  # of the starts of the distant quadratics
_SPLIT_SEED = 0


def device(config: Configuration) -> torch.device:
    """Where networks are trained.

    Raises:
        InputError: not auto, cpu or cuda, or cuda where there is none.
    """
    name = config["device"]
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be auto, cpu or cuda, got {name!r}: change it in config.toml")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device is cuda, but torch finds none; set it to auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def training_family(config: Configuration, task: str) -> TaskFamily:
    """What an optimizer is trained on, fresh for every episode.

    Raises:
        InputError: files of MNIST that are missing.
    """
    where = device(config)
    if task == "quadratics":
        return _quadratics(config, config["quadratics.dimension"], config["quadratics.start_std"])
    if task == "digits":
        return _network(config, MLP((16, 10), std=_STD), _digits(2, config["digits.images"])[0])
    problem = image_optimizee("mlp", config["mnist.folder"], train=True, device=where)
    return MinibatchTasks(problem, config["mnist.batch"])


def optimizees(config: Configuration, task: str) -> dict[str, Callable[[], TaskFamily]]:
    """Test families by name; the first one is the task of training on data or problems of its own draw."""
    if task == "quadratics":
        d, std = config["quadratics.dimension"], config["quadratics.start_std"]
        return {
            "quadratics": lambda: _quadratics(config, d, std),
            "twice as wide": lambda: _quadratics(config, 2 * d, std),
            "far starts": lambda: _quadratics(config, d, _FAR),
        }
    if task == "digits":
        images = config["digits.images"]
        small, large = (lambda: _digits(2, images)), (lambda: _digits(1, images))
        return {
            "softmax 16-10": lambda: _network(config, MLP((16, 10), std=_STD), small()[0]),
            "unseen images": lambda: _network(config, MLP((16, 10), std=_STD), small()[1]),
            "softmax 64-10": lambda: _network(config, MLP((64, 10), std=_STD), large()[0]),
            "ReLU 16-20-10": lambda: _network(config, MLP((16, 20, 10), "relu", _STD), small()[0]),
            "sigmoid 16-10-10": lambda: _network(config, MLP((16, 10, 10), "sigmoid", _STD), small()[0]),
        }
    return {name: _image_family(config, name) for name in IMAGE_NETWORKS}


def test_draw(family: TaskFamily, tasks: int, steps: int, seed: int) -> Draw:
    """Tasks for a test, the same whoever is tested. Quadratics one by one: the first are the same for every count."""
    if not isinstance(family, QuadraticTasks):
        return family.draw(tasks, steps, Generator().manual_seed(seed))
    draws = [family.draw(1, 1, Generator().manual_seed(seed + place)) for place in range(tasks)]
    batches = [draw.batches(0) for draw in draws]
    batch = {name: torch.cat([one[name] for one in batches]) for name in batches[0]}
    return Draw(torch.cat([draw.starts for draw in draws]), lambda step: batch)  # type: ignore[misc]


def _quadratics(config: Configuration, dimension: int, std: float) -> TaskFamily:
    return QuadraticTasks(RandomQuadratics(dimension, start_std=std, dtype=torch.float32, device=device(config)))


def _network(config: Configuration, network: MLP, data: Dataset) -> TaskFamily:
    return MinibatchTasks(Classification(network, data.to(device=device(config))), config["digits.batch"])


def _image_family(config: Configuration, name: str) -> Callable[[], TaskFamily]:
    folder = config["mnist.cifar"] if name == "conv-cifar" else config["mnist.folder"]
    where = device(config)
    return lambda: MinibatchTasks(image_optimizee(name, folder, train=False, device=where), config["mnist.batch"])


@cache
def _digits(pool: int, images: int) -> tuple[Dataset, Dataset]:
    """Digits for training, and those held out: the same images for every size of pixels."""
    return load_digits(pool, dtype=torch.float32).split(images, Generator().manual_seed(_SPLIT_SEED))
