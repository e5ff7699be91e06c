r"""E0-E2: what random layers of small blocks can route, exactly.

mu_P: law of B_1 P_1 .. B_N P_N when every block is a uniform permutation of its k lines. Then n! E_P sum (mu_P -
1/n!)^2 = X(n,k,N) = sum_{L != (n)} f_L^2 (Kostka(L,(k^(n/k)))/f_L)^N. By Markov at least half of the group is reached
except with probability 2X, and two halves of more than half the elements multiply to the whole group.

Source: derived here, in the setting of arXiv 2210.06171.
"""

from fractions import Fraction
from itertools import permutations, product
from math import factorial, log2
from random import Random
from typing import Any

from l2o_theory.claims import Claim, Measurement, Mutation, Status
from l2o_theory.quasi_newton.routing import chi_square, least_layers, ratios, rule_of_thumb
from l2o_theory.quasi_newton.switches import Permutation, block_permutations, compose, reached
from l2o_theory.rigor.proof import Proof, Step, times
from l2o_theory.rigor.statement import Parameter, Statement

F = Fraction
SOURCE = "derived here, in the setting of arXiv 2210.06171"


def enumerated(lines: int, size: int, layers: int) -> Fraction:
    """n! E_P sum mu_P^2 - 1 with every P_1 .. P_{N-1} written out; P_N only relabels."""
    group, blocks = list(permutations(range(lines))), block_permutations(lines, size)
    total = cases = 0
    for shuffles in product(group, repeat=layers - 1):
        law = dict.fromkeys(blocks, 1)
        for shuffle in shuffles:
            spread: dict[Permutation, int] = {}
            for element, weight in law.items():
                for block in blocks:
                    target = compose(compose(element, shuffle), block)
                    spread[target] = spread.get(target, 0) + weight
            law = spread
        total, cases = total + sum(weight**2 for weight in law.values()), cases + 1
    return F(factorial(lines) * total, cases * len(blocks) ** (2 * layers)) - 1


def collision(lines: int, size: int, layers: int) -> Fraction:
    """The same from the ratio of two copies: delta <- B (P delta P^-1) B', from the identity; n! P(delta = e) - 1."""
    group, blocks = list(permutations(range(lines))), block_permutations(lines, size)
    law = dict.fromkeys(group, F(0))
    law[tuple(range(lines))] = F(1)
    for _ in range(layers):
        classes: dict[Permutation, Fraction] = {}
        members: dict[Permutation, int] = {}
        for element, weight in law.items():
            kind = cycle_type(element)
            classes[kind] = classes.get(kind, F(0)) + weight
            members[kind] = members.get(kind, 0) + 1
        law = {g: classes[cycle_type(g)] / members[cycle_type(g)] for g in group}
        for _side in range(2):  # multiply by a uniform block on the left, then (through the inverse) on the right
            sums = dict.fromkeys(group, F(0))
            for element, weight in law.items():
                if weight:
                    for block in blocks:
                        sums[compose(block, element)] += weight / len(blocks)
            law = {inverse(g): w for g, w in sums.items()}
    return factorial(lines) * law[tuple(range(lines))] - 1


def inverse(a: Permutation) -> Permutation:
    """a^-1."""
    return tuple(sorted(range(len(a)), key=a.__getitem__))


def cycle_type(a: Permutation) -> Permutation:
    """Lengths of the cycles, sorted."""
    left, lengths = set(range(len(a))), []
    while left:
        start = at = left.pop()
        length = 1
        while (at := a[at]) != start:
            left.remove(at)
            length += 1
        lengths.append(length)
    return tuple(sorted(lengths))


def _second_moment(seed: int) -> Measurement:
    """Formula against enumeration and against the collision recursion, equal as rationals (nothing random)."""
    routes = {
        "all permutations": (enumerated, [(4, 2, 1), (4, 2, 2), (4, 2, 3), (6, 2, 1), (6, 3, 1), (6, 2, 2)]),
        "two copies": (collision, [(4, 2, 4), (6, 2, 3), (6, 2, 4), (6, 3, 2), (6, 3, 3)]),
    }
    rows, faults = [], {"one power of f_L too few": True, "number of tableaux instead of Kostka numbers": True}
    for name, (route, settings) in routes.items():
        for setting in settings:
            formula, observed = chi_square(*setting), route(*setting)
            rows.append({"n, k, N": str(setting), "route": name, "formula": str(formula), "observed": str(observed)})
            pairs, layers = ratios(*setting[:2]), setting[2]
            faults["one power of f_L too few"] &= sum(f * F(c, f) ** layers for f, c in pairs) != observed
            faults["number of tableaux instead of Kostka numbers"] &= sum(f**2 for f, _ in pairs) != observed
    return _verdict(rows, all(row["formula"] == row["observed"] for row in rows), faults)


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


