"""Expected values: hand arithmetic, outputs of the official SeRL code, and properties that hold for any batch."""

import json
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.trainer.advantages import ADVANTAGE_ESTIMATORS


SHARED_DATA = Path(os.environ.get("SERL_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
CASES_FILE = SHARED_DATA / "advantage_cases.json"
CASES = json.loads(CASES_FILE.read_text())["cases"] if CASES_FILE.exists() else []

# The official code's names
OFFICIAL_NAMES = {
    "reinforce": "reinforce++",
    "reinforce_baseline": "reinforce++_baseline",
    "rloo": "rloo",
    "group_norm": "grpo",
    "dr_grpo": "dr_grpo",
}
NORMALISED = ["reinforce++", "reinforce++_baseline", "rloo"]
GROUPED = ["reinforce++_baseline", "rloo", "grpo", "dr_grpo"]
ALL = list(ADVANTAGE_ESTIMATORS)

nan = math.nan


def estimate(name, rewards, kl, mask, num_generations, kl_coef=0.0, **kwargs):
    return ADVANTAGE_ESTIMATORS[name](rewards, kl, mask, num_generations=num_generations, kl_coef=kl_coef, **kwargs)


def column(name, rewards, num_generations):
    """Advantages of completions of one token each."""
    rewards = torch.tensor(rewards, dtype=torch.float64)
    return estimate(name, rewards, None, torch.ones(len(rewards), 1), num_generations)[:, 0].tolist()


class Batch:
    """A random batch: rewards with gaps, KL, and a mask with holes and rows without tokens."""

    def __init__(self, seed, num_prompts, num_generations, num_tokens, frac_gated=0.2, dtype=torch.float64):
        generator = torch.Generator().manual_seed(seed)
        size = num_prompts * num_generations
        self.num_generations = num_generations
        self.rewards = torch.randint(-2, 3, (size,), generator=generator).to(dtype)
        self.rewards[torch.rand(size, generator=generator) < frac_gated] = nan
        self.kl = torch.randn(size, num_tokens, generator=generator, dtype=dtype)
        self.mask = torch.rand(size, num_tokens, generator=generator) < 0.7
        self.mask[torch.rand(size, generator=generator) < 0.1] = False

    def __repr__(self):
        return f"Batch(rewards={self.rewards.tolist()}, G={self.num_generations}, mask={self.mask.int().tolist()})"

    def estimate(self, name, rows=None, rewards=None, num_generations=None, kl_coef=0.1):
        """Advantages of the batch, or of some of its rows as a batch of their own."""
        rows = slice(None) if rows is None else rows
        rewards = self.rewards if rewards is None else rewards
        return estimate(
            name, rewards[rows], self.kl[rows], self.mask[rows], num_generations or self.num_generations, kl_coef
        )


batches = st.builds(
    Batch,
    seed=st.integers(0, 2**32),
    num_prompts=st.integers(1, 5),
    num_generations=st.integers(1, 5),
    num_tokens=st.integers(1, 6),
)


def assert_equal(found, expected, tolerance=1e-9):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# --- the official code ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not CASES, reason=f"{CASES_FILE} is not there; set SERL_SHARED_DATA to its folder")
def test_the_official_cases_cover_all_estimators():
    assert {OFFICIAL_NAMES[case["estimator"]] for case in CASES} == set(ALL)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']}-{case['estimator']}")
def test_official_values(case, dtype, tolerance):
    logps, ref_logps = (torch.tensor(case[name], dtype=torch.float64) for name in ("logps", "ref_logps"))
    kl = (logps - ref_logps).to(dtype)
    rewards, mask = torch.tensor(case["rewards"], dtype=dtype), torch.tensor(case["mask"])
    expected = torch.tensor(case["advantages"], dtype=dtype)
    # With the KL in the loss it is not handed over; a coefficient of 0 comes to the same as no KL.
    for given_kl in [None] if case["use_kl_loss"] else [kl] if case["kl_coef"] else [kl, None]:
        found = estimate(
            OFFICIAL_NAMES[case["estimator"]], rewards, given_kl, mask, case["num_generations"], case["kl_coef"]
        )
        assert found.dtype == dtype
        assert (found - expected).abs().max() < tolerance


# --- by hand --------------------------------------------------------------------------------------------------------


def test_reinforce_by_hand():
    # Row 0: reward 1, KL .5 then .25, so returns 1 - .75 = .25 and 1 - .25 = .75. Row 1: reward 0, KL .25: -.25.
    # Mean .25; variance (0 + .25 + .25) / 3 = 1/6; (.75 - .25) / sqrt(1/6) = sqrt(1.5).
    kl = torch.tensor([[0.5, 0.25], [0.25, nan]])
    found = estimate("reinforce++", torch.tensor([1.0, 0.0]), kl, torch.tensor([[1, 1], [1, 0]]), 2, kl_coef=1.0)
    assert_equal(found, torch.tensor([[0.0, math.sqrt(1.5)], [-math.sqrt(1.5), 0.0]]), 1e-6)


def test_masks_with_holes_and_left_padding_by_hand():
    # Row 0 counts tokens 1 and 3: returns 2 - (1 + 2) = -1 and 2 - 2 = 0. Row 1 counts token 0: 0 - (-1) = 1.
    # Mean 0, variance 2/3: advantages -sqrt(1.5), 0, sqrt(1.5).
    kl = torch.tensor([[9.0, 1.0, 9.0, 2.0], [-1.0, 9.0, 9.0, 9.0]])
    mask = torch.tensor([[0, 1, 0, 1], [1, 0, 0, 0]])
    found = estimate("reinforce++", torch.tensor([2.0, 0.0]), kl, mask, 2, kl_coef=1.0)
    root = math.sqrt(1.5)
    assert_equal(found, torch.tensor([[0.0, -root, 0.0, 0.0], [root, 0.0, 0.0, 0.0]]), 1e-6)


def test_long_completions_weigh_more_in_the_token_moments_by_hand():
    # Three tokens of return 1 and one of return -1: mean .5, variance (3 * .25 + 2.25) / 4 = .75.
    found = estimate("reinforce++", torch.tensor([1.0, -1.0]), None, torch.tensor([[1, 1, 1], [0, 1, 0]]), 1)
    up, down = 0.5 / math.sqrt(0.75), -1.5 / math.sqrt(0.75)
    assert_equal(found, torch.tensor([[up, up, up], [0.0, down, 0.0]]), 1e-6)


def test_baseline_by_hand():
    # Group means of the scored: 4 and 2. Centred: 2, -2 | 1, 0, -1. Mean 0, variance (4 + 4 + 1 + 0 + 1) / 5 = 2.
    found = column("reinforce++_baseline", [6.0, nan, 2.0, 3.0, 2.0, 1.0], 3)
    assert found == pytest.approx([value / math.sqrt(2) for value in (2, 0, -2, 1, 0, -1)])


def test_rloo_by_hand():
    # Others' means 0, 1 | 0, .5, .5. Left: 1, -1 | 1, -.5, -.5. Mean 0, variance (1 + 1 + 1 + .25 + .25) / 5 = .7.
    # The third group has one scored reward and nothing to compare it with.
    found = column("rloo", [1.0, nan, 0.0, 1.0, 0.0, 0.0, nan, 5.0, nan], 3)
    assert found == pytest.approx([value / math.sqrt(0.7) for value in (1, 0, -1, 1, -0.5, -0.5, 0, 0, 0)])


def test_grpo_by_hand():
    # Mean 2, std over n - 1 = sqrt((1 + 1) / 1) = sqrt(2) | mean 2, std sqrt((1 + 0 + 1) / 2) = 1.
    found = column("grpo", [3.0, nan, 1.0, 3.0, 2.0, 1.0], 3)
    assert found == pytest.approx([math.sqrt(0.5), 0, -math.sqrt(0.5), 1, 0, -1])


def test_dr_grpo_by_hand():
    assert column("dr_grpo", [3.0, nan, 1.0, 9.0, 2.0, 1.0], 3) == pytest.approx([1, 0, -1, 5, -2, -3])


def test_kl_is_taken_from_the_advantages_of_grpo_and_dr_grpo_by_hand():
    # Rewards 3 and 1: mean 2, so 1 and -1; std over n - 1 is sqrt(2). KL from each token on: .5 + .25 = .75, .25 | .5, -.
    # Half of it is subtracted, after the division: .375, .125 | .25.
    kl = torch.tensor([[0.5, 0.25], [0.5, nan]])
    rewards, mask = torch.tensor([3.0, 1.0]), torch.tensor([[1, 1], [1, 0]])
    found = estimate("dr_grpo", rewards, kl, mask, 2, kl_coef=0.5)
    assert_equal(found, torch.tensor([[1 - 0.375, 1 - 0.125], [-1 - 0.25, 0.0]]), 1e-6)
    root = math.sqrt(0.5)
    found = estimate("grpo", rewards, kl, mask, 2, kl_coef=0.5)
    assert_equal(found, torch.tensor([[root - 0.375, root - 0.125], [-root - 0.25, 0.0]]), 1e-6)


def test_small_variances_are_floored_by_hand():
    # Mean 5e-6, variance 2.5e-11, below 1e-8: divided by sqrt(1e-8) = 1e-4 gives .05.
    assert column("reinforce++", [0.0, 1e-5], 2) == pytest.approx([-0.05, 0.05])


# --- properties -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NORMALISED)
@settings(deadline=None)
@given(batch=batches)
def test_normalised_advantages_have_mean_0_and_variance_1_over_what_counts(name, batch):
    counts = batch.mask & ~batch.rewards.isnan()[:, None]
    if name == "rloo":  # rows without companions do not count
        counts &= ((~batch.rewards.isnan()).view(-1, batch.num_generations).sum(1) > 1).repeat_interleave(
            batch.num_generations
        )[:, None]
    tokens = batch.estimate(name)[counts].numpy()
    if len(np.unique(tokens.round(6))) > 1:
        assert tokens.mean() == pytest.approx(0, abs=1e-9)
        assert tokens.var() == pytest.approx(1, abs=1e-9)
    else:
        assert tokens == pytest.approx(np.zeros(len(tokens)), abs=1e-6)


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None)
@given(batch=batches)
def test_masked_and_gated_positions_are_zero_and_everything_is_finite(name, batch):
    found = batch.estimate(name)
    assert found.shape == batch.mask.shape
    assert found.isfinite().all()
    assert not found[~batch.mask].any()
    assert not found[batch.rewards.isnan()].any()


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None)
@given(batch=batches, data=st.data())
def test_permuting_groups_and_completions_permutes_advantages(name, batch, data):
    num_generations = batch.num_generations
    groups = data.draw(st.permutations(range(len(batch.rewards) // num_generations)))
    order = [
        group * num_generations + member
        for group in groups
        for member in data.draw(st.permutations(range(num_generations)))
    ]
    assert_equal(batch.estimate(name, rows=order), batch.estimate(name)[order])


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None)
@given(batch=batches)
def test_a_gated_row_may_hold_anything(name, batch):
    before = batch.estimate(name)
    gated = batch.rewards.isnan()
    batch.kl[gated] = nan
    batch.mask[gated] = True
    assert_equal(batch.estimate(name), before)


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None)
@given(batch=batches, data=st.data())
def test_gated_groups_change_nothing_for_the_others(name, batch, data):
    num_prompts = len(batch.rewards) // batch.num_generations
    kept_groups = torch.tensor(data.draw(st.lists(st.booleans(), min_size=num_prompts, max_size=num_prompts)))
    kept = kept_groups.repeat_interleave(batch.num_generations)
    rewards = torch.where(kept, batch.rewards, nan)
    assert_equal(batch.estimate(name, rewards=rewards)[kept], batch.estimate(name, rows=kept))


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None)
@given(seed=st.integers(0, 2**32), num_prompts=st.integers(1, 4), num_generations=st.integers(2, 5), data=st.data())
def test_one_unscored_completion_a_group_leaves_the_estimate_of_the_smaller_groups(
    name, seed, num_prompts, num_generations, data
):
    batch = Batch(seed, num_prompts, num_generations, num_tokens=3, frac_gated=0)
    kept = torch.ones(num_prompts, num_generations, dtype=torch.bool)
    for group in range(num_prompts):
        kept[group, data.draw(st.integers(0, num_generations - 1))] = False
    kept = kept.flatten()
    found = batch.estimate(name, rewards=torch.where(kept, batch.rewards, nan))[kept]
    assert_equal(found, batch.estimate(name, rows=kept, num_generations=num_generations - 1))


