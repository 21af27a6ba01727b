"""Gains told apart by what completions were before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from serl_trl.evaluation import EvaluationReport, gain, gains, print_gains


PARTS = ("total", "from_no_answer", "from_wrong_answer", "learnt", "lost")


def means(found):
    return [getattr(found, part).mean for part in PARTS]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        # right, no answer; total, of it from no answer, from wrong ones, learnt, lost
        ((0.0, 1.0), (1.0, 0.0), [1.0, 1.0, 0.0, 1.0, 0.0]),
        ((0.0, 0.0), (1.0, 0.0), [1.0, 0.0, 1.0, 1.0, 0.0]),
        ((1.0, 0.0), (0.0, 1.0), [-1.0, -1.0, 0.0, 0.0, 1.0]),
        ((1.0, 0.0), (0.0, 0.0), [-1.0, 0.0, -1.0, 0.0, 1.0]),
        ((0.0, 1.0), (0.0, 0.0), [0.0, 0.0, 0.0, 0.0, 0.0]),  # an answer, but a wrong one: nothing was gained
        ((0.5, 0.25), (0.75, 0.0), [0.25, 0.1875, 0.0625, 0.375, 0.125]),
    ],
)
def test_a_gain_is_told_apart_by_what_was_there_before(before, after, expected):
    found = gain([before[0]], [before[1]], [after[0]], [after[1]])
    assert means(found) == pytest.approx(expected)


shares = st.tuples(*[st.integers(0, 8)] * 3).filter(any).map(lambda n: (n[0] / sum(n), n[1] / sum(n)))


@given(st.lists(st.tuples(shares, shares), min_size=1, max_size=12))
def test_the_parts_add_up_and_the_way_back_is_the_opposite(problems):
    right, none, right_after, none_after = np.array([[*before, *after] for before, after in problems]).T
    found, back = gain(right, none, right_after, none_after), gain(right_after, none_after, right, none)
    total, silent, wrong, learnt, lost = means(found)
    assert total == pytest.approx(np.mean(right_after) - np.mean(right))
    assert silent + wrong == pytest.approx(total)
    assert learnt - lost == pytest.approx(total)
    assert means(back) == pytest.approx([-total, -silent, -wrong, lost, learnt])
    assert found.total.low <= total + 1e-12
    assert total <= found.total.high + 1e-12


def test_intervals_are_paired():
    """Problems differ much, and each gained as much: the interval of the gain is a point."""
    right = np.linspace(0, 0.75, 16)
    found = gain(right, 0 * right, right + 0.25, 0 * right)
    assert found.total == pytest.approx((0.25, 0.25, 0.25))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0.5], [0.0], [0.5, 0.5], [0.0, 0.0]), r"shapes \[\(1,\), \(1,\), \(2,\), \(2,\)\]"),
        (([0.5], [0.75], [0.5], [0.0]), "between 0 and 1, and so is their sum"),
        (([-0.5], [0.0], [0.5], [0.0]), "between 0 and 1"),
    ],
)
def test_what_is_no_share_is_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        gain(*columns)


def report(greedy, silent, num_right, sampled_silent, num_samples=4):
    return EvaluationReport(
        greedy=np.array(greedy),
        greedy_no_answer=np.array(silent),
        num_right=np.array(num_right),
        majority=np.array(greedy),
        no_answer=np.array(sampled_silent),
        length_tokens=np.ones(len(greedy)),
        num_samples=num_samples,
    )


def test_reports_are_compared_greedily_and_by_samples(capsys):
    before = report([0.0, 1.0], [1.0, 0.0], [0, 4], [1.0, 0.0])
    after = report([1.0, 0.0], [0.0, 0.0], [2, 4], [0.0, 0.0])
    found = gains(before, after)
    assert means(found["greedy pass@1"]) == pytest.approx([0.0, 0.5, -0.5, 0.5, 0.5])
    assert means(found["sampled pass@1"]) == pytest.approx([0.25, 0.25, 0.0, 0.25, 0.0])
    print_gains(found, "What training changed", Console(width=200))
    shown = capsys.readouterr().out
    assert "of it, from no answer" in shown
    assert "+25.0 [+0.0, +50.0]" in shown
    assert gains(report([0.0], [0.0], [0], [0.0], 0), report([1.0], [0.0], [0], [0.0], 0)).keys() == {"greedy pass@1"}
