"""Counts are read off the completions by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.voting.majority_vote import Vote, majority_vote
from serl_trl.voting.vote_metrics import extraction_report, reward_alignment, vote_metrics


FIRST = [r"\boxed{2}", "The answer is 2.", r"\boxed{3}", r"so \boxed{4"]
SECOND = ["#### 7", "", "Let us see", r"\boxed{8}"]


def test_vote_metrics():
    metrics = vote_metrics([majority_vote(FIRST), majority_vote(SECOND)])
    assert metrics["serl/vote/share_mean"] == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert metrics["serl/vote/num_answers_mean"] == 2
    assert metrics["serl/vote/frac_tied"] == 1 / 2
    assert metrics["serl/vote/frac_no_answer"] == 3 / 8
    reasons = {
        name: metrics[f"serl/vote/frac_no_answer_{name}"] for name in ("empty", "cut_off", "unmarked", "wrong_type")
    }
    assert reasons == {"empty": 1 / 8, "cut_off": 1 / 8, "unmarked": 1 / 8, "wrong_type": 0}
    assert metrics["serl/vote/num_undecided"] == 0


def test_undecided_comparisons_are_counted_by_reason():
    metrics = vote_metrics([majority_vote([r"\boxed{9^{9^9}}", r"\boxed{9^{9^9}+1}"])])
    assert metrics["serl/vote/num_undecided"] == metrics["serl/vote/num_undecided_untame"] == 1


def test_extraction_report():
    report = extraction_report([FIRST, SECOND], other_type="text")
    assert report.num_completions == 8
    assert report.forms == {"box": 3, "statement": 2, "cut_off": 1, "empty": 1, "unmarked": 1}
    assert report.failures == [("cut_off", r"so \boxed{4"), ("empty", ""), ("unmarked", "Let us see")]
    assert report.frac_answered["math"] == 5 / 8
    assert report.frac_answered["choice"] == 0
    assert report.changed == []


def test_what_another_extraction_would_change():
    """Taking the first digit for the answer makes 2, 2, 3, 4 of the first group, and of the second 7, -, -, 8."""
    first_digit = (lambda text: next((char for char in text if char.isdigit()), None), str.__eq__)
    report = extraction_report([FIRST, SECOND], other_type=first_digit)
    assert [vote.rewards for vote in report.other_votes] == [[1, 1, 0, 0], [1, 0, 0, 0]]
    assert report.changed == []
    constant = (lambda text: "x", str.__eq__)
    report = extraction_report([FIRST, SECOND], other_type=constant)
    assert report.changed == [0, 1]
    assert report.frac_rewards_changed == (2 + 3) / 8


def test_no_completions():
    with pytest.raises(ValueError, match="no completions"):
        extraction_report([])


# Histogram, collapse, alignment ------------------------------------------------------------------------------------


def vote_of(share, answer="1"):
    return Vote([0], 0, answer, share, [1.0])


def histogram(shares):
    metrics = vote_metrics([vote_of(share) for share in shares])
    bins = ("0.0_to_0.2", "0.2_to_0.4", "0.4_to_0.6", "0.6_to_0.8", "0.8_to_1.0")
    return [metrics[f"serl/vote/frac_share_{name}"] for name in bins]


def test_share_histogram_by_hand():
    assert histogram([0.0, 0.1, 3 / 16, 0.5, 1.0]) == [3 / 5, 0, 1 / 5, 0, 1 / 5]


@pytest.mark.parametrize("num_votes", [5, 10, 15, 20, 60, 65])
def test_edges_belong_to_the_bin_above(num_votes):
    """Whatever rounding does to k / G: a share of exactly one fifth is in the second bin."""
    for i in range(5):
        expected = [0.0] * 5
        expected[i] = 1.0
        assert histogram([i * num_votes // 5 / num_votes]) == expected
    assert histogram([1.0]) == [0, 0, 0, 0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_every_share_is_in_one_bin(shares):
    assert sum(histogram(shares)) == pytest.approx(1)


def test_the_most_common_answer_of_the_step():
    groups = [vote_of(0.5, "7"), vote_of(0.5, "7.0"), vote_of(0.5, "8"), Vote([None], None, None, 0.0, [0.0])]
    assert vote_metrics(groups)["serl/vote/frac_top_answer"] == 2 / 4
    assert vote_metrics(groups[3:])["serl/vote/frac_top_answer"] == 0
    choices = [vote_of(0.5, "B"), vote_of(0.5, "(b)"), vote_of(0.5, "A")]
    assert vote_metrics(choices, "choice")["serl/vote/frac_top_answer"] == 2 / 3


def test_alignment_by_hand():
    assert reward_alignment([1, 1, 1, 0], [1, 1, 0, 1]) == pytest.approx((2 / 3, 1 / 2, 4))
    assert reward_alignment([0.5, 0.75, 0.25], [0, 1, 0]) == pytest.approx((0.75 / math.sqrt(0.875), 1, 3))
    assert reward_alignment([1, None, math.nan, 0], [1, 1, 1, None]) == pytest.approx((1, 1, 1))


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=1, max_size=30))
def test_alignment_as_torch_has_it(pairs):
    rewards, truth = zip(*pairs, strict=True)
    alignment = reward_alignment(rewards, truth)
    if max(rewards) < 1e-3 or not any(truth):  # torch clamps small norms
        return
    theirs = torch.nn.functional.cosine_similarity(
        torch.tensor(rewards, dtype=torch.float64), torch.tensor(truth, dtype=torch.float64), dim=0
    )
    assert alignment.cosine == pytest.approx(theirs.item())


@pytest.mark.parametrize(("rewards", "truth"), [([], []), ([None], [1]), ([0, 0], [1, 1]), ([1], [0])])
def test_alignment_of_nothing_is_no_number(rewards, truth):
    assert math.isnan(reward_alignment(rewards, truth).cosine)


def test_alignment_of_different_lengths():
    with pytest.raises(ValueError, match="2 rewards and 1 true"):
        reward_alignment([1, 0], [1])
