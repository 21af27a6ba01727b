"""Points keep letters apart: no two have one value, nor one sign at all points where signs matter."""

from itertools import combinations
from string import ascii_letters

import pytest

from serl_trl.answers.grammar import GREEK, tree
from serl_trl.answers.points import NUM_POINTS, kinds_of_points, value


LETTERS = [*(set(ascii_letters) - set("eio")), *("\\" + name for name in GREEK), "x_1", "x_2"]


def test_no_two_letters_have_one_value():
    for number in range(NUM_POINTS["plain"]):
        assert len({value(letter, "plain", number) for letter in LETTERS}) == len(LETTERS)


def test_any_two_latin_letters_differ_in_sign_somewhere():
    for a, b in combinations([letter for letter in LETTERS if len(letter) == 1], 2):
        assert any(value(a, "signed", n) * value(b, "signed", n) < 0 for n in range(NUM_POINTS["signed"]))


@pytest.mark.parametrize("letter", ["x", "n", "k", "t"])
def test_the_grid_reaches_every_unit(letter):
    """Of any interval [m, m+1) between -10 and 10 the grid has a point; for whole numbers, all of them."""
    points = [value(letter, "grid", number) for number in range(NUM_POINTS["grid"])]
    assert all(any(m <= point < m + 1 for point in points) for m in range(-10, 10))


@pytest.mark.parametrize(
    ("form", "kinds"),
    [
        ("x^2+1", ("plain",)),
        (r"\sqrt{2}x", ("plain",)),
        (r"\sqrt{x}", ("plain", "signed")),
        ("x^{n}", ("plain", "signed")),
        ("n!+|n|", ("integer",)),
        ("|x|", ("grid",)),
    ],
)
def test_kinds(form, kinds):
    parsed = tree(form)
    assert parsed is not None
    assert kinds_of_points([parsed]) == kinds
