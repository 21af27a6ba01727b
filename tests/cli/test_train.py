"""The recipe as a user calls it: what is wrong with the input is said in one line, and a run leaves a whole folder."""

import json
import re
import shutil
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

import warm_python
from launching import ROOT, environment
from runs import differences
from serl_trl.cli import train as recipe
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.monitoring.probes import Probes
from short_recipe import SHORT


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


AS_THEY_ARE = ["--self_instruct", "false", "--num_seeds", "4"]  # an iteration of one step


def weights(run_dir):
    return load_file(run_dir / "model.safetensors")


def same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe") / "run"
    recipe.main([*SHORT, "--output_dir", str(folder)])
    return folder


def test_a_run_leaves_a_whole_folder(run_dir):
    names = {path.name for path in run_dir.iterdir()}
    assert {
        "model.safetensors",
        "tokenizer.json",
        "README.md",
        "metrics.jsonl",
        "evaluation.json",
        "learning_curves.png",
        "drift.png",
        "instructions",
        "run.json",
        "report.html",
        "held_out_before.jsonl",
        "held_out_after.jsonl",
    } <= names
    assert sorted(p.name for p in (run_dir / "instructions").iterdir()) == ["iteration_1.jsonl", "iteration_2.jsonl"]
    rows = [json.loads(line) for line in (run_dir / "instructions" / "iteration_2.jsonl").read_text().splitlines()]
    kept = [row for row in rows if row["is_kept"]]
    assert len(kept) == 5  # four, and a reserve of a tenth, rounded up
    assert all(row["verdicts"]["novelty"]["value"] <= 0.7 for row in kept)
    voted = [row["vote_share"] for row in kept if row["vote_share"] is not None]
    assert 4 <= len(voted) <= 5
    assert all(0 <= share <= 1 for share in voted)
    assert (run_dir / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    card = (run_dir / "README.md").read_text()
    assert "SeRL" in card
    assert "2505.20347" in card


def test_measurements_are_recorded(run_dir):
    record = json.loads((run_dir / "evaluation.json").read_text())
    for name in ("before", "after"):
        mean, low, high = record[name]["sampled pass@1"]
        assert 0 <= low <= mean <= high <= 1
    for metric, gain in record["gain"].items():
        before, after = (record[when][metric][0] for when in ("before", "after"))
        assert gain["total"][0] == pytest.approx(after - before)
        assert gain["from_no_answer"][0] + gain["from_wrong_answer"][0] == pytest.approx(after - before)
    assert record["gain"].keys() == {"greedy pass@1", "sampled pass@1"}
    steps = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps if "eval_greedy pass@1" in row] == [0, 1, 2]
    assert sum("serl/vote/share_mean" in row for row in steps) == 2
    assert [0 <= row["serl/drift/frac_far"] <= 1 for row in steps if "serl/drift/frac_far" in row] == [True, True]


def test_the_page_shows_the_run(run_dir):
    page, record = (run_dir / "report.html").read_text(), json.loads((run_dir / "run.json").read_text())
    assert "tiny, trained with SeRL" in page
    for name in ("before", "after"):
        mean, low, high = json.loads((run_dir / "evaluation.json").read_text())[name]["sampled pass@1"]
        assert f"{mean:.1%}" in page
        assert f"{100 * low:.1f} to {high:.1%}" in page
        head, *rows = (run_dir / f"held_out_{name}.jsonl").read_text().splitlines()
        assert json.loads(head)["num_problems"] == 8
        assert len(rows) == 16  # greedy and sampled
    assert "could not be drawn" not in page
    assert page.count("<svg") == 4 + 1 + 1 + 6
    assert page.count('<tr data-iteration="') == sum(
        len((run_dir / "instructions" / f"iteration_{i}.jsonl").read_text().splitlines()) for i in (1, 2)
    )
    assert record["settings"]["training"]["num_instructions"] == 4
    assert record["changed"]["training"]["learning_rate"] == [5e-7, 1e-4]


