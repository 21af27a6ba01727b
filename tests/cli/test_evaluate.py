"""The recipe as a user calls it, with the built-in model: real files, a real kill, two real processes."""

import csv
import json
import shutil
import subprocess
import sys
import time

import pytest
from transformers import PreTrainedModel

from launching import ROOT, environment, in_two
from serl_trl.cli import evaluate as recipe
from warm_python import WarmPython, run


SHORT = ["--num_problems", "10", "--num_samples", "4", "--max_new_tokens", "40", "--batch_size", "8"]


def flags_for(folder, *flags):
    return ["--models", "tiny", "--output_dir", str(folder), *SHORT, *flags]


def command(folder):
    return ["-m", "serl_trl.cli", "evaluate", *flags_for(folder)]


def results(folder):
    return json.loads((folder / "results.json").read_text())["results"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder, files = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("printed")
    ended = run(command(folder), files, cwd=ROOT, env=environment())
    assert ended.returncode == 0, ended.stderr
    return folder, ended.stdout


def test_table_files_and_completions(whole):
    folder, printed = whole
    assert "laboratory, 10 problems" in printed
    rows = results(folder)
    assert [row["metric"] for row in rows] == [
        *("greedy pass@1", "sampled pass@1", "maj@4", "pass@2", "pass@4", "no answer", "tokens"),
    ]
    assert all(row["low"] <= row["mean"] <= row["high"] for row in rows)
    with (folder / "results.csv").open() as file:
        assert [(row["metric"], float(row["mean"])) for row in csv.DictReader(file)] == [
            (row["metric"], row["mean"]) for row in rows
        ]
    _, *filed = [json.loads(line) for line in (folder / "tiny/laboratory.jsonl").read_text().splitlines()]
    sampled = [row for row in filed if row["mode"] == "sampled"]
    assert sorted(row["index"] for row in sampled) == list(range(10))
    mean = sum(sum(row["is_right"]) for row in sampled) / 40
    assert rows[1]["mean"] == pytest.approx(mean)
    assert f"{mean:.1%}" in printed


@pytest.mark.slow
def test_one_that_is_killed_and_resumed_ends_with_the_same_figures(whole, tmp_path):
    file = tmp_path / "tiny/laboratory.jsonl"
    process = WarmPython(command(tmp_path), cwd=ROOT, env=environment())
    deadline = time.monotonic() + 600
    while not (file.exists() and len(file.read_text().splitlines()) > 9):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    before = file.read_text()
    assert not (tmp_path / "results.json").exists()
    subprocess.run([sys.executable, *command(tmp_path)], cwd=ROOT, env=environment(), timeout=600, check=True)
    assert results(tmp_path) == results(whole[0])
    kept = before[: before.rfind("\n") + 1]
    assert file.read_text().startswith(kept)


@pytest.mark.multiprocess
def test_two_processes_find_the_same(whole, tmp_path):
    out, err = tmp_path / "out", tmp_path / "err"
    assert in_two(*command(tmp_path), stdout=out, stderr=err) == [0, 0], err.read_text()[-2000:]
    printed = out.read_text()
    assert results(tmp_path) == results(whole[0])
    filed = (tmp_path / "tiny/laboratory.jsonl").read_text().splitlines()
    assert (
        len(filed) == 1 + 2 * 10
    )  # five batches of samples: in the last round, one process repeats what the other does
    assert printed.count("tiny on 10 problems") == printed.count("laboratory, 10 problems") == 1


def test_several_sets_and_models(tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(
            json.dumps({"problem": "Sam has 4 toys. How many?", "answer": "4"}) + "\n"
        )
    sets = [str(tmp_path / "a.jsonl"), f"svamp={tmp_path / 's.jsonl'}"]
    (tmp_path / "s.jsonl").write_text(
        json.dumps({"Body": "Sam has 4 toys.", "Question": "How many?", "Answer": "4"}) + "\n"
    )
    model = str(ROOT / "src/serl_trl/laboratory/checkpoint")
    flags = ["--models", "tiny", model, "--datasets", *sets, "--num_samples", "0"]
    recipe.main(flags_for(tmp_path / "out", *flags))
    printed = capsys.readouterr().out
    assert {(row["model"], row["dataset"]) for row in results(tmp_path / "out")} == {
        (name, dataset) for name in ("tiny", model) for dataset in ("a", "svamp")
    }
    assert printed.index("a, 1 problems") < printed.index("svamp, 1 problems")
    assert len(list((tmp_path / "out").glob("*/*.jsonl"))) == 4


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--datasets", "mth_500"], "error: There is no test set 'mth_500'"),
        (["--models", "no/where"], "error: --models no/where cannot be loaded"),
        (["--use_vllm", "true"], "error: --use_vllm needs vLLM"),
        (["--chat_template_kwargs", "thinking"], "error: --chat_template_kwargs thinking is no JSON object"),
        (["--chat_template_kwargs", "[1]"], r"error: --chat_template_kwargs \[1\] is no JSON object"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, flags, message):
    with pytest.raises(SystemExit, match=message):
        recipe.main(flags_for(tmp_path, *flags))


def test_what_the_chat_template_refuses_is_known_before_weights_are_loaded(tmp_path, monkeypatch):
    def load(*args, **kwargs):
        raise AssertionError("weights are loaded")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", load)
    (tmp_path / "template.yaml").write_text("user: '{instruction}'\nsystem: Be brief.\n")
    folder = tmp_path / "strict"
    shutil.copytree(ROOT / "src/serl_trl/laboratory/checkpoint", folder)
    (folder / "chat_template.jinja").write_text(
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    )
    flags = ["--models", str(folder), "--prompt_template", str(tmp_path / "template.yaml")]
    with pytest.raises(SystemExit, match=r"error: The chat template cannot .*\(System role not supported\)"):
        recipe.main(flags_for(tmp_path / "out", *flags))


def test_a_problem_that_is_no_text_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"problem": "1 + 1?", "answer": 2}\n\n{"problem": 7, "answer": 7}\n')
    with pytest.raises(SystemExit, match=r"error: .*a\.jsonl, line 3: 'problem' is 7, of the type int"):
        recipe.main(flags_for(tmp_path / "out", "--datasets", str(tmp_path / "a.jsonl")))


def test_other_settings_do_not_mix(whole):
    folder, _ = whole
    before = (folder / "tiny/laboratory.jsonl").read_bytes()
    with pytest.raises(SystemExit, match=r"is of an evaluation with top_p 0\.95, not 1\.0"):
        recipe.main(flags_for(folder, "--top_p", "1"))
    assert (folder / "tiny/laboratory.jsonl").read_bytes() == before


def test_arguments_of_the_chat_template_reach_it_and_are_part_of_the_settings(tmp_path, capsys):
    model = tmp_path / "model"
    shutil.copytree(ROOT / "src/serl_trl/laboratory/checkpoint", model)
    template = (model / "chat_template.jinja").read_text()
    silent = "{% if enable_thinking is defined and not enable_thinking %}" + template + "{% else %}3{% endif %}"
    (model / "chat_template.jinja").write_text(silent)
    scores = {}
    for name, flags in (("asked", ["--chat_template_kwargs", '{"enable_thinking": false}']), ("not asked", [])):
        recipe.main(
            ["--models", str(model), "--output_dir", str(tmp_path / name), *SHORT, "--num_samples", "0", *flags]
        )
        scores[name] = {row["metric"]: row["mean"] for row in results(tmp_path / name)}
    recipe.main(["--models", "tiny", "--output_dir", str(tmp_path / "plain"), *SHORT, "--num_samples", "0"])
    assert scores["asked"] == {row["metric"]: row["mean"] for row in results(tmp_path / "plain")}
    _, *filed = map(json.loads, (tmp_path / "not asked" / recipe.file_name(str(model)) / "laboratory.jsonl").open())
    assert len({row["completions"][0] for row in filed}) == 1  # the model never saw a problem
    with pytest.raises(SystemExit, match=r"is of an evaluation with chat_template_kwargs"):
        recipe.main(["--models", str(model), "--output_dir", str(tmp_path / "asked"), *SHORT, "--num_samples", "0"])


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--num_problems", "0", "--num_problems is 0; give 1 or more."),
        ("--num_samples", "-1", "--num_samples is -1; give 0 or more."),
        ("--max_new_tokens", "0", "--max_new_tokens is 0; give 1 or more."),
        ("--batch_size", "0", "--batch_size is 0; give 1 or more."),
        ("--temperature", "0", "--temperature is 0.0; give more than 0"),
        ("--temperature", "nan", "--temperature is nan; give more than 0"),
        ("--top_p", "1.5", "--top_p is 1.5; give more than 0 and at most 1."),
    ],
)
def test_a_number_out_of_range_is_named(flag, value, message):
    with pytest.raises(SystemExit, match=message.replace(".", r"\.")):
        recipe.main(["--models", "tiny", flag, value])
