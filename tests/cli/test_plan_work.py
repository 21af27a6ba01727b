import pytest

from serl_trl import SeRLConfig
from serl_trl.cli.plan_work import WorkPlan


def plan(num_rows=2000, num_processes=1, num_votes=None, has_vote=True, **settings):
    args = SeRLConfig(output_dir="out", use_cpu=True, report_to="none", **settings)
    return WorkPlan.from_config(args, num_rows, num_votes, num_processes, has_vote=has_vote)


def test_the_papers_run():
    """16 prompts x 16 completions, 16 optimiser steps each; 2000 instructions are 125 such batches."""
    paper = plan()
    assert (paper.num_groups, paper.batch_size) == (16, 256)
    assert (paper.num_batches_per_iteration, paper.num_batches) == (125, 375)
    assert (paper.num_steps_per_iteration, paper.num_steps) == (2000, 6000)
    assert paper.num_warmup_steps == 180  # 3 percent
    assert paper.num_trained == 96_000
    assert paper.num_instructions_per_iteration == 3200  # and 60 percent in reserve
    # four rounds of 16 groups for 375 batches would be 24,000; 3 x 3200 instructions are fewer, and one more group for a
    # batch that finds none left
    assert paper.max_candidates == 9600 + 375
    assert paper.max_rollouts == 9975 * 16
    assert paper.max_generated_tokens == 9975 * 16 * 1024
    # 1 + 0.4 + 0.16 + 0.064 groups a slot where 60 percent are kept, 1.624 x 6000 = 9744, more than 9600 were written
    assert paper.expected_candidates(accepted=0.6) == 9600
    assert paper.expected_filled(accepted=0.6) == pytest.approx(0.96)
    assert paper.expected_candidates(accepted=0.8) == pytest.approx(1.248 * 6000)
    # eight replies each, less one, and a last call of 256
    assert paper.max_replies_per_iteration == 8 * 3200 - 1 + 256
    assert paper.passes == {
        "policy, no gradient": 96_000,
        "reference": 96_000,
        "policy, forward": 96_000,
        "policy, forward again": 96_000,
        "policy, backward": 96_000,
    }


def test_rows_that_pad_a_process_count():
    assert plan(num_processes=8).max_rollouts == 9975 * 16 + 375 * 3 * 7


def test_flops_are_two_a_parameter_forward_and_four_backward():
    small = plan(
        num_rows=16, num_train_epochs=1, num_instructions=16, self_instruct=False, max_completion_length=10, beta=0,
        num_iterations=1,
    )  # fmt: skip
    assert small.passes["reference"] == 0
    assert (
        small.passes["policy, no gradient"] == 256
    )  # 16 steps on one batch: off-policy, so the old log-probabilities
    # 256 rows of 5 + 10 tokens: no gradient 2, forward 2, again 2, backward 4; generation 2
    assert small.flops(100, prompt_tokens=5) == 100 * 256 * 15 * (2 + 2 + 2 + 4 + 2)


@pytest.mark.parametrize(
    ("settings", "policy", "reference"),
    [
        ({}, 1, 1),
        ({"beta": 0}, 1, 0),  # several optimiser steps on a batch
        ({"beta": 0, "gradient_accumulation_steps": 32}, 0, 0),  # one
        ({"gradient_accumulation_steps": 32}, 1, 1),  # KL in the reward
        ({"gradient_accumulation_steps": 32, "kl_placement": "loss"}, 0, 1),
    ],
)
def test_which_models_score_the_rollouts(settings, policy, reference):
    passes = plan(num_rows=16, num_instructions=16, num_train_epochs=1, **settings).passes
    assert (passes["policy, no gradient"], passes["reference"]) == (256 * policy, 256 * reference)


def test_what_is_not_a_whole_batch_is_left_out_and_a_part_of_an_epoch_is_a_part_of_an_iteration():
    short = plan(num_rows=47, num_instructions=47, max_steps=40)
    assert (short.num_batches_per_iteration, short.num_steps_per_iteration) == (2, 32)
    assert (short.num_steps, short.num_batches, short.num_iterations) == (40, 3, 1.25)


def test_nothing_is_replaced_without_a_vote_or_without_rounds():
    for changes in ({"has_vote": False}, {"max_refill_rounds": 0}, {"self_instruct": False}):
        bare = plan(**changes)
        assert bare.max_candidates == bare.expected_candidates() == 6000
    assert plan(has_vote=False).num_instructions_per_iteration == 2000
    assert plan(self_instruct=False).max_replies_per_iteration == 0


def test_further_votes_are_rollouts_but_not_trained_on():
    voted = plan(num_votes=64, max_refill_rounds=0)
    assert (voted.max_rollouts, voted.num_trained) == (6000 * 64, 96_000)


def test_step_by_step_each_batch_asks_for_its_own():
    stepwise = plan(regenerate="step")
    assert (stepwise.num_requests, stepwise.num_wanted) == (125, 26)  # 1.6 x 16
    assert stepwise.max_replies_per_iteration == 125 * (8 * 26 - 1 + 33)


def test_votes_ahead_are_counted():
    assert plan(difficulty_filter="ahead").expected_rollouts_ahead(0.5) == 3 * 2000 * 2 * 16
    assert plan().expected_rollouts_ahead() == 0


def test_too_few_prompts_are_named():
    with pytest.raises(ValueError, match=r"has 15 prompts, less than the 16"):
        plan(num_rows=15)
