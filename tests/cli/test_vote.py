"""`serl-trl vote` as a user calls it; what it should write is counted by hand."""

import io
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from hub_client_runs import run_with_hub
from hub_server import HubServer
from serl_trl.cli.vote import main


ROWS = [
    {"prompt": "1+1?", "completion": r"\boxed{2}", "answer": "2"},
    {"prompt": "2+2?", "completion": r"\boxed{5}", "answer": 4},
    {"prompt": "1+1?", "completion": r"It is \boxed{2.0}.", "answer": "2"},
    {"prompt": "2+2?", "completion": "No idea.", "answer": 4},
    {"prompt": "1+1?", "completion": r"\boxed{3}", "answer": "2"},
    {"prompt": "2+2?", "completion": None, "answer": 4},
    {"prompt": "?", "completion": "No idea.", "answer": 4},
]
VOTES = [
    {
        "prompt": "1+1?",
        "answer": "2",
        "share": 2 / 3,
        "num_votes": 3,
        "is_tie": False,
        "classes": [{"answer": "2", "count": 2}, {"answer": "3", "count": 1}],
        "true_answer": "2",
    },
    {
        "prompt": "2+2?",
        "answer": "5",
        "share": 1 / 3,
        "num_votes": 3,
        "is_tie": False,
        "classes": [{"answer": "5", "count": 1}],
        "true_answer": "4",
    },
    {
        "prompt": "?",
        "answer": None,
        "share": 0.0,
        "num_votes": 1,
        "is_tie": False,
        "classes": [],
        "true_answer": "4",
    },
]
SUMMARY = "7 completions of 3 prompts: 2 with a winner, mean share 0.333, 50.0% of 2 winners are the true answer."


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_votes_go_to_standard_output_and_a_summary_beside_it(tmp_path, capsys):
    main([written(tmp_path / "c.jsonl", ROWS)])
    printed = capsys.readouterr()
    assert lines(printed.out) == VOTES
    assert printed.err == f"{SUMMARY} 3 rows in standard output.\n"


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_votes_go_to_a_file_in_the_format_of_its_ending(tmp_path, capsys, ending):
    file = tmp_path / "new" / f"votes.{ending}"
    main([written(tmp_path / "c.jsonl", ROWS), "--output_file", str(file)])
    rows = lines(file.read_text()) if ending == "jsonl" else pyarrow.parquet.read_table(file).to_pylist()
    assert rows == VOTES
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith(f"3 rows in {file}.\n")
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_row_may_hold_a_group_without_answers(tmp_path, capsys):
    main(
        [
            written(tmp_path / "c.jsonl", [{"question": "q", "completions": ["C", "(C)", "B"]}]),
            "--answer_type",
            "choice",
        ]
    )
    printed = capsys.readouterr()
    (row,) = lines(printed.out)
    assert (row["prompt"], row["answer"], row["num_votes"]) == ("q", "C", 3)
    assert [entry["count"] for entry in row["classes"]] == [2, 1]
    assert "true_answer" not in row
    assert "true" not in printed.err


def test_the_winner_of_a_tie_comes_first_in_its_shortest_spelling(tmp_path, capsys):
    texts = [r"\boxed{10.0}", r"\boxed{7}", r"\boxed{7.0}", r"\boxed{10}"]
    main([written(tmp_path / "c.jsonl", [{"prompt": "q", "completions": texts}])])
    (row,) = lines(capsys.readouterr().out)
    assert row["is_tie"]
    assert row["classes"] == [{"answer": "7", "count": 2}, {"answer": "10", "count": 2}]


def test_prompts_below_the_share_are_left_out_but_counted(tmp_path, capsys):
    main([written(tmp_path / "c.jsonl", ROWS), "--min_share", "0.5"])
    printed = capsys.readouterr()
    assert [row["prompt"] for row in lines(printed.out)] == ["1+1?"]
    assert printed.err == f"{SUMMARY} 1 rows in standard output.\n"


def test_progress_is_for_people(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    main([written(tmp_path / "c.jsonl", [{"prompt": str(i), "completion": "1"} for i in range(1001)])])
    assert terminal.getvalue().splitlines()[0] == "1000 of 1001 prompts ..."


@pytest.mark.parametrize(
    ("rows", "flags", "message"),
    [
        ([], [], "is empty"),
        ([{"completion": "1"}], [], "line 1, has no prompt; give a field 'prompt'"),
        ([{"prompt": "a", "completion": 7}], [], "has the completion 7"),
        ([{"prompt": "a", "completion": [{"role": "assistant", "content": 7}]}], [], "line 1"),
        (ROWS, ["--min_share", "2"], "--min_share is 2.0; it is a share"),
        (ROWS, ["--output_file", "votes.csv"], "votes.csv must end in .jsonl or .parquet"),
        (ROWS, ["--output_file", __file__.replace(".py", ".jsonl")], None),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, monkeypatch, rows, flags, message):
    monkeypatch.chdir(tmp_path)
    if message is None:  # a file that exists
        Path("there.jsonl").write_text("precious")
        flags, message = ["--output_file", "there.jsonl"], "there.jsonl exists; remove it"
    with pytest.raises(SystemExit, match=f"error: .*{message}") as caught:
        main([written(tmp_path / "c.jsonl", rows), *flags])
    assert "\n" not in str(caught.value.code)
    assert {path.name for path in tmp_path.iterdir()} <= {"c.jsonl", "there.jsonl"}


def test_votes_are_pushed_and_kept(tmp_path):
    written(tmp_path / "c.jsonl", ROWS)
    command = ["-m", "serl_trl.cli", "vote", "c.jsonl", "--push_to_hub"]
    with HubServer() as hub:
        result = run_with_hub(hub, tmp_path, *command, "me/votes")
        assert result.returncode == 0, result.stderr[-2000:]
        files = hub.repos["datasets", "me/votes"].files
        (tmp_path / "pushed.parquet").write_bytes(
            next(data for name, data in files.items() if name.endswith(".parquet"))
        )
        assert pyarrow.parquet.read_table(tmp_path / "pushed.parquet").to_pylist() == VOTES
        assert pyarrow.parquet.read_table(tmp_path / "votes.parquet").to_pylist() == VOTES
        refused = run_with_hub(hub, tmp_path, *command, "me/no", "--output_file", "kept.jsonl", token="hf_wrong")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("error: --push_to_hub me/no failed")
    assert "Traceback" not in refused.stderr
    assert lines((tmp_path / "kept.jsonl").read_text()) == VOTES
