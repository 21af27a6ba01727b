"""The forms are written down by hand from the rules in `canonical_form`; tests/answers/test_answer_types.py has the equalities."""

from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serl_trl.answers.normalize import canonical_form, named_parts, parts, rational, set_parts, tuple_parts


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        (r"11,\! 111,\! 111,\! 100", "11111111100"),
        (r"864 \mbox{ inches}^2", "864"),
        (r"7\text{ hours}.", "7"),
        ("3, 1/2, 2", "1/2,2,3"),
        (r"\{3, 3, 1\}", r"\{1,3\}"),
        (r"y = 3, x = 2", "x=2,y=3"),
        ("x = 5 or x = -5", "-5,5"),
        ("p=5,q=2;p=7,q=2", "(5,2),(7,2)"),
        (r"3 \pm \sqrt{2}", r"3+\sqrt{2},3-\sqrt{2}"),
        ("5 + 6 = 11", "11"),
        (r"0.1\overline{6}", "1/6"),
        ("2.5 million", "2500000"),
        ("1\u00be", "7/4"),
        ("x\u2074", "x^4"),
        (r"\sin 30^\circ", r"\sin(\frac{30\pi}{180})"),
        ("3:30 p.m.", "3:30pm"),
        ("15:30", "3:30pm"),
        ("15:75", "15:75"),
        (r"0.1666\ldots", "1/6"),
        ("2.718...", "1359/500"),
        (r"1,2,\ldots", r"1,2,\dots"),
        (r"\{x \mid x > 2\}", "x>2"),
        (r"\{x \in \mathbb{R} : x > 2\}", "x>2"),
        ("x < 0 or x > 1", "x<0,x>1"),
        ("(3, 0.5)", "(3,1/2)"),
        (r"\sqrt 2", r"\sqrt{2}"),
        (r"\log_2 8", r"\log_2 8"),
        (r"\log_{2}8", r"\log_{2}8"),
        (r"\cot x", r"\cot x"),
        ("4210_{5}", "4210_5"),
        (r"y = 2x + 3", "y=2x+3"),
        (r"\text{East}", "east"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "(1,2)"),
        (r"f = \text{even}", "f=even"),
        ("12 square inches", "12"),
        ("x" * 2000, "x" * 2000),
    ],
)
def test_canonical(answer, form):
    assert canonical_form(answer) == form


@given(st.text(alphabet=r"\{}^_/,.()[]=+-!$%0123456789xyi ", max_size=15))
@settings(max_examples=300, deadline=None)
def test_canonical_never_raises(answer):
    assert canonical_form(answer) == canonical_form(f"  {answer} ")


@given(st.fractions(max_denominator=10**6))
@example(Fraction(0))
@settings(deadline=None)
def test_rational_inverts_str(value):
    assert rational(str(value)) == value
    assert canonical_form(str(value)) == str(value)


@given(
    st.from_regex(
        r"-?(\d{1,4}(\.\d{0,4})?(/\d{1,3})?|\.\d{1,3}|\d?\\frac\{-?\d{1,3}\}\{\d{1,3}\}|\de-?\d)", fullmatch=True
    ).filter(str.isascii)
)
def test_numbers_need_no_rewriting(number):
    assert canonical_form(number) == canonical_form(f"${number}$")  # the delimiters send it through every rule


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("-2\\frac{1}{3}", Fraction(-7, 3)),
        ("\\frac{-1}{0.5}", Fraction(-2)),
        ("2e-3", Fraction(1, 500)),
        ("3\\times10^{2}", Fraction(300)),
        ("1/0", None),
        ("", None),
        ("-", None),
        ("1e9999", None),
        ("1" * 400, None),
        ("x", None),
    ],
)
def test_rational(form, value):
    assert rational(form) == value


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("(1,2]", ["1", "2"]),
        ("((1,2),3)", ["(1,2)", "3"]),
        ("(1,2),(3,4)", None),
        ("(x+1)(x,2)", None),
        ("(1)", None),
        ("1,2", None),
        ("", None),
    ],
)
def test_tuple_parts(form, expected):
    assert tuple_parts(form) == expected


def test_parts_and_sets():
    assert parts("1,(2,3),{4,5}") == ["1", "(2,3)", "{4,5}"]
    assert set_parts(r"\{1,2\}") == ["1", "2"]
    assert set_parts("{1,2}") is None
    assert named_parts("y=3,x=2") == ["2", "3"]
    assert named_parts("x=3,x=2") is None
