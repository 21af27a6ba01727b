"""Mistakes in flags, configurations and output places: one line, with the value and a remedy."""

import json

import pytest
from trl import TrlParser

from serl_trl.cli import __main__ as entry
from serl_trl.cli.compare_rewards import read_completions
from serl_trl.cli.dataset_files import check_writable
from serl_trl.cli.evaluate_arguments import EvaluationArguments
from serl_trl.cli.parsers import parsed


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        (["vote", "a.jsonl", "--nonsense"], "--nonsense"),
        (["vote", "a.jsonl", "--answer_type", "letters"], "'letters'"),
        (["check"], "file"),
        (["report"], "run_dir"),
        (["doctor", "--nonsense"], "--nonsense"),
    ],
)
def test_a_wrong_flag_is_one_line(flags, value, capsys):
    with pytest.raises(SystemExit) as caught:
        entry.main(flags)
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert value in told
    assert f"serl-trl {flags[0]} --help" in told


def parser():
    return TrlParser(EvaluationArguments, prog="serl-trl evaluate")  # type: ignore[arg-type]


def test_a_wrong_value_for_a_parser_of_trl_is_one_line(capsys):
    with pytest.raises(SystemExit):
        parsed(parser(), ["--models", "tiny", "--num_samples", "many"])
    told = capsys.readouterr().err
    assert "'many'" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\x00", "is no text"), (b"a: [", "is not YAML"), (b"nonsense: 1", "has unknown settings: --nonsense 1")],
)
def test_a_wrong_configuration_is_named(tmp_path, content, message):
    path = tmp_path / "settings.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"settings\.yaml {message}"):
        parsed(parser(), ["--config", str(path), "--models", "tiny"])


def test_an_unknown_flag_beside_a_configuration_is_named():
    with pytest.raises(ValueError, match=r"--nonsense 1.*serl-trl evaluate --help"):
        parsed(parser(), ["--models", "tiny", "--nonsense", "1"])


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "out.jsonl"):
        with pytest.raises(ValueError, match=r"--save .* cannot be written"):
            check_writable(str(place), "--save")
    check_writable(str(tmp_path / "new" / "out.jsonl"), "--save")
    assert not (tmp_path / "new").exists()


def test_ctrl_c_ends_in_one_line(monkeypatch, capsys):
    def interrupted(flags):
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "run", interrupted)
    with pytest.raises(SystemExit) as caught:
        entry.main([])
    assert caught.value.code == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_compare_takes_the_answer_0_and_says_which_fields_there_are(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"prompt": "1-1?", "completion": "The answer is 0."}
    path.write_text(json.dumps(row | {"answer": 0}))
    assert read_completions(str(path))[2] == ["0"]
    path.write_text(json.dumps(row))
    with pytest.raises(ValueError, match=r"\['completion', 'prompt'\].*'answer'"):
        read_completions(str(path))
