"""Expected values: hand arithmetic, and exact rational arithmetic from the standard library."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.trainer.masked_sums import masked_mean, masked_moments, suffix_sums


entries = st.lists(
    st.tuples(st.floats(-100, 100, allow_nan=False, width=32), st.booleans()), min_size=1, max_size=40
).filter(lambda pairs: any(keep for _, keep in pairs))


def exact_moments(pairs):
    kept = [Fraction(value) for value, keep in pairs if keep]
    mean = sum(kept) / len(kept)
    return float(mean), float(sum((value - mean) ** 2 for value in kept) / len(kept))


def test_masked_mean_by_hand():
    x = torch.tensor([[1.0, 2.0, 6.0], [5.0, 7.0, 9.0]])
    mask = torch.tensor([[1, 1, 0], [0, 0, 1]])
    assert masked_mean(x, mask).item() == 4.0  # (1 + 2 + 9) / 3
    assert masked_mean(x, mask, dim=1).tolist() == [1.5, 9.0]
    assert masked_mean(x, mask, dim=0).tolist() == [1.0, 2.0, 9.0]
    assert masked_mean(x, mask, dim=1, keepdim=True).tolist() == [[1.5], [9.0]]


def test_moments_by_hand():
    # mean of 1, 2, 9 is 4; deviations -3, -2, 5; squares 9 + 4 + 25 = 38 over 3
    mean, variance = masked_moments(torch.tensor([[1.0, 2.0], [9.0, 50.0]]), torch.tensor([[1, 1], [1, 0]]))
    assert mean.item() == 4.0
    assert variance.item() == pytest.approx(38 / 3, rel=1e-6)


def test_suffix_sums_by_hand():
    x = torch.tensor([[1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 4.0, 8.0]])
    mask = torch.tensor([[1, 0, 1, 1], [0, 1, 1, 0]])
    assert suffix_sums(x, mask).tolist() == [[13.0, 12.0, 12.0, 8.0], [6.0, 6.0, 4.0, 0.0]]


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "mask", [torch.tensor([1, 1, 0]), torch.tensor([True, True, False]), torch.tensor([2.0, 1, 0])]
)
def test_masked_entries_may_hold_anything(poison, mask):
    x = torch.tensor([1.0, 3.0, poison])
    assert masked_mean(x, mask).item() == 2.0
    assert [moment.item() for moment in masked_moments(x, mask)] == [2.0, 1.0]
    assert suffix_sums(x, mask).tolist() == [4.0, 3.0, 0.0]


def test_nothing_unmasked_is_zero_and_finite():
    x, mask = torch.full((2, 3), math.nan), torch.zeros(2, 3)
    assert masked_mean(x, mask).item() == 0.0
    assert masked_mean(x, mask, dim=1).tolist() == [0.0, 0.0]
    assert [moment.item() for moment in masked_moments(x, mask)] == [0.0, 0.0]
    assert masked_mean(torch.tensor(3.0), torch.tensor(1)).item() == 3.0


@settings(deadline=None)
@given(entries)
def test_moments_equal_exact_arithmetic(pairs):
    x = torch.tensor([value for value, _ in pairs], dtype=torch.float64)
    mask = torch.tensor([keep for _, keep in pairs])
    mean, variance = exact_moments(pairs)
    found_mean, found_variance = masked_moments(x, mask)
    assert found_mean.item() == pytest.approx(mean, rel=1e-12, abs=1e-12)
    assert found_variance.item() == pytest.approx(variance, rel=1e-10, abs=1e-12)
    assert masked_mean(x, mask).item() == pytest.approx(mean, rel=1e-12, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=200).filter(lambda bits: len(set(bits)) == 2))
def test_a_large_mean_costs_no_digits_of_the_variance(bits):
    share = sum(bits) / len(bits)
    x = torch.tensor([10_000.0 + bit for bit in bits])  # E[x^2] - E[x]^2 in float32 would be off by about 10
    _, variance = masked_moments(x, torch.ones(len(bits)))
    assert variance.item() == pytest.approx(share * (1 - share), rel=1e-4)


@settings(deadline=None)
@given(st.floats(-1e6, 1e6, width=32), st.integers(1, 300), st.sampled_from([torch.float32, torch.float64]))
def test_equal_entries_have_exactly_their_mean_and_no_variance(value, num_entries, dtype):
    x, mask = torch.full((num_entries,), value, dtype=dtype), torch.ones(num_entries)
    assert masked_mean(x, mask).item() == x[0].item()
    mean, variance = masked_moments(x, mask)
    assert mean.item() == x[0].item()
    assert variance.item() == 0.0


def test_low_precision_is_widened():
    # In bfloat16 256 + 1 is 256: the sum of 300 ones would stop there.
    ones = torch.ones(300, dtype=torch.bfloat16)
    assert suffix_sums(ones, ones)[0].item() == 300.0
    assert masked_mean(ones, ones).dtype == torch.float32
    assert masked_mean(torch.tensor([1, 2]), torch.tensor([1, 1])).item() == 1.5


@settings(deadline=None)
@given(entries)
def test_three_processes_with_the_same_rows_have_the_moments_of_one(pairs):
    x = torch.tensor([value for value, _ in pairs], dtype=torch.float64)
    mask = torch.tensor([keep for _, keep in pairs])
    mean, variance = masked_moments(x, mask, lambda tensor: 3 * tensor)
    expected_mean, expected_variance = exact_moments(pairs)
    assert mean.item() == pytest.approx(expected_mean, rel=1e-12, abs=1e-12)
    assert variance.item() == pytest.approx(expected_variance, rel=1e-10, abs=1e-12)


def test_every_process_takes_part_in_both_sums():
    calls = []

    def sum_over_processes(tensor):
        calls.append(tensor.tolist())
        # The other process holds 1 and 3: sum 4, count 2; then, around the mean 2, sum 0 and squares 1 + 1.
        return tensor + torch.tensor([[4.0, 2.0], [0.0, 2.0]][len(calls) - 1])

    mean, variance = masked_moments(torch.ones(2), torch.zeros(2), sum_over_processes)
    assert calls == [[0.0, 0.0], [0.0, 0.0]]
    assert (mean.item(), variance.item()) == (2.0, 1.0)


@pytest.mark.parametrize("function", [masked_mean, masked_moments, suffix_sums])
def test_shapes_that_differ_raise(function):
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 1\)"):
        function(torch.ones(2, 3), torch.ones(2, 1))
