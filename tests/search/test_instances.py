from collections import Counter
from fractions import Fraction
from random import Random

import hypothesis
import pytest
from planted_statements import FALSE, TRUE, Spectrum

from l2o_theory.rigor.statement import Parameter, Statement
from l2o_theory.search.cube import Shape, dimension, exactly, from_unit
from l2o_theory.search.instances import RandomChoices, draw_instance, fits, instances

QUADRATIC = TRUE["triangle"]


def drawn(statement: Statement, count: int, seed: int = 0) -> list[dict]:
    choices = RandomChoices(Random(seed))
    return [draw_instance(statement, choices) for _ in range(count)]


@hypothesis.settings(max_examples=50, deadline=None, database=None, derandomize=True)
@hypothesis.given(instances(QUADRATIC))
def test_shares_sum_to_exactly_one_and_vectors_agree_in_length(instance: dict) -> None:
    weights = [instance["w_1"], instance["w_d"], *instance["w_i"]]
    assert sum(weights) == 1
    assert min(weights) >= 0
    assert len(instance["w_i"]) == len(instance["l_i"]) <= 4
    assert instance["t"] >= 1
    assert instance["t"].denominator == 1


def test_most_draws_are_admissible_by_an_independent_check() -> None:
    sample = drawn(QUADRATIC, 400)
    assert sum(Spectrum(instance).admissible for instance in sample) > 200


def test_draws_reach_the_places_where_statements_fail() -> None:
    sample = [i for i in drawn(QUADRATIC, 2000) if Spectrum(i).admissible]
    seen = Counter[str]()
    for i in sample:
        tie = 2 / (i["L"] + i["alpha"])
        seen["on a landmark"] += i["eta"] in (1 / i["L"], tie, 2 / i["L"], 1 / i["alpha"])
        seen["close to the tie"] += 0 < abs(i["eta"] / tie - 1) < Fraction(1, 1000)
        seen["nearly equal extremes"] += 1 - i["alpha"] / i["L"] < Fraction(1, 1000)
        seen["tiny first weight"] += i["w_1"] < Fraction(1, 10**4)
        seen["long horizon"] += i["t"] == 1000
        seen["outside the range"] += i["eta"] < 0
        seen["two eigenvalues"] += i["l_i"] == ()
        seen["repeated eigenvalue"] += len(i["l_i"]) > len(set(i["l_i"]))
    assert min(seen.values()) >= 10, seen
    assert len(seen) == 8


def test_unbounded_reals_take_both_signs_and_many_magnitudes() -> None:
    values = [i["x"] for i in drawn(Statement((Parameter("x"),), {}, "x == x"), 400)]
    assert min(values) < 0 < max(values)
    assert max(map(abs, values)) > 10**5
    assert min(abs(v) for v in values if v) < Fraction(1, 10**5)


@pytest.mark.parametrize(
    "damage",
    [
        {"w_1": Fraction(1, 3)},
        {"w_1": Fraction(3, 2), "w_d": Fraction(-1, 2)},
        {"t": Fraction(0)},
        {"t": Fraction(3, 2)},
        {"l_i": (Fraction(1),)},
        {"l_i": Fraction(1)},
        {"eta": 0.5},
    ],
)
def test_values_of_the_wrong_sort_do_not_fit(damage: dict) -> None:
    half = Fraction(1, 2)
    good = {"L": half, "alpha": half / 2, "t": Fraction(1), "eta": half, "w_1": half, "w_d": half, "w_i": (), "l_i": ()}
    assert fits(QUADRATIC, good)
    assert not fits(QUADRATIC, {**good, **damage})
    assert not fits(QUADRATIC, {name: v for name, v in good.items() if name != "eta"})


def test_the_cube_decodes_every_corner_and_hits_landmarks_exactly() -> None:
    shape = Shape(2, {"t": 7})
    size, random = dimension(QUADRATIC, shape), Random(3)
    assert size == 2 + 1 + 2 + 2 * 2
    landmarks = 0
    for _ in range(600):
        point = from_unit(QUADRATIC, [random.choice([0.0, 1.0, random.random()]) for _ in range(size)], shape)
        instance = exactly(QUADRATIC, point)
        assert fits(QUADRATIC, instance)
        assert instance["t"] == 7
        assert 0 <= instance["alpha"] <= instance["L"]
        assert all(point["alpha"] <= entry <= point["L"] for entry in point["l_i"])
        landmarks += point["L"] > 0 and point["eta"] == 1.0 / point["L"]
    assert landmarks > 1


def test_cube_neighbours_are_close_within_a_piece() -> None:
    statement = Statement((Parameter("x", low="0", high="1"),), {}, "x == x")
    grid = [from_unit(statement, [u / 1000], Shape())["x"] for u in range(1001)]
    assert grid == sorted(grid)
    assert (grid[0], grid[-1]) == (0.0, 1.0)
    assert sum(0 < x < 1e-3 for x in grid) > 200  # a uniform grid has one such point


def test_shares_that_live_in_a_vector_alone_are_never_empty() -> None:
    statement = Statement((Parameter("w_i", "share"),), {}, "sum(w_i) == 1")
    assert all(sum(i["w_i"]) == 1 for i in drawn(statement, 50))


def test_bounds_that_cannot_be_evaluated_leave_the_range_open() -> None:
    statement = Statement((Parameter("x", low="1/0", high="y", landmarks=("sqrt(2)",)), Parameter("y")), {}, "x == x")
    assert len({i["x"] for i in drawn(statement, 50)}) > 10


def test_one_seed_one_sample() -> None:
    statement = FALSE["1/28"][0]
    assert drawn(statement, 20, seed=5) == drawn(statement, 20, seed=5)
    assert drawn(statement, 20, seed=5) != drawn(statement, 20, seed=6)
