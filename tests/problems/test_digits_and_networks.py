from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from l2o_theory.errors import InputError
from l2o_theory.problems import MLP, Classification, ConvNet, Dataset, load_digits


def test_the_digits_are_there() -> None:
    data = load_digits()
    assert data.features.shape == (1797, 1, 8, 8)
    assert data.features.dtype == torch.float64
    assert (data.features.min().item(), data.features.max().item()) == (0.0, 1.0)
    assert data.labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # scikit-learn's page


def test_pooling_is_a_mean_over_squares() -> None:
    full, pooled = load_digits().features.numpy(), load_digits(pool=2).features.numpy()
    assert pooled.shape == (1797, 1, 4, 4)
    for row, column in ((0, 0), (1, 3), (3, 2)):
        square = full[:, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        # exact: sixteenths of small integers
        assert np.array_equal(pooled[:, 0, row, column], square.mean((1, 2)))
    assert not np.array_equal(pooled[:, 0, 0, 1], full[:, 0, :2, 0:2].mean((1, 2)))  # planted: the square beside it


def test_a_pool_that_does_not_divide_the_side_is_refused() -> None:
    with pytest.raises(InputError, match="pool"):
        load_digits(pool=3)


def test_the_perceptron_is_that_of_torch() -> None:
    network = MLP((16, 10, 10), std=0.5)
    params = network.init(torch.Generator().manual_seed(0))
    assert sum(value.numel() for value in params.values()) == 280  # 16*10 + 10 + 10*10 + 10
    modules = torch.nn.Sequential(torch.nn.Linear(16, 10), torch.nn.Sigmoid(), torch.nn.Linear(10, 10)).double()
    with torch.no_grad():
        for layer, module in ((1, modules[0]), (2, modules[2])):
            module.weight.copy_(params[f"weight{layer}"].T)
            module.bias.copy_(params[f"bias{layer}"])
    data = load_digits(pool=2)
    expected = modules(data.features.flatten(1))
    # sums of 16 products
    assert torch.allclose(network.forward(params, data.features), expected, rtol=1e-12, atol=1e-13)
    assert not torch.allclose(MLP((16, 10, 10), "tanh", 0.5).forward(params, data.features), expected)
    loss = Classification(network, data).loss(params)
    assert loss.item() == pytest.approx(torch.nn.CrossEntropyLoss()(expected, data.labels).item(), rel=1e-12)


def test_gain_scales_weights_and_biases_by_their_first_dimension() -> None:
    """N(0, 1.2^2/400) for both tensors: the weight has 400 inputs, the bias 400 entries."""
    scaled = MLP((400, 400), "relu", gain=1.2).init(torch.Generator().manual_seed(0))
    unit = MLP((400, 400), "relu", std=1.0).init(torch.Generator().manual_seed(0))
    wide = MLP((2, 400), "relu", gain=1.2).init(torch.Generator().manual_seed(0))
    for name, weight in scaled.items():
        torch.testing.assert_close(weight, unit[name] * 0.06, rtol=1e-14, atol=0)  # one product
    assert wide["weight1"].std() > 10 * wide["bias1"].std()  # 1.2/sqrt(2) against .06; planted: one scale for both
    with pytest.raises(InputError, match="std or gain"):
        MLP((2, 2), std=1.0, gain=1.0)


def test_the_convolutional_net_is_that_of_torch() -> None:
    network = ConvNet((1, 3, 5), side=8, classes=10, std=0.3)
    params = network.init(torch.Generator().manual_seed(0))
    modules = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, padding=1), torch.nn.ReLU(), torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.ReLU(), torch.nn.AvgPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(20, 10),
    ).double()  # fmt: skip
    names = [("kernel1", "bias1", 0), ("kernel2", "bias2", 3), ("weight", "bias", 7)]
    with torch.no_grad():
        for weight, bias, place in names:
            modules[place].weight.copy_(params[weight].T if weight == "weight" else params[weight])
            modules[place].bias.copy_(params[bias])
    features = load_digits().features[:50]
    assert torch.allclose(network.forward(params, features), modules(features), rtol=1e-12, atol=1e-13)


def test_at_zero_weights_the_loss_is_log_of_the_classes() -> None:
    problem = Classification(MLP((64, 20, 10), std=0.0), load_digits())
    params = problem.init()
    assert problem.loss(params).item() == pytest.approx(math.log(10), rel=1e-14)
    assert problem.accuracy(params).item() == pytest.approx(178 / 1797, rel=1e-14)  # argmax of equal logits: class 0


def test_minibatches_are_seeded_and_without_repetition() -> None:
    data = Dataset(torch.arange(20.0).reshape(20, 1), torch.zeros(20, dtype=torch.int64), 1)
    one, same, other = (data.minibatches(7, 20, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one["features"], same["features"])
    assert not torch.equal(one["features"], other["features"])
    assert one["features"].shape == (7, 20, 1)
    assert all(sorted(row.flatten().tolist()) == list(range(20)) for row in one["features"])
    assert len({tuple(row.flatten().tolist()) for row in one["features"]}) == 7


def test_a_split_is_disjoint_and_complete() -> None:
    data = Dataset(torch.arange(10.0).reshape(10, 1), torch.arange(10) % 2, 2)
    first, second = data.split(4, torch.Generator().manual_seed(0))
    assert len(first) == 4
    assert sorted(torch.cat([first.features, second.features]).flatten().tolist()) == list(range(10))
    assert all(label == int(value) % 2 for value, label in zip(second.features.flatten(), second.labels, strict=True))


def test_networks_work_for_many_tasks_and_in_float32() -> None:
    data = load_digits(pool=2, dtype=torch.float32)
    problem = Classification(MLP((16, 5, 10), "relu"), data)
    starts = [problem.init(torch.Generator().manual_seed(seed)) for seed in range(3)]
    stacked = {name: torch.stack([start[name] for start in starts]) for name in starts[0]}
    batch = {name: value[0] for name, value in data.minibatches(1, 32, torch.Generator().manual_seed(9)).items()}
    together = torch.func.vmap(problem.loss, (0, None))(stacked, batch)
    one_by_one = torch.stack([problem.loss(start, batch) for start in starts])
    assert together.dtype == torch.float32
    assert torch.allclose(together, one_by_one, rtol=1e-5)  # float32, batched matrix products add in another order
    assert together.std() > 1e-3  # planted: one task seen three times would have no spread


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dataset(torch.ones(2, 1), torch.tensor([0, 2]), 2), "labels must lie in 0..1"),
        (lambda: Dataset(torch.ones(2, 1), torch.tensor([0.0, 1.0]), 2), "int64"),
        (lambda: Dataset(torch.ones(2, 1, dtype=torch.int32), torch.tensor([0, 1]), 2), "floating"),
        (lambda: Dataset(torch.full((2, 1), math.nan), torch.tensor([0, 1]), 2), "finite"),
        (lambda: Dataset(torch.ones(2, 1), torch.tensor([0, 1]), 2).split(2), "1 to 1 of 2"),
        (lambda: Dataset(torch.ones(2, 1), torch.tensor([0, 1]), 2).minibatches(1, 3), "1 <= size <= 2"),
        (lambda: MLP((3,)), "two widths"),
        (lambda: MLP((3, 2), "swish"), "known are sigmoid"),
        (lambda: ConvNet((1, 2, 2), side=6, classes=3), "divisible by 2"),
    ],
)
def test_bad_input_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]
