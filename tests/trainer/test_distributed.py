import time

import pytest
import torch
from transformers import AutoModelForCausalLM

from launching import by_accelerate, in_one, in_two, records
from runs import differences
from serl_trl import MajorityVoteReward
from serl_trl.checkpoints.checkpoint_files import defect


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_processes")
    assert in_two("tests/scripts/distributed_rollout.py", folder) == [0, 0]
    return records(folder)


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """The same by accelerate's own launcher, in new interpreters."""
    folder = tmp_path_factory.mktemp("launched")
    by_accelerate("distributed_rollout.py", folder).check_returncode()
    return records(folder)


@pytest.fixture(scope="module")
def refills(tmp_path_factory):
    """Of one process, and of two: what each process saw, and its parameters before and after."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    assert in_one("tests/scripts/distributed_refill.py", one) == 0
    assert in_two("tests/scripts/distributed_refill.py", two) == [0, 0]
    seen = [*records(one), *records(two)]
    for record, folder, rank in zip(seen, [one, two, two], [0, 0, 1], strict=True):
        record["parameters"] = torch.load(folder / f"rank{rank}.pt")
        record["means"] = torch.load(folder / f"means{rank}.pt")
    return seen


@pytest.mark.slow
@pytest.mark.multiprocess
def test_the_configuration_starts_two_processes(launched):
    assert [rank["num_processes"] for rank in launched] == [2, 2]


@pytest.mark.multiprocess
def test_both_processes_have_the_same_instructions_and_parameters(ranks):
    assert ranks[0]["instructions"] == ranks[1]["instructions"]
    assert ranks[0]["instructions"]
    assert ranks[0]["checksum"] == ranks[1]["checksum"]


@pytest.mark.multiprocess
def test_at_the_end_nothing_holds_the_process_group(ranks):
    """What wraps the model for several processes would, and the process might then hang as it ends."""
    assert [rank["is_wrapped"] for rank in ranks] == [False, False]


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_sampled_run_repeats_exactly(ranks, launched):
    assert launched == ranks


@pytest.mark.multiprocess
def test_a_group_that_straddles_the_processes_is_voted_on_as_in_one(ranks):
    reward = MajorityVoteReward()
    for first, second in zip(ranks[0]["rollouts"], ranks[1]["rollouts"], strict=True):
        assert len(first["completions"]) == len(second["completions"]) == 6
        texts = first["completions"] + second["completions"]
        expected = [value for i in range(0, len(texts), 4) for value in reward.vote(texts[i : i + 4]).rewards]
        assert first["rewards"] == second["rewards"] == expected


@pytest.mark.multiprocess
def test_moments_and_denominators_are_global(ranks):
    for pair in zip(ranks[0]["rollouts"], ranks[1]["rollouts"], strict=True):
        values = [
            value
            for rollout in pair
            for advantages, mask in zip(rollout["advantages"], rollout["mask"], strict=True)
            for value, is_kept in zip(advantages, mask, strict=True)
            if is_kept
        ]
        assert pair[0]["num_items_in_batch"] == pair[1]["num_items_in_batch"] == len(values)
        if values:
            mean = sum(values) / len(values)
            assert mean == pytest.approx(0, abs=1e-4)
            assert sum((value - mean) ** 2 for value in values) / len(values) == pytest.approx(1, abs=1e-3)


@pytest.mark.multiprocess
@pytest.mark.slow
def test_ten_scripted_batches_are_the_same_in_two_processes_as_in_one(refills):
    one, *two = (rank["scripted"] for rank in refills)
    assert one["rounds"] == [list(range(i, i + n)) for i in range(0, 50, 5) for i, n in ((i, 3), (i + 3, 2))]
    num_kept = [3, 1, 0, 3, 3, 1, 3, 0, 1, 3]
    assert [sum(batch["is_kept"]) for batch in one["batches"]] == num_kept
    assert [[group[0] for group in batch["groups"]] for batch in one["batches"][:3]] == [
        [1, 3, 4],
        [7, 5, 6],
        [10, 11, 12],
    ]
    assert one["is_empty"] == [float(num == 0) for num in num_kept]
    for rank in two:
        assert rank["rounds"] == one["rounds"]
        assert rank["is_empty"] == one["is_empty"]
        for batch, alone in zip(rank["batches"], one["batches"], strict=True):
            assert batch["groups"] == alone["groups"]
            assert batch["num_items_in_batch"] == alone["num_items_in_batch"]
    tokens = [[batch["num_tokens"] for batch in rank["batches"]] for rank in (one, *two)]
    assert [first + second for first, second in zip(*tokens[1:], strict=True)] == tokens[0]
    assert [num > 0 for num in tokens[1]] == [num > 0 for num in num_kept]
    assert [num > 0 for num in tokens[2]] == [num > 1 for num in num_kept]  # of a single group it has no row


@pytest.mark.multiprocess
@pytest.mark.parametrize("run", ["parameters", "means"])
@pytest.mark.slow
def test_scripted_batches_train_two_processes_as_they_train_one(refills, run):
    start, end = refills[0][run]
    for rank in refills[1:]:
        for name, value in end.items():
            assert (value - start[name]).norm() > 1e-4 * value.norm(), name
            assert (rank[run][1][name] - value).norm() < 1e-6 * value.norm(), name


@pytest.mark.multiprocess
@pytest.mark.slow
def test_real_batches_are_the_same_on_both_processes(refills):
    _, first, second = refills
    assert first["checksum"] == second["checksum"]
    for batch, other in zip(first["real"], second["real"], strict=True):
        assert batch["groups"] == other["groups"]
        assert batch["is_kept"] == other["is_kept"]
        everything = [ids for _, group in batch["groups"] for ids in group]
        assert batch["rows"] + other["rows"] == everything


@pytest.mark.multiprocess
@pytest.mark.slow
def test_padding_is_counted_and_left_out(refills):
    for rank in refills:
        for batch in rank["real"]:
            assert batch["num_rounds"] > 0
            num_padding = batch["num_rollouts"] - 3 * batch["num_candidates"]
            # a row for each round whose groups of three do not divide among the two processes
            assert 0 <= num_padding <= (batch["num_rounds"] if rank is not refills[0] else 0)


@pytest.mark.multiprocess
@pytest.mark.slow
def test_both_processes_see_a_collapse_stop_and_go_back(tmp_path):
    assert in_two("tests/scripts/distributed_guard.py", tmp_path) == [0, 0]
    one, two = records(tmp_path)
    assert one == two  # whatever each process has logged of the probes, too
    assert (one["step"], [alarm["step"] for alarm in one["alarms"]]) == (4, [4])
    assert [row["step"] for row in one["looks"]] == [1, 2, 3, 4]
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint-2").parameters()
    assert one["weights"] == [parameter.double().sum().item() for parameter in saved]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run, the same from a checkpoint, and an attempt to save at which the second process fails."""
    folder = tmp_path_factory.mktemp("resumed")
    assert in_two("tests/scripts/distributed_resume.py", folder) == [0, 0]
    return folder


