"""What all arms share: the data, the network that is trained on them, the device, and the families of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from l2o_theory.errors import InputError
from l2o_theory.figures.configuration import Configuration
from l2o_theory.metatraining.subset_tasks import SubsetTasks
from l2o_theory.problems import MLP, Classification, Dataset, load_digits, load_mnist, with_label_noise

_SPLIT_SEED, _NOISE_SEED = 2006_16495, 16495  # which digits are held out; which test labels are drawn anew


@dataclass(frozen=True, eq=False)
class Setting:
    """The optimizee.

    Attributes:
        problem: the network, and the images that subsets are drawn from.
        test: images that no training sees, with clean labels.
    """

    problem: Classification
    test: Dataset

    def family(self, config: Configuration, *, everything: bool, doubled: bool, held_out: bool, noise: float) -> Any:
        """Tasks of n or 2 n training samples, or of all data; `held_out`: n (of all data: a share) to validate."""
        count, share = len(self.problem.data), config["tasks.all_share"]
        validation = (round(share * count) if everything else config["tasks.samples"]) if held_out else 0
        training = count - validation if everything else config["tasks.samples"] * (2 if doubled else 1)
        return SubsetTasks(self.problem, training, validation, config["tasks.batch"], noise)

    def test_batch(self, config: Configuration, noise: float) -> dict[str, Tensor]:
        """The images held out; their labels are clean, unless `test.noisy` asks for those of the original program."""
        labels = self.test.labels
        if config["test.noisy"]:
            labels = with_label_noise(labels, noise, self.test.classes, Generator().manual_seed(_NOISE_SEED))
        return {"features": self.test.features, "labels": labels}


def load(config: Configuration) -> Setting:
    """Digits, of which `data.test` are held out, or MNIST from `data.folder`, on the device asked for.

    Raises:
        InputError: files that are missing (the message names them), a device that is not there, too few digits.
    """
    place = device(config["data.device"])
    if config["data.folder"]:
        pool, test = (load_mnist(config["data.folder"], train=train) for train in (True, False))
    else:
        digits = load_digits(dtype=torch.float32)
        wanted = len(digits) - config["data.test"]
        if wanted < 2 * config["tasks.samples"]:
            raise InputError(
                f"with data.test = {config['data.test']} of {len(digits)} digits held out, no two subsets of "
                f"tasks.samples = {config['tasks.samples']} are left: lower one of them in config.toml"
            )
        pool, test = digits.split(wanted, Generator().manual_seed(_SPLIT_SEED))
    sizes = (pool.features[0].numel(), *config["network.hidden"], pool.classes)
    network = MLP(sizes, activation="relu", gain=config["network.gain"])
    return Setting(Classification(network, pool.to(device=place)), test.to(device=place))


def device(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is one.

    Raises:
        InputError: CUDA is asked for and there is none, or another name.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"data.device must be auto, cpu or cuda, got {name!r}: change it in config.toml")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("data.device is cuda, but torch finds no CUDA device: use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def key(config: Configuration, *sections: str) -> dict[str, Any]:
    """The parameters of these sections of config.toml, data and network, as a piece is stored under."""
    kept = [name for name in config if name.partition(".")[0] in ("seed", "data", "network", *sections)]
    return {name: list(config[name]) if isinstance(config[name], tuple) else config[name] for name in kept}
