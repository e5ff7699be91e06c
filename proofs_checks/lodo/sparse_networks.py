r"""E3: sparse linear networks as block-diagonal factors between permutations, and these as one Gt; exact matrices.

Source: derived here, in the setting of arXiv 2210.06171.
"""

from fractions import Fraction
from random import Random
from typing import Any

import numpy as np

from l2o_theory.claims import Claim, Measurement, Status
from l2o_theory.quasi_newton.preconditioner import factor
from l2o_theory.quasi_newton.routing import least_layers
from l2o_theory.quasi_newton.switches import Permutation, routed

F = Fraction
SOURCE = "derived here, in the setting of arXiv 2210.06171"


def _verdict(
    rows: list[dict[str, Any]], holds: bool, faults: dict[str, bool], how: str = "exact rationals"
) -> Measurement:
    return Measurement(
        holds=holds,
        table=tuple(rows),
        margin=0.0,
        arithmetic=how,
        refuted_faults=tuple(name for name, found in faults.items() if found),
        accepted_faults=tuple(name for name, found in faults.items() if not found),
    )


def _absorbed(seed: int) -> Measurement:
    """D_1 Q_1 D_2 Q_2 with random rational blocks as one Gt, found by search and multiplied out exactly."""
    lines = 4
    random = Random(seed)
    depth = 2 * least_layers(lines, 2, 0.1)
    rows, missed = [], []
    for trial in range(4):
        parts, orders, target = [], [], np.diag([F(1)] * lines)
        for _ in range(2):
            shuffles = [tuple(random.sample(range(lines), lines)) for _ in range(depth)]
            wanted = tuple(random.sample(range(lines), lines))
            D = [[[F(random.randint(-5, 5)) for _ in range(2)] for _ in range(2)] for _ in range(2)]
            chosen = routed(shuffles, 2, wanted)
            layers = [[_switch(block, half) for half in range(2)] for block in chosen]
            layers[0] = [np.array(D[half], dtype=object) @ layers[0][half] for half in range(2)]
            parts += layers
            orders += shuffles
            target = target @ _diagonal(D) @ _gather(wanted)
        found = factor(np.array(parts, dtype=object), orders, lines)
        rows.append({"trial": trial, "layers": 2 * depth, "equal": bool((found == target).all())})
        missed.append(bool((found != target[::-1]).any()))
    return _verdict(rows, all(row["equal"] for row in rows), {"another network": all(missed)})


def _gather(order: Permutation) -> Any:
    """The matrix of (P x)_j = x[order[j]]."""
    return np.array([[F(int(order[j] == i)) for i in range(len(order))] for j in range(len(order))], dtype=object)


def _switch(block: Permutation, half: int) -> Any:
    return np.array([[F(int(block[2 * half + r] == 2 * half + c)) for c in range(2)] for r in range(2)], dtype=object)


def _diagonal(D: list[list[list[Fraction]]]) -> Any:
    full = np.full((4, 4), F(0), dtype=object)
    full[:2, :2], full[2:, 2:] = D
    return full


ABSORBED = Claim(
    id="lodo/routing/absorbs_blocks",
    title="Where every permutation routes, any product of block-diagonal matrices and permutations is a Gt",
    source=SOURCE,
    statement="D_1 Q_1 D_2 Q_2 = B_1 P_1 .. B_N P_N: each segment routes Q_j, and D_j joins its left-most blocks.",
    kind="identity",
    scope="nt = 4, k = 2, four random rational networks, multiplied out exactly",
    expected=Status.NOT_FALSIFIED,
    measure=_absorbed,
)

LINES = 8
Connection = tuple[int, int, Fraction]


def sparse_layer(random: Random) -> list[Connection]:
    """Random (output, input, weight) with at most LINES connections, in- and out-degree at most 2."""
    pairs = [(o, i) for o in range(LINES) for i in range(LINES)]
    chosen: list[Connection] = []
    for o, i in random.sample(pairs, len(pairs)):
        free = sum(c[0] == o for c in chosen) < 2 and sum(c[1] == i for c in chosen) < 2
        if free and len(chosen) < LINES:
            chosen.append((o, i, F(random.randint(1, 9), random.randint(1, 4))))
    return chosen


