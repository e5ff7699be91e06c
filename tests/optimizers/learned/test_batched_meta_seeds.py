"""Weights of several meta-seeds side by side: vmap over phi, iterate and state against one seed after the other."""

import pytest
import torch
from torch import Generator, Tensor

from l2o_theory.optimizers.learned import L2OScale, LSTMRule, MLPOptimizer, RNNprop
from l2o_theory.optimizers.rule import UpdateRule

_SEEDS = 3
Tree = dict[str, Tensor]


def _part(tree: Tree, seed: int) -> Tree:
    return {name: leaf[seed] for name, leaf in tree.items()}


@pytest.mark.parametrize(
    "rule", [LSTMRule(), RNNprop(), L2OScale(), MLPOptimizer()], ids=lambda rule: type(rule).__name__
)
def test_meta_seeds_run_side_by_side(rule: UpdateRule) -> None:
    generator = Generator().manual_seed(0)
    weights = [rule.meta(Generator().manual_seed(seed)) for seed in range(_SEEDS)]
    together = {name: torch.stack([one[name] for one in weights]) for name in weights[0]}
    shapes = {"weight": (_SEEDS, 4, 5), "bias": (_SEEDS, 5)}
    start = {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}
    slope = {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}
    params, state = start, torch.func.vmap(rule.init)(start)
    for _ in range(3):
        params, state = torch.func.vmap(rule.update)(params, slope, state, together)
    for seed in range(_SEEDS):
        alone = {}
        for other in (seed, (seed + 1) % _SEEDS):
            x = _part(start, seed)
            h = rule.init(x)
            for _ in range(3):
                x, h = rule.update(x, _part(slope, seed), h, weights[other])
            alone[other] = x
        for name, leaf in _part(params, seed).items():
            moved = (alone[seed][name] - start[name][seed]).abs().max()
            # batched products sum in another order: a few roundings of numbers near 1 in float64
            assert (leaf - alone[seed][name]).abs().max() <= 1e-14 + 1e-12 * moved
            planted = alone[(seed + 1) % _SEEDS][name]  # the weights of the seed beside it
            assert (leaf - planted).abs().max() > 1e-5 * moved  # L2O-Scale's first steps hardly depend on its weights