@pytest.mark.multiprocess
@pytest.mark.slow
def test_a_run_that_is_resumed_ends_as_the_one_that_was_not_stopped(runs):
    assert [(runs / f"rank{rank}.txt").read_text() for rank in range(2)] == ["12 True", "12 True"]
    assert defect(runs / "again" / "checkpoint-12") is None
    assert {"process_0.json", "process_1.json"} <= {p.name for p in runs.glob("again/checkpoint-12/serl_state/*")}
    assert differences(runs / "whole", runs / "again", 12) == []


@pytest.mark.multiprocess
@pytest.mark.slow
def test_where_one_process_cannot_save_none_waits_for_it(runs):
    for rank in range(2):
        message = (runs / f"error{rank}.txt").read_text()
        assert "The checkpoint of step 13 could not be written" in message
        assert "No space left on device" in message
        assert f"resume from {runs}/again/checkpoint-12" in message
    assert defect(runs / "again" / "checkpoint-12") is None
    assert not (runs / "again" / "checkpoint-13").exists()
    assert not list((runs / "again").glob("_saving/*"))


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("place", "failing", "error", "cause"),
    [
        # where processes tell each other, no connection has to be lost first
        ("reward", 1, "ValueError: the reward cannot read this", "NoneType"),
        ("file", 0, "OSError: No space left on device", "NoneType"),
        ("step", 1, "MemoryError: the step does not fit", "RuntimeError"),
    ],
)
def test_all_processes_end_with_the_error_of_one(tmp_path, place, failing, error, cause):
    start = time.monotonic()
    assert 0 not in in_two("tests/scripts/distributed_failures.py", tmp_path, place)
    assert time.monotonic() - start < 120  # a process that waited for the other would wait for half an hour
    ends = [(tmp_path / f"error{rank}.txt").read_text().splitlines() for rank in range(2)]
    assert ends[failing] == [error, "caused by NoneType"]
    assert ends[1 - failing] == [f"RuntimeError: Process {failing} failed with {error}", f"caused by {cause}"]
