"""Counts are read off the completions by hand."""

import pytest

from serl_trl.diagnostics import extraction_report, vote_metrics
from serl_trl.voting import majority_vote


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
    metrics = vote_metrics([majority_vote([r"\boxed{9^{9^9}}", r"\boxed{x}"])])
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
