import pytest

from serl_trl.prompts import PromptTemplate, few_shot_prompt


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
