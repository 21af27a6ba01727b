import os

import pytest

from run_folders import instruction, write_lines, write_run
from serl_trl.reports.run_folder import RunFolder, rejection_of


def test_counts_by_hand(tmp_path):
    first, second = RunFolder(write_run(tmp_path / "run")).iterations
    assert (first.number, first.num_written, first.num_kept, first.shares) == (1, 5, 3, [0.5, 1.0])
    assert first.rejected == {("novelty", "too_similar"): 2}
    assert first.num_in_band(0.2, 0.8) == 1
    assert first.num_in_band(0.5, 1.0) == 2
    assert second.rejected_by() == {"mine": 1}


def test_steps_and_iterations(tmp_path):
    folder = RunFolder(write_run(tmp_path / "run"))
    assert folder.steps_per_iteration == 2
    assert [folder.iteration_of(step) for step in (0, 1, 2, 3, 4, 5)] == [1, 1, 1, 2, 2, 3]
    assert folder.last_step == 3
    assert folder.is_finished
    assert folder.points("reward") == [(1, 0.31), (2, 0.42), (3, 0.53)]


def test_points_that_are_no_numbers_are_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 1, "reward": NaN}\n{"step": 2, "reward": null}\n{"step": 3, "reward": "x"}\n{"reward": 1}\n'
    )
    assert RunFolder(tmp_path).points("reward") == []


def test_iterations_are_in_their_order_and_named_by_their_files(tmp_path):
    for number in (10, 2):
        write_lines(tmp_path / "instructions" / f"iteration_{number}.jsonl", [instruction(f"of {number}")])
    (tmp_path / "instructions" / "iteration_2.tmp").write_text("{")
    assert [number for number, _ in RunFolder(tmp_path).instructions()] == [2, 10]


def test_what_an_earlier_run_left_in_the_folder_is_passed_over(tmp_path):
    folder = write_run(tmp_path / "run")
    started = 1735787045  # 2025-01-02T03:04:05Z
    for name in ("instructions/iteration_2.jsonl", "evaluation.json", "completions/completions_00003.parquet"):
        os.utime(folder / name, (started - 60, started - 60))
    os.utime(folder / "held_out_before.jsonl", (started - 60, started - 60))
    read = RunFolder(folder)
    assert [iteration.number for iteration in read.iterations] == [1]
    assert read.evaluation == {}
    assert read.completion_files == {}
    assert read.held_out("before") == ({}, [])
    assert read.held_out("after")[0]["num_problems"] == 1


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({"length": {"kept": True}}, None),
        ({"length": {"kept": True}, "novelty": {"kept": False, "reason": "too_similar"}}, ("novelty", "too_similar")),
        ({"own": {"kept": False}}, ("own", "no reason given")),
        (None, None),
    ],
)
def test_rejections(verdicts, expected):
    assert rejection_of({"verdicts": verdicts}) == expected


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="no run folder"):
        RunFolder(tmp_path)
    with pytest.raises(ValueError, match="There is no folder"):
        RunFolder(tmp_path / "nowhere")
