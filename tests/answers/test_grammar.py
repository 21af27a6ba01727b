"""The grammar reads what can be read in one way only."""

import pytest

from serl_trl.answers.grammar import tree


@pytest.mark.parametrize(
    "form",
    [
        "", "2 3", r"1\frac{1}{2}", "1/2x", r"\sin x y", r"\sin x\cdot y", r"\sin(x)y", r"\sin x^2", r"\log_28", "x=5",
        "x_12", "(1", "1)", "2+", "x^y^z", "n!!", "x^2!", r"\frac{1}", "|x", "|x|y|", "x,y", "x" * 500, "(" * 150, r"\foo",
    ],
)  # fmt: skip
def test_no_tree(form):
    assert tree(form) is None


@pytest.mark.parametrize(
    ("form", "letters"),
    [
        ("2x+y", {"x", "y"}),
        (r"\theta_1+x_{max}", {r"\theta_1", "x_max"}),
        ("e^{i\\pi}", set()),
        ("204_5", set()),
        (r"|x-1|\cdot|y|", {"x", "y"}),
        (r"|(|x|-1)|", {"x"}),
        (r"\lfloor n\rfloor", {"n"}),
        ("n!k!", {"n", "k"}),
        ("30!30!", set()),
        ("x^-1", {"x"}),
        (r"\sin x\cos y", {"x", "y"}),
        (r"\sin(x)\cdot y", {"x", "y"}),
        (r"\sin^{2}x", {"x"}),
        (r"\tan^{-1}2", set()),
        (r"\sqrt x+\frac{1}x", {"x"}),
    ],
)
def test_letters(form, letters):
    assert tree(form).letters == letters


def test_operations_that_hold_an_unknown_are_marked():
    assert {"root*", "root", "add*"} <= tree(r"\sqrt{x}+\sqrt{2}").kinds
    assert "real power*" in tree("x^{1/2}").kinds
    assert "real power*" not in tree("x^{-2}").kinds
