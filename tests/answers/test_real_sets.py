"""Sets of real numbers, however they are written; all expectations by hand, or by membership of points."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.answers.answer_types import is_equivalent
from serl_trl.answers.compare import compare_forms
from serl_trl.answers.normalize import canonical_form
from serl_trl.answers.real_sets import looks_like_a_set, real_set


EQUAL = [
    (r"x \le 3 \text{ and } x > -1", "(-1,3]"),
    ("x > -1 and x <= 3", r"-1 < x \leq 3"),
    (r"-1<x\le 3", "(-1, 3]"),
    (r"3 \ge x > -1", r"(-1,3]"),
    ("x < 5", "5 > x"),
    ("x < 5", r"(-\infty, 5)"),
    (r"x \ge \frac{1}{2}", r"[0.5, \infty)"),
    (r"x < -\sqrt{2} \text{ or } x > \sqrt{2}", r"(-\infty,-\sqrt{2})\cup(\sqrt{2},\infty)"),
    (r"x > -\sqrt{2} \text{ and } x < \sqrt{2}", r"-\sqrt{2} < x < \sqrt{2}"),
    (r"[1,2)\cup[2,3]", "[1,3]"),
    (r"(3,4)\cup(1,2)", r"(1, 2) \cup (3, 4)"),
    (r"(1,\sqrt{12})\cup[2\sqrt{3},5)", "(1,5)"),
    (r"(-\infty,2)\cup(2,\infty)", r"x \ne 2"),
    (r"\mathbb{R} \setminus \{2, 1\}", r"(-\infty,1)\cup(1,2)\cup(2,\infty)"),
    (r"[1,2]\cup\{5\}", r"\{5\}\cup[1,2]"),
    (r"x \ne 1, x \ne 0", r"\mathbb{R}\setminus\{0,1\}"),
    ("a<x<b", "(a,b)"),
    (r"x \in [1, 2)", "[1,2)"),
    (r"(-\frac{\pi}{2},\frac{\pi}{2}]", r"(-0.5\pi,0.5\pi]"),
]
DIFFERENT = [
    ("(1,2]", "[1,2)"),
    ("(1,2]", "(1,2)"),
    (r"[1,2)\cup(2,3]", "[1,3]"),
    ("x < 5", r"x \le 5"),
    ("x < 5", "x > 5"),
    ("x < 5", "5"),
    ("x < 5", "y < 5"),
    (r"x < 0 \text{ or } x > 5", "(0,5)"),
    (r"x > 0 \text{ and } x < 5", r"(-\infty,0)\cup(5,\infty)"),
    (r"(1,10^{20})\cup(10^{30},\infty)", r"(1,10^{20}+1)\cup(10^{30},\infty)"),
    (r"x \ne 2", "2"),
    (r"[0,\infty)", "0"),
    (r"(-\infty,2)\cup(2,\infty)", r"\mathbb{R}"),
    (r"(1,2)\cup(3,4)", "(1,2,3,4)"),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal(a, b):
    assert is_equivalent(a, b)
    assert is_equivalent(b, a)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different(a, b):
    assert not is_equivalent(a, b)
    assert not is_equivalent(b, a)


@pytest.mark.parametrize(
    "form", ["x+1", "5", "(1,2,3)", "1,2", "x<y<", "<5", "x<5<y<7", "(3,1]", r"(1,2]\cup x", "x<x^2"]
)
def test_no_set(form):
    assert real_set(form) is None


@pytest.mark.parametrize(
    ("form", "looks"), [("(1,2)", False), ("[1,2]", False), ("(1,2]", True), (r"(1,\infty)", True), ("x<5", True), (r"\left", False)]
)  # fmt: skip
def test_a_point_is_no_interval_by_its_looks(form, looks):
    assert looks_like_a_set(form) is looks


def _contains(pieces, x):
    return any(
        (low < x < high) or (x == low and has_low) or (x == high and has_high)
        for low, has_low, high, has_high in pieces
    )


_PIECE = st.tuples(st.integers(-4, 4), st.booleans(), st.integers(1, 4), st.booleans()).map(
    lambda p: (p[0], p[1], p[0] + p[2], p[3])
)
_POINTS = [Fraction(n, 2) for n in range(-12, 24)]


def _written(pieces):
    return r"\cup".join(
        f"{'[' if has_low else '('}{low},{high}{']' if has_high else ')'}" for low, has_low, high, has_high in pieces
    )


@given(st.lists(_PIECE, min_size=2, max_size=4), st.lists(_PIECE, min_size=2, max_size=4))
@settings(deadline=None)
def test_unions_are_equal_if_they_have_the_same_points(first, second):
    """Ends are whole numbers, so that wholes and halves tell all such sets apart."""
    is_same = all(_contains(first, x) == _contains(second, x) for x in _POINTS)
    assert compare_forms(canonical_form(_written(first)), canonical_form(_written(second))) == (is_same, None)
    assert compare_forms(canonical_form(_written(first)), canonical_form(_written(first[::-1]))) == (True, None)
