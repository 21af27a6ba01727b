"""Values in floats are those of SymPy; which expressions they make equal is in tests/answers/test_expressions.py."""

import math

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.answers import sympy_check as symbolic
from serl_trl.answers.numeric_check import fingerprint
from serl_trl.answers.points import value


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
        (r"|3-5|+\lfloor\frac{7}{2}\rfloor", 5),
        (r"\lceil\frac{7}{2}\rceil", 4),
        (r"\cosh(0)+\exp(1)", 1 + math.e),
        ("2^-1", 0.5),
        (r"\sin^{-1}(1)", math.pi / 2),
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
        r"\sin x y",
        r"\sin(x)y",
        r"\sin x^2",
        r"\log(-1)",
        r"\log_28",
        r"\sin(\pi)",
        r"\tan(\frac{\pi}{2})",
        "x!",
        "(1/2)!",
        "99!",
        "x=5",
        "(1",
        "1)",
        "2+",
        "1/0",
        "x^y^z",
        "0^0",
        "9^{999999}",
        r"\frac{1}",
        "x" * 500,
        "(" * 150,
    ],
)
def test_what_has_no_value_or_is_not_in_the_grammar_has_none(form):
    assert fingerprint(form) is None


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
@pytest.mark.slow
def test_values_are_those_of_sympy(form):
    print_ = fingerprint(form)
    if print_ is None:
        return
    parsed = symbolic._parsed(form)[0]
    for number, found in enumerate(print_):
        if found is None:
            continue
        names = {symbol: _value(symbol.name, number) for symbol in parsed.free_symbols}
        expected = complex(parsed.subs(names).evalf(30))
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


def _value(name, number):
    return sympy.Rational(value("\\theta" if name == "theta" else name, "plain", number))
