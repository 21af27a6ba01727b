"""What a last sentence comes to; expectations read off by hand."""

import pytest

from serl_trl.answers.clean_response import Response
from serl_trl.answers.concluded_answer import concluded, last_sentence, line_set_apart, lone_line, value_in


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("We add 3 and 9. Therefore, she has 12 apples.", "12"),
        ("We add 3 and 9. Therefore, she has 12", None),
        ("We add 3 and 9. She has 12 apples.", None),
        ("3 + 9 = 12. She has 12 apples.", "12"),
        ("3 + 9 = 12. She has 13 apples.", None),
        ("Anna read **13 pages**.", "13"),
        ("So $x = 3$ or $x = 1$.", "x = 3, x = 1"),
        ("Hence, we get $\\frac{1}{2}$.", r"\frac{1}{2}"),
        ("Therefore, I am not sure whether it is 12.", None),
        ("So is it 12?", None),
        ("It's 17.", "17"),
        ("She has 42 left.", "42"),
        ("There are 12 apples.", None),
        ("First, there are 12.", None),
        ("Thus it equals\n$$\nx^2\n$$", "x^2"),
        # as SmolLM2-135M-Instruct ends its replies to SVAMP problems
        ("We add.\nThe number of bird families left off is 12 + 44 = 26.", "26"),
        ("So, 41 - 26 = 10 campers spent all their time together.", "10"),
        ("So, there are 240 possible ways to select a group of 5 students.", "240"),
    ],
)
def test_concluded(text, value):
    assert concluded(Response.of(text)) == value


def test_last_sentence():
    assert last_sentence(Response.of("One. Two.")) == "Two."
    assert last_sentence(Response.of("It costs 1.5 dollars. So 3.5 remain")) == "So 3.5 remain"


@pytest.mark.parametrize(
    ("sentence", "value"),
    [("So there are 93\u00b0 in total.", "93\u00b0"), ("So 3 of 4 are red.", None), ("Hence, we get 5^3.", "5^3")],
)
def test_value_in(sentence, value):
    assert value_in(sentence) == value


def test_lines():
    assert lone_line(Response.of(" 12 ")) == "12"
    assert lone_line(Response.of("12 +\n3")) is None
    assert lone_line(Response.of("12\n\n**Explanation:** 3 + 9 is 12")) == "12"
    assert lone_line(Response.of("x =")) is None
    assert lone_line(Response.of("12" * 60)) is None
    assert line_set_apart(Response.of("We add.\n**12**")) == "**12**"
    assert line_set_apart(Response.of("12")) is None
