"""Equal expressions are those of algebra, not of this code: by hand, by Fraction arithmetic, and by SymPy."""

from fractions import Fraction

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serl_trl.answers.expressions import is_same
from serl_trl.answers.normalize import canonical_form


EQUAL = [
    ("(x+1)^2", "x^2+2x+1"),
    ("(a+5)(b+2)", "ab+2a+5b+10"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    (r"\frac{x^2-1}{x-1}", "x+1"),
    ("x^{n+1}", "xx^n"),
    (r"\sqrt{12}", r"2\sqrt{3}"),
    (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt{2}"),
    (r"\sqrt{-4}", "2i"),
    (r"(1+i)^2", "2i"),
    (r"\frac{1}{1+i}", r"\frac{1-i}{2}"),
    (r"e^{i\pi}", "-1"),
    (r"\sin 2x", r"\sin(2x)"),
    (r"\sin^2x+\cos^2x", "1"),
    (r"\sin(\pi)", "0"),
    (r"\frac{1}{2}(e^x+e^{-x})", r"\cosh x"),
    (r"\tan^{-1}2", r"\arctan 2"),
    (r"\sin^{-1}(x)", r"\arcsin x"),
    (r"\sqrt x", "x^{1/2}"),
    (r"\log_2 32", "5"),
    ("0", "(x+1)^2-x^2-2x-1"),
    (r"\frac{x+10^{-13}-x}{10^{-13}}", "1"),
    ("x_1+x_2", "x_2+x_1"),
    # roots, powers and logarithms of letters, which are real
    (r"\sqrt{xy}", r"\sqrt{x}\sqrt{y}"),
    (r"\sqrt{\frac{x}{y}}", r"\frac{\sqrt{x}}{\sqrt{y}}"),
    (r"\sqrt{\frac{1}{x}}", "x^{-1/2}"),
    (r"\sqrt[3]{x^2}", "x^{2/3}"),
    (r"\sqrt[3]{x^4}", r"x\sqrt[3]{x}"),
    (r"\sqrt[3]{-8}", "-2"),  # the real root, as it is taught
    (r"-\sqrt[3]{5}", r"\sqrt[3]{-5}"),
    # the logarithm of a power, not the power of a logarithm
    (r"\ln x^2", r"2\ln x"),
    (r"\log_2 x^3", r"3\log_2 x"),
    (r"\ln 2x^2", r"\ln 2+2\ln x"),
    (r"\ln n!", r"\ln(n!)"),
    (r"\frac{n!}{k!(n-k)!}", r"\binom{n}{k}"),
    (r"\frac{n!}{(n-k)!}", r"k!\binom{n}{k}"),
    (r"\frac{n!}{a!b!(n-a-b)!}", r"\binom{n}{a}\binom{n-a}{b}"),
    (r"\sqrt[5]{x^7}", r"x\sqrt[5]{x^2}"),
    (r"42x\sqrt{5x}", r"\sqrt{8820x^3}"),
    (r"|x|", r"\sqrt{x^2}"),
    (r"\ln\frac{x}{y}", r"\ln x-\ln y"),
    (r"\ln(xy)", r"\ln(x)+\ln(y)"),
    (r"\log_{2}(x^3)", r"3\log_{2}(x)"),
    ("(ab)^n", "a^nb^n"),
    (r"(\frac{a}{b})^n", r"\frac{a^n}{b^n}"),
    (r"(a^m)^n", "a^{mn}"),
    # whole numbers within factorials, binomials and floors
    (r"\frac{n!}{2!(n-2)!}", r"\binom{n}{2}"),
    ("(n+1)!", "(n+1)n!"),
    (r"\binom{n}{k}+\binom{n}{k-1}", r"\binom{n+1}{k}"),
    (r"\lceil\frac{n}{2}\rceil", r"\lfloor\frac{n+1}{2}\rfloor"),
    (r"\lfloor\frac{n}{2}\rfloor+\lceil\frac{n}{2}\rceil", "n"),
    (r"\lfloor x+2\rfloor", r"\lfloor x\rfloor+2"),
    # numbers that floats cannot hold
    (r"\frac{1}{2}+\frac{1}{2\cdot3^{100}}", r"\frac{3^{100}+1}{2\cdot3^{100}}"),
    (r"\frac{20!}{18!}", "380"),
    (r"\binom{60}{30}", r"\frac{60!}{30!30!}"),
    ("(2^{50}-1)(2^{50}+1)", "2^{100}-1"),
    (r"9^{9^9}", r"3^{2\cdot9^9}"),
    (r"\frac{2^{5000}\pi+\pi}{2^{5000}}", r"\pi+\frac{\pi}{2^{5000}}"),
    # relations
    ("y=2x+3", "4x-2y+6=0"),
    ("x^2+y^2=1", "1=y^2+x^2"),
    ("2x<4y", "2y>x"),
    ("-x<y", "x>-y"),
]
DIFFERENT = [
    (r"\ln x^2", r"(\ln x)^2"),
    (r"\frac{n!}{(n-k)!}", r"\binom{n}{k}"),
    (r"\binom{n}{k}", r"\binom{k}{n}"),
    ("x^2+1", "x^2+2"),
    ("x", "y"),
    ("x+y", "x-y"),
    ("a", "A"),
    ("x_1", "x_2"),
    ("x_1", "x"),
    (r"\sqrt{2}", r"\sqrt{3}"),
    ("x", "1"),
    ("2i", "2"),
    (r"\sqrt{x^2}", "x"),
    (r"\sqrt{(x-10)^2}", "x-10"),
    (r"\sqrt{(x-10)^2}", "10-x"),
    (r"\sqrt{x^2y^2}", "xy"),
    (r"\sqrt[4]{x^4}", "x"),
    (r"\sqrt{x+y}", r"\sqrt{x}+\sqrt{y}"),
    (r"\ln(x+y)", r"\ln(x)+\ln(y)"),
    ("|x-3|", "x-3"),
    ("|x-3|", "3-x"),
    ("|x^2-5x+6|", "x^2-5x+6"),
    ("(a+b)^n", "a^n+b^n"),
    (r"\lfloor x\rfloor", "x"),
    (r"\lfloor x\rfloor", r"\lceil x\rceil-1"),
    (r"\lfloor\frac{n}{2}\rfloor", r"\frac{n}{2}"),
    (r"\lceil\frac{n}{3}\rceil", r"\lfloor\frac{n+1}{3}\rfloor"),
    ("(n+1)!", "n!+1"),
    (r"\binom{n}{2}", r"\frac{n(n+1)}{2}"),
    # closer than floats can tell
    ("x", "x+10^{-13}"),
    ("1-2^{-50}", "1"),
    ("2^{100}-1", "2^{100}+1"),
    ("2^{64}", "18446744073709551615"),
    ("99^{99}", "99^{99}+1"),
    ("20!+1", "20!"),
    (r"\binom{60}{30}", r"\binom{60}{30}-1"),
    (r"\frac{1}{2^{500}}", r"\frac{1}{2^{501}}"),
    (r"\frac{1}{2^{500}}", "0"),
    (r"\frac{3^{200}+2}{5\cdot3^{201}}", r"\frac{1}{5\cdot3^{201}}"),
    (r"\sqrt{2}\cdot2^{100}", r"\sqrt{2}\cdot2^{100}-1"),
    (r"999999\cdot1000001\pi", r"10^{12}\pi"),
    (r"123456789123456\pi", r"123456789123457\pi"),
    (r"\frac{\pi}{2^{500}}", r"\frac{\pi}{2^{501}}"),
    (r"1+\frac{\pi}{2^{500}}", "1"),
    ("1+2^{-500}", r"\sqrt{1}"),
    (r"\sqrt{2^{1000}+1}-2^{500}", "0"),
    (r"\sqrt{2^{1000}+1}", "2^{500}"),
    (r"\lfloor10^{40}\pi\rfloor", r"10^{40}\pi"),
    # relations
    ("x^2+y^2=1", "y=2x"),
    ("x+y=1", "x+y=2"),
    ("x+y=10^{20}", "x+y=10^{20}+1"),
    ("x<y", "y<x"),
    ("x<y", r"x\le y"),
    ("-x<y", "x<y"),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal(a, b):
    assert is_same(a, b) is True
    assert is_same(b, a) is True


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different(a, b):
    assert is_same(a, b) is False
    assert is_same(b, a) is False


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("f(x)=2x", "g(x)=2x"),
        ("x=x", "y=y"),
        ("a=b=c", "a=b"),
        ("x<5<y", "5>x"),
        ("9^{9^9}", "9^{9^9}+1"),  # too many digits
        ("9^{9^{9^9}}", "9^{9^{9^9}}"),
        ("99999!", "99998!"),
        ("|x+1|+|x|", "|x|+|x+1|"),  # where bars turn, a point may be missing
        (r"\lfloor\frac{n}{100}\rfloor", r"\lfloor\frac{2n}{200}\rfloor"),
        (r"\tan(\frac{\pi}{2})", "1"),
        (r"\sqrt{-x^2}", r"\sqrt{ixix}"),
    ],
)
def test_what_values_cannot_tell(a, b):
    assert is_same(a, b) is None


def test_bars_that_turn_between_two_points():
    assert is_same("|12x^2-7x+1|", "12x^2-7x+1") is not True


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.integers(1, 9))
@settings(deadline=None)
def test_a_polynomial_and_its_horner_form(coefficients, shift):
    plain = "+".join(f"({c})x^{{{k}}}" if k else f"({c})" for k, c in enumerate(coefficients))
    horner = f"({coefficients[-1]})"
    for c in reversed(coefficients[:-1]):
        horner = f"({horner}x+({c}))"
    assert is_same(plain, horner) is True
    assert is_same(plain + f"+{shift}00", horner) is False
    assert is_same(plain + f"+{shift}\\cdot10^{{-40}}", horner) is False


