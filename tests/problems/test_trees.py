import types
from dataclasses import dataclass

import pytest
import torch

from l2o_theory.problems import trees

STATE = {"m": torch.tensor([3.0, 4.0]), "inner": (torch.tensor(2.0), [torch.tensor([[1.0]])])}


def test_leaf_by_leaf() -> None:
    assert [leaf.numel() for leaf in trees.leaves(STATE)] == [2, 1, 1]
    doubled = trees.mapped(lambda leaf: 2 * leaf, STATE)
    assert trees.structure(doubled) == trees.structure(STATE)
    assert doubled["inner"][1][0].item() == 2.0
    assert trees.squared_norm(STATE).item() == 9 + 16 + 4 + 1
    assert trees.dot(STATE, doubled).item() == 2 * 30


def test_detached_cuts_the_graph_and_keeps_what_is_no_tensor() -> None:
    x = torch.ones(2, requires_grad=True)
    cut = trees.detached({"x": 2 * x, "steps": 7})
    assert not cut["x"].requires_grad
    assert cut["steps"] == 7
    assert (2 * x).requires_grad  # planted fault: an identity in place of `detached` would keep it


def test_other_structures_are_told_apart() -> None:
    assert trees.structure({"a": torch.ones(1)}) != trees.structure({"b": torch.ones(1)})
    with pytest.raises(ValueError, match="mismatch"):
        trees.mapped(torch.add, {"a": torch.ones(1)}, {"b": torch.ones(1)})


def test_the_squared_norm_is_curved_at_zero() -> None:
    """A meta-gradient sees this curvature; abs(x)^2 in its place would have none at 0."""
    for square, curvature in ((trees.squared_norm, 2.0), (lambda x: (x.abs() ** 2).sum(), 0.0)):
        found = torch.func.jacrev(torch.func.grad(square))(torch.zeros(2))
        assert torch.equal(found, curvature * torch.eye(2))
    assert trees.squared_norm(torch.tensor([3.0 + 4.0j])).item() == 25.0


def test_records_come_back_from_vmap() -> None:
    @trees.registered("word")
    @dataclass(frozen=True)
    class Record:
        square: torch.Tensor
        missing: torch.Tensor | None
        word: str

    found = torch.func.vmap(lambda x: Record(x * x, None, "kept"))(torch.tensor([2.0, 3.0]))
    assert found.square.tolist() == [4.0, 9.0]
    assert (found.missing, found.word) == (None, "kept")
    with pytest.raises(ValueError, match="must only return"):  # planted fault: a record that was not registered
        torch.func.vmap(lambda x: types.SimpleNamespace(square=x))(torch.tensor([2.0, 3.0]))


def test_the_short_ways_for_tensors_and_flat_dicts_do_what_the_long_way_does() -> None:
    from torch.utils import _pytree

    one, two = {"a": torch.ones(2), "b": torch.zeros(1)}, {"b": torch.full((1,), 5.0), "a": torch.full((2,), 3.0)}
    for tree, others in [(one, (two,)), (one, ()), (one, (one, two)), (one["a"], (two["a"],))]:
        short = trees.mapped(lambda *leaves: sum(leaves), tree, *others)
        long = _pytree.tree_map(lambda *leaves: sum(leaves), tree, *others)
        assert trees.structure(short) == trees.structure(long)
        assert all(map(torch.equal, trees.tensors(short), trees.tensors(long)))
    assert trees.mapped(torch.add, one, two)["a"][0] == 4  # planted: paired by place instead of name it would be 6