@settings(deadline=None)
@given(batch=batches)
def test_rows_without_tokens_have_no_part_in_the_token_moments(batch):
    filled = batch.mask.any(1)
    found = batch.estimate("reinforce++", num_generations=1)[filled]
    assert_equal(found, batch.estimate("reinforce++", rows=filled, num_generations=1))


@pytest.mark.parametrize("name", GROUPED)
@settings(deadline=None)
@given(batch=batches, shift=st.integers(-1000, 1000))
def test_group_baselines_do_not_see_a_shift_of_one_group(name, batch, shift):
    shifted = batch.rewards.clone()
    shifted[: batch.num_generations] += shift
    assert_equal(batch.estimate(name, rewards=shifted), batch.estimate(name), 1e-6)


@settings(deadline=None)
@given(batch=batches, shift=st.integers(-1000, 1000))
def test_reinforce_does_not_see_a_shift_of_the_whole_batch(batch, shift):
    assert_equal(batch.estimate("reinforce++", rewards=batch.rewards + shift), batch.estimate("reinforce++"), 1e-6)


def test_reinforce_does_see_which_group_is_better():
    found = column("reinforce++", [1.0, 1.0, 0.0, 0.0], 2)
    assert found == pytest.approx([1, 1, -1, -1])
    assert column("reinforce++_baseline", [1.0, 1.0, 0.0, 0.0], 2) == pytest.approx([0, 0, 0, 0])


