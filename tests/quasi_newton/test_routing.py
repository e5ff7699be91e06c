"""Routing: partitions by brute force, the chi-square sum by enumeration over all permutations, tables of depths."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product
from math import factorial

import pytest

from l2o_theory.errors import InputError
from l2o_theory.quasi_newton.partitions import rectangle_kostka, standard_tableaux
from l2o_theory.quasi_newton.routing import chi_square, chi_square_float, least_layers, ratios, rule_of_thumb


def fillings(shape: tuple[int, ...], content: list[int]) -> int:
    """Semistandard tableaux by trying every filling row by row."""
    cells = [(i, j) for i, part in enumerate(shape) for j in range(part)]

    def count(place: int, filled: dict[tuple[int, int], int], left: list[int]) -> int:
        if place == len(cells):
            return 1
        i, j = cells[place]
        least = max(filled.get((i, j - 1), 0), filled.get((i - 1, j), -1) + 1)
        total = 0
        for value in range(least, len(left)):
            if left[value]:
                rest = [n - (k == value) for k, n in enumerate(left)]
                total += count(place + 1, {**filled, (i, j): value}, rest)
        return total

    return count(0, {}, content)


@pytest.mark.parametrize(("lines", "size"), [(4, 2), (6, 2), (6, 3), (8, 4), (6, 1)])
def test_tableaux_by_brute_force(lines: int, size: int) -> None:
    numbers = rectangle_kostka(lines, size)
    for shape, found in numbers.items():
        assert found == fillings(shape, [size] * (lines // size))
        assert standard_tableaux(shape) == fillings(shape, [1] * lines)
    # cosets of the block group are counted by SUM f_L Kostka: nothing is missing
    assert sum(standard_tableaux(s) * c for s, c in numbers.items()) == factorial(lines) // factorial(size) ** (
        lines // size
    )


def compose(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a[i] for i in b)


def enumerated(lines: int, size: int, layers: int) -> Fraction:
    """n! E_P SUM mu_P^2 - 1 with every choice of P_1, .., P_{N-1} written out (P_N only relabels the law)."""
    group = list(permutations(range(lines)))
    inside = [
        tuple(block * size + i for block, order in enumerate(orders) for i in order)
        for orders in product(*([list(permutations(range(size)))] * (lines // size)))
    ]
    total, cases = 0, 0
    for shuffles in product(group, repeat=layers - 1):
        law = dict.fromkeys(inside, 1)
        for shuffle in shuffles:
            spread: dict[tuple[int, ...], int] = {}
            for element, weight in law.items():
                for block in inside:
                    target = compose(compose(element, shuffle), block)
                    spread[target] = spread.get(target, 0) + weight
            law = spread
        total, cases = total + sum(weight * weight for weight in law.values()), cases + 1
    return Fraction(factorial(lines) * total, cases * len(inside) ** (2 * layers)) - 1


@pytest.mark.parametrize(
    ("lines", "size", "layers"), [(4, 2, 1), (4, 2, 2), (4, 2, 3), (6, 2, 1), (6, 3, 1), (6, 2, 2)]
)
def test_the_second_moment_by_enumeration(lines: int, size: int, layers: int) -> None:
    found = enumerated(lines, size, layers)
    assert chi_square(lines, size, layers) == found
    assert chi_square_float(lines, size, layers) == pytest.approx(float(found), rel=1e-13)
    # planted fault: f_L once instead of twice
    assert sum(Fraction(c**layers, f ** (layers - 1)) for f, c in ratios(lines, size)) != found


def test_known_values_and_tables() -> None:
    assert [chi_square(6, 2, 4), chi_square(6, 3, 3)] == [Fraction(717, 400), Fraction(23, 45)]
    two = {0.1: [6, 8, 10, 11, 12, 12], 0.01: [9, 11, 13, 14, 15, 15], 1e-4: [16, 16, 18, 20, 21, 21]}
    four = {0.1: [4, 5, 5, 6, 6], 0.01: [5, 6, 7, 7, 8], 1e-4: [7, 9, 10, 10, 11]}
    for bound, wanted in two.items():
        assert [least_layers(n, 2, bound) for n in (4, 8, 12, 16, 20, 24)] == wanted
        assert all(
            abs(rule_of_thumb(n, 2, bound) - w) <= 1 for n, w in zip((8, 12, 16, 20, 24), wanted[1:], strict=True)
        )
    for bound, wanted in four.items():
        assert [least_layers(n, 4, bound) for n in (8, 12, 16, 20, 24)] == wanted


@pytest.mark.slow
def test_the_largest_tables() -> None:
    assert [least_layers(40, 2, bound) for bound in (0.1, 0.01, 1e-4)] == [14, 17, 23]
    assert [least_layers(32, 4, bound) for bound in (0.1, 0.01, 1e-4)] == [7, 8, 11]


@pytest.mark.parametrize(("lines", "size"), [(8, 2), (12, 2), (16, 2), (12, 4), (12, 3), (4, 2)])
def test_the_slowest_ratio(lines: int, size: int) -> None:
    largest = max(Fraction(c, f) for f, c in ratios(lines, size))
    wanted = Fraction(1, 2) if (lines, size) == (4, 2) else Fraction(lines // size - 1, lines - 1)
    assert largest == wanted


def test_bad_input_is_refused() -> None:
    for call in (
        lambda: chi_square(5, 2, 1),
        lambda: chi_square(4, 2, 0),
        lambda: least_layers(4, 2, 0),
        lambda: rule_of_thumb(4, 4, 0.1),
    ):
        with pytest.raises(InputError):
            call()
