"""What fits is counted out here, size by size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.trainer.batch_sizes import BatchSizes, PromptsLackingError, fitted_eval_size


SMALL = st.integers(1, 24)


@given(
    group=st.integers(2, 40),
    processes=SMALL,
    per_device=SMALL,
    accumulation=st.integers(1, 5),
    target=st.integers(1, 300),
)
def test_the_closest_batch_of_whole_groups_is_taken(group, processes, per_device, accumulation, target):
    sizes = BatchSizes(group, processes, per_device, True, accumulation)
    found, steps = sizes.fitted(target)
    assert found == per_device
    usual = max(1, target // per_device)
    if usual * per_device * processes % group == 0:
        assert steps == usual  # what fits as it is stays
    else:
        fitting = [
            number
            for number in range(1, 2000)
            if number * per_device * processes % group == 0 and number % accumulation == 0
        ]
        assert abs(steps * per_device - target) == min(abs(number * per_device - target) for number in fitting)


@given(group=st.integers(2, 40), processes=SMALL, is_set=st.booleans(), num_prompts=st.integers(0, 60))
def test_a_batch_holds_no_more_prompts_than_there_are(group, processes, is_set, num_prompts):
    sizes = BatchSizes(group, processes, 8, is_set, 2)
    possible = [
        per_device * processes * steps
        for per_device in ([8] if is_set else range(1, max(8, group) + 1))
        for steps in range(1, group + 1)
        if per_device * processes * steps % group == 0
    ]
    if min(possible) > num_prompts * group:
        with pytest.raises(PromptsLackingError, match=f"less than the {min(possible) // group} prompts"):
            sizes.fitted(256, num_prompts)
        return
    per_device, steps = sizes.fitted(256, num_prompts)
    assert per_device * processes * steps % group == 0
    assert per_device * processes * steps <= num_prompts * group


@given(group=st.integers(2, 40), processes=SMALL, per_device=SMALL)
def test_evaluation_takes_whole_groups(group, processes, per_device):
    size = fitted_eval_size(per_device, False, group, processes)
    fitting = [number for number in range(1, 200) if number * processes % group == 0]
    assert abs(size - per_device) == min(abs(number - per_device) for number in fitting)
    if per_device in fitting:
        assert fitted_eval_size(per_device, True, group, processes) == per_device
    else:
        with pytest.raises(ValueError, match=f"per_device_eval_batch_size={per_device} on {processes} process"):
            fitted_eval_size(per_device, True, group, processes)
