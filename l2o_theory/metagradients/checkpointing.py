"""The whole chain rule in the memory of about sqrt(N) steps: states are saved, graphs are rebuilt piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from l2o_theory.metagradients.arguments import check_count, inside_transform
from l2o_theory.metagradients.estimate import Diagnostics, MetaGradient
from l2o_theory.metagradients.objective import SUM, Batches, MetaObjective
from l2o_theory.metagradients.reverse import collected
from l2o_theory.metagradients.trajectory import Cuts, Path, Start, check_arguments, rebuilt, roll, started
from l2o_theory.optimizers.rule import UpdateRule
from l2o_theory.problems.problem import Params, Problem
from l2o_theory.problems.trees import detached, mapped, tensors


def floating(tree: object) -> list[Tensor]:
    """The leaves that have derivatives."""
    return [leaf for leaf in tensors(tree) if leaf.is_floating_point()]


def with_floating(tree: Any, values: Sequence[Tensor]) -> Any:
    """The tree with its floating leaves replaced, in order."""
    pieces = iter(values)
    return mapped(lambda x: next(pieces) if isinstance(x, Tensor) and x.is_floating_point() else x, tree)


def pulled_back(
    function: Callable[..., list[Tensor]], inputs: list[Tensor], cotangents: list[Tensor | None]
) -> list[Tensor | None]:
    """sum_j cotangent_j d(output_j)/d(input_i) for each input; None where there is no path, or no cotangent."""
    if inside_transform():
        wanted = [j for j, cotangent in enumerate(cotangents) if cotangent is not None]
        if not wanted:
            return [None] * len(inputs)
        _, pull = torch.func.vjp(lambda *points: [function(*points)[j] for j in wanted], *inputs)  # type: ignore[misc]
        return list(pull([cotangents[j] for j in wanted]))
    points = [leaf.detach().requires_grad_() for leaf in inputs]
    with torch.enable_grad():
        outputs = function(*points)
    pairs = [
        (output, cotangent)
        for output, cotangent in zip(outputs, cotangents, strict=True)
        if cotangent is not None and output.requires_grad
    ]
    if not pairs:
        return [None] * len(inputs)
    ends, weights = zip(*pairs, strict=True)
    return list(torch.autograd.grad(ends, points, weights, allow_unused=True))


def loss_cotangents(objective: MetaObjective, losses: list[Tensor]) -> tuple[Tensor, list[Tensor | None]]:
    """The objective, and its derivative in each loss; None where it does not read the loss."""
    steps = len(losses)
    read = [t for t in range(1, steps + 1) if objective.reads(t, steps)]

    def value(*parts: Tensor) -> list[Tensor]:
        filled = list(losses)
        for t, part in zip(read, parts, strict=True):
            filled[t - 1] = part
        return [objective.value(filled)]

    found = iter(pulled_back(value, [losses[t - 1] for t in read], [torch.ones_like(losses[0])]))
    wanted = set(read)
    return objective.value(losses), [next(found) if t in wanted else None for t in range(1, steps + 1)]


def checkpointed(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    steps: int,
    *,
    start: Start,
    objective: MetaObjective = SUM,
    batches: Batches | None = None,
    segment: int | None = None,
) -> MetaGradient:
    """G_N = dL_N/dphi as `reverse`, with about sqrt(N) steps of graph and sqrt(N) saved states in memory at a time.

    The unroll runs once without a graph and saves (x, h) every `segment` steps. From the last segment to the first,
    each is run again from its saved state with a graph, and pulls the derivative at its end back to its start. So
    each inner step is taken twice. `batches` must give the same batch each time it is asked for the same t.

    Args:
        rule, problem, meta, steps, start, objective, batches: as for `reverse`.
        segment: steps between saved states, 1..N; ceil(sqrt(N)) where None.

    Raises:
        InputError: as for `reverse`, and a segment outside 1..N.
    """
    check_arguments(rule, problem, meta, steps, start, batches, objective)
    if segment is not None:
        check_count("segment", segment, steps)
    length = math.isqrt(steps - 1) + 1 if segment is None else segment
    ends = [*range(length, steps, length), steps]
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    saved, losses, diagnostics = _saved(rule, problem, meta, start, spans, objective, batches)
    value, cotangents = loss_cotangents(objective, losses)

    count = len(tensors(meta))

    def piece(span: tuple[int, int], carry: Any) -> Callable[..., list[Tensor]]:
        """(phi, x, h at the start) -> (losses that the objective reads, x, h at the end), all as flat lists."""

        def run(*points: Tensor) -> list[Tensor]:
            point = rebuilt(meta, list(points[:count]))
            begin = started(rule, point, start) if span[0] == 0 else with_floating(carry, points[count:])
            path, *end = roll(
                rule, problem, point, begin, span, steps=steps, cuts=Cuts(), batches=batches, objective=objective
            )
            return [*(path.judged or path.losses), *floating(end)]

        return run

    total: list[Tensor | None] = [None] * count
    beyond: list[Tensor | None] = [None] * len(floating(saved[0]))
    for (first, last), carry in zip(reversed(spans), reversed(saved), strict=True):
        inputs = [*tensors(meta), *(floating(carry) if first > 0 else [])]
        found = pulled_back(piece((first, last), carry), inputs, [*cotangents[first:last], *beyond])
        total = [_added(old, new) for old, new in zip(total, found[:count], strict=True)]
        beyond = found[count:]
    gradient, missing = collected(meta, tuple(total))
    text = "the derivative of the meta-objective, without bias"
    return MetaGradient(value, gradient, diagnostics, estimates=text, unconnected=missing)


def _added(old: Tensor | None, new: Tensor | None) -> Tensor | None:
    if old is None or new is None:
        return new if old is None else old
    return old + new


def _saved(
    rule: UpdateRule,
    problem: Problem,
    meta: Params,
    start: Start,
    spans: list[tuple[int, int]],
    objective: MetaObjective,
    batches: Batches | None,
) -> tuple[list[Any], list[Tensor], Diagnostics]:
    """(x, h) at the start of each span, the losses that the objective reads, and the diagnostics."""
    steps = spans[-1][1]
    whole = Path()
    with torch.no_grad():
        meta = detached(meta)
        carry = started(rule, meta, start)
        saved = []
        for span in spans:
            saved.append(detached(carry))
            path, *after = roll(
                rule, problem, meta, carry, span, steps=steps, cuts=Cuts(), batches=batches, objective=objective
            )
            path.summarise()
            whole.losses += [loss.detach() for loss in path.losses]
            whole.judged += [loss.detach() for loss in path.judged]
            whole.summaries += path.summaries
            carry = (after[0], after[1])
    return saved, whole.judged or whole.losses, whole.diagnostics()
