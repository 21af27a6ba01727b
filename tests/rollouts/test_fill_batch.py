import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.instructions.queue import Cursor
from serl_trl.rollouts.fill_batch import Group, fill_batch, gate_metrics, spread
from serl_trl.runtime.distributed import share_of
from serl_trl.types import Verdict


KEPT = Verdict(kept=True)
EASY, HARD = Verdict(kept=False, reason="too_easy"), Verdict(kept=False, reason="too_hard")


class Queue:
    """Instructions of which it is known which ones pass, and a record of what was asked for."""

    def __init__(self, passes):
        self.passes, self.position, self.rounds = passes, 0, []

    def draw(self, num_wanted):
        first = self.position
        self.position = min(first + num_wanted, len(self.passes))
        return list(range(first, self.position))

    def roll_out(self, indices):
        self.rounds.append(indices)
        return [Group(i, [], None, KEPT if self.passes and self.passes[i] else EASY) for i in indices], len(indices)


def filled(passes, num_groups, max_refill_rounds):
    queue = Queue(passes)
    return queue, fill_batch(num_groups, queue.draw, queue.roll_out, max_refill_rounds=max_refill_rounds)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 12), st.integers(0, 5))
def test_every_group_that_passes_is_trained_on_once(passes, num_groups, max_refill_rounds):
    queue, batch = filled(passes, num_groups, max_refill_rounds)
    rolled_out = [i for indices in queue.rounds for i in indices]
    assert rolled_out == list(range(len(rolled_out)))  # in the order of the queue, none twice
    trained = [group.index for group, is_kept in zip(batch.groups, batch.is_kept, strict=True) if is_kept]
    assert trained == [i for i in rolled_out if passes[i]]
    assert len(batch.groups) == num_groups
    assert len(queue.rounds) == batch.num_rounds + 1 <= max_refill_rounds + 1
    assert [group.index for group in batch.candidates] == rolled_out
    assert batch.num_rollouts == len(rolled_out)
    # it gave up for a reason
    assert len(trained) == num_groups or len(rolled_out) == len(passes) or batch.num_rounds == max_refill_rounds


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 12))
def test_a_round_is_as_large_as_what_is_missing(passes, num_groups):
    queue, _ = filled(passes, num_groups, max_refill_rounds=9)
    num_kept = 0
    for indices in queue.rounds[:-1]:
        assert len(indices) == num_groups - num_kept
        num_kept += sum(passes[i] for i in indices)


def test_rounds_do_not_show_in_the_batch():
    def names(passes, kept_names):
        _, batch = filled(passes, 4, max_refill_rounds=3)
        indices = [i for i, is_kept in enumerate(passes) if is_kept]
        return batch.num_rounds, [kept_names[indices.index(group.index)] for group in batch.groups]

    assert names([True] * 4, "abcd") == (0, ["a", "b", "c", "d"])
    assert names([False, True, False, True, False, True, True], "abcd") == (2, ["a", "b", "c", "d"])


def test_what_is_missing_is_made_up_by_rejected_groups():
    _, batch = filled([True, False, False, True, False, False], 4, max_refill_rounds=1)
    assert [group.index for group in batch.groups] == [0, 1, 3, 2]
    assert batch.is_kept == [True, False, True, False]


def test_nothing_to_draw_rolls_out_one_that_is_masked():
    rolled_out = []

    def roll_out(indices):
        rolled_out.extend(indices)
        return [Group(i, [], None, KEPT) for i in indices], 4

    batch = fill_batch(3, lambda num_wanted: [], roll_out, max_refill_rounds=2, filler_index=7)
    assert rolled_out == [7]
    assert [group.index for group in batch.groups] == [7, 7, 7]
    assert (batch.is_kept, batch.candidates, batch.num_rollouts) == ([False] * 3, [], 4)


@given(st.integers(0, 60), st.lists(st.integers(1, 8), min_size=1, max_size=12), st.data())
def test_a_cursor_gives_each_slot_its_share(num_queued, batches, data):
    cursor, drawn, num_bound = Cursor(), [], 0
    cursor.serve(sum(batches))
    for num_groups in batches:
        cursor.bind(num_groups)
        num_bound += num_groups
        for _ in range(3):
            drawn += cursor.draw(data.draw(st.integers(0, num_groups)), num_queued)
        assert len(drawn) <= math.ceil(num_queued * num_bound / sum(batches))
    drawn += cursor.draw(num_queued, num_queued)
    assert drawn == list(range(num_queued))


def test_a_cursor_goes_on_when_the_queue_grows():
    cursor = Cursor()
    cursor.serve(2)
    cursor.bind(2)
    assert cursor.draw(9, num_queued=3) == [0, 1, 2]
    cursor.serve(2)
    assert cursor.draw(9, num_queued=5) == []  # half of the four slots, and more than half of the queue, are done
    cursor.bind(2)
    assert cursor.draw(9, num_queued=5) == [3, 4]


@given(st.integers(0, 30), st.integers(1, 30), st.integers(1, 30))
def test_marks_are_spread_evenly(num_marked, num_places, width):
    num_marked, width = min(num_marked, num_places), min(width, num_places)
    marks = spread(num_marked, num_places)
    assert sum(marks) == num_marked
    for first in range(num_places - width + 1):
        assert abs(sum(marks[first : first + width]) - width * num_marked / num_places) < 1


@given(st.lists(st.integers(), min_size=1, max_size=30), st.integers(1, 8))
def test_shares_are_equal_and_hold_every_row_in_order(rows, num_processes):
    shares = [share_of(rows, num_processes, rank) for rank in range(num_processes)]
    assert len({len(local) for local, _ in shares}) == 1
    everyone = [row for local, _ in shares for row in local]
    assert everyone[: len(rows)] == rows
    assert {num_padding for _, num_padding in shares} == {len(everyone) - len(rows)}
    assert len(everyone) - len(rows) < num_processes


def test_gate_metrics_by_hand():
    metrics = gate_metrics([KEPT, EASY, HARD, KEPT, EASY], [True, True, False, False], 4, num_rollouts=22)
    assert {name.removeprefix("serl/gate/"): value for name, value in metrics.items()} == pytest.approx(
        {
            "frac_kept": 0.4,
            "frac_too_hard": 0.2,
            "frac_too_easy": 0.4,
            "frac_filled": 0.5,
            "num_candidates": 5,
            "num_accepted": 2,
            "num_rollouts_generated": 22,
            "num_rollouts_trained": 8,
            "generated_per_trained": 2.75,
            "candidates_per_accepted": 2.5,
        }
    )


def test_gate_metrics_where_nothing_is_kept():
    metrics = gate_metrics([HARD], [False], 4, num_rollouts=4)
    assert metrics["serl/gate/frac_filled"] == 0
    assert math.isnan(metrics["serl/gate/generated_per_trained"])
