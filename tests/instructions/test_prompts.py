import pytest

from serl_trl.instructions.prompts import few_shot_prompt
from serl_trl.prompts.read_prompts import as_prompt, instruction_text, prompts_of, prompts_of_rows
from serl_trl.prompts.template import PromptTemplate
from serl_trl.runtime.files import Rows


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


USER = {"role": "user", "content": "1 + 1?"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1 + 1?", "1 + 1?"),
        ([USER], [USER]),
        ([{**USER, "name": None}], [USER]),  # as Arrow fills it in where other messages have a name
        ([USER, CALL, {"role": "tool", "content": "2"}, USER], [USER, CALL, {"role": "tool", "content": "2"}, USER]),
        ([{"role": "user", "content": [{"type": "text", "text": "1 "}, {"type": "text", "text": "+ 1?"}]}], [USER]),
        ([{"role": "user", "content": [{"type": "text", "text": "1 + 1?", "image": None}]}], [USER]),
    ],
)
def test_prompts_have_one_form(value, expected):
    assert as_prompt(value, "here") == expected
    assert instruction_text(expected) == "1 + 1?"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7.5, "here is 7.5, of the type float"),
        (True, "here is True, of the type bool"),
        (("1 + 1?",), "of the type tuple"),
        ([USER, {"role": "assistant", "content": "2"}], "here ends with the turn of 'assistant', '2'"),
        ([USER, CALL], "here ends with the turn of 'assistant', None"),
        ([{"role": "user", "content": None}], "here has the content None"),
        ([{"role": "user", "content": 2}], "here has the content 2"),
        ([{"role": "user", "content": ["1?"]}], "content block of the type 'str', '1[?]'"),
        ([{"role": "user", "content": [{"type": "audio", "audio": "x"}]}], "content block of the type 'audio'"),
        ([{"role": "user", "content": []}], "here is empty"),
        ([{"role": None, "content": "1?"}], "here has the message"),
        ("\ufeff\u200b", "here is empty"),
        ("a\ud83d?", "here has .*, half of a character, at position 1"),
        ([{"role": "system", "content": "\ud83d"}, USER], "half of a character, at position 0"),
        (["x" * 500], r"here has the message 'x{119} \.\.\.;"),  # errors stay short
    ],
)
def test_what_is_no_prompt(value, message):
    with pytest.raises(ValueError, match=message):
        as_prompt(value, "here")


def test_rows_are_named():
    rows = Rows([{"question": "1?"}, {"question": 2}], ["line 1", "line 3"])
    with pytest.raises(ValueError, match=r"f\.jsonl, line 3: 'question' is 2, of the type int"):
        prompts_of_rows(rows, "f.jsonl")
    assert prompts_of_rows(rows.chosen([0]), "f.jsonl") == prompts_of(["1?"]) == ["1?"]
