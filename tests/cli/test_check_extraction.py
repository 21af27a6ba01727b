"""The recipe as a user calls it."""

import json
from pathlib import Path

import pytest
from datasets import Dataset

from serl_trl.cli import check_extraction as recipe


ROOT = Path(__file__).parents[2]

ROWS = [
    {"prompt": "a", "completion": r"\boxed{2}"},
    {"prompt": "b", "completion": "The answer is 18 dollars."},
    {"prompt": "a", "completion": [{"role": "assistant", "content": r"\boxed{2.0}"}]},
    {"prompt": "b", "completion": "[bold]So the 3"},
]


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_rows_of_a_prompt_make_a_group(tmp_path):
    groups = recipe.groups_of(written(tmp_path / "c.jsonl", ROWS))
    assert groups == [[ROWS[0]["completion"], ROWS[2]["completion"]], [ROWS[1]["completion"], ROWS[3]["completion"]]]


def test_a_row_may_hold_a_group(tmp_path):
    assert recipe.groups_of(written(tmp_path / "c.jsonl", [{"completions": ["1", "2"]}, {"completions": ["3"]}])) == [
        ["1", "2"],
        ["3"],
    ]


def test_what_trl_logs(tmp_path):
    Dataset.from_dict({"step": [1, 1], "prompt": ["p", "p"], "completion": ["1", "2"]}).to_parquet(
        tmp_path / "c.parquet"
    )
    assert recipe.groups_of(str(tmp_path / "c.parquet")) == [["1", "2"]]


def test_the_report_is_printed(tmp_path, capsys):
    recipe.main([written(tmp_path / "c.jsonl", ROWS), "--other", "text"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "4 completions in 2 groups" in printed
    assert "│ math │ 75.0% │" in printed
    assert "unmarked: [bold]So the 3" in printed  # a completion is no mark-up
    assert "changes the rewards of 1 of 2 groups" in printed


def test_a_pair_of_ones_own(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.py").write_text("CONSTANT = (lambda text: 'x', lambda a, b: a == b)\n")
    monkeypatch.chdir(tmp_path)
    recipe.main([written(tmp_path / "c.jsonl", ROWS), "--other", "mine:CONSTANT"])
    assert "changes the rewards of 1 of 2 groups (25.0%" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("rows", "flags", "message"),
    [
        ([], [], "is empty"),
        ([{"x": 1}], [], r"has the fields \['x'\]"),
        (ROWS, ["--answer_type", "maths"], "'maths'"),
        (ROWS, ["--other", "no.such:THING"], "cannot be imported"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, rows, flags, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        recipe.main([written(tmp_path / "c.jsonl", rows), *flags])