def test_what_an_earlier_run_measured_is_not_taken_for_done(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "again")
    job: Any = SimpleNamespace(
        script_args=recipe.SeRLScriptArguments(),
        model_args=recipe.ModelConfig(model_name_or_path="tiny"),
        training_args=recipe.SeRLConfig(str(tmp_path / "again"), use_cpu=True, bf16=False),
    )
    recipe.begin_folder(job, None)
    assert list((tmp_path / "again").glob("held_out_*")) == []


def test_a_picture_that_fails_does_not_fail_the_run(run_dir, monkeypatch, caplog):
    def fail(*args):
        raise RuntimeError("no ink")

    monkeypatch.setattr(recipe, "learning_curves", fail)
    unread: Any = None  # the curves come first
    recipe.show(unread, run_dir)
    assert "not all of it could be drawn: RuntimeError('no ink')" in caplog.text


def test_measuring_changes_nothing(run_dir, tmp_path):
    recipe.main([*SHORT, "--output_dir", str(tmp_path), "--num_eval_problems", "0"])
    assert same(weights(run_dir), weights(tmp_path))


@pytest.mark.slow
def test_a_run_is_resumed(tmp_path):
    """With coin flips: the vote gates them, and the coins must fall as they would have fallen."""
    flags = [*SHORT, "--save_strategy", "steps", "--save_steps", "1", "--reward_funcs", "coin_flip", "vote"]
    flags += ["--reward_weights", "1", "0", "--min_vote_share", "0", "--max_vote_share", "1"]
    flags += ["--num_eval_problems", "2", "--novelty_threshold", "1"]
    recipe.main([*flags, "--output_dir", str(tmp_path / "whole")])
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    for name in ("checkpoint-2", "instructions"):
        shutil.rmtree(tmp_path / "again" / name)
    (tmp_path / "again" / "model.safetensors").unlink()
    recipe.main([*flags, "--output_dir", str(tmp_path / "again"), "--resume_from_checkpoint", "true"])
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "again"))
    assert "coin_flip_reward" in (tmp_path / "again" / "metrics.jsonl").read_text()
    assert differences(tmp_path / "whole", tmp_path / "again", 2) == []


@pytest.mark.parametrize(
    ("choice", "message"), [("true", "has no complete checkpoint"), ("no/such", "does not exist")]
)
def test_what_cannot_be_resumed_is_said_in_one_line(tmp_path, choice, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        recipe.main([*SHORT, "--output_dir", str(tmp_path), "--resume_from_checkpoint", choice])


@pytest.mark.slow
def test_seed_file_with_and_without_answers_trains_the_same(tmp_path):
    problems = word_problems(20, "recipe tests")
    rows = [{"question": row["prompt"], "answer": row["answer"]} for row in problems]
    labelled = write_lines(tmp_path / "labelled.jsonl", rows)
    bare = write_lines(tmp_path / "bare.jsonl", [{"question": row["question"]} for row in rows])
    short = [*SHORT, "--num_train_epochs", "1", "--eval_every", "0"]
    for name, seed_file in (("labelled", labelled), ("bare", bare)):
        recipe.main([*short, "--output_dir", str(tmp_path / name), "--seed_file", seed_file])
    assert same(weights(tmp_path / "labelled"), weights(tmp_path / "bare"))
    assert json.loads((tmp_path / "bare" / "evaluation.json").read_text()).keys() == {"train_seconds"}


def test_some_prompts_of_a_file_without_answers_are_trained_on(tmp_path):
    rows = [{"question": row["prompt"]} for row in word_problems(20, "recipe tests")]
    flags = ["--seed_file", write_lines(tmp_path / "bare.jsonl", rows), "--self_instruct", "false", "--num_seeds", "6"]
    recipe.main([*SHORT, "--output_dir", str(tmp_path / "run"), "--max_steps", "1", *flags])
    steps = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps if "serl/vote/share_mean" in row] == [1]


