"""The studies of recipes/experiments: their parts, and each of them on runs so short that they mean nothing."""

import argparse
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

import arms
import choice_domain
import collapse_alarms
import long_run
import noisy_seeds
import study
from serl_trl.laboratory import build, word_problems
from serl_trl.monitoring.collapse_signs import CollapseLimits
from serl_trl.reports.run_folder import RunFolder


EXPERIMENTS = Path(__file__).parents[2] / "recipes" / "experiments"


# Figures over seeds -------------------------------------------------------------------------------------------------


def test_intervals_are_those_of_students_t():
    values = study.OverSeeds((0.70, 0.74, 0.78, 0.72, 0.76))
    assert values.mean == pytest.approx(0.74)
    # standard error 0.01414, and 2.776 of it with four degrees of freedom
    assert values.interval == pytest.approx((0.74 - 0.03926, 0.74 + 0.03926), abs=1e-4)
    assert f"{values:pp}" == "74.0 [70.1, 77.9]"
    assert f"{study.OverSeeds((0.5,)):pp}" == "50.0"


def test_differences_are_taken_seed_by_seed():
    a, b = study.OverSeeds((0.5, 0.7, 0.9)), study.OverSeeds((0.4, 0.6, 0.8))
    assert (a - b).interval == pytest.approx((0.1, 0.1))
    assert (a - b).verdict() == "reproduced"
    assert (a - b).verdict(0.2) == "refuted"
    assert a.verdict(0.6) == "undecided"
    assert study.OverSeeds((0.9,)).verdict() == "undecided"


# Arms ---------------------------------------------------------------------------------------------------------------


def bench(tmp_path, **flags):
    return arms.Bench(tmp_path / "arms", flags=flags)


def test_runs_are_the_same_by_settings_and_not_by_name(tmp_path):
    one = bench(tmp_path, beta=0.02)
    assert one.folder_of(arms.Arm("default"), 0) == one.folder_of(arms.Arm("another name"), 0)
    assert one.folder_of(arms.Arm("default"), 0) != one.folder_of(arms.Arm("default"), 1)
    assert one.folder_of(arms.Arm("default"), 0) != one.folder_of(arms.Arm("default", {"beta": 0}), 0)
    assert one.folder_of(arms.Arm("a", {"beta": 0}), 0) == one.folder_of(arms.Arm("a", {"beta": "0"}), 0)
    assert one.folder_of(arms.Arm("a", {"self_instruct": False}), 0) == one.folder_of(
        arms.Arm("a", {"self_instruct": "false"}), 0
    )


def test_files_are_the_same_by_contents(tmp_path):
    first, second = tmp_path / "one" / "seeds.jsonl", tmp_path / "two" / "seeds.jsonl"
    for path in (first, second):
        path.parent.mkdir()
        study.write_rows(path, [{"prompt": "What is 1 + 1?"}])
    one = bench(tmp_path)
    folder = one.folder_of(arms.Arm("a", {"seed_file": first}), 0)
    assert folder == one.folder_of(arms.Arm("a", {"seed_file": second}), 0)
    study.write_rows(second, [{"prompt": "What is 1 + 2?"}])
    assert folder != one.folder_of(arms.Arm("a", {"seed_file": second}), 0)


def test_all_seeds_of_a_file_are_asked_for(tmp_path):
    rows = [{"prompt": f"What is {n} + 1?"} for n in range(200)]  # more than the laboratory takes of its own
    one = bench(tmp_path)
    assert int(one.settings(arms.Arm("default"), 0)["num_seeds"]) < len(rows)
    own = arms.Arm("own", study.as_seeds(tmp_path / "own.jsonl", rows))
    assert one.settings(own, 0)["num_seeds"] == str(len(rows))


def test_flags_may_depend_on_the_seed(tmp_path):
    one = bench(tmp_path)
    of_seed = arms.Arm("own", lambda seed: {"num_seeds": 10 + seed})
    assert [one.settings(of_seed, seed)["num_seeds"] for seed in (0, 1)] == ["10", "11"]
    assert one.folder_of(of_seed, 1) == one.folder_of(arms.Arm("fixed", {"num_seeds": 11}), 1)


