"""Trees of tensors: iterates, states and batches as nested dicts, tuples and lists, leaf by leaf.

The one place that touches torch's tree functions: they are the ones that torch.func and torch.compile understand, but
torch has no public name for them yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeGuard, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree

Tree = TypeVar("Tree")
Record = TypeVar("Record")


def leaves(tree: object) -> list[Any]:
    """The leaves, in a fixed order (dicts by insertion)."""
    if isinstance(tree, Tensor):  # the shortest way for the commonest tree: unrolls ask once per inner step
        return [tree]
    return list(_pytree.tree_leaves(tree))


def tensors(tree: object) -> list[Tensor]:
    """The leaves that are tensors."""
    return [leaf for leaf in leaves(tree) if isinstance(leaf, Tensor)]


def structure(tree: object) -> object:
    """What remains of the tree when its leaves are taken away; two trees match if these are equal."""
    return _pytree.tree_structure(tree)


def mapped(function: Callable[..., Any], tree: Tree, *others: Any) -> Tree:
    """A tree of the same structure with function(leaf, ...) at each leaf."""
    if isinstance(tree, Tensor) and all(isinstance(other, Tensor) for other in others):
        alone: Tree = function(tree, *others)
        return alone
    if _is_named(tree) and all(_is_named(other) and other.keys() == tree.keys() for other in others):
        named: Any = {name: function(leaf, *[other[name] for other in others]) for name, leaf in tree.items()}
        return named  # type: ignore[no-any-return]
    result: Tree = _pytree.tree_map(function, tree, *others)
    return result


def _is_named(tree: Any) -> TypeGuard[dict[str, Tensor]]:
    """Whether the tree is a flat dict of tensors."""
    return type(tree) is dict and all(isinstance(leaf, Tensor) for leaf in tree.values())


def detached(tree: Tree) -> Tree:
    """The same numbers, cut from the graph."""
    return mapped(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)


def squared_norm(tree: object) -> Tensor:
    """Sum of the squares of all entries."""
    return torch.stack([_square(leaf).sum() for leaf in tensors(tree)]).sum()


def dot(left: object, right: object) -> Tensor:
    """Sum of the products of corresponding entries; both trees have the same structure."""
    return torch.stack([(a * b).sum() for a, b in zip(tensors(left), tensors(right), strict=True)]).sum()


def _square(leaf: Tensor) -> Tensor:
    """|z|^2 entry by entry; abs(z)^2 would have the second derivative 0 at 0."""
    return leaf * leaf if not leaf.is_complex() else (leaf * leaf.conj()).real


def registered(*constants: str) -> Callable[[type[Record]], type[Record]]:
    """Decorator that makes a dataclass a tree, so that torch.func.vmap can return it.

    Fields named in `constants`, and those that are None, are not leaves.
    """

    def register(record: type[Record]) -> type[Record]:
        names = [field.name for field in fields(record)]  # type: ignore[arg-type]

        def split(value: Any) -> tuple[list[Any], tuple[tuple[str, ...], dict[str, Any]]]:
            given = {name: getattr(value, name) for name in names}
            fixed = {name: entry for name, entry in given.items() if name in constants or entry is None}
            trees = {name: entry for name, entry in given.items() if name not in fixed}
            return list(trees.values()), (tuple(trees), fixed)

        def build(children: Any, context: Any) -> Record:
            return record(**dict(zip(context[0], children, strict=True)), **context[1])

        _pytree.register_pytree_node(record, split, build)
        return record

    return register