def _seats(groups: list[list[int]]) -> dict[int, int]:
    """A line for every connection: pairs of one node take a block, single ones share blocks."""
    order = [c for group in groups if len(group) == 2 for c in group] + [g[0] for g in groups if len(g) == 1]
    return {connection: line for line, connection in enumerate(order)}


def _completed(targets: dict[int, int]) -> Permutation:
    """A permutation (P x)_j = x[order[j]] with order[j] as wanted; the other lines in any order."""
    left = [line for line in range(LINES) if line not in targets.values()]
    return tuple(targets[j] if j in targets else left.pop() for j in range(LINES))


def factors(layer: list[Connection]) -> list[Any]:
    """Q_2 D_2 Q_1 D_1 Q_0: arrange, copy, reorder, weigh and add, arrange."""
    by_input = [[c for c, (_, i, _) in enumerate(layer) if i == line] for line in range(LINES)]
    by_output = [[c for c, (o, _, _) in enumerate(layer) if o == line] for line in range(LINES)]
    copies, sums = _seats([g for g in by_input if g]), _seats([g for g in by_output if g])
    zero = np.full((LINES, LINES), F(0), dtype=object)
    copy, add = zero.copy(), zero.copy()
    arrive, leave = {}, {}
    for group, source in ((g, line) for line, g in enumerate(by_input) if g):
        first = copies[group[0]]
        arrive[first] = source
        for c in group:
            copy[copies[c], first] = F(1)
    for group, target in ((g, line) for line, g in enumerate(by_output) if g):
        first = sums[group[0]]
        leave[target] = first
        for c in group:
            add[first, sums[c]] = layer[c][2]
    between = _completed({sums[c]: copies[c] for c in range(len(layer))})
    # Outputs without a connection must read a line that carries nothing
    silent = [line for line in range(LINES) if line not in leave.values()]
    leave |= {line: silent.pop() for line in range(LINES) if line not in leave}
    return [_gather(_completed(leave)), add, _gather(between), copy, _gather(_completed(arrive))]


def _sparse(seed: int) -> Measurement:
    """Random sparse layers multiplied out exactly; every D is block diagonal with 2x2 blocks."""
    random, rows, lost = Random(seed), [], []
    inside_blocks = np.kron(np.eye(LINES // 2), np.ones((2, 2)))
    for trial in range(12):
        layer = sparse_layer(random)
        wanted = np.full((LINES, LINES), F(0), dtype=object)
        for o, i, w in layer:
            wanted[o, i] = w
        parts = factors(layer)
        product = parts[0] @ parts[1] @ parts[2] @ parts[3] @ parts[4]
        blocky = all(not (part[inside_blocks == 0] != 0).any() for part in (parts[1], parts[3]))
        rows.append({"trial": trial, "connections": len(layer), "holds": bool((product == wanted).all()) and blocky})
        lost.append(bool((parts[0] @ parts[1] @ parts[3] @ parts[4] != wanted).any()))
    return _verdict(rows, all(row["holds"] for row in rows), {"without the reordering between": all(lost)})


SPARSE = Claim(
    id="lodo/routing/sparse_layer",
    title="A layer with in- and out-degree at most 2 is three block-diagonal factors between permutations",
    source=SOURCE,
    statement=(
        "F = Q_2 D_2 Q_1 D_1 Q_0: copies by [[1,0],[1,0]], sums by [[w1,w2],[0,0]], as many lines as connections.\n"
        "With lodo/routing/absorbs_blocks: a network of depth d and degree q needs 2 N1 (2 d ceil(log2 q) + 1) layers."
    ),
    kind="identity",
    scope="twelve random layers of at most 8 connections on 8 lines, multiplied out in rationals",
    expected=Status.NOT_FALSIFIED,
    measure=_sparse,
)

CLAIMS = [ABSORBED, SPARSE]
