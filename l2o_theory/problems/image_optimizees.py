"""The optimizees of Chen et al., NeurIPS 2020 (arXiv 2010.09089): networks on MNIST and CIFAR-10, by name.

    mlp           784-20-10, sigmoid; the one that optimizers are trained on      15910 weights
    mlp-relu      784-20-10, ReLU                                                 15910
    mlp-deeper    784-20-20-10, sigmoid                                           16330
    conv-mnist    `NormalisedConvNet`, stride 1                                   18218
    conv-cifar    `NormalisedConvNet`, stride 2                                   13706

Initial weights and biases are N(0, 0.01^2), those of the convolutional ones as told there. Data come from a folder of
the user's, see `load_mnist` and `load_cifar10`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from l2o_theory.errors import InputError, near_misses
from l2o_theory.problems.classification import Classification
from l2o_theory.problems.image_files import load_cifar10, load_mnist
from l2o_theory.problems.network import MLP, Network
from l2o_theory.problems.normalised_conv_net import NormalisedConvNet

_STD = 0.01

IMAGE_NETWORKS: dict[str, Network] = {
    "mlp": MLP((784, 20, 10), std=_STD),
    "mlp-relu": MLP((784, 20, 10), activation="relu", std=_STD),
    "mlp-deeper": MLP((784, 20, 20, 10), std=_STD),
    "conv-mnist": NormalisedConvNet(1, 28, 1),
    "conv-cifar": NormalisedConvNet(3, 32, 2),
}
"""Networks by name; all but conv-cifar are for MNIST."""


def image_optimizee(
    name: str,
    folder: Path | str,
    *,
    train: bool,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Classification:
    """The network of this name on the images in `folder`.

    Args:
        name: one of `IMAGE_NETWORKS`.
        folder: with the files of MNIST, or of CIFAR-10 for conv-cifar.
        train: the training set, else the test set, on which the released code draws the batches of its meta-tests.
        dtype: of pixels and weights.
        device: of pixels and weights.

    Raises:
        InputError: an unknown name (near misses are suggested), or files that are missing or damaged.
    """
    if name not in IMAGE_NETWORKS:
        raise InputError(f"no image optimizee {name!r}; {near_misses(name, IMAGE_NETWORKS)}")
    load = load_cifar10 if name == "conv-cifar" else load_mnist
    return Classification(IMAGE_NETWORKS[name], load(folder, train=train, dtype=dtype).to(device=device))
