"""Fingerprints may only ever tell apart what is different: equal expressions are those of algebra, not of this code."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl import symbolic
from serl_trl.fingerprint import _POINTS, fingerprint, is_same


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
        ("5!", 120),
        (r"\binom{5}{2}", 10),
        ("-204_5", -204),
        (r"\sin\frac{\pi}{6}", 0.5),
        (r"4\cos^2(\pi)", 4),
        (r"\log 100", 2),
        (r"\log_2 8+1", 4),
        (r"\ln(e)", 1),
    ],
)
def test_value(form, value):
    assert fingerprint(form).values == pytest.approx([value] * 3)


@pytest.mark.parametrize(
    "form",
    [
        "",
        "2 3",
        r"1\frac{1}{2}",
        "1/2x",
        r"\sin x y",
        r"\sin x\cos x",
        r"\sin(x)y",
        r"\sin^{-1}(1)",
        r"\sin x^2",
        r"\log(-1)",
        r"\log_28",
        r"\sin(\pi)",
        r"\tan(\frac{\pi}{2})",
        "x!",
        "(1/2)!",
        "99!",
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
    assert is_same(a, b) is not False


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
    assert is_same(a, b) is False


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.integers(-9, 9))
@settings(deadline=None)
def test_a_polynomial_and_its_horner_form(coefficients, shift):
    plain = "+".join(f"({c})x^{{{k}}}" if k else f"({c})" for k, c in enumerate(coefficients))
    horner = f"({coefficients[-1]})"
    for c in reversed(coefficients[:-1]):
        horner = f"({horner}x+({c}))"
    assert is_same(plain, horner) is not False
    if abs(shift) > 0:
        assert is_same(plain + f"+{abs(shift)}00", horner) is False


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("(x+1)^2", "x^2+2x+1"),
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"\sin 2x", r"\sin(2x)"),
        (r"\log_2 32", "5"),
        ("y=2x+3", "4x-2y+6=0"),
        ("x^2+y^2=1", "1=y^2+x^2"),
    ],
)
def test_equal_expressions_that_need_no_algebra(a, b):
    assert is_same(a, b) is True


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("x", "x+10^{-13}"),  # closer than floats can tell
        (r"\frac{x+10^{-13}-x}{10^{-13}}", "1"),
        ("0", "(x+1)^2-x^2-2x-1"),  # nothing is left but the rounding
        ("f(x)=2x", "g(x)=2x"),
        ("x=x", "y=y"),
        ("a=b=c", "a=b"),
    ],
)
def test_what_values_cannot_tell(a, b):
    assert is_same(a, b) is None


def test_different_equations():
    assert is_same("x^2+y^2=1", "y=2x") is False
    assert is_same("x+y=1", "x+y=2") is False


_LEAVES = st.sampled_from(["2", "3", "7", "0.5", "x", "y", "n", r"\pi", "e", r"\theta", "3!", r"\log 7", r"\log_2 7"])


def _combined(part):
    """LaTeX of sums, products, quotients, powers, roots and functions of parts."""
    return st.one_of(
        st.tuples(part, part).map("({0[0]}+{0[1]})".format),
        st.tuples(part, part).map("({0[0]}-{0[1]})".format),
        st.tuples(part, part).map(r"({0[0]})\cdot ({0[1]})".format),
        st.tuples(part, part).map(r"\frac{{{0[0]}}}{{{0[1]}}}".format),
        st.tuples(part, st.sampled_from("23")).map("({0[0]})^{0[1]}".format),
        part.map(r"\sqrt{{{}}}".format),
        part.map(r"\sin({})".format),
        part.map(r"\cos^2({})".format),
        part.map(r"\ln({})".format),
    )


@given(st.recursive(_LEAVES, _combined, max_leaves=5))
@settings(deadline=None, max_examples=150)
def test_values_are_those_of_sympy(form):
    print_ = fingerprint(form)
    if print_ is None:
        return
    parsed = symbolic._parsed(form)[0]
    for point, value in zip(_POINTS, print_.values, strict=True):
        names = {symbol: point["\\theta" if symbol.name == "theta" else symbol.name] for symbol in parsed.free_symbols}
        expected = complex(parsed.subs(names).evalf(30))
        assert value == pytest.approx(expected, rel=1e-9 if print_.is_accurate else 1e-4, abs=1e-6)