def test_more_votes_and_labels_without_self_instruction(tmp_path):
    flags = ["--self_instruct", "false", "--num_votes", "8", "--soft_votes", "true", "--num_eval_problems", "0"]
    recipe.main([*SHORT, "--output_dir", str(tmp_path), "--num_seeds", "8", "--max_steps", "2", *flags])
    steps = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in steps if "serl/vote/share_mean" in row]
    assert [row["serl/vote/num_further_votes"] for row in steps] == [16.0, 16.0]  # four prompts, four votes more each
    assert all(0 <= row["serl/diag/label_accuracy"] <= 1 and row["serl/diag/frac_labelled"] == 1 for row in steps)
    assert all(0 < row["reward"] < 1 for row in steps)


@pytest.mark.slow
def test_eval_file_is_measured(tmp_path):
    rows = [{"problem": row["prompt"], "answer": row["answer"]} for row in word_problems(12, "recipe tests")]
    file = write_lines(tmp_path / "problems.jsonl", rows)
    flags = ["--output_dir", str(tmp_path / "run"), "--seed_file", file, "--eval_file", file, "--max_steps", "1"]
    recipe.main([*SHORT, *AS_THEY_ARE, *flags, "--num_eval_problems", "5"])
    assert "before" in json.loads((tmp_path / "run" / "evaluation.json").read_text())


@pytest.mark.slow
def test_a_collapse_is_told_and_undone(tmp_path, monkeypatch):
    looks = iter([0.5, 0.1, 0.1, 0.9])
    look = Probes.look

    def scripted(self):
        return look(self) | {"serl/probe/frac_settled": 1.0, "serl/probe/frac_abandoned": next(looks)}

    monkeypatch.setattr(Probes, "look", scripted)
    flags = ["--collapse_guard", "restore", "--probe_every", "1", "--save_strategy", "steps", "--save_steps", "1"]
    flags += ["--num_train_epochs", "4", "--eval_every", "0", "--num_eval_problems", "2"]
    flags += ["--num_probes", "16"]  # of fewer, one that changes its mind is too large a share
    recipe.main([*SHORT, "--output_dir", str(tmp_path / "run"), *flags])
    record = json.loads((tmp_path / "run" / "collapse.json").read_text())
    assert (record["restored"], record["alarms"][0]["step"]) == ("checkpoint-1", 3)
    assert same(weights(tmp_path / "run"), weights(tmp_path / "run" / "checkpoint-1"))
    assert "The model is that of checkpoint-1" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
def test_other_sets_are_watched(tmp_path):
    rows = [{"problem": f"{i}+3?", "answer": str(i + 3)} for i in range(4)]
    file = write_lines(tmp_path / "sums.jsonl", rows)
    flags = ["--output_dir", str(tmp_path / "run"), *AS_THEY_ARE, "--eval_every", "0", "--num_train_epochs", "1"]
    flags += ["--watched_sets", file]
    recipe.main([*SHORT, *flags])
    record = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert record["watched"]["sums"].keys() == {"before", "after", "gain"}
    steps = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = {row["step"]: row["eval_sums_greedy pass@1"] for row in steps if "eval_sums_greedy pass@1" in row}
    assert measured.keys() == {0, 1}  # before, and as the iteration ends
    assert measured[0] == record["watched"]["sums"]["before"]["greedy pass@1"][0]
    assert measured[1] == record["watched"]["sums"]["after"]["greedy pass@1"][0]
    assert "greedy accuracy on watched sets" in (tmp_path / "run" / "report.html").read_text().lower()
    with pytest.raises(SystemExit, match="--watched_sets has two sets of the name sums"):
        recipe.main([*SHORT, *flags, file])


SUMS = [f'{{"prompt": "What is {i} + 1 here?"}}\n' for i in range(9)]
NINE = "".join(SUMS)


