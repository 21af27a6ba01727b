"""The recipe as a user calls it, with the built-in model."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest

from launching import in_two
from serl_trl.cli import write_instructions as recipe


SHORT = ["--num_instructions", "8", "--num_generations", "8", "--generation_batch_size", "64", "--num_seeds", "16"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Everything of two rounds."""
    path = tmp_path_factory.mktemp("generate") / "new" / "all.jsonl"
    recipe.main([*SHORT, "--output_file", str(path), "--num_rounds", "2", "--all_rows", "true"])
    assert [file.name for file in path.parent.iterdir()] == ["all.jsonl"]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_that_passed_the_filters_has_a_vote(rows):
    assert {row["iteration"] for row in rows} == {1, 2}
    assert sum(row["is_kept"] for row in rows) == 16
    passed = [row for row in rows if row["novelty_kept"]]
    assert len(passed) > 16  # some votes lie outside the band
    for row in passed:
        sizes = Counter(vote for vote in row["votes"] if vote is not None)
        assert len(row["votes"]) == 8
        assert row["share"] == max(sizes.values(), default=0) / 8
        if sizes:
            assert sizes[row["winner"]] == max(sizes.values())
        assert row["is_kept"] == (0.2 <= row["share"] <= 0.8) == row["difficulty_kept"]
        assert row["prompt"] == [{"role": "user", "content": row["text"]}]
    assert all(row["votes"] is None and not row["is_kept"] for row in rows if not row["novelty_kept"])


def test_the_second_round_also_shows_what_the_first_wrote(rows):
    written = {row["text"] for row in rows if row["iteration"] == 1}
    assert any(set(row["parents"]) & written for row in rows if row["iteration"] == 2)
    assert not any(set(row["parents"]) & written for row in rows if row["iteration"] == 1)


def test_a_dataset_is_pushed_and_kept(tmp_path, monkeypatch):
    pushed = {}
    monkeypatch.setattr(
        datasets.Dataset, "push_to_hub", lambda self, repository: pushed.update({repository: self["text"][:]})
    )
    path = tmp_path / "kept.parquet"
    flags = ["--push_to_hub", "me/problems", "--min_vote_share", "0", "--max_vote_share", "1"]
    recipe.main([*SHORT, "--output_file", str(path), *flags])
    stored = datasets.Dataset.from_parquet(str(path))
    assert all(stored["is_kept"])
    assert None not in stored["answer"][:]
    assert pushed == {"me/problems": stored["text"][:]}


def test_a_push_that_fails_leaves_the_file(tmp_path, monkeypatch):
    def refuse(self, repository):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets.Dataset, "push_to_hub", refuse)
    path = tmp_path / "kept.jsonl"
    with pytest.raises(
        SystemExit, match=r"error: --push_to_hub me/problems failed \(ConnectionError: no route\).*kept.jsonl"
    ):
        recipe.main([*SHORT, "--output_file", str(path), "--push_to_hub", "me/problems", "--min_vote_share", "0"])
    assert path.read_text(encoding="utf-8").count("\n") > 0


def test_a_filter_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "own_filters.py").write_text(
        "from serl_trl.instructions.filters import Verdict\n"
        "class Nothing:\n"
        "    name = 'nothing'\n"
        "    def __call__(self, instruction):\n"
        "        return Verdict(False, 'no')\n"
        "nothing = Nothing()\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"error: The policy wrote 0 usable instructions.*nothing: \d+"):
        recipe.main([*SHORT, "--output_file", "out.jsonl", "--filters", "own_filters:nothing"])
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output_file", "rows.csv"], "rows.csv must end in .jsonl or .parquet"),
        (["--seed_file", "missing.jsonl"], "There is no file missing.jsonl"),
        (["--seed_file", "a.jsonl", "--dataset_name", "x/y"], "choose one"),
        (["--model_name_or_path", "no/where", "--use_cpu"], "no/where cannot be loaded"),
        (["--num_rounds", "0"], "--num_rounds is 0"),
        (["--filters", "no.such:thing"], "--filters no.such:thing cannot be imported"),
        (["--filters", "serl_trl.instructions.filters:LengthFilter"], "no object that can be called"),
        (["--num_seeds", "2"], "has 2 prompts, fewer than the 4"),
        (["--eval_strategy", "epoch"], "--eval_strategy epoch evaluates on an eval_dataset"),
        (["--generation_batch_size", "100"], "generation_batch_size=100 does not divide .* take 64 or 128"),
        (["--semantic_novelty_threshold", "0.9"], "needs embedding_model"),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        recipe.main([*SHORT, *flags])
    text = str(caught.value.code)
    assert text.startswith("error: ")
    assert "\n" not in text
    assert re.search(message, text), text
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_overwritten(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("precious")
    with pytest.raises(SystemExit, match=r"error: --output_file .*rows.jsonl exists"):
        recipe.main([*SHORT, "--output_file", str(path)])
    assert path.read_text() == "precious"


@pytest.mark.multiprocess
def test_two_processes_share_the_work(tmp_path):
    flags = [
        "--output_file",
        str(tmp_path / "rows.jsonl"),
        "--all_rows",
        "true",
        "--per_device_train_batch_size",
        "32",
    ]
    out, err = tmp_path / "out", tmp_path / "err"
    codes = in_two("-m", "serl_trl.cli", "write", *SHORT, *flags, stdout=out, stderr=err)
    assert codes == [0, 0], err.read_text()[-2000:]
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    voted = [row for row in rows if row["votes"]]
    assert sum(row["is_kept"] for row in rows) == 8
    assert all(len(row["votes"]) == 8 for row in voted)
    assert out.read_text().count("rows in") == 1


def test_help_explains_every_flag():
    kinds: Any = (recipe.GenerationArguments, recipe.GenerationConfig, recipe.ModelConfig)
    parser = recipe.TrlParser(kinds)
    assert [action.dest for action in parser._actions if not action.help] == []
    assert "all_rows" in parser.format_help()