SECOND_MOMENT = Claim(
    id="lodo/routing/second_moment",
    title="The spread of routed permutations is a sum over partitions, exactly",
    source=SOURCE,
    statement="n! E_P sum_tau (mu_P(tau) - 1/n!)^2 = sum_{L != (n)} f_L^2 (Kostka(L,(k^(n/k)))/f_L)^N.",
    kind="identity",
    scope="n = 4 and 6, k = 2 and 3, up to 4 layers; two independent enumerations",
    expected=Status.NOT_FALSIFIED,
    measure=_second_moment,
)

UNREACHED = Claim(
    id="lodo/routing/unreached_fraction",
    title="The fraction of permutations that cannot be routed is at most the chi-square value",
    source=SOURCE,
    statement=(
        "If mu lives on S of n! = T elements, mu_i its values, then T sum mu_i^2 - 1 >= T/S - 1 >= 1 - S/T = the\n"
        "fraction not reached. (q_i = 1 counts the elements of S.)"
    ),
    kind="upper",
    scope="every law on every finite set",
    expected=Status.PROVED,
    formal=Statement(
        parameters=(
            Parameter("S", low="0", meaning="elements reached"),
            Parameter("T", low="S", landmarks=("S",), meaning="elements in all"),
            Parameter("m_i", kind="share", meaning="their probabilities"),
            Parameter("q_i", low="0", landmarks=("1",), meaning="1 for each element"),
        ),
        hypotheses={
            "unit": "sum(m_i) == 1",
            "ones": "q_i == 1",
            "count": "sum(q_i) == S",
            "some": "S > 0",
            "all": "T >= S",
        },
        conclusion="T*(S*(T*sum(m_i**2) - 1)) >= T*(T - S) and T*(T - S) >= S*(T - S)",
    ),
    witness={"S": "2", "T": "6", "m_i": ["1/3", "2/3"], "q_i": ["1", "1"]},
    proof=Proof(
        steps=(
            Step("T_positive", "T > 0", terms=(times("some"), times("all"))),
            Step("square", "S**2*m_i**2 - 2*S*m_i*q_i + q_i**2 >= 0", terms=(times(square="S*m_i - q_i"),)),
            Step(
                "linear", "S**2*m_i**2 - 2*S*m_i + q_i >= 0", terms=(times("square"),), equal={"ones": "2*S*m_i - q_i"}
            ),
            Step("total", "sum(S**2*m_i**2 - 2*S*m_i + q_i) >= 0", sum_of="linear"),
            Step("scaled", "S*(S*sum(m_i**2) - 1) >= 0", terms=(times("total"),), equal={"unit": "2*S", "count": "-1"}),
            Step("cauchy", "S*sum(m_i**2) - 1 >= 0", cancel=("some", "scaled")),
            Step(
                "first",
                "T*(S*(T*sum(m_i**2) - 1)) >= T*(T - S)",
                terms=(times("T_positive", "T_positive", "cauchy"),),
            ),
            Step("second", "T*(T - S) >= S*(T - S)", terms=(times("all", "all"),)),
        ),
    ),
    mutations=(
        Mutation(
            "half the chi-square value",
            {"conclusion": "T*(S*(T*sum(m_i**2) - 1)) >= 2*T*(T - S)"},
            {"S": "1", "T": "2", "m_i": ["1"], "q_i": ["1"]},
        ),
        Mutation(
            "some of S left out",
            {"hypotheses": {"count": "sum(q_i) >= S"}},
            {"S": "1", "T": "10", "m_i": ["1/2", "1/2"], "q_i": ["1", "1"]},
        ),
    ),
)


DRAWS = 120


