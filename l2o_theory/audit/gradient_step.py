"""One step of a rule under the lens: which derivative of which output in which input is cut, wrong or not finite."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Params
from l2o_theory.problems.trees import leaves, mapped, tensors

_STEPS = (1e-3, 1e-4, 1e-5, 1e-6)  # relative to the size of the leaf, between truncation and rounding
_RELATIVE = 1e-3  # honest derivatives agree to 1e-6 and better; cut ones are off by 1


@dataclass(frozen=True)
class Leak:
    """A derivative that automatic differentiation gets wrong.

    Attributes:
        output, input: names of leaves, such as "state['mean']".
        computed: by reverse mode, along random directions.
        measured: by central differences.
    """

    output: str
    input: str
    computed: float
    measured: float

    def __str__(self) -> str:
        return (
            f"d {self.output} / d {self.input} is {self.computed:.3g} by autograd, {self.measured:.3g} by differences"
        )


def leaks(rule: UpdateRule, params: Params, grads: Params, state: Any, meta: Params, *, seed: int = 0) -> list[Leak]:
    """Compare reverse mode with central differences for every pair of leaves of one update.

    Args:
        rule, params, grads, state, meta: as of `update`, float64.
        seed: of the random directions.

    Returns:
        The pairs that disagree, the largest first.
    """
    inputs = {"params": params, "grads": grads, "state": state, "meta": meta}
    names = leaf_names(inputs)
    values = leaves(inputs)
    generator = torch.Generator().manual_seed(seed)
    floating = [i for i, leaf in enumerate(values) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
    movable = {i: 0.01 if names[i].startswith(("params", "meta")) else 0.0 for i in floating}
    probes = {i: _probe(values[i], generator, movable[i]) for i in floating}

    def outputs(changed: list[Any]) -> dict[str, Tensor]:
        pieces = iter(changed)
        given = mapped(lambda _: next(pieces), inputs)
        x, h = rule.update(given["params"], given["grads"], given["state"], given["meta"])
        tree = {"params": x, "state": h}
        found = zip(leaf_names(tree), leaves(tree), strict=True)
        return {name: leaf for name, leaf in found if isinstance(leaf, Tensor) and leaf.is_floating_point()}

    points = [leaf.detach().clone().requires_grad_() if i in probes else leaf for i, leaf in enumerate(values)]
    with torch.enable_grad():
        after = outputs(points)
    weights = {name: torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype) for name, leaf in after.items()}
    measured = {i: _differences(outputs, values, i, probes[i], weights) for i in floating}
    found = []
    for name, leaf in after.items():
        slopes: tuple[Tensor | None, ...] = (None,) * len(floating)
        if leaf.requires_grad:
            seeds = [points[i] for i in floating]
            slopes = torch.autograd.grad((weights[name] * leaf).sum(), seeds, retain_graph=True, allow_unused=True)
        for i, slope in zip(floating, slopes, strict=True):
            computed = 0.0 if slope is None else float((slope * probes[i]).sum())
            difference, uncertainty = measured[i][name]
            size = max(abs(computed), abs(difference))
            floor = 1e-9 * float((weights[name] * leaf.detach()).abs().sum())  # rounding of the differences
            if not abs(computed - difference) <= _RELATIVE * size + 10 * uncertainty + floor:
                found.append(Leak(name, names[i], computed, difference))
    return sorted(found, key=lambda leak: -abs(leak.measured))


def not_finite_at_zero(rule: UpdateRule, params: Params, meta: Params) -> list[str]:
    """Names of what has a derivative that is not finite after two steps from x_0 with gradients that are exactly 0.

    A pixel that is always black and a dead unit have such gradients; sqrt at 0 then gives infinity times 0.
    """
    point = mapped(lambda leaf: leaf.detach().clone().requires_grad_(), {"meta": meta})
    slopes = mapped(lambda leaf: torch.zeros_like(leaf).requires_grad_(), {"grads": params})
    with torch.enable_grad():
        x, h = params, rule.init(params)
        for _ in range(2):
            x, h = rule.update(x, slopes["grads"], h, point["meta"])
        total = torch.stack([leaf.sum() for leaf in tensors(x)]).sum()
        if not bool(total.isfinite()):
            return ["the iterate itself"]
        if not total.requires_grad:
            return []
        seeds = tensors(point) + tensors(slopes)
        found = torch.autograd.grad(total, seeds, allow_unused=True)
    names = leaf_names(point) + leaf_names(slopes)
    return [n for n, s in zip(names, found, strict=True) if s is not None and not bool(s.isfinite().all())]


def leaf_names(tree: Any) -> list[str]:
    """Names of the leaves in the order of `leaves`: params['weight'], state['velocity']['weight']."""
    found = [name for root, branch in tree.items() for name in _names(branch, root)]
    count = len(leaves(tree))
    return (
        found if len(found) == count else [f"leaf {place}" for place in range(count)]
    )  # a tree of the user's own kind


def _names(tree: Any, name: str) -> list[str]:
    if isinstance(tree, dict):
        return [entry for key, branch in tree.items() for entry in _names(branch, f"{name}[{key!r}]")]
    if isinstance(tree, tuple | list):
        return [entry for place, branch in enumerate(tree) for entry in _names(branch, f"{name}[{place}]")]
    return [name]


def _probe(leaf: Tensor, generator: torch.Generator, zero: float) -> Tensor:
    """A random direction in which every entry moves in proportion to its size, and one that is 0 as if it were `zero`.

    Gradients and states that are 0 stay 0: Adam's step bends there within eps, where no difference can follow.
    """
    size = torch.where(leaf == 0, torch.full_like(leaf, zero), leaf.detach().abs())
    return torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype) * size


def _differences(
    outputs: Any, values: list[Any], place: int, probe: Tensor, weights: dict[str, Tensor]
) -> dict[str, tuple[float, float]]:
    """Central difference of every output along one input, with its uncertainty."""

    def shifted(by: float) -> dict[str, Tensor]:
        with torch.no_grad():
            moved = [leaf + by * probe if i == place else leaf for i, leaf in enumerate(values)]
            return outputs(moved)  # type: ignore[no-any-return]

    columns: dict[str, list[float]] = {name: [] for name in weights}
    for h in _STEPS:
        above, below = shifted(h), shifted(-h)
        for name, weight in weights.items():
            columns[name].append(float((weight * (above[name] - below[name])).sum()) / (2 * h))
    result = {}
    for name, column in columns.items():
        gaps = [abs(a - b) for a, b in pairwise(column)]
        best = min(range(len(gaps)), key=lambda k: gaps[k] if gaps[k] == gaps[k] else float("inf"))
        result[name] = column[best + 1], gaps[best]
    return result
