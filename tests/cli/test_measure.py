"""Nothing is measured twice: the curve's ends and the tables share completions where the weights are the same."""

import json
import os

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serl_trl.cli import measure
from serl_trl.cli import train as recipe
from serl_trl.cli.measure import Measurements
from serl_trl.cli.train_arguments import SeRLScriptArguments
from serl_trl.evaluation import Problems, TransformersEngine, evaluate, transformers_engine
from serl_trl.laboratory import word_problems
from serl_trl.types import Prompt
from short_recipe import SHORT
from tiny_runs import trainer


NUM_PROBLEMS, NUM_SAMPLES, NUM_INTERIM = 8, 2, 3  # the first two as in SHORT


def rows_of(file):
    _, *rows = [json.loads(line) for line in file.read_text().splitlines()]
    return {(row["mode"], row["index"]): row for row in rows}


def counted(monkeypatch):
    """A list that gets the number of completions of each batch that is asked for, by mode."""
    asked: list[tuple[str, int]] = []

    class Counting(TransformersEngine):
        def __call__(self, prompts, sampling):
            asked.append(("sampled" if sampling.temperature else "greedy", len(prompts)))
            return super().__call__(prompts, sampling)

    monkeypatch.setattr(measure, "TransformersEngine", Counting)
    return asked


def total(asked):
    return {mode: sum(num for found, num in asked if found == mode) for mode in ("greedy", "sampled")}


@pytest.mark.slow
def test_the_ends_of_the_curve_are_parts_of_the_tables(tmp_path, monkeypatch):
    """Two steps, each of them measured, between two tables."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})  # one thread: others are at work, too
    asked, folder = counted(monkeypatch), tmp_path / "run"
    flags = ["--num_interim_problems", str(NUM_INTERIM), "--collapse_guard", "off", "--output_dir", str(folder)]
    recipe.main([*SHORT, *flags])
    num = NUM_PROBLEMS + NUM_INTERIM + NUM_PROBLEMS  # the curve's first point is in one table, its last in the other
    assert total(asked) == {"greedy": num, "sampled": num * NUM_SAMPLES}

    logs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    curve = {log["step"]: log for log in logs if "eval_sampled pass@1" in log}
    assert curve.keys() == {0, 1, 2}
    for step, when in ((0, "before"), (2, "after")):
        rows = rows_of(folder / f"held_out_{when}.jsonl")
        assert len(rows) == 2 * NUM_PROBLEMS
        right = [sum(rows["sampled", i]["is_right"]) / NUM_SAMPLES for i in range(NUM_INTERIM)]
        assert curve[step]["eval_sampled pass@1"] == pytest.approx(sum(right) / NUM_INTERIM)

    # and what was taken over is what the policy that was saved writes
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    problems = [rows["greedy", i] for i in range(NUM_PROBLEMS)]
    evaluate(
        transformers_engine(model, tokenizer),
        [row["prompt"] for row in problems],
        [row["true_answer"] for row in problems],
        num_samples=NUM_SAMPLES,
        max_new_tokens=json.loads((folder / "run.json").read_text())["settings"]["training"]["max_completion_length"],
        file=tmp_path / "again.jsonl",
    )
    assert rows_of(tmp_path / "again.jsonl") == rows


@pytest.fixture
def measurements(tmp_path):
    texts = word_problems(4, "measured")
    prompts: list[Prompt] = [[{"role": "user", "content": text}] for text in texts["prompt"]]
    args = SeRLScriptArguments(num_eval_samples=NUM_SAMPLES, num_interim_problems=2)
    return Measurements(trainer(tmp_path), args, [Problems("", prompts, texts["answer"][:], "math", [])])


def test_weights_that_have_moved_are_measured_anew(measurements, monkeypatch):
    asked, point = counted(monkeypatch), measurements.callback().measures[""]
    point()
    assert total(asked) == {"greedy": 2, "sampled": 4}
    point()
    assert total(asked) == {"greedy": 2, "sampled": 4}
    weight = measurements.trainer.model.lm_head.weight
    kept = weight.detach().clone()
    weight.data[0, 0] += 1e-3  # past autograd's count of versions, as an optimiser of parts would
    measurements.take("after")
    assert total(asked) == {"greedy": 6, "sampled": 12}
    point()
    assert total(asked) == {"greedy": 6, "sampled": 12}
    with torch.no_grad():
        weight.copy_(kept)
    point()
    assert total(asked) == {"greedy": 8, "sampled": 16}


def test_another_precision_is_measured_anew(measurements, monkeypatch):
    asked, point = counted(monkeypatch), measurements.callback().measures[""]
    point()
    with torch.autocast("cpu", torch.bfloat16):
        point()
    assert total(asked) == {"greedy": 4, "sampled": 8}


def test_processes_agree_on_what_is_taken_over(measurements, monkeypatch):
    """Another process holds a part of the weights that has moved."""
    asked, point = counted(monkeypatch), measurements.callback().measures[""]
    point()
    monkeypatch.setattr(measure, "gather_object", lambda is_same: [*is_same, False])
    point()
    assert total(asked) == {"greedy": 4, "sampled": 8}