def _rational(part):
    """Pairs of LaTeX and the exact value, from pairs of them."""
    pairs = st.tuples(part, part)
    return st.one_of(
        pairs.map(lambda p: (f"({p[0][0]}+{p[1][0]})", p[0][1] + p[1][1])),
        pairs.map(lambda p: (f"({p[0][0]}-{p[1][0]})", p[0][1] - p[1][1])),
        pairs.map(lambda p: (rf"({p[0][0]})\cdot({p[1][0]})", p[0][1] * p[1][1])),
        pairs.filter(lambda p: p[1][1] != 0).map(lambda p: (rf"\frac{{{p[0][0]}}}{{{p[1][0]}}}", p[0][1] / p[1][1])),
        st.tuples(part.filter(lambda p: p[1] != 0), st.integers(-7, 40)).map(
            lambda p: (f"({p[0][0]})^{{{p[1]}}}", p[0][1] ** p[1])
        ),
    )


_NUMBERS = st.one_of(
    st.integers(0, 10**20).map(lambda n: (str(n), Fraction(n))),
    st.integers(1, 30).map(lambda n: (f"{n}!", Fraction(sympy.factorial(n)))),
    st.tuples(st.integers(2, 9), st.integers(2, 99)).map(lambda p: (f"{p[0]}^{{{p[1]}}}", Fraction(p[0] ** p[1]))),
)