def test_what_was_done_is_not_done_again(tmp_path, monkeypatch, capsys):
    one, done = bench(tmp_path), []

    def run(self, arm, seed, folder):
        done.append((arm.name, seed))
        (folder / "evaluation.json").write_text("{}")

    monkeypatch.setattr(arms.Bench, "_run", run)
    found = one.run([arms.Arm("a"), arms.Arm("b", {"beta": 1})], [0, 1])
    assert done == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert {name: list(folders) for name, folders in found.items()} == {"a": [0, 1], "b": [0, 1]}
    one.run([arms.Arm("c"), arms.Arm("b", {"beta": 1})], [1, 2])
    assert done[4:] == [("c", 2), ("b", 2)]
    assert json.loads((found["b"][0].path / "arm.json").read_text())["beta"] == "1"


@pytest.mark.slow
def test_a_run_that_fails_says_why(tmp_path):
    failing = bench(tmp_path, num_generations=0)
    with pytest.raises(arms.FailedArmError, match=r"broken, seed 3, ended with [12]"):
        failing.run([arms.Arm("broken")], [3])


# Domains ------------------------------------------------------------------------------------------------------------


def test_spoilt_seeds_are_as_many_as_were_asked_for():
    prompts = word_problems(60, "tests")["prompt"]
    spoilt = noisy_seeds.spoilt(prompts, 0.5, random.Random(0))
    changed = [i for i, (old, new) in enumerate(zip(prompts, spoilt, strict=True)) if old != new]
    assert 28 <= len(changed) <= 30  # the one that is copied stays as it is
    assert noisy_seeds.spoilt(prompts, 0, random.Random(0)) == prompts
    assert max(map(spoilt.count, spoilt)) >= 10


STORY = "Anna has 17 marbles. Ben gives Anna 5 more. How many marbles does Anna have now?"


def test_the_oracle_of_multiple_choice():
    assert choice_domain.solve(STORY + choice_domain.CHOICES).answer == "C"
    for spoilt in (
        STORY,
        f"{STORY} A) under 9 B) 9 to 14 C) 15 to 22",
        "Anna has 17 marbles. How many stamps does Anna have now?" + choice_domain.CHOICES,
    ):
        assert choice_domain.solve(spoilt) is None, spoilt


def test_problems_of_multiple_choice_are_well_formed_and_fair():
    rows = choice_domain.rows(1000, "tests")
    assert all(choice_domain.solve(row["prompt"]).answer == row["answer"] for row in rows)
    answers = [row["answer"] for row in rows]
    assert all(200 < answers.count(letter) < 300 for letter in choice_domain.LETTERS)


def test_solutions_by_steps_choose_what_they_find(monkeypatch):
    monkeypatch.setattr(build, "NOISY_STEP_SHARE", 0.0)
    for seed in range(50):
        question, reply = (message["content"] for message in choice_domain.solving(random.Random(seed), terse_share=0))
        assert reply.endswith(f"\\boxed{{{choice_domain.solve(question).answer}}}")
        assert "=" in reply


# Alarms -------------------------------------------------------------------------------------------------------------


def logged(tmp_path, accuracies, abandoned):
    tmp_path.mkdir(exist_ok=True)
    others = {"frac_settled": 1.0, "frac_top_answer": 0.1, "frac_no_answer": 0.0, "length_tokens": 12.0}
    others = {f"serl/probe/{name}": value for name, value in others.items()}
    rows = [{"step": 3 * i, collapse_alarms.ACCURACY: value} for i, value in enumerate(accuracies)]
    rows += [{"step": 3 * i + 1, "serl/probe/frac_abandoned": value, **others} for i, value in enumerate(abandoned)]
    study.write_rows(tmp_path / "metrics.jsonl", sorted(rows, key=lambda row: row["step"]))
    return RunFolder(tmp_path)


