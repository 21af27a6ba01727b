"""The recipe as a user calls it; what it should print is counted by hand."""

import json
from pathlib import Path

import pytest

from serl_trl.cli import compare_rewards as recipe


ROOT = Path(__file__).parents[2]

ROWS = [
    {"problem": "1+1?", "completion": r"\boxed{2}", "answer": "2"},
    {"problem": "2+2?", "completion": r"\boxed{5}", "answer": 4},
    {"problem": "1+1?", "completion": r"\boxed{2.0}", "answer": "2"},
    {"problem": "2+2?", "completion": r"\boxed{5}", "answer": 4},
    {"problem": "1+1?", "completion": r"\boxed{3}", "answer": "2"},
    {"problem": "2+2?", "completion": r"\boxed{4}", "answer": 4},
]


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def cells(printed, name):
    return next(
        [cell.strip() for cell in line.split("│")[2:-1]] for line in printed.splitlines() if f"│ {name} " in line
    )


def test_the_comparison_is_printed(tmp_path, capsys):
    recipe.main([written(tmp_path / "c.jsonl", ROWS)])
    printed = capsys.readouterr().out
    assert "6 completions in 2 groups" in printed
    # vote 1 1 0 | 1 1 0, truth 1 1 0 | 0 0 1: cosine 2 / sqrt(4 * 3), right on 3 of 6
    assert cells(printed, "vote") == ["0.667", "0", "0.577", "50.0%"]
    assert cells(printed, "truth") == ["0.500", "0", "1.000", "100.0%"]
    # soft vote 2/3 2/3 1/3 | 2/3 2/3 1/3: (2/3 + 2/3 + 1/3) / sqrt(3 * 18/9)
    assert cells(printed, "soft vote") == ["0.556", "0", "0.680", "50.0%"]


def test_a_real_model_judges(tmp_path, capsys):
    """The built-in model has not learnt to judge: what it says is no verdict, and is shown as such."""
    out = tmp_path / "rewards.jsonl"
    recipe.main([written(tmp_path / "c.jsonl", ROWS), "--judge", "tiny", "--max_new_tokens", "4", "--save", str(out)])
    printed = capsys.readouterr().out
    assert "judge: " in printed
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["vote"] for row in rows] == [1, 1, 0, 1, 1, 0]
    num_without = [row["judge"] for row in rows].count(None)
    assert cells(printed, "judge")[1] == str(num_without)


@pytest.mark.parametrize(
    ("rows", "flags", "message"),
    [
        ([{"text": "a", "answer": "1"}], [], "has the fields .*'prompt', 'problem' or 'question'"),
        ([{"prompt": "a", "answer": "1"}], [], "'completion', 'response' or 'text'"),
        ([{"prompt": "a", "text": "1"}], [], "'answer'"),
        (ROWS, ["--judge", "no/where"], "--judge no/where cannot be loaded"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, rows, flags, message):
    with pytest.raises(SystemExit, match=rf"error: .*{message}"):
        recipe.main([written(tmp_path / "c.jsonl", rows), *flags])
