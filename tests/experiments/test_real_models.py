"""The studies of pre-trained models: their tasks, what they count, and each of them on the built-in model."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import model_table
import real_models
import real_tasks
from serl_trl.answers import extract_answer, is_equivalent
from serl_trl.reports import RunFolder
from serl_trl.voting import MajorityVoteReward


EXPERIMENTS = Path(__file__).parents[2] / "recipes" / "experiments"
DATA = Path(__file__).parents[3] / "shared" / "data"
MADE = ("sums of two", "sums of three", "odd word")


# Tasks --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", real_tasks.TASKS)
def test_seeds_and_held_out_problems_are_others_and_their_answers_count(name):
    if name not in MADE and not DATA.is_dir():
        pytest.skip("needs the test sets")
    task = real_tasks.TASKS[name](DATA)
    assert len(task.seeds) == real_tasks.NUM_SEEDS
    assert len(task.held_out) == real_tasks.NUM_HELD_OUT
    texts = [row["problem"] for row in task.seeds + task.held_out]
    assert len(set(texts)) == len(texts)
    for row in task.held_out[:40]:
        found = extract_answer(f"So it is \\boxed{{{row['answer']}}}", task.answer_type)
        assert found is not None
        assert is_equivalent(found, row["answer"], task.answer_type)
    again = real_tasks.TASKS[name](DATA)
    assert (again.seeds, again.held_out) == (task.seeds, task.held_out)


@pytest.mark.parametrize("num_terms", [2, 3])
def test_sums_are_right_and_no_two_have_the_same_terms(num_terms):
    rows = real_tasks.sums(num_terms)
    terms = [sorted(map(int, re.findall(r"\d+", row["problem"]))) for row in rows]
    assert [str(sum(of_row)) for of_row in terms] == [row["answer"] for row in rows]
    assert len({tuple(of_row) for of_row in terms}) == len(rows)
    assert {len(of_row) for of_row in terms} == {num_terms}


def test_the_odd_word_is_the_only_one_of_its_group():
    assert sum(map(len, (group.split() for group in real_tasks.GROUPS.values()))) == len(
        {word for group in real_tasks.GROUPS.values() for word in group.split()}
    )
    group_of = {word: name for name, words in real_tasks.GROUPS.items() for word in words.split()}
    for row in real_tasks.odd_words():
        words = re.findall(r"\w+", row["problem"].split(":")[1])
        groups = [group_of[word] for word in words]
        assert len(words) == 4
        assert [word for word in words if groups.count(group_of[word]) == 1] == [row["answer"]]


def test_a_task_is_written_as_a_run_reads_it(tmp_path):
    task = real_tasks.TASKS["odd word"](DATA)
    files = real_tasks.write_task(task, tmp_path)
    seeds = [json.loads(line) for line in files["seeds"].read_text().splitlines()]
    assert [set(row) for row in seeds] == [{"problem"}] * real_tasks.NUM_SEEDS  # no answers
    held_out = [json.loads(line) for line in files["held_out"].read_text().splitlines()]
    assert held_out == task.held_out


# The rule -----------------------------------------------------------------------------------------------------------


def figures(*bands):
    return {"bands": [{"band": band, "num_groups": num, "cosine": cosine} for band, num, cosine in bands]}


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        ([((0.2, 0.8), 50, 0.75), ((0.6, 1.0), 30, 0.9)], "train, 0.2 to 0.8"),
        ([((0.2, 0.8), 50, 0.69), ((0.6, 1.0), 30, 0.7)], "train, 0.6 to 1.0"),
        ([((0.2, 0.8), 50, 0.69), ((0.6, 1.0), 9, 0.9)], "no: the vote is noise"),
        ([((0.2, 0.8), 50, None)], "no: the vote is noise"),
        ([((0.2, 0.8), 9, 0.9), ((0.6, 1.0), 0, None)], "no: hardly a group in a band"),
    ],
)
def test_the_rule(bands, expected):
    assert model_table.verdict(figures(*bands)) == expected


def test_votes_are_counted_in_their_band():
    """Two groups of four: a share of 0.75 with a wrong winner, one of 0.5 with a right one, worked out by hand."""
    vote = MajorityVoteReward()
    groups = [
        ["\\boxed{3}", "\\boxed{3}", "\\boxed{3}", "\\boxed{4}"],
        ["\\boxed{5}", "\\boxed{5}", "\\boxed{6}", "?"],
    ]
    votes = [vote.vote(group) for group in groups]
    rewards, truth = [list(vote.rewards(one)) for one in votes], [[0.0, 0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]]
    both = model_table.in_band(votes, rewards, truth, (0.2, 0.8))
    assert (both["num_groups"], both["winner_right"]) == (2, 0.5)
    assert both["cosine"] == pytest.approx(2 / (5 * 3) ** 0.5)  # 2 rewarded and right, of 5 rewarded and 3 right
    assert model_table.in_band(votes, rewards, truth, (0.6, 1.0))["cosine"] == 0
    assert model_table.in_band(votes, rewards, truth, (0.8, 1.0))["cosine"] is None
    assert list(model_table.num_by_share(votes).values()) == [0, 0, 1, 1, 0]


# What a run changed -------------------------------------------------------------------------------------------------


def held_out(folder, when, outcomes):
    """A file of completions: for each problem its text, and of each mode whether each is right; None without an answer."""
    rows = [{"num_samples": 2, "num_problems": len(outcomes)}]
    for index, (text, by_mode) in enumerate(outcomes):
        for mode, found in by_mode.items():
            row = {"index": index, "mode": mode, "prompt": [{"role": "user", "content": text}], "true_answer": "5"}
            answers = [None if is_right is None else "5" if is_right else "6" for is_right in found]
            rows.append(
                row
                | {
                    "answers": answers,
                    "is_right": [bool(one) for one in found],
                    "completions": [str(a) for a in answers],
                }
            )
    (folder / f"held_out_{when}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def run(tmp_path):
    (tmp_path / "instructions").mkdir()
    written = {"text": "Add 4 and 1.", "is_kept": True, "vote_answer": "5", "vote_share": 0.75}
    (tmp_path / "instructions" / "iteration_1.jsonl").write_text(json.dumps(written) + "\n")
    texts = ("What is 2 + 3?", "What is 1 + 4?", "What is 6 - 1?")
    before = [{"greedy": [None], "sampled": [None, False]}, {"greedy": [True], "sampled": [True, True]}]
    after = [{"greedy": [True], "sampled": [True, True]}, {"greedy": [True], "sampled": [True, True]}]
    held_out(
        tmp_path, "before", list(zip(texts, [*before, {"greedy": [True], "sampled": [True, False]}], strict=True))
    )
    held_out(tmp_path, "after", list(zip(texts, [*after, {"greedy": [False], "sampled": [False, None]}], strict=True)))
    return RunFolder(tmp_path)


def test_problems_that_a_run_has_written_do_not_count(run):
    changes = real_models.Changes(run)
    assert (changes.num_problems, changes.num_seen) == (2, 1)  # 4 and 1 in other words
    assert [problem for _, problem in changes.pairs] == [0, 2, 0, 2]


def test_gains_are_those_of_the_completions(run):
    changes = real_models.Changes(run)
    greedy, sampled = changes.gains["greedy"], changes.gains["sampled"]
    # greedy: one became right where there was no answer, another ceased to be right and is wrong
    assert (greedy.total.mean, greedy.from_no_answer.mean, greedy.from_wrong_answer.mean) == (0, 0.5, -0.5)
    # sampled: 0 to 1, half of it from no answer; 1/2 to 0, by half to a wrong answer and by half to none
    assert sampled.total.mean == pytest.approx((1 - 0.5) / 2)
    assert sampled.from_no_answer.mean == pytest.approx((0.5 - 0.25) / 2)
    assert sampled.lost.mean == pytest.approx(0.5 / 2)
    row = real_models.row_of("votes", 3, changes)
    assert row["greedy (%)"] == "50.0 to 50.0"
    assert row["sampled (%)"] == "25.0 to 50.0"


def test_what_changed_can_be_read(run):
    text = "\n".join(real_models.to_read({0: run}, {0: real_models.Changes(run)}))
    assert "- Add 4 and 1. — 5 (0.75)" in text
    assert "Greedy completions that became right: 1 (1 no answer)" in text
    assert "- What is 2 + 3? (5): None -> 5" in text
    assert "Greedy completions that ceased to be right: 1 (1 another answer)" in text


# Whole studies ------------------------------------------------------------------------------------------------------


def done(name, *flags):
    command = [sys.executable, str(EXPERIMENTS / f"{name}.py"), *flags, "--data_dir", str(DATA)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # pytest has a limit
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_the_table_is_made_and_goes_on(tmp_path):
    few = ["--models", "tiny", "--num_problems", "12", "--dtype", "float32", "--output_dir", str(tmp_path)]
    done("model_table", *few, "--tasks", "sums of two")
    out = done("model_table", *few, "--tasks", "odd word")
    assert [row["task"] for row in json.loads((tmp_path / "model_table.json").read_text())["rows"]] == [
        "odd word",
        "sums of two",
    ]
    assert "The rule (a cosine of at least 0.7" in out


@pytest.mark.slow
def test_all_arms_run_and_what_changed_is_written_out(tmp_path):
    flags = ["--config", "tiny_cpu", "--task", "sums of two", "--quick", "--seeds", "0", "--output_dir", str(tmp_path)]
    done(
        "real_models", *flags, "--min_vote_share", "0", "--max_vote_share", "1", "--min_instruction_fraction", "0.001"
    )
    record = json.loads((tmp_path / "tiny_cpu_sums_of_two.json").read_text())
    assert [row["arm"] for row in record["rows"]] == [
        "votes on own prompts",
        "coin flips",
        "box alone",
        "votes, the paper's band",
        "answers of the seeds",
    ]
    assert (tmp_path / "sums_of_two_read.md").read_text().startswith("# What was written, and what changed")
    steps = {arm: by_seed["0"]["curves"]["reward"][-1][0] for arm, by_seed in record["raw"].items()}
    assert len(set(steps.values())) == 1, steps
