import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

import serl_trl
from serl_trl.runtime.files import column_of, read_rows, written_whole


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
        (b'{"a": 1}\n\n[1]\n', "line 3, holds a list and no JSON object; give a JSON Lines file .*, an object a line"),
        (b"a,b\n1,2\n", "line 1, is not JSON: Expecting value; give a JSON Lines file"),
        (b'{"a": ' + b"1" * 5000 + b"}", "line 1, is not JSON: Exceeds the limit"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    file = tmp_path / "rows.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_rows(file, ["a", "b"])


def test_a_folder_and_a_broken_parquet_file(tmp_path):
    with pytest.raises(ValueError, match="is a folder; give a JSON Lines file"):
        read_rows(tmp_path, ["a"])
    (tmp_path / "rows.parquet").write_text('{"a": 1}')
    with pytest.raises(ValueError, match=r"rows.parquet is no Parquet file \(.*; give a JSON Lines file") as caught:
        read_rows(tmp_path / "rows.parquet", ["a"])
    assert "\n" not in str(caught.value)


def test_a_mark_of_the_byte_order_is_no_text(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n')
    assert read_rows(tmp_path / "rows.jsonl", ["a"]) == [{"a": 1}]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": "1"}, {"b": "1"}], "and row 2 has no 'a'"),
        ([{"a": "1"}, {"a": 0}], "and row 2 has 'a': 0"),
        ([{"b": "1"}, {"a": None}], "and row 1 has no 'a'"),
        ([{"x": "1"}], r"'a' or 'b'\.$"),
    ],
)
def test_the_first_row_without_it_is_named(rows, message):
    with pytest.raises(ValueError, match=message):
        column_of(rows, ["a", "b"], "here")


def test_lines_are_counted_as_an_editor_does(tmp_path):
    (tmp_path / "rows.jsonl").write_text('\n{"a": 1}\n\n{"a": ""}\n')
    rows = read_rows(tmp_path / "rows.jsonl", ["a"])
    assert (rows.places, rows.chosen([1]).places) == (["line 2", "line 4"], ["line 4"])
    with pytest.raises(ValueError, match="and line 4 has 'a': ''"):
        column_of(rows, ["a"], "here")


@pytest.mark.parametrize("rows", [[{"x": 1}], [[1, 2]], [{"a": ""}], [{"a": "1"}, {"b": "1"}]])
def test_a_column_that_is_not_there(rows):
    with pytest.raises(ValueError, match=r"here has the fields .*'a', 'b' or 'c'"):
        column_of(rows, ["a", "b", "c"], "here")


def test_the_rows_are_the_files(tmp_path):
    rows = [{"prompt": "\\frac{1}{2} \u2212 é"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps(rows[0]))
    assert read_rows(tmp_path / "rows.jsonl", ["prompt"]) == rows


def test_files_with_one_stem_can_be_written_at_once(tmp_path):
    with written_whole(tmp_path / "x.json") as data, written_whole(tmp_path / "x.md") as text:
        data.write_text("{}")
        text.write_text("# x")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.json": "{}", "x.md": "# x"}


def test_of_two_writers_of_one_file_the_last_to_finish_wins(tmp_path):
    with written_whole(tmp_path / "x.json") as first:
        first.write_text("first")
        with written_whole(tmp_path / "x.json") as second:
            second.write_text("second")
        assert (tmp_path / "x.json").read_text() == "second"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.json": "first"}


def test_two_processes_can_write_one_file(tmp_path):
    script = """
import sys
from serl_trl.runtime.files import written_whole
print("ready", flush=True)
sys.stdin.readline()
for _ in range(300):
    with written_whole("x.json") as temporary:
        temporary.write_text(sys.argv[1] * 10_000)
"""
    environment = {"PYTHONPATH": str(Path(serl_trl.__file__).parents[1])}
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    command = [sys.executable, "-c", script]
    writers = [subprocess.Popen([*command, who], cwd=tmp_path, env=environment, **pipes) for who in "ab"]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 2
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate(timeout=60)[1] for writer in writers] == ["", ""]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
    assert (tmp_path / "x.json").read_text() in ("a" * 10_000, "b" * 10_000)


def test_after_an_error_the_file_is_as_it_was(tmp_path):
    (tmp_path / "x.json").write_text("before")
    with pytest.raises(TypeError), written_whole(tmp_path / "x.json") as temporary:
        json.dump({"half": 1, "other": object()}, temporary.open("w"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.json": "before"}
