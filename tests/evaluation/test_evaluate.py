"""Figures below are counted by hand, from completions that are written down."""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serl_trl.evaluation.evaluate import evaluate


GREEDY = {"first?": ("\\boxed{7}", 3), "second?": ("I cannot say", 5)}
SAMPLES = {
    "first?": [("\\boxed{7}", 4), ("\\boxed{7}", 4), ("\\boxed{8}", 4), ("nothing", 4)],
    "second?": [("\\boxed{1}", 2), ("\\boxed{3}", 2), ("\\boxed{3}", 2), ("\\boxed{3}", 6)],
}
PROBLEMS = (["first?", "second?"], ["7", "1"])


def scripted(asked=None, num_batches=None):
    """An engine that knows two problems by heart, notes what it is asked, and is killed after some batches."""
    asked = [] if asked is None else asked

    def engine(prompts, sampling):
        if len(asked) == num_batches:
            raise KeyboardInterrupt
        asked.append((list(prompts), sampling))
        if sampling.temperature == 0:
            return [GREEDY[prompt] for prompt in prompts]
        return [SAMPLES[prompt][i % 4] for i, prompt in enumerate(prompts)]

    return engine


def test_scores_of_known_completions():
    report = evaluate(scripted(), *PROBLEMS, num_samples=4)
    assert report.greedy.tolist() == [1, 0]
    assert report.num_right.tolist() == [2, 1]
    assert report.sampled.tolist() == [0.5, 0.25]
    assert report.majority.tolist() == [1, 0]
    assert report.no_answer.tolist() == [0.25, 0]
    assert report.length_tokens.tolist() == [4, 3]
    scores = {name: score.mean for name, score in report.scores().items()}
    # of two draws from four: both wrong in 1 of 6 for two right, in 3 of 6 for one
    assert scores["pass@2"] == pytest.approx((5 / 6 + 3 / 6) / 2)
    assert scores["pass@4"] == 1.0
    assert list(scores) == [
        *("greedy pass@1", "sampled pass@1", "maj@4", "pass@2", "pass@4", "no answer", "tokens"),
    ]
    assert scores["maj@4"] == 0.5
    second = report.of([False, True])
    assert second.scores()["sampled pass@1"].mean == 0.25
    assert second.num_samples == 4


def test_without_samples_the_greedy_completions_are_described():
    report = evaluate(scripted(), *PROBLEMS, num_samples=0)
    assert {name: score.mean for name, score in report.scores().items()} == {
        "greedy pass@1": 0.5,
        "no answer": 0.5,
        "tokens": 4.0,
    }


def test_batches_hold_what_they_may_and_are_sampled_each_from_a_seed_of_its_own():
    asked: list[tuple] = []
    evaluate(
        scripted(asked), *PROBLEMS, num_samples=4, batch_size=4, temperature=0.8, top_p=0.9, max_new_tokens=5, seed=2
    )
    greedy, *sampled = asked
    assert greedy[0] == ["first?", "second?"]
    assert [prompts for prompts, _ in sampled] == [["first?"] * 4, ["second?"] * 4]
    assert {(how.max_new_tokens, how.temperature, how.top_p) for _, how in sampled} == {(5, 0.8, 0.9)}
    assert len({how.seed for _, how in sampled}) == 2


@pytest.mark.parametrize("num_batches", [0, 1, 2])
def test_one_that_was_killed_goes_on_where_it_was(tmp_path, num_batches):
    file = tmp_path / "deep" / "rows.jsonl"
    settings: dict[str, Any] = {"num_samples": 4, "batch_size": 4}
    asked: list[tuple] = []
    left: list[tuple] = []
    with pytest.raises(KeyboardInterrupt):
        evaluate(scripted(asked, num_batches), *PROBLEMS, **settings, file=file)
    with file.open("a") as opened:
        opened.write('{"mode": "sampled", "ind')  # a line that was being written
    resumed = evaluate(scripted(left), *PROBLEMS, **settings, file=file)
    everything: list[tuple] = []
    whole = evaluate(scripted(everything), *PROBLEMS, **settings)
    assert [*asked, *left] == everything
    assert resumed.as_dict() == whole.as_dict()
    np.testing.assert_array_equal(resumed.num_right, whole.num_right)
    head, *rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert head["num_samples"] == 4
    assert sorted((row["mode"], row["index"]) for row in rows) == [
        (mode, i) for mode in ("greedy", "sampled") for i in (0, 1)
    ]
    row = next(row for row in rows if row["mode"] == "sampled" and row["index"] == 0)
    assert (row["prompt"], row["true_answer"]) == ("first?", "7")
    assert row["completions"] == [text for text, _ in SAMPLES["first?"]]
    assert row["answers"] == ["7", "7", "8", None]
    assert row["is_right"] == [True, True, False, False]
    assert (row["majority"], row["is_majority_right"]) == ("7", True)
    evaluate(scripted(num_batches=0), *PROBLEMS, **settings, file=file)  # nothing is left to do


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "rows.jsonl"
    evaluate(scripted(), *PROBLEMS, num_samples=4, file=file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"rows\.jsonl is of an evaluation with num_samples 4, not 2"):
        evaluate(scripted(), *PROBLEMS, num_samples=2, file=file)
    with pytest.raises(ValueError, match="problems "):
        evaluate(scripted(), PROBLEMS[0], ["7", "2"], num_samples=4, file=file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("answers", [[], ["1", "2"]])
def test_every_prompt_needs_an_answer(answers):
    with pytest.raises(ValueError, match=f"1 prompts and {len(answers)} answers"):
        evaluate(scripted(), ["first?"], answers)


@pytest.mark.parametrize("num_processes", [2, 3, 4])
def test_processes_share_the_batches_and_generate_as_often(monkeypatch, num_processes):
    """Threads stand for processes; each has a place in what is gathered."""
    alone = evaluate(scripted(), *PROBLEMS, num_samples=4, batch_size=4)
    module, here, barrier = (
        sys.modules["serl_trl.evaluation.evaluate"],
        threading.local(),
        threading.Barrier(num_processes),
    )
    parts: list[Any] = [None] * num_processes

    def gathered(part):
        parts[here.rank] = part
        barrier.wait(20)
        whole = [item for part in parts for item in part]
        barrier.wait(20)
        return whole

    monkeypatch.setattr(module, "gather_object", gathered)
    monkeypatch.setattr(
        module, "PartialState", lambda: SimpleNamespace(process_index=here.rank, num_processes=num_processes)
    )
    monkeypatch.setattr(module, "Records", lambda *args: _InMemory())

    def run(rank):
        asked: list[tuple] = []
        here.rank = rank
        return evaluate(scripted(asked), *PROBLEMS, num_samples=4, batch_size=4), asked

    with ThreadPoolExecutor(num_processes) as pool:
        results = list(pool.map(run, range(num_processes)))
    for report, asked in results:
        assert report.as_dict() == alone.as_dict()
        # one batch with both greedy completions and two batches of samples, shared out and padded
        assert len(asked) == 1 + -(-2 // num_processes)


class _InMemory:
    """Rows as `Records` keeps them; a row that comes twice is an error."""

    def __init__(self):
        self.rows = {}

    def has(self, mode, indices):
        return False

    def add(self, rows):
        for row in rows:
            assert (row["mode"], row["index"]) not in self.rows
            self.rows[row["mode"], row["index"]] = row
