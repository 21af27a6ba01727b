"""Points at which expressions are evaluated: a rational value for each letter, and sets of points for each kind of form.

The values are fixed, the same in every process, and have nothing to do with any expression. Which points a comparison
needs depends on the operations: a polynomial needs a few, a root both signs of each letter, a floor a whole grid.
"""

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache

from .grammar import Tree


MAX_CACHED = 4096
DENOMINATOR = 1_000_003  # a prime, so that values share no factor with what is written in answers
GRID_SIZE = 96
MAX_GRID_NUMBER = 20  # a floor or a bar with larger numbers in it may turn where no point of the grid is
INTEGERS = frozenset("ijklmnNKM")  # letters that denote integers within a floor
LARGER = frozenset("mnMN")  # at every other integer point, so that (n-k)! has a value there
MORE = 20
NUM_SIGNS = 6  # bits of a letter's code: any two letters differ in one of them, hence in sign at one point


@lru_cache(maxsize=MAX_CACHED)
def _random(letter: str, key: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{key} {letter}".encode()).digest()[:8], "big")


def _between(letter: str, key: str, low: Fraction, high: Fraction) -> Fraction:
    return low + (high - low) * Fraction(_random(letter, key) % DENOMINATOR, DENOMINATOR)


def _code(letter: str) -> int:
    """Distinct for all letters without an index."""
    return ord(letter[0]) - 64 if letter[0] != "\\" else _random(letter, "code") % 64


def _signed(letter: str, bit: int) -> Fraction:
    size = _between(letter, f"signed {bit}", Fraction(1, 5), Fraction(7))
    return -size if _code(letter) >> bit & 1 else size


def _on_the_grid(letter: str, number: int) -> Fraction:
    """Integers in a row, the letters in different orders; for letters that are no integers, what lies between, too."""
    step = (1, 5, 7, 11, 13)[_random(letter, "step") % 5]  # prime to the size, so that it runs through all places
    place = (number * step + _random(letter, "start") % GRID_SIZE) % GRID_SIZE - GRID_SIZE // 2 + 8
    if letter[0] in INTEGERS or number % 4 == 0:
        return Fraction(place)
    return Fraction(place, 2) + Fraction(_random(letter, f"grid {number}") % 1009, 2 * 1009)


def value(letter: str, kind: str, number: int) -> Fraction:
    """Value of a letter at one point of a kind: `plain`, `signed`, `integer` or `grid`."""
    if kind == "plain":
        size = _between(letter, f"plain {number}", Fraction(3, 5), Fraction(5))
        return -size if number == 1 else size
    if kind == "signed":
        if number < NUM_SIGNS:
            return _signed(letter, number)
        low, high = ((0, 1), (20, 90), (-90, -20), (-1, 0))[number - NUM_SIGNS]
        return _between(letter, f"signed {number}", Fraction(low), Fraction(high))
    if kind == "integer":
        size = Fraction(3 + _random(letter, f"integer {number}") % 37)
        return size + MORE if number % 2 and letter[0] in LARGER else size
    return _on_the_grid(letter, number)


NUM_POINTS = {"plain": 3, "signed": NUM_SIGNS + 4, "integer": 12, "grid": GRID_SIZE}
_GRID = {"floor*", "ceil*", "abs*"}
_WHOLE = {"factorial*", "binomial*"}
_SIGNED = {"root*", "real power*", "ln*", "log*", "lg*", "arcsin*", "arccos*"}


def kinds_of_points(trees: Iterable[Tree]) -> tuple[str, ...]:
    """The kinds of points that a comparison of these trees needs."""
    kinds = frozenset().union(*(tree.kinds for tree in trees))
    if kinds & _WHOLE:
        return ("integer",)
    if kinds & _GRID:
        return ("grid",)
    return ("plain", "signed") if kinds & _SIGNED else ("plain",)
