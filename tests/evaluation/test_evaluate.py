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


def test_batches_hold_what_they_may_and_name_the_numbers_of_their_rows():
    asked: list[tuple] = []
    evaluate(
        scripted(asked), *PROBLEMS, num_samples=4, batch_size=4, temperature=0.8, top_p=0.9, max_new_tokens=5, seed=2
    )
    greedy, *sampled = asked
    assert greedy[0] == ["first?", "second?"]
    assert [prompts for prompts, _ in sampled] == [["first?"] * 4, ["second?"] * 4]
    assert {(how.max_new_tokens, how.temperature, how.top_p, how.seed) for _, how in sampled} == {(5, 0.8, 0.9, 2)}
    assert len({row for _, how in sampled for row in how.rows}) == 8


def numbered(**settings):
    """The numbers of the rows of each problem, whatever batch they were asked for in."""
    found: dict[str, list[int]] = {}

    def engine(prompts, sampling):
        if sampling.temperature:
            for prompt, row in zip(prompts, sampling.rows, strict=True):
                found.setdefault(prompt, []).append(row)
        return [("\\boxed{7}", 3)] * len(prompts)

    num = settings.pop("num_problems")
    evaluate(engine, [f"{i}?" for i in range(num)], ["7"] * num, **settings)
    return found


@pytest.mark.parametrize("batch_size", [1, 3, 7, 256])
def test_a_sample_has_the_same_number_whatever_else_is_measured(batch_size):
    whole = numbered(num_problems=9, num_samples=8)
    assert len({row for rows in whole.values() for row in rows}) == 72
    assert numbered(num_problems=9, num_samples=8, batch_size=batch_size) == whole
    fewer = numbered(num_problems=5, num_samples=3, batch_size=batch_size)
    assert fewer == {f"{i}?": whole[f"{i}?"][:3] for i in range(5)}


def test_problems_of_like_length_are_asked_for_together():
    asked: list[list[str]] = []

    class Engine:
        def prompt_lengths(self, prompts):
            return [len(prompt) for prompt in prompts]

        def __call__(self, prompts, sampling):
            asked.append(list(prompts))
            return [("\\boxed{7}", 3)] * len(prompts)

    prompts = ["long" * 9, "short", "long" * 9 + ".", "short"]
    report = evaluate(Engine(), prompts, ["7"] * 3 + ["8"], num_samples=0, batch_size=4)
    assert asked == [["short", "short"], ["long" * 9, "long" * 9 + "."]]
    assert report.greedy.tolist() == [1, 1, 1, 0]


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


def test_a_file_may_go_on_in_other_batches(tmp_path):
    file = tmp_path / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        evaluate(scripted(num_batches=2), *PROBLEMS, num_samples=4, batch_size=4, file=file)
    left: list[tuple] = []
    evaluate(scripted(left), *PROBLEMS, num_samples=4, batch_size=64, file=file)
    assert [prompts for prompts, _ in left] == [["second?"] * 4]
    assert len(file.read_text().splitlines()) == 1 + 4


def test_a_file_of_an_earlier_version_is_read_and_gone_on_with(tmp_path):
    """Its head has the batch size, by which its random numbers were drawn."""
    file = tmp_path / "rows.jsonl"
    evaluate(scripted(), *PROBLEMS, num_samples=4, file=file)
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([json.dumps(json.loads(head) | {"batch_size": 64}), *rows[:-1], ""]))
    left: list[tuple] = []
    evaluate(scripted(left), *PROBLEMS, num_samples=4, batch_size=256, file=file)
    assert [prompts for prompts, _ in left] == [["second?"] * 4]
    assert [json.loads(line) for line in file.read_text().splitlines()[1:]] == [json.loads(row) for row in rows]


def test_what_is_known_is_not_generated_again(tmp_path):
    known: dict = {}
    evaluate(scripted(), PROBLEMS[0][:1], PROBLEMS[1][:1], num_samples=4, known=known)
    assert known.keys() == {("greedy", 0), ("sampled", 0)}
    asked: list[tuple] = []
    file = tmp_path / "rows.jsonl"
    report = evaluate(scripted(asked), *PROBLEMS, num_samples=4, known=known, file=file)
    assert [prompts for prompts, _ in asked] == [["second?"], ["second?"] * 4]
    assert report.as_dict() == evaluate(scripted(), *PROBLEMS, num_samples=4).as_dict()
    assert len(file.read_text().splitlines()) == 1 + 4
    part = evaluate(scripted(num_batches=0), PROBLEMS[0][:1], PROBLEMS[1][:1], num_samples=4, known=known)
    assert part.as_dict() == report.of([True, False]).as_dict()


@pytest.mark.parametrize(
    ("problems", "num_samples", "num_asked"),
    [
        ((["second?", "first?"], ["1", "7"]), 4, 10),
        ((["first?", "second?"], ["8", "1"]), 4, 5),  # the other problem is known
        (PROBLEMS, 2, 4),  # the greedy ones are
    ],
)
def test_what_is_known_of_something_else_is_left_alone(problems, num_samples, num_asked):
    known: dict = {}
    evaluate(scripted(), *PROBLEMS, num_samples=4, known=known)
    asked: list[tuple] = []
    report = evaluate(scripted(asked), *problems, num_samples=num_samples, known=known)
    assert sum(len(prompts) for prompts, _ in asked) == num_asked
    assert report.as_dict() == evaluate(scripted(), *problems, num_samples=num_samples).as_dict()


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

    def add(self, rows):
        for row in rows:
            assert (row["mode"], row["index"]) not in self.rows
            self.rows[row["mode"], row["index"]] = row
