"""The empirical NTK of modules: layer by layer, through the Jacobian, matrix-free, and by autograd in a loop."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from l2o_theory.errors import InputError
from l2o_theory.ntk.empirical import empirical_ntk
from l2o_theory.ntk.operator import ntk_operator
from l2o_theory.ntk.pieces import chain, eligible, recorded_pieces


def by_loop(module: nn.Module, x1: Tensor, x2: Tensor | None = None) -> Tensor:
    """Theta[n, m, a, b], one backward pass for each output of each sample."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]

    def rows(x: Tensor) -> Tensor:
        found = []
        for sample in x:
            outputs = module(sample[None]).flatten()
            for value in outputs:
                parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
                pairs = zip(parts, parameters, strict=True)
                found.append(torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs]))
        return torch.stack(found).view(len(x), -1, found[0].numel())

    return torch.einsum("nap,mbp->nmab", rows(x1), rows(x1 if x2 is None else x2))


REDUCED = {
    "dense": lambda theta: theta,
    "diagonal": lambda theta: theta.diagonal(dim1=2, dim2=3),
    "trace": lambda theta: theta.diagonal(dim1=2, dim2=3).sum(-1),
    "summed": lambda theta: theta.sum((2, 3)),
}


class Tokens(nn.Module):
    """A layer used twice, on sequences, and one on folded sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.twice, self.folded = nn.Linear(5, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.twice(torch.relu(self.twice(torch.tanh(self.first(x)))))
        return self.folded(h.reshape(-1, 6)).view(len(x), -1, 3).square().mean(1)


class Tied(nn.Module):
    """A weight used outside its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(torch.tanh(self.layer(x)), self.layer.weight.T)


def frozen() -> nn.Module:
    module = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 2))
    module[0].weight.requires_grad_(False)
    module[2].bias.requires_grad_(False)
    module[4].weight.requires_grad_(False)
    return module


CHAINS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3)), (5,)),
    "ends in an activation": (lambda: nn.Sequential(nn.Linear(5, 4), nn.Sigmoid(), nn.ReLU()), (5,)),
    "two layers in a row": (lambda: nn.Sequential(nn.ReLU(), nn.Linear(5, 4), nn.Linear(4, 2)), (5,)),
    "no bias": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 7, bias=False), nn.GELU(), nn.Linear(7, 1)), (2, 3)),
    "frozen": (frozen, (5,)),
    "one layer": (lambda: nn.Linear(5, 3), (5,)),
}
LAYERED = {
    "images": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, stride=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 4, 2, groups=2, dilation=2, padding="same"),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        ),
        (2, 8, 7),
    ),
    "signals": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3, padding="valid"), nn.Tanh(), nn.Flatten(), nn.Linear(16, 2)),
        (2, 6),
    ),
    "volumes": (
        lambda: nn.Sequential(nn.Conv3d(1, 2, 2, padding=(1, 0, 1)), nn.Tanh(), nn.Flatten(), nn.Linear(64, 2)),
        (1, 3, 3, 3),
    ),
    "tokens": (Tokens, (4, 5)),
}
OTHERS = {
    "tied": (Tied, (5,)),
    "normalised": (lambda: nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.ReLU(), nn.Linear(7, 2)), (5,)),
}


