import json

import pytest
from datasets import Dataset

from serl_trl.files import column_of, read_rows


def test_json_lines(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a\u2028b"}\n\n{"prompt": "c"}\n', encoding="utf-8")
    assert column_of(read_rows(file, ["prompt"]), ["problem", "prompt"], str(file)) == ["a\u2028b", "c"]


def test_parquet(tmp_path):
    file = tmp_path / "rows.parquet"
    Dataset.from_dict({"completion": ["a", "b"]}).to_parquet(file)
    assert read_rows(file, ["completion"]) == [{"completion": "a"}, {"completion": "b"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"There is no file .*rows.jsonl; give a JSON Lines file with a field 'a' or 'b'"),
        (b"\n", "rows.jsonl is empty"),
        (b'{"a": 1}\n{"a": \n', "line 2, is not JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    file = tmp_path / "rows.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_rows(file, ["a", "b"])


@pytest.mark.parametrize("rows", [[{"x": 1}], [[1, 2]], [{"a": ""}], [{"a": "1"}, {"b": "1"}]])
def test_a_column_that_is_not_there(rows):
    with pytest.raises(ValueError, match=r"here has the fields .*'a', 'b' or 'c'"):
        column_of(rows, ["a", "b", "c"], "here")


def test_the_rows_are_the_files(tmp_path):
    rows = [{"prompt": "\\frac{1}{2} \u2212 é"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps(rows[0]))
    assert read_rows(tmp_path / "rows.jsonl", ["prompt"]) == rows
