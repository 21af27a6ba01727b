"""`--accelerate_config`: one command that starts several processes."""

import json
from argparse import ArgumentParser

import pytest

import warm_python
from launching import environment
from serl_trl.cli import train as recipe
from serl_trl.cli.launch import shared_out
from short_recipe import SHORT


def parser():
    flags = ArgumentParser()
    flags.add_argument("--seed", type=int)
    flags.add_argument("--filters", nargs="+")
    return flags


@pytest.mark.parametrize(
    ("given", "ours", "others"),
    [
        (["--seed", "2", "--num_processes", "2"], ["--seed", "2"], ["--num_processes", "2"]),
        (["--num_processes=2", "--filters", "a", "b"], ["--filters", "a", "b"], ["--num_processes=2"]),
        (["--multi_gpu", "--config", "x.yaml"], ["--config", "x.yaml"], ["--multi_gpu"]),
        (["--seed=2"], ["--seed=2"], []),
    ],
)
def test_flags_that_training_does_not_know_go_to_accelerate(given, ours, others):
    assert shared_out(given, parser()) == (ours, others)


def started(*flags, folder):
    """The launcher; the processes that it starts are new interpreters."""
    command = ["-m", "serl_trl.cli", "train", "--accelerate_config", "cpu", *flags]
    variables = {name: value for name, value in environment().items() if name != "LOCAL_RANK"}
    return warm_python.run(command, folder, cwd=folder, env=variables)


@pytest.mark.slow
@pytest.mark.multiprocess
def test_two_processes_train(tmp_path):
    """By the name of a configuration, from a folder outside the tree."""
    flags = [*SHORT, "--num_eval_problems", "0", "--max_steps", "1", "--per_device_train_batch_size", "8"]
    result = started(*flags, "--main_process_port", "0", "--output_dir", "run", folder=tmp_path)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.count("Training on 128 unlabelled prompts") == 1
    steps = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any("serl/vote/share_mean" in row for row in steps)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["environment"]["processes"] == 2


@pytest.mark.multiprocess
@pytest.mark.slow
def test_an_error_of_the_processes_is_told_without_a_traceback(tmp_path):
    flags = ["--main_process_port", "0", "--seed_file", "missing.jsonl", "--output_dir", "run"]
    result = started(*flags, folder=tmp_path)
    assert result.returncode != 0
    assert "error: There is no file missing.jsonl" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--accelerate_config", "nope"], "There is no file nope; --accelerate_config takes"),
        (["--accelerate_config"], "--accelerate_config has no value"),
        (["--accelerate_config", "cpu", "--nonsense", "3"], "Neither the command nor accelerate takes .*--nonsense"),
    ],
)
def test_bad_input_ends_in_one_line(monkeypatch, flags, message):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    with pytest.raises(SystemExit, match=f"error: .*{message}") as caught:
        recipe.main(flags)
    assert "\n" not in str(caught.value.code)


def test_started_processes_start_no_others(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(
        SystemExit, match="error: --accelerate_config cpu starts processes, and accelerate has started"
    ):
        recipe.main(["--accelerate_config", "cpu"])