def drawn(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    make, shape = {**CHAINS, **LAYERED, **OTHERS}[name]
    module = make().double()
    return module, torch.randn(4, *shape).double(), torch.randn(3, *shape).double()


@pytest.mark.parametrize("name", [*CHAINS, *LAYERED, *OTHERS])
def test_all_routes_agree_with_the_loop(name: str) -> None:
    module, x1, x2 = drawn(name)
    assert (chain(module) is not None) == (name in CHAINS)
    for second in (None, x2):
        theta = by_loop(module, x1, second)
        for output, reduce in REDUCED.items():
            for method in ("auto", "jacobian") if name in OTHERS else ("layerwise", "jacobian"):
                ours = empirical_ntk(module, x1, second, output=output, method=method)
                # both sides sum the same few hundred products in float64
                torch.testing.assert_close(ours, reduce(theta), rtol=1e-12, atol=1e-12 * float(theta.abs().max()))


def test_a_linear_model_in_rationals() -> None:
    # f(x) = W x + c: Theta[n, m, a, b] = (x_n . x_m + 1) [a = b] whatever the weights are
    x = [[Fraction(1, 2), Fraction(-3)], [Fraction(2), Fraction(5, 4)]]
    exact = [[float(sum(a * b for a, b in zip(p, q, strict=True)) + 1) for q in x] for p in x]
    module = nn.Linear(2, 3).double()
    for method in ("layerwise", "jacobian"):
        theta = empirical_ntk(module, torch.tensor(np.array(x, dtype=float)), method=method)
        assert theta.shape == (2, 2, 3, 3)
        for a in range(3):
            for b in range(3):
                assert theta[:, :, a, b].tolist() == (exact if a == b else [[0.0] * 2] * 2)


def test_large_kernels_are_filled_on_both_sides_of_the_diagonal() -> None:
    # several blocks of rows, of which only those on and below the diagonal are computed
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    x = torch.randn(150, 3).double()
    theta = empirical_ntk(module, x)
    torch.testing.assert_close(theta, empirical_ntk(module, x, x.clone()), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(theta, empirical_ntk(module, x, method="jacobian"), rtol=1e-12, atol=1e-12)
    assert torch.equal(theta, theta.transpose(0, 1).transpose(2, 3)) or torch.allclose(
        theta, theta.transpose(0, 1).transpose(2, 3), rtol=1e-14, atol=1e-14
    )


def test_blocks_sized_to_a_budget_change_nothing() -> None:
    for name in ("mlp", "images", "tokens", "tied"):
        module, x1, x2 = drawn(name)
        for method in ("auto", "jacobian"):
            tight = empirical_ntk(module, x1, x2, method=method, memory=40_000)
            torch.testing.assert_close(tight, empirical_ntk(module, x1, x2), rtol=1e-12, atol=1e-12)


def test_the_operator_is_the_kernel() -> None:
    for name in ("mlp", "images", "tied"):
        module, x, _ = drawn(name)
        theta = by_loop(module, x).transpose(1, 2)
        size = theta.shape[0] * theta.shape[1]
        operator = ntk_operator(module, x)
        dense = operator @ np.eye(size)
        np.testing.assert_allclose(dense, theta.reshape(size, size).detach().numpy(), rtol=1e-11, atol=1e-12)
        assert operator.rmatvec(np.ones(size)) == pytest.approx(operator @ np.ones(size))


def test_weights_used_outside_their_layer_are_noticed() -> None:
    # the planted fault: without the probe the watched layers would give a kernel that misses half of the gradient
    module, x, _ = drawn("tied")
    assert eligible(module)
    assert recorded_pieces(module, x, summed=False) is None
    with pytest.raises(InputError, match="layerwise"):
        empirical_ntk(module, x, method="layerwise")


class Centred(nn.Module):
    """Samples that influence one another."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.layer(x))
        return y - y.mean(0)


def test_samples_that_influence_one_another_are_noticed() -> None:
    torch.manual_seed(0)
    assert recorded_pieces(Centred().double(), torch.randn(4, 5).double(), summed=False) is None


def test_a_hook_takes_the_short_cut_away() -> None:
    module, x, _ = drawn("mlp")
    handle = module[0].register_forward_hook(lambda part, given, output: 2 * output)  # type: ignore[index]
    assert chain(module) is None
    torch.testing.assert_close(empirical_ntk(module, x), by_loop(module, x), rtol=1e-12, atol=1e-12)
    handle.remove()
    assert chain(module) is not None


def test_float32_and_the_module_is_left_alone() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 300), nn.ReLU(), nn.Linear(300, 1))
    x = torch.randn(4, 5)
    before = [parameter.clone() for parameter in module.parameters()]
    given = x.clone()
    theta = empirical_ntk(module, x)
    assert theta.dtype == torch.float32
    assert all(map(torch.equal, before, module.parameters()))
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(x, given)
    exact = by_loop(module.double(), x.double())
    torch.testing.assert_close(theta.double(), exact, rtol=1e-5, atol=1e-5 * float(exact.abs().max()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": "full"}, "output"),
        ({"method": "fast"}, "method"),
        ({"x1": torch.zeros(0, 5)}, "at least one sample"),
        ({"x1": torch.full((2, 5), torch.nan)}, "finite"),
        ({"x2": torch.zeros(2, 4)}, "like x1"),
        ({"memory": 10}, "needs .* may be used"),
        ({"memory": 10, "method": "jacobian"}, "ntk_operator"),
        ({"module": nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5))}, r"eval\(\)"),
        ({"module": nn.Sequential(nn.Linear(5, 5), nn.Dropout())}, r"eval\(\)"),
        ({"module": nn.Linear(5, 5).requires_grad_(False)}, "requires_grad"),
        ({"module": nn.Bilinear(5, 5, 1), "method": "layerwise"}, "nn.Linear or nn.Conv"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    module = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    with pytest.raises(InputError, match=message):
        empirical_ntk(**{"module": module, "x1": torch.zeros(2, 5), **arguments})  # type: ignore[arg-type]
