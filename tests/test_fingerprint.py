"""Fingerprints may only ever tell apart what is different: equal expressions are those of algebra, not of this code."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.fingerprint import fingerprint, is_certainly_different


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("2+3*4", 14),
        ("2-3-4", -5),
        ("12/4/3", 1),
        ("-2^{2}", -4),
        ("2^3", 8),
        (r"\frac{1}{4}\cdot 2", 0.5),
        (r"2\sqrt{9}", 6),
        (r"\sqrt[3]{8}", 2),
        (r"2\pi", 2 * math.pi),
        ("(1+2)(3-1)", 6),
        ("e", math.e),
        ("(2i)^2", -4),
    ],
)
def test_value(form, value):
    assert fingerprint(form) == pytest.approx([value] * 3)


@pytest.mark.parametrize(
    "form",
    [
        "",
        "2 3",
        r"1\frac{1}{2}",
        "1/2x",
        r"\sin x",
        "5!",
        "x=5",
        "x_1",
        "(1",
        "1)",
        "2+",
        "1/0",
        "x^y^z",
        "0^0",
        "9^{999999}",
        r"\frac{1}",
        "|x|",
        "x" * 500,
        "(" * 150,
    ],
)
def test_what_is_not_in_the_grammar_has_none(form):
    assert fingerprint(form) is None


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("(x+1)^2", "x^2+2x+1"),
        ("(a+5)(b+2)", "ab+2a+5b+10"),
        (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        ("x^{n+1}", "xx^n"),
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"\sqrt{-4}", "2i"),
        (r"\sqrt{-x^2}", r"\sqrt{ixix}"),
        ("1/3", "0.333333"),
    ],
)
def test_equal_expressions_are_never_told_apart(a, b):
    assert not is_certainly_different(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x^2+1", "x^2+2"),
        ("x", "y"),
        ("x+y", "x-y"),
        ("a", "A"),
        (r"\sqrt{2}", r"\sqrt{3}"),
        ("x", "1"),
        ("2i", "2"),
        (r"\sqrt{x^2}", "x"),
    ],
)
def test_different_expressions(a, b):
    assert is_certainly_different(a, b)


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.integers(-9, 9))
@settings(deadline=None)
def test_a_polynomial_and_its_horner_form(coefficients, shift):
    plain = "+".join(f"({c})x^{{{k}}}" if k else f"({c})" for k, c in enumerate(coefficients))
    horner = f"({coefficients[-1]})"
    for c in reversed(coefficients[:-1]):
        horner = f"({horner}x+({c}))"
    assert not is_certainly_different(plain, horner)
    if abs(shift) > 0:
        assert is_certainly_different(plain + f"+{abs(shift)}00", horner)