@pytest.mark.parametrize("name", GROUPED)
@settings(deadline=None)
@given(value=st.floats(-100, 100, width=32), num_generations=st.integers(1, 20))
def test_groups_of_equal_rewards_teach_nothing_in_float32(name, value, num_generations):
    # A mean off by one unit in the last place, over a spread of 1e-9, would come out near 1.
    rewards = torch.full((2 * num_generations,), value)
    assert not estimate(name, rewards, None, torch.ones(len(rewards), 2), num_generations).any()


@pytest.mark.parametrize("name", ["grpo", "dr_grpo"])
@settings(deadline=None)
@given(batch=batches)
def test_kl_is_neither_centred_nor_scaled_for_grpo(name, batch):
    """Token by token from the end, as a loop: the penalty so far, and that of this token."""
    difference = batch.estimate(name, kl_coef=0.0) - batch.estimate(name, kl_coef=5.0)
    for row, reward in enumerate(batch.rewards.tolist()):
        penalty = 0.0
        for token in reversed(range(batch.mask.size(1))):
            counts = bool(batch.mask[row, token]) and not math.isnan(reward)
            penalty += 5.0 * batch.kl[row, token].item() if counts else 0.0
            assert difference[row, token].item() == pytest.approx(penalty if counts else 0.0, abs=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_kl_enters_all(name):
    batch = Batch(seed=0, num_prompts=3, num_generations=4, num_tokens=5)
    assert (batch.estimate(name, kl_coef=1.0) - batch.estimate(name, kl_coef=0.0)).abs().max() > 0.1


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("rewards", "mask"), [([nan] * 4, torch.ones(4, 2)), ([1.0, 0.0, 0.0, 1.0], torch.zeros(4, 2))]
)
def test_nothing_kept_is_zero(name, rewards, mask):
    found = estimate(name, torch.tensor(rewards), torch.ones(4, 2), mask, 2, kl_coef=0.1)
    assert found.tolist() == [[0.0, 0.0]] * 4


