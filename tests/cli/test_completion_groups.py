"""Groups of completions out of files of any origin."""

import json

import pytest
from datasets import Dataset

from serl_trl.cli.completion_groups import read_groups


MESSAGE = [{"role": "assistant", "content": "2"}]


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_rows_of_a_prompt_make_a_group_in_the_order_of_their_first_rows(tmp_path):
    rows = [
        {"question": "b", "text": "1", "answer": None},
        {"question": "a", "text": None},
        {"question": "b", "text": MESSAGE, "answer": "7"},
    ]
    first, second = read_groups(written(tmp_path / "c.jsonl", rows))
    assert (first.prompt, first.completions, first.answer, first.place) == ("b", ["1", MESSAGE], "7", "line 1")
    assert (second.prompt, second.completions, second.answer, second.place) == ("a", [""], None, "line 2")


def test_lists_are_groups_of_their_own_even_of_one_prompt(tmp_path):
    rows = [{"prompt": "a", "completions": ["1", None]}, {"prompt": "a", "completions": [MESSAGE], "answer": 3}]
    groups = read_groups(written(tmp_path / "c.jsonl", rows))
    assert [group.completions for group in groups] == [["1", ""], [MESSAGE]]
    assert [group.answer for group in groups] == [None, 3]


def test_prompts_may_be_messages(tmp_path):
    prompt = [{"role": "user", "content": "1+1?"}]
    Dataset.from_list([{"prompt": prompt, "completion": MESSAGE}] * 2).to_parquet(tmp_path / "c.parquet")
    (group,) = read_groups(str(tmp_path / "c.parquet"))
    assert (group.prompt, group.completions) == (prompt, [MESSAGE, MESSAGE])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "is empty"),
        ([{"x": 1}], r"has the fields \['x'\]"),
        ([{"prompt": "a", "completion": "1"}, {"prompt": "a"}], "line 2|row 2"),
        ([{"prompt": "a", "completion": 7}], "line 1, has the completion 7, of the type int; give text"),
        ([{"prompt": "a", "completions": "seven"}], "line 1, has the completion 'seven'.*'completions' is a list"),
        ([{"prompt": "a", "completions": [["x"]]}], r"line 1, has the completion \['x'\], of the type list"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_groups(written(tmp_path / "c.jsonl", rows))
    assert "\n" not in str(caught.value)
