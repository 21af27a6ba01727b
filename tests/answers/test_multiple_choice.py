"""Which letter a response chooses; expectations read off by hand. tests/cases has many more."""

import pytest

from serl_trl.answers.multiple_choice import choice_in, find_choice


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"First \boxed{A}, no, \boxed{\text{(B)}}.", ("B", "box")),
        (r"\boxed{42}", (None, "wrong_type")),
        (r"\boxed{B", (None, "cut_off")),
        ("", (None, "empty")),
        ("The answer is (B).", ("B", "statement")),
        ("The answer is not A but C.", ("C", "statement")),
        ("(C) is correct, since (B) is too large.", ("C", "statement")),
        ("I thought the answer is A. Wait, that is wrong. It must be (D).", ("D", "statement")),
        ("The answer might be B, but let me check.\n\nC) Something", ("C", "lone")),
        ("Only C works.", ("C", "statement")),
        ("That makes A the correct answer.", ("A", "statement")),
        ('{"choice": "C", "reason": "A is wrong"}', ("C", "statement")),
        ("The answer is C (A would be right for another sign).", ("C", "statement")),
        ("the correct choice is c", ("C", "statement")),
        ("Option J.", ("J", "conclusion")),
        ("J) 42", ("J", "lone")),
        ("b", ("B", "lone")),
        ("K", (None, "unmarked")),
        ("A lot of heat is lost.", (None, "unmarked")),
        ("Both A and C look plausible.", (None, "unmarked")),
        ("A) 1\nB) 2\nC) 3", (None, "unmarked")),
        ("A. B. C. D.", (None, "unmarked")),
        ("**A**: too small.\n**B**: too large.\n\n**C**", ("C", "lone")),
        ("So the answer is", (None, "unmarked")),
        (r"\boxed{A \cup C}", (None, "wrong_type")),
        (r"\boxed{A \frac{1}{2}}", ("A", "box")),
        ("La r\u00e9ponse est donc (D).", ("D", "statement")),
        ("Die Antwort ist also C.", ("C", "statement")),
        ("Gabarito: C", ("C", "statement")),
        ("Die richtige L\u00f6sung ist C.", ("C", "statement")),
        ("I'd say D.", ("D", "statement")),
        ("\u7b54\u6848\u3010B\u3011", ("B", "statement")),
    ],
)
def test_find_choice(text, found):
    assert find_choice(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The value is $\\boxed{3.2}$ eV, so option B fits.\n\nAnswer: B", ("B", "statement")),
        ("Energy: $\\boxed{12\\text{ J}}$.\n\nTherefore, the correct option is B.", ("B", "statement")),
        ("\\boxed{B^2 - 4AC}\n\nSo the answer is (C).", ("C", "statement")),
        ("$$\\boxed{x = 4}$$\nThis is option (C).\n\nThe answer is C.", ("C", "statement")),
        ("\\boxed{12}\n\n**D**", ("D", "lone")),
        (r"The answer is B, for the energy is \boxed{12\text{ J}}.", ("B", "statement")),
        (r"\boxed{\angle A}", (None, "wrong_type")),
        (r"\boxed{F = ma}", (None, "wrong_type")),
        (r"\boxed{P(A)}", (None, "wrong_type")),
        (r"\boxed{3.3\text{ C}}", (None, "wrong_type")),
        (r"\boxed{A}. The answer is B.", ("A", "box")),
    ],
)
def test_a_boxed_formula_is_no_choice(text, found):
    assert find_choice(text) == found


@pytest.mark.parametrize(
    "several",
    [
        "A, C",
        "A,C",
        "A and C",
        r"\text{A and C}",
        "A, B, D",
        "A or B",
        "A/C",
        "A; C",
        r"A \& C",
        "(A), (C)",
        r"A \text{ and } C",
    ],
)
def test_several_letters_are_none(several):
    assert find_choice(rf"\boxed{{{several}}}") == (None, "wrong_type")
    assert find_choice(rf"The answer is A. \boxed{{{several}}}").answer is None
    assert find_choice(rf"\boxed{{{several}}}" + "\n\nSo the answer is C.").answer == "C"
    assert choice_in(several) is None
    assert choice_in("AC") is None


@pytest.mark.parametrize("letter", "ABCDEFGHIJ")
@pytest.mark.parametrize("template", ["(@)", "@", "@.", "@. 42", r"\text{@}", "**@**", "@: east"])
def test_choice_in(letter, template):
    assert choice_in(template.replace("@", letter)) == letter
    assert choice_in("42") is None