@pytest.mark.parametrize("name", ALL)
def test_inputs_stay_as_they_are_and_low_precision_is_widened(name):
    batch = Batch(seed=1, num_prompts=3, num_generations=4, num_tokens=5, dtype=torch.bfloat16)
    copies = batch.rewards.clone(), batch.kl.clone(), batch.mask.clone()
    assert batch.estimate(name).dtype == torch.float32
    for tensor, copy in zip((batch.rewards, batch.kl, batch.mask), copies, strict=True):
        torch.testing.assert_close(tensor, copy, rtol=0, atol=0, equal_nan=True)


# --- several processes ----------------------------------------------------------------------------------------------


def on_processes(num_processes, function):
    """Call `function(rank, sum_over_processes)` for each rank at once, with a real sum; one that hangs breaks all."""
    barrier, slots = threading.Barrier(num_processes, timeout=20), [torch.empty(0)] * num_processes

    def call(rank):
        def sum_over_processes(tensor):
            slots[rank] = tensor.clone()
            barrier.wait()
            total = torch.stack(slots).sum(0)
            barrier.wait()
            return total

        return function(rank, sum_over_processes)

    with ThreadPoolExecutor(num_processes) as pool:
        return list(pool.map(call, range(num_processes)))


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None, max_examples=40)
@given(batch=batches, data=st.data())
def test_processes_get_their_rows_of_the_whole_batch(name, batch, data):
    size = len(batch.rewards)
    cuts = sorted(data.draw(st.lists(st.integers(0, size), min_size=1, max_size=2)))  # groups straddle, some are empty
    rows = [slice(start, stop) for start, stop in zip([0, *cuts], [*cuts, size], strict=True)]

    def estimate_own_rows(rank, sum_over_processes):
        own = rows[rank]
        return estimate(
            name,
            batch.rewards,
            batch.kl[own],
            batch.mask[own],
            batch.num_generations,
            0.1,
            rows=own,
            sum_over_processes=sum_over_processes,
        )

    assert_equal(torch.cat(on_processes(len(rows), estimate_own_rows)), batch.estimate(name))


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("rewards", "kl", "mask", "num_generations", "rows", "message"),
    [
        (torch.ones(4, 1), None, torch.ones(4, 2), 2, None, r"\(B,\).*\(4, 1\)"),
        (torch.ones(4), None, torch.ones(4), 2, None, r"\(B, T\).*\(4,\)"),
        (torch.ones(5), None, torch.ones(5, 2), 2, None, "5 rewards .*num_generations=2"),
        (torch.ones(4), None, torch.ones(4, 2), 0, None, "num_generations=0"),
        (torch.ones(4), None, torch.ones(2, 2), 2, None, "2 rows but .* selects 4"),
        (torch.ones(4), None, torch.ones(2, 2), 2, slice(1, 4), r"slice\(1, 4, None\) selects 3"),
        (torch.ones(4), torch.ones(4, 3), torch.ones(4, 2), 2, None, r"kl has shape \(4, 3\)"),
        (torch.tensor([1.0, math.inf]), None, torch.ones(2, 2), 2, None, "infinite"),
    ],
)
def test_bad_input_raises(name, rewards, kl, mask, num_generations, rows, message):
    with pytest.raises(ValueError, match=message):
        estimate(name, rewards, kl, mask, num_generations, rows=rows)
