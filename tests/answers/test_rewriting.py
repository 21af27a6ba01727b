r"""Each stage on its own, and what goes wrong where two change places; expectations are read off the rules by hand."""

import pytest

from serl_trl.answers.rewriting import (
    Stage,
    in_ascii,
    with_joined_thousands,
    with_one_spelling,
    without_double_escapes,
    without_mark_up,
    without_thin_separators,
    without_units,
    without_wording,
)


AND = "\x01"


def test_rules_of_a_stage_follow_each_other():
    assert Stage(("a", "b"), ("b", "c"))("ab") == "cc"
    assert Stage((r"\d", lambda match: str(int(match[0]) + 1)))(" 1 2 ") == "2 3"
    assert Stage(("^x", ""))(" x") == "x"  # white space at the ends goes after each rule, not before


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("plain", "plain"),
        ("x\u00b2\u00b9", "x^{21}"),
        ("\u221a2", r"\sqrt{2}"),
        ("1\u00be", r"1\frac{3}{4}"),
        ("\u22123\u20ac", "-3"),
        ("\uff11\u200b2", "12"),
        ("90\u00b0", r"90^\circ "),
    ],
)
def test_in_ascii(text, form):
    assert in_ascii(text) == form


@pytest.mark.parametrize(
    ("stage", "form", "rewritten"),
    [
        (without_thin_separators, r"10,\!080 and 1{,}000{,}000", "10080 and 1000000"),
        (without_thin_separators, r"10,\!08", r"10,\!08"),
        (without_double_escapes, r"\\frac{1}{2}", r"\frac{1}{2}"),
        (without_double_escapes, r"\\fraction", r"\\fraction"),
        (without_double_escapes, r"\begin{matrix}1\\\sqrt{2}\end{matrix}", r"\begin{matrix}1\\\sqrt{2}\end{matrix}"),
        (without_mark_up, r"The final answer is: $\boxed{\frac{1}{2}}$", r"\frac{1}{2}"),
        (without_mark_up, r"\left(1,\; 2\right)", "(1,  2)"),
        (without_mark_up, r"\textcolor{red}{5} **12**", "{5} 12"),
        (without_mark_up, r"\text{5 cm}", "5 cm"),
        (without_mark_up, r"\approx 3.14", "3.14"),
        (with_one_spelling, "2**3", "2^3"),
        (with_one_spelling, "x<=5", r"x\le 5"),
        (with_one_spelling, "3 to 4", "3:4"),
        (with_one_spelling, "2 and 1/3", r"2\frac{1}{3}"),
        (with_one_spelling, "2 and 4/3", "2 and 4/3"),
        (with_one_spelling, r"0.1\overline{6}", "1/6"),
        (with_one_spelling, r"{n \choose k}", r"\binom{n}{k}"),
        (with_one_spelling, r"\dfrac12", r"\frac{1}{2}"),
        (with_one_spelling, r"\sin 30^\circ", r"\sin(\frac{30\pi}{180})"),
        (with_one_spelling, r"\mathbb{R}", r"(-\infty,\infty)"),
        (without_units, r"15\mbox{ cm}^2", "15"),
        (without_units, "18 dollars", "18"),
        (without_units, r"50\%", "50"),
        (without_units, "2.5 million", r"2.5\times10^{6}"),
        (without_units, r"45^\circ", "45"),
        (without_units, "3:30 p.m.", "3:30pm"),
        (without_units, "15:30", "3:30pm"),
        (without_units, "5 and 144", f"5{AND}144"),
        (without_units, "5 x", "5 x"),  # algebra
        (without_wording, r"\text{Paris}", "Paris"),
        (without_wording, r"\mathbf{\text{Paris}}", "Paris"),
        (without_wording, "1 1/2", r"1\frac{1}{2}"),
        (without_wording, r"2 \cot x + 1", r"2\cot x+1"),
        (without_wording, "sqrt(2)", r"\sqrt{2}"),
        (without_wording, "x^{2}", "x^2"),
        (without_wording, "(12)", "12"),
        (without_wording, "12.", "12"),
    ],
)
def test_stage(stage, form, rewritten):
    assert stage(form) == rewritten


def test_thousands():
    assert with_joined_thousands("10 080", may_hold_commas=False) == "10080"
    assert with_joined_thousands("10,080", may_hold_commas=True) == "10080"
    assert with_joined_thousands("10,080", may_hold_commas=False) == "10,080"
    assert with_joined_thousands("10,08", may_hold_commas=True) == "10,08"
    assert with_joined_thousands(f"5{AND}144", may_hold_commas=True) == "5,144"
    assert with_joined_thousands(f"1,{AND}2", may_hold_commas=True) == "1,2"


@pytest.mark.parametrize(
    ("first", "second", "form", "right", "wrong"),
    [
        (in_ascii, without_mark_up, "\uff0a\uff0a5\uff0a\uff0a", "5", "**5**"),
        (without_thin_separators, without_mark_up, r"10,\!080", "10080", "10, 080"),
        (without_double_escapes, without_mark_up, r"\\text{\frac12}", r"\frac12", r"\text{\frac12}"),
        (without_mark_up, with_one_spelling, "$3 to 4$", "3:4", "3 to 4"),
        (with_one_spelling, without_units, r"\sin 30^\circ", r"\sin(\frac{30\pi}{180})", r"\sin 30"),
        (without_units, without_wording, r"x\text{ cm}", "x", "xcm"),
        (without_wording, lambda form: with_joined_thousands(form, True), r"\text{1},\text{000}", "1000", "1,000"),
    ],
)
def test_the_order_of_two_stages_matters(first, second, form, right, wrong):
    assert second(first(form)) == right
    assert first(second(form)) == wrong


def test_and_is_a_mark_until_thousands_are_joined():
    marked = without_wording(without_units("5 and 144"))
    assert with_joined_thousands(marked, may_hold_commas=True) == "5,144"
    assert (
        with_joined_thousands(marked.replace(AND, ","), may_hold_commas=True) == "5144"
    )  # what a comma would come to
