"""The optimizees on images: counts, layers against torch's modules, the plateau of dead logits, files of the user's."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from l2o_theory.errors import InputError
from l2o_theory.metatraining.evaluation import run_rule
from l2o_theory.metatraining.tasks import MinibatchTasks
from l2o_theory.optimizers import Adam
from l2o_theory.problems import IMAGE_NETWORKS, Classification, Dataset, NormalisedConvNet, image_optimizee
from l2o_theory.problems.trees import squared_norm

SAMPLES = 12
RECORD = 3 * 32 * 32


def written(folder: Path) -> Path:
    """MNIST and CIFAR-10 in miniature, in their formats."""
    random = torch.Generator().manual_seed(0)

    def noise(count: int) -> bytes:
        return bytes(torch.randint(256, (count,), generator=random).tolist())

    labels = bytes(k % 10 for k in range(SAMPLES))
    for stem in ("train", "t10k"):
        head = bytes((0, 0, 8, 3)) + struct.pack(">3I", SAMPLES, 28, 28)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(head + noise(SAMPLES * 784))
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(bytes((0, 0, 8, 1)) + struct.pack(">I", SAMPLES) + labels)
    for name in (*[f"data_batch_{k}.bin" for k in range(1, 6)], "test_batch.bin"):
        (folder / name).write_bytes(b"".join(labels[k : k + 1] + noise(RECORD) for k in range(SAMPLES)))
    return folder


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("mlp", [(784, 20), (20, 10)]),
        ("mlp-relu", [(784, 20), (20, 10)]),
        ("mlp-deeper", [(784, 20), (20, 20), (20, 10)]),
        ("conv-mnist", [(9 * 1, 16), (25 * 16, 32), (512, 10)]),
        ("conv-cifar", [(9 * 3, 16), (25 * 16, 32), (32, 10)]),
    ],
)
def test_counts(name: str, layers: list[tuple[int, int]]) -> None:
    """Weights and a bias per output of every layer; gamma and beta per channel of the two normalisations."""
    expected = sum(fan_in * width + width for fan_in, width in layers)
    expected += 2 * (16 + 32) * name.startswith("conv")
    told = {"mlp": 15910, "mlp-relu": 15910, "mlp-deeper": 16330, "conv-mnist": 18218, "conv-cifar": 13706}[name]
    params = IMAGE_NETWORKS[name].init(Generator().manual_seed(0), torch.float32, None)
    assert sum(leaf.numel() for leaf in params.values()) == expected == told


def modules(net: NormalisedConvNet, params: dict[str, Tensor]) -> nn.Sequential:
    """The same network from torch's modules, in training mode: normalised by the batch."""
    stack = nn.Sequential(
        nn.Conv2d(net.channels, 16, 3, net.stride), nn.BatchNorm2d(16, eps=1e-3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, net.stride), nn.BatchNorm2d(32, eps=1e-3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * net.pixels, net.classes), nn.ReLU(),
    ).double()  # fmt: skip
    names = {0: ("kernel1", "bias1"), 1: ("gamma1", "beta1"), 4: ("kernel2", "bias2"), 5: ("gamma2", "beta2")}
    with torch.no_grad():
        for place, (weight, bias) in {**names, 9: ("weight", "bias")}.items():
            stack[place].weight.copy_(params[weight].T if weight == "weight" else params[weight])
            stack[place].bias.copy_(params[bias])
    return stack


@pytest.mark.parametrize("net", [NormalisedConvNet(1, 28, 1, std=0.3), NormalisedConvNet(3, 32, 2, std=0.3)])
def test_layers_are_those_of_torch(net: NormalisedConvNet) -> None:
    generator = Generator().manual_seed(1)
    params = {
        name: leaf + 0.2 * torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)
        for name, leaf in net.init(generator).items()
    }
    features = torch.rand(6, net.channels, net.side, net.side, generator=generator, dtype=torch.float64)
    found, expected = net.forward(params, features), modules(net, params)(features)
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-11)  # sums of 400 products, divided by a deviation
    assert float(found.max()) > 0
    planted = modules(net, params).eval()(features)  # running statistics of one batch in place of those at hand
    assert not torch.allclose(found, planted, rtol=1e-2)
    many = torch.func.vmap(net.forward)(
        {k: torch.stack([v, 2 * v]) for k, v in params.items()}, torch.stack([features] * 2)
    )
    assert torch.allclose(many[0], found, rtol=1e-9, atol=1e-11)


def test_dead_logits_are_a_plateau_at_ln_ten() -> None:
    """With every logit negative the ReLU gives 0: loss ln 10, ln ln 10 = 0.834, and no gradient at all."""
    data = Dataset(torch.rand(8, 1, 28, 28, dtype=torch.float64), torch.arange(8), 10)
    problem = Classification(NormalisedConvNet(), data)
    params = problem.init(Generator().manual_seed(0))
    dead = {**params, "bias": torch.full((10,), -5.0, dtype=torch.float64)}
    gradient, loss = torch.func.grad_and_value(problem.loss)(dead)
    assert loss.item() == pytest.approx(math.log(10), rel=1e-14)
    assert math.log(loss.item()) == pytest.approx(0.8340, abs=1e-4)
    assert all(not bool(leaf.any()) for leaf in gradient.values())
    alive = torch.func.grad(problem.loss)({**params, "bias": torch.ones(10, dtype=torch.float64)})
    assert bool(alive["weight"].any())  # planted: alive again


@pytest.mark.parametrize("name", list(IMAGE_NETWORKS))
def test_every_optimizee_trains_on_files_of_the_right_format(tmp_path: Path, name: str) -> None:
    problem = image_optimizee(name, written(tmp_path), train=False, dtype=torch.float64)
    assert len(problem.data) == SAMPLES
    draw = MinibatchTasks(problem, 8).draw(2, 1, Generator().manual_seed(0))
    losses = run_rule(Adam(), problem, Adam().meta(0.01), draw, 1, at=(0, 1))
    assert losses.shape == (2, 2)
    assert losses[0].tolist() == pytest.approx([math.log(10)] * 2, abs=0.15)  # weights of size 0.01
    assert bool(losses.isfinite().all())
    start = problem.init(Generator().manual_seed(0))
    gradient, before = torch.func.grad_and_value(problem.loss)(start)
    length = float(squared_norm(gradient)) ** 0.5
    after = problem.loss({k: x - 1e-4 / length * gradient[k] for k, x in start.items()})
    # a step of length 1e-4 down the slope; curvature and the kinks of ReLU leave most of its promise
    assert float(before - after) == pytest.approx(1e-4 * length, rel=0.2)
    train = image_optimizee(name, tmp_path, train=True)
    assert len(train.data) == SAMPLES * (5 if name == "conv-cifar" else 1)


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean mlp-relu"):
        image_optimizee("mlp_relu", tmp_path, train=True)
    with pytest.raises(InputError, match="lacks train-images-idx3-ubyte or"):
        image_optimizee("mlp", tmp_path, train=True)
    with pytest.raises(
        InputError, match=r"lacks test_batch.bin; give the folder that holds the binary version of CIFAR"
    ):
        image_optimizee("conv-cifar", tmp_path, train=False)
    with pytest.raises(InputError, match="too small"):
        NormalisedConvNet(side=8)
    with pytest.raises(InputError, match=">= 1"):
        NormalisedConvNet(classes=0)
