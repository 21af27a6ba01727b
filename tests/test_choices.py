"""Which letter a response chooses; expectations read off by hand. tests/cases has many more."""

import pytest

from serl_trl.choices import choice_in, find_choice


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
    ],
)
def test_find_choice(text, found):
    assert find_choice(text) == found


@pytest.mark.parametrize("letter", "ABCDEFGHIJ")
@pytest.mark.parametrize("template", ["(@)", "@", "@.", "@. 42", r"\text{@}", "**@**", "@: east"])
def test_choice_in(letter, template):
    assert choice_in(template.replace("@", letter)) == letter
    assert choice_in("42") is None