@given(st.recursive(_NUMBERS, _rational, max_leaves=4), st.recursive(_NUMBERS, _rational, max_leaves=3))
@settings(deadline=None, max_examples=150)
def test_rationals_are_compared_exactly(first, second):
    """What Fractions make equal is equal, and nothing else; also a unit in the last place away."""
    (a, x), (b, y) = first, second
    assume(max(len(a), len(b)) < 200)
    assert is_same(a, b) in (x == y, None)
    assert is_same(f"{a}+({b})", f"({b})+{a}") is not False
    assert is_same(a, rf"({a})+\frac{{1}}{{10^{{90}}}}") is not True
    if max(x.numerator.bit_length(), x.denominator.bit_length()) < 300:
        assert is_same(a, rf"\frac{{{x.numerator}}}{{{x.denominator}}}") is True
        assert is_same(a, rf"\frac{{{x.numerator + 1}}}{{{x.denominator}}}") is False


_LEAVES = st.sampled_from(["2", "3", "7", r"\frac{1}{2}", "x", "y", "n", r"\pi", "e"])


def _combined(part):
    return st.one_of(
        st.tuples(part, part).map("({0[0]}+{0[1]})".format),
        st.tuples(part, part).map("({0[0]}-{0[1]})".format),
        st.tuples(part, part).map(r"({0[0]})\cdot ({0[1]})".format),
        st.tuples(part, part).map(r"\frac{{{0[0]}}}{{{0[1]}}}".format),
        st.tuples(part, st.sampled_from("23")).map("({0[0]})^{0[1]}".format),
        part.map(r"\sqrt{{{}}}".format),
    )


@given(st.recursive(_LEAVES, _combined, max_leaves=5))
@settings(deadline=None, max_examples=60)
def test_what_sympy_makes_of_an_expression_is_equal_to_it(form):
    """Its own LaTeX after expansion denotes the same; and one more does not."""
    from serl_trl.answers import sympy_check as symbolic

    parsed = symbolic._parsed(form)
    assume(parsed and not parsed[0].has(sympy.zoo, sympy.nan, sympy.oo, sympy.I))
    expanded = canonical_form(sympy.latex(sympy.expand(parsed[0]), mul_symbol="dot"))
    assert is_same(form, expanded) is not False
    assert is_same(form, f"{expanded}+1") is not True