def _shares(seed: int, lines: int, layers: int) -> float:
    """Share of DRAWS of random layers that route every permutation."""
    random = Random(f"{seed} {lines} {layers}")
    whole = factorial(lines)
    hits = 0
    for _ in range(DRAWS if lines < 6 else DRAWS // 6):
        shuffles = [tuple(random.sample(range(lines), lines)) for _ in range(layers)]
        hits += len(reached(shuffles, 2)) == whole
    return hits / (DRAWS if lines < 6 else DRAWS // 6)


def _every(seed: int) -> Measurement:
    rows = []
    for lines in (4, 6):
        depth = least_layers(lines, 2, 0.1)
        promised = float(1 - 4 * chi_square(lines, 2, depth))
        rows.append(
            {"nt": lines, "layers": 2 * depth, "promised": promised, "observed": _shares(seed, lines, 2 * depth)}
        )
    shallow = {"half of nt layers are enough": _shares(seed, 4, 2) < 0.6 and _shares(seed, 6, 3) < 0.6}
    holds = all(row["observed"] >= row["promised"] for row in rows)  # observed is 1 in practice: the bound is generous
    return _verdict(rows, holds, shallow, f"{DRAWS} draws, reachable sets exactly")


EVERY = Claim(
    id="lodo/routing/every_permutation",
    title="2 N1 random layers of 2x2 blocks route every permutation with probability at least 1 - 4 X(nt,2,N1)",
    source=SOURCE,
    statement="Share of random layers whose reachable set is the whole group, against the promise.",
    kind="statistical",
    scope="nt = 4 and 6 at X <= 0.1; by lodo/routing/unreached_fraction and Markov for all nt",
    expected=Status.NOT_FALSIFIED,
    measure=_every,
    corrects="lodo/routing/factorial_failure",
)


def _factorial(seed: int) -> Measurement:
    """(n-1)^-(N-1) against 1/n! at N = 4 log2 n, in integers; on n = 4 a pair that stays together spoils routing."""
    rows = []
    for n in (16, 64, 256, 1024):
        layers = int(4 * log2(n))
        stuck, promised = (n - 1) ** (layers - 1), factorial(n)  # inverse probabilities
        rows.append(
            {"n": n, "layers": layers, "log2 failure at least": -round(log2(stuck), 1)}
            | {"log2 of 1/n!": -round(log2(promised), 1), "promise kept": stuck >= promised}
        )
    together = [tuple(range(4)), (1, 0, 3, 2), (0, 1, 3, 2), (2, 3, 0, 1), (0, 1, 2, 3), (3, 2, 1, 0)]
    spoiled = len(reached(together, 2)) < 24
    mixing = len(reached([(0, 2, 1, 3)] * 6, 2)) == 24
    return Measurement(
        holds=all(row["promise kept"] for row in rows),
        table=tuple(rows),
        margin=-1.0,
        arithmetic="integers; reachable sets of 6 layers on 4 lines, exactly",
        refuted_faults=("a pair that never mixes still routes everything",) if spoiled and mixing else (),
        accepted_faults=() if spoiled and mixing else ("a pair that never mixes still routes everything",),
    )


FACTORIAL = Claim(
    id="lodo/routing/factorial_failure",
    title="With O(log n) random layers per sparse layer, representation fails with probability at most 1/n! only",
    source="a later course paper restates 1 - (n!)^O(1), read here as 1 - 1/n!; the refutation is derived here",
    statement=(
        "False at depth 1: the two lines of a block of the first layer share a block in all others with probability\n"
        "(n-1)^-(N-1) = exp(-O(log^2 n)), far above 1/n!; then they never mix with the rest."
    ),
    kind="upper",
    scope="k = 2, N = 4 log2 n, n = 16 to 1024",
    expected=Status.FALSIFIED,
    measure=_factorial,
)


def _table(seed: int) -> Measurement:
    """Depths N1 with X <= eps against the reference table, the rule of thumb, the slowest ratio (nothing random)."""
    sizes = (8, 12, 16, 20, 24)
    table = {
        (2, 0.1): (8, 10, 11, 12, 12),
        (2, 0.01): (11, 13, 14, 15, 15),
        (2, 1e-4): (16, 18, 20, 21, 21),
        (4, 0.1): (4, 5, 5, 6, 6),
        (4, 0.01): (5, 6, 7, 7, 8),
        (4, 1e-4): (7, 9, 10, 10, 11),
    }
    rows, ok = [], []
    for (size, bound), wanted in table.items():
        found = [least_layers(n, size, bound) for n in sizes]
        rule = [rule_of_thumb(n, size, bound) for n in sizes]
        rows.append({"k": size, "eps": bound, "N1": found, "rule": rule})
        ok.append(tuple(found) == wanted and all(abs(a - b) <= 1 for a, b in zip(found, rule, strict=True)))
    slowest = {n: max(F(c, f) for f, c in ratios(n, 2)) for n in (4, *sizes)}
    ok.append(all(slowest[n] == F(n // 2 - 1, n - 1) for n in sizes))
    faults = {
        "log2 nt layers are enough": all(least_layers(n, 2, 0.1) > log2(n) for n in sizes),
        "the ratio (n/k-1)/(n-1) at n = 4 too": slowest[4] == F(1, 2),
    }
    return _verdict(rows, all(ok), faults, "float64 sums of positive terms; ratios exact")


TABLE = Claim(
    id="lodo/routing/depths",
    title="Depths at which random layers route: about 2 log_k nt + log_k(1/eps) layers",
    source=SOURCE,
    statement=(
        "Smallest N1 with X(nt,k,N1) <= eps; within one layer of ceil(ln((nt-1)^2/eps)/ln((nt-1)/(nt/k-1))). The\n"
        "slowest ratio Kostka/f is (nt/k-1)/(nt-1), except at nt = 4 = 2k."
    ),
    kind="identity",
    scope="nt = 8 to 24, k = 2 and 4; the tests go to 40 and 32",
    expected=Status.NOT_FALSIFIED,
    measure=_table,
)

CLAIMS = [SECOND_MOMENT, UNREACHED, EVERY, FACTORIAL, TABLE]
