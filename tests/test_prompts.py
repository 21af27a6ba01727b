import pytest

from serl_trl.prompts import PromptTemplate, Reply, few_shot_prompt, parse_reply


@pytest.mark.parametrize(
    ("text", "is_truncated", "expected"),
    [
        ("9. What is 2 + 2?", False, ["What is 2 + 2?"]),
        ("What is 2 + 2?", False, ["What is 2 + 2?"]),
        ("9) What is $\\Delta$?\n10) And 3?", False, ["What is $\\Delta$?", "And 3?"]),
        ("- One?\n- Two?", False, ["One?", "Two?"]),
        ("**9.** A bold one?", False, ["A bold one?"]),
        ("Problem 9: How many?", False, ["How many?"]),
        ("9. A story\nover two lines. How many?", False, ["A story over two lines. How many?"]),
        ("9. How many? Answer: 12", False, ["How many?"]),
        ("9. How many?\nSolution: 3 + 4 = 7", False, ["How many?"]),
        ("9. Whole?\n10. Cut o", True, ["Whole?"]),
        ("9. Cut o", True, []),
        ("", False, []),
        ("3.5 apples cost how much?", False, ["3.5 apples cost how much?"]),
    ],
)
def test_parse_reply(text, is_truncated, expected):
    assert parse_reply(Reply(text, is_truncated)) == expected


def test_few_shot_prompt_numbers_its_list():
    assert few_shot_prompt(["a", "b"]).splitlines()[-2:] == ["1. a", "2. b"]
    assert "Write problem 3" in few_shot_prompt(["a", "b"])


def test_template_puts_examples_before_the_instruction():
    template = PromptTemplate(
        user="Q: {instruction}", system="Be brief.", examples=[{"instruction": "1+1?", "response": "\\boxed{2}"}]
    )
    assert [(m["role"], m["content"]) for m in template.render("{x}+{0}?")] == [
        ("system", "Be brief."),
        ("user", "Q: 1+1?"),
        ("assistant", "\\boxed{2}"),
        ("user", "Q: {x}+{0}?"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"user": "no place"}, "no place"), ({"examples": [{"question": "?"}]}, "question")],
)
def test_template_names_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        PromptTemplate(**arguments)
