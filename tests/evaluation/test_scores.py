"""Expected values: counting by brute force, hand arithmetic, and the normal approximation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.evaluation.scores import bootstrap_interval, mean_with_interval, pass_at_k


@pytest.mark.parametrize("num_samples", range(1, 8))
def test_pass_at_k_counts_the_draws_that_hold_a_right_sample(num_samples):
    for num_correct, k in itertools.product(range(num_samples + 1), range(1, num_samples + 1)):
        draws = list(itertools.combinations(range(num_samples), k))
        num_passed = sum(any(sample < num_correct for sample in draw) for draw in draws)
        assert pass_at_k(num_samples, num_correct, k) == num_passed / len(draws)


def test_pass_at_k_by_hand():
    assert pass_at_k(16, 4, 1) == 0.25
    # 4 samples, 1 right, 2 draws: 3 of 6 pairs hold it
    assert pass_at_k(4, 1, 2) == 0.5
    assert pass_at_k(5, 0, 5) == 0.0
    assert pass_at_k(5, 1, 5) == 1.0
    assert pass_at_k(*np.array([16, 4, 1])) == 0.25


def test_pass_at_k_of_thousands_of_samples_neither_overflows_nor_cancels():
    # one right sample of n: the chance that k draws hold it is k / n
    assert pass_at_k(10_000, 1, 5_000) == 0.5
    assert pass_at_k(10**6, 1, 1) == 1e-6


@pytest.mark.parametrize(("num_samples", "num_correct", "k"), [(4, 5, 1), (4, -1, 1), (4, 1, 0), (4, 1, 5), (0, 0, 1)])
def test_pass_at_k_out_of_range_raises(num_samples, num_correct, k):
    with pytest.raises(ValueError, match="must lie between"):
        pass_at_k(num_samples, num_correct, k)


def test_pass_at_k_of_fractions_raises():
    with pytest.raises(TypeError):
        pass_at_k(4, 1.5, 1)  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(st.floats(-1e6, 1e6), st.integers(1, 50))
def test_equal_values_have_an_interval_of_no_width(value, num_problems):
    assert mean_with_interval([value] * num_problems, num_resamples=20) == (value, value, value)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30), st.integers(0, 5))
def test_intervals_are_ordered_within_the_values_and_follow_the_seed(values, seed):
    low, high = bootstrap_interval(values, num_resamples=100, seed=seed)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert (low, high) == bootstrap_interval(values, num_resamples=100, seed=seed)
    shifted_low, shifted_high = bootstrap_interval([value + 8 for value in values], num_resamples=100, seed=seed)
    assert (shifted_low, shifted_high) == pytest.approx((low + 8, high + 8), abs=1e-9)


@pytest.mark.parametrize(("level", "deviations"), [(0.95, 1.960), (0.80, 1.2816)])
def test_the_width_is_that_of_the_normal_approximation(level, deviations):
    num_problems, share = 400, 0.3
    values = [1.0] * 120 + [0.0] * 280
    half_width = deviations * math.sqrt(share * (1 - share) / num_problems)
    low, high = bootstrap_interval(values, level=level)
    assert low == pytest.approx(share - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(share + half_width, abs=0.1 * half_width)


def test_two_problems_by_hand():
    # Resamples of (0, 1) have mean 0, .5, 1 with chances 1/4, 1/2, 1/4: 40 % in the middle are all .5.
    assert bootstrap_interval([0, 1], level=0.4) == (0.5, 0.5)
    assert bootstrap_interval([0, 1], level=0.9) == (0.0, 1.0)


def test_seeds_differ_and_global_random_state_is_left_alone():
    values = np.random.default_rng(1).random(30)
    np.random.seed(7)
    expected = np.random.random(3).tolist()
    np.random.seed(7)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    assert np.random.random(3).tolist() == expected


def test_mean_with_interval_by_name():
    result = mean_with_interval([0.0, 0.5, 1.0, 0.5])
    assert result.mean == 0.5
    assert (result.low, result.high) == bootstrap_interval([0.0, 0.5, 1.0, 0.5])


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, math.nan], [math.inf], 3.0])
def test_values_without_a_mean_raise(values):
    with pytest.raises(ValueError, match="values"):
        bootstrap_interval(values)


@pytest.mark.parametrize("options", [{"num_resamples": 0}, {"level": 0.0}, {"level": 1.0}, {"level": 95}])
def test_options_out_of_range_raise(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        bootstrap_interval([1.0, 2.0], **options)
