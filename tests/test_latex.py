"""The forms are written down by hand from the rules in `canonical_form`; tests/test_answers.py has the equalities."""

import sys
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serl_trl import latex
from serl_trl.latex import canonical_form, is_equal_form, last_box, rational


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
        (r"11,\! 111,\! 111,\! 100", "11111111100"),
        (r"864 \mbox{ inches}^2", "864"),
        (r"7\text{ hours}.", "7"),
        ("3, 1/2, 2", "1/2,2,3"),
        ("(3, 0.5)", "(3,1/2)"),
        (r"\sqrt 2", r"\sqrt{2}"),
        (r"\log_2 8", r"\log_2 8"),
        (r"\log_{2}8", r"\log_{2}8"),
        (r"\cot x", r"\cot x"),
        ("4210_{5}", "4210_5"),
        (r"y = 2x + 3", "y=2x+3"),
        (r"\text{East}", "east"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
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
    ("text", "content"),
    [
        (r"\boxed{a{b}c}", "a{b}c"),
        (r"\boxed{1} \boxed{2", "1"),
        (r"\boxed{1", None),
        (r"} \boxed{1}", "1"),
        (r"\boxed{\}}", r"\}"),
        (r"\boxed{}", ""),
        ("boxed{1}", None),
    ],
)
def test_last_box(text, content):
    assert last_box(text) == content


def test_untame_form_never_reaches_math_verify(monkeypatch):
    asked = []
    monkeypatch.setattr(latex, "_is_symbolically_equal", lambda a, b: asked.append((a, b)) or False)
    is_equal_form("9^{9^9}", "x")
    is_equal_form("x+1", "x+2")
    assert asked == [("x+1", "x+2")]


def test_deadline_restores_the_tracer(monkeypatch):
    monkeypatch.setattr(latex, "TIME_LIMIT_S", 0.05)
    before = sys.gettrace()
    assert not is_equal_form("(a+b+c+d+p+q+r)^{18}", "(a+b+c+d+p+q+s)^{18}+1")
    assert sys.gettrace() is before


def test_math_verify_gets_no_signal(monkeypatch):
    calls = []
    monkeypatch.setattr("signal.alarm", calls.append)
    assert is_equal_form("(x+3)^2", "x^2+6x+9")
    assert calls == []