@pytest.mark.parametrize(
    ("content", "flags", "message"),
    [
        (None, [], "There is no file .*seeds.jsonl"),
        ("", [], "seeds.jsonl is empty"),
        ('{"text": "one"}\n' * 20, [], r"has the fields \['text'\].*'prompt', 'problem' or 'question'"),
        ("".join(SUMS[:3]), [], "has 3 prompts, fewer than the 4"),
        ('{"prompt": \n', [], "line 1, is not JSON"),
        ("[1, 2]\n" * 9, [], "line 1, holds a list and no JSON object"),
        ('{"prompt": "What is 1 + 1 here?"}\n' * 9, [], "has 9 prompts, 1 of them different, fewer than the 4"),
        ("prompt\nWhat is 1 + 1 here?\n", [], "line 1, is not JSON: .*an object a line"),
        (f'{NINE}\n{{"prompt": 7}}\n', [], "seeds.jsonl, line 11: 'prompt' is 7, of the type int"),
        (f'{NINE}{{"prompt": 0}}\n', [], "and line 10 has 'prompt': 0"),
        (f'{NINE}{{"prompt": null}}\n', [], "and line 10 has 'prompt': None"),
        (f'{NINE}{{"question": "1 + 1?"}}\n', [], "and line 10 has no 'prompt'"),
        (f'{NINE}{{"prompt": ["1 + 1?"]}}\n', [], "line 10: 'prompt' has the message '1 . 1"),
        (f'{NINE}{{"prompt": "\\t "}}\n', [], "line 10: 'prompt' is empty"),
        (f'{NINE}{{"prompt": "\\ud800"}}\n', [], "line 10: 'prompt' has .* half of a character"),
        (
            f'{NINE}{{"prompt": [{{"role": "user", "content": "1 + 1?"}}]}}\n',
            [],
            "line 10.*give all as text or all as",
        ),
        (
            '{"prompt": [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"}]}',
            [],
            "'assistant', '1'",
        ),
        ('{"prompt": [{"role": "user", "content": [{"type": "image_url"}]}]}', [], "block of the type 'image_url'"),
        (NINE, ["--eval_strategy", "steps"], "--eval_strategy steps evaluates on an eval_dataset"),
        (
            NINE,
            ["--num_generations", "8", "--per_device_train_batch_size", "12", "--generation_batch_size", "40"],
            "take 24 or 48",
        ),
        (
            NINE,
            ["--model_name_or_path", "no/where", "--use_cpu"],
            "no/where cannot be loaded",
        ),
        (NINE, ["--prompt_template", "no.yaml"], "no prompt template no.yaml"),
        (NINE, ["--eval_file", "no.jsonl"], "no test set 'no.jsonl'"),
        (
            NINE,
            ["--collapse_guard", "restore"],
            "action='restore' goes back to a checkpoint, and save_strategy='no'",
        ),
        (NINE, ["--reward_funcs", "praise"], "has praise; choose from vote"),
        (NINE, ["--min_vote_share", "2"], "min_vote_share=2"),
        (NINE, ["--dataset_name", "x/y"], "choose one"),
        (NINE, ["--filters", "no.such:one"], "no.such:one cannot be imported"),
        (NINE, ["--filters", "os:sep"], "'/' is no object"),
        (
            NINE,
            ["--num_generations", "8", "--num_votes", "4"],
            "--num_votes 4 is below --num_generations 8",
        ),
        (
            NINE,
            ["--num_votes", "16", "--reward_funcs", "box"],
            "reward 'vote', which --reward_funcs lacks",
        ),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, content, flags, message):
    file = tmp_path / "seeds.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit) as caught:
        recipe.main([*SHORT, "--output_dir", str(tmp_path / "run"), "--seed_file", str(file), *flags])
    text = str(caught.value.code)
    assert text.startswith("error: ")
    assert "\n" not in text
    assert re.search(message, text), text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("self_instruct", ["true", "false"])
def test_what_the_chat_template_refuses_is_known_before_weights_are_loaded(tmp_path, monkeypatch, self_instruct):
    def load(*args, **kwargs):
        raise AssertionError("weights are loaded")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", load)
    folder = tmp_path / "strict"
    shutil.copytree(CHECKPOINT, folder)
    (folder / "chat_template.jinja").write_text(
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    )
    (tmp_path / "template.yaml").write_text("user: '{instruction}'\nsystem: Be brief.\n")
    flags = ["--model_name_or_path", str(folder), "--prompt_template", str(tmp_path / "template.yaml"), "--use_cpu"]
    flags += ["--output_dir", str(tmp_path / "run"), "--self_instruct", self_instruct]
    for further in ([], ["--dry_run", "true"]):
        with pytest.raises(SystemExit, match=r"error: The chat template cannot .*\(System role not supported\)"):
            recipe.main([*SHORT, *flags, *further])
    assert not (tmp_path / "run").exists()


def test_messages_of_a_windows_file(tmp_path):
    """A mark of the byte order, text in blocks, and fields that only some messages have."""
    turns = [[{"type": "text", "text": f"What is {i} "}, {"type": "text", "text": "+ 1?"}] for i in range(4)]
    rows = [{"prompt": [{"role": "user", "content": content}]} for content in turns]
    rows[1]["prompt"][0] |= {"name": "Ann", "content": "What is 1 + 1?"}
    (tmp_path / "seeds.jsonl").write_text("\ufeff" + "\r\n".join(map(json.dumps, rows)), encoding="utf-8")
    script_args = recipe.SeRLScriptArguments(seed_file=str(tmp_path / "seeds.jsonl"))
    training_args = SimpleNamespace(self_instruct=True, num_few_shot=4)
    prompts = recipe.load_seeds(script_args, training_args)["prompt"]  # type: ignore[arg-type]
    assert [prompt[0]["content"] for prompt in prompts] == [f"What is {i} + 1?" for i in range(4)]


def test_a_policy_that_writes_too_little_ends_in_one_line(tmp_path):
    flags = ["--output_dir", str(tmp_path), "--num_eval_problems", "0", "--min_instruction_words", "140"]
    with pytest.raises(SystemExit) as caught:
        recipe.main([*SHORT, *flags])
    text = str(caught.value.code)
    assert re.match(r"error: Iteration 1: .*fewer than the minimum of 1.*length: \d+.*min_instruction_words", text)
    assert "\n" not in text
    assert (tmp_path / "instructions" / "iteration_1.jsonl").read_text()


def test_a_dataset_that_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(SystemExit, match="--dataset_name no/where cannot be loaded"):
        recipe.main([*SHORT, "--output_dir", str(tmp_path / "run"), "--dataset_name", "no/where"])


def test_error_on_the_command_line(tmp_path):
    command = ["recipes/serl_math.py", "--seed_file", "missing.jsonl", "--output_dir", str(tmp_path / "run")]
    result = warm_python.run(command, tmp_path, cwd=ROOT, env=environment())
    assert result.returncode != 0
    assert result.stderr.strip().splitlines()[-1].startswith("error: There is no file missing.jsonl")
    assert "Traceback" not in result.stderr


def test_help_explains_every_flag():
    kinds: Any = (recipe.SeRLScriptArguments, recipe.SeRLConfig, recipe.ModelConfig)
    parser = recipe.TrlParser(kinds)
    unexplained = [action.dest for action in parser._actions if not action.help]
    assert unexplained == []
    assert "seed_fraction" in parser.format_help()  # no stray % in a help text


@pytest.mark.slow
def test_text_problems_are_put_to_the_model_as_message_seeds_are(tmp_path):
    """As bare text the built-in model answers none of them, before training and after."""
    rows, held_out = word_problems(8, "message seeds"), word_problems(4, "held_out")
    seeds = [{"prompt": [{"role": "user", "content": text}]} for text in rows["prompt"]]
    problems = [
        {"problem": text, "answer": answer}
        for text, answer in zip(held_out["prompt"], held_out["answer"], strict=True)
    ]
    for name, lines in (("seeds", seeds), ("problems", problems)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = ["--seed_file", str(tmp_path / "seeds.jsonl"), "--eval_file", str(tmp_path / "problems.jsonl")]
    still = ["--learning_rate", "0", "--num_train_epochs", "1", "--eval_every", "0", "--num_few_shot", "4"]
    recipe.main([*SHORT, *files, *still, "--output_dir", str(tmp_path / "run")])
    record = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert record["before"] == record["after"]
    assert record["before"]["no answer"][0] < 0.5
    _, *filed = [json.loads(line) for line in (tmp_path / "run" / "held_out_before.jsonl").read_text().splitlines()]
    assert all(row["prompt"][-1]["role"] == "user" for row in filed)