def test_outcomes(tmp_path):
    limits = CollapseLimits(abandoned=0.08)
    up, down = [0.4, 0.5, 0.6, 0.7, 0.7, 0.7], [0.4, 0.5, 0.6, 0.7, 0.6, 0.4]
    calm, loud = [0.5, 0.2, 0.1, 0.1, 0.1, 0.1], [0.5, 0.2, 0.1, 0.35, 0.3, 0.3]  # 0.1 of the rise are free
    healthy = collapse_alarms.outcome(logged(tmp_path / "a", up, calm), limits)
    assert (healthy.collapsed, healthy.fallen_at, healthy.alarm_at) == (False, None, None)
    caught = collapse_alarms.outcome(logged(tmp_path / "b", down, loud), limits)
    assert caught.lost == pytest.approx(0.6333 - 0.5, abs=1e-3)
    assert (caught.fallen_at, caught.alarm_at, caught.sign) == (12, 10, "abandoned")
    assert caught.collapsed
    assert caught.in_time
    late = collapse_alarms.outcome(logged(tmp_path / "c", down, [*calm[:5], 0.35]), limits)
    assert (late.alarm_at, late.in_time) == (16, False)
    missed = collapse_alarms.outcome(logged(tmp_path / "d", down, calm), limits)
    assert (missed.alarm_at, missed.in_time) == (None, False)


def test_winners_are_checked_by_the_oracle_within_the_band(tmp_path):
    text = "Anna has 17 marbles. Ben gives Anna 5 more. How many marbles does Anna have now?"
    written: list[tuple] = [
        (1, text, "22", 0.5),
        (1, text, "21", 0.5),
        (1, text, "22", 0.9),
        (1, "Who knows?", "22", 0.5),
    ]
    written += [(2, text, "21", 0.6), (3, text, "22", 1.0), (3, text, "22", None)]
    for iteration in (1, 2, 3):
        rows = [
            {"text": text, "vote_answer": answer, "vote_share": share}
            for number, text, answer, share in written
            if number == iteration
        ]
        study.write_rows(tmp_path / "instructions" / f"iteration_{iteration}.jsonl", rows)
    assert long_run.winners_right(RunFolder(tmp_path), (0.2, 0.8)) == {1: 0.5, 2: 0.0}
    assert long_run.winners_right(RunFolder(tmp_path), (0, 1)) == {1: pytest.approx(2 / 3), 2: 0.0, 3: 1.0}


# Whole studies ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("experiments")  # of all studies, so that they share arms


QUICK = ["--quick", "--seeds", "0"]
STUDIES = (
    "reward_alignment",
    "difficulty_ablation",
    "algorithms",
    "against_labels",
    "data_scaling",
    "second_domain",
    "collapse_alarms",
    "long_run",
)


def done(name, folder):
    command = [sys.executable, str(EXPERIMENTS / f"{name}.py"), "--output_dir", str(folder), *QUICK]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # pytest has a limit


def assert_filed(name, folder, result):
    assert result.returncode == 0, result.stdout + result.stderr
    record = json.loads((folder / f"{name}.json").read_text())
    assert record["quick"]
    assert record["rows"]
    assert record["raw"]
    assert (folder / f"{name}.png").stat().st_size > 10_000
    text = (folder / f"{name}.md").read_text()
    assert "these numbers mean nothing" in text
    assert not re.search(r"\bnan\b", text), text


@pytest.mark.slow
def test_a_quick_study_ends_with_numbers_a_picture_and_a_paragraph(runs):
    result = done("noisy_seeds", runs)
    assert_filed("noisy_seeds", runs, result)
    assert result.stdout.count("seed 0: ") == 4
    again = done("noisy_seeds", runs)  # finds what was done
    assert "seed 0: " not in again.stdout
    assert again.stdout.splitlines()[-1] == result.stdout.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_runs_through(runs, name):
    assert_filed(name, runs, done(name, runs))


def test_a_word_without_a_flag_is_refused(tmp_path):
    def no_study(args, bench):
        raise AssertionError("it must not begin")

    with pytest.raises(SystemExit, match="error: many belongs to no flag"):
        study.run_study("none", study.study_arguments("Nothing."), no_study, ["--output_dir", str(tmp_path), "many"])


def test_flags_of_the_user_are_above_those_of_the_laboratory(tmp_path):
    args = argparse.Namespace(config=arms.LABORATORY, output_dir=tmp_path, quick=False, num_jobs=1)
    flags = study.bench_of(args, ["--num_generations", "4"]).flags
    assert flags["num_generations"] == "4"
    assert flags["eval_every"] == study.LABORATORY_FLAGS["eval_every"]
