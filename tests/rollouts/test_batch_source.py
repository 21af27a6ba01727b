"""Refilled batches: what is trained on, what it costs, what is logged, and when a run stops."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM
from trl import GRPOTrainer

import serl_trl.rollouts.batch_source
from scripted_rollouts import SCRIPTED, script
from serl_trl import MajorityVoteReward
from serl_trl.instructions.errors import TooFewInstructionsError
from serl_trl.types import Reply
from tiny_runs import Alternating, equal, parameters, rollout, trained, trainer


KEPT = [(0, "even"), (1, "three"), (2, "even"), (3, "even")]
AMONG_OTHERS = [(4, "easy"), KEPT[0], (5, "hard"), KEPT[1], (6, "easy"), KEPT[2], KEPT[3]]


def scripted_run(tmp_path, monkeypatch, problems, **settings):
    """A finished run on scripted rollouts, and its rounds."""
    run = trainer(tmp_path, **{**SCRIPTED, **settings})
    rounds = script(monkeypatch, run, problems)
    run.train()
    return run, rounds


def logged(run, name):
    return [row[name] for row in run.state.log_history if name in row]


def test_the_rounds_do_not_show_in_the_parameters(tmp_path, monkeypatch):
    once, rounds = scripted_run(tmp_path / "once", monkeypatch, KEPT)
    assert rounds == [[0, 1, 2, 3]]
    thrice, rounds = scripted_run(tmp_path / "thrice", monkeypatch, AMONG_OTHERS)
    assert rounds == [[4, 0, 5, 1], [6, 2], [3]]
    assert equal(parameters(once.model), parameters(thrice.model))
    for name in ("loss", "grad_norm", "reward", "completions/mean_length", "entropy", "kl"):
        assert logged(once, name) == logged(thrice, name)


def test_the_cost_is_logged(tmp_path, monkeypatch):
    run, _ = scripted_run(tmp_path, monkeypatch, AMONG_OTHERS)
    names = ["num_candidates", "num_accepted", "num_rollouts_generated", "num_rollouts_trained", "num_refill_rounds"]
    assert [logged(run, f"serl/gate/{name}") for name in names] == [[7.0], [4.0], [28.0], [16.0], [2.0]]
    assert logged(run, "serl/gate/generated_per_trained") == logged(run, "serl/gate/candidates_per_accepted") == [1.75]
    assert logged(run, "serl/gate/frac_too_hard") == [pytest.approx(1 / 7)]
    # shares of the candidates: 1, 1/2, 1/4, 3/4, 1, 1/2, 1/2
    assert logged(run, "serl/vote/share_mean") == [pytest.approx(4.5 / 7)]


def test_what_is_still_missing_is_masked(tmp_path, monkeypatch):
    run = trainer(tmp_path, **SCRIPTED, max_refill_rounds=1, beta=0.0)
    script(monkeypatch, run, AMONG_OTHERS)
    output = rollout(run)
    texts = run.processing_class.batch_decode(output["completion_ids"], skip_special_tokens=True)
    expected = [vote for i in range(0, 16, 4) for vote in [MajorityVoteReward().vote(texts[i : i + 4]).share] * 4]
    is_kept = torch.tensor([0.3 <= share <= 0.8 for share in expected])
    assert is_kept.sum() == 12  # problems 0, 1 and 2
    mask = output["completion_mask"] * output["tool_mask"]
    assert torch.equal(mask, output["completion_mask"] * is_kept[:, None])
    assert output["num_items_in_batch"] == mask.sum()
    assert not output["advantages"][~is_kept].any()
    assert output["advantages"][mask.bool()].mean() == pytest.approx(0, abs=1e-5)


def test_a_real_run_generates_no_more_than_it_must(tmp_path):
    run = trained(tmp_path, num_train_epochs=2, min_vote_share=0.3, max_vote_share=0.7)
    candidates, accepted = (sum(logged(run, f"serl/gate/num_{name}")) for name in ("candidates", "accepted"))
    generated, trained_on = (sum(logged(run, f"serl/gate/num_rollouts_{name}")) for name in ("generated", "trained"))
    assert candidates > accepted > 0
    assert sum(logged(run, "serl/gate/num_refill_rounds")) > 0
    assert generated / trained_on <= 1.1 * candidates / accepted
    assert generated == 4 * candidates
    for row in run.state.log_history:
        if "reward" in row:
            parts = ("kept", "too_hard", "too_easy")
            assert sum(row[f"serl/gate/frac_{part}"] for part in parts) == pytest.approx(1)


def test_trl_logs_the_batch_and_counts_all_tokens(tmp_path, monkeypatch):
    run = trainer(tmp_path, min_vote_share=0.3, max_vote_share=0.7)
    original, generated = GRPOTrainer._generate_single_turn, []

    def spy(self, prompt_ids, *args, **kwargs):
        completion_ids, logprobs = original(self, prompt_ids, *args, **kwargs)
        generated.append((prompt_ids, completion_ids))
        return completion_ids, logprobs

    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", spy)
    run.regenerate_instructions(0)
    num_written = len(generated)
    monkeypatch.setattr(run, "regenerate_instructions", lambda iteration: None)
    output = rollout(run)
    assert len(generated) > num_written + 1  # there were groups to replace
    metrics = run._metrics["train"]
    lengths = output["completion_mask"].sum(dim=1).float()
    assert metrics["completions/mean_length"] == [pytest.approx(lengths.mean().item())]
    assert metrics["completions/max_length"] == [lengths.max().item()]
    assert len(run._logs["completion"]) == len(run._logs["prompt"]) == len(run._logs["advantages"]) == 16
    num_tokens = sum(len(ids) for batch in generated for rows in batch for ids in rows)
    assert run.state.num_input_tokens_seen == metrics["num_tokens"][-1] == num_tokens


def test_an_open_gate_leaves_trls_output_untouched(tmp_path):
    settings = {"min_vote_share": 0, "max_vote_share": 1, "advantage_estimator": "grpo", "scale_rewards": "batch"}
    run = trainer(tmp_path, **settings)
    run.regenerate_instructions(0)
    run.model.train()
    prompts = [run.train_dataset.prompt(index) for index in range(4) for _ in range(4)]
    torch.manual_seed(0)
    theirs = GRPOTrainer._generate_and_score_completions(run, [{"prompt": prompt} for prompt in prompts])
    torch.manual_seed(0)
    ours = run._generate_and_score_completions([{"slot": 0}] * 16)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_rewards_that_do_not_vote_are_neither_gated_nor_refilled(tmp_path):
    run = trained(tmp_path, reward_funcs=Alternating(), max_steps=1)
    assert logged(run, "serl/gate/num_rollouts_generated") == [16.0]
    assert logged(run, "serl/gate/frac_filled") == [1.0]
    assert len(run.train_dataset.queue) == 8  # no reserve


@pytest.mark.slow
def test_ahead_rejects_as_instructions_are_written(tmp_path):
    run = trained(
        tmp_path, difficulty_filter="ahead", min_vote_share=0.3, max_vote_share=0.7, max_instruction_length=60
    )
    rows = [json.loads(line) for line in (tmp_path / "instructions/iteration_1.jsonl").read_text().splitlines()]
    judged = [row["verdicts"]["difficulty"] for row in rows if "difficulty" in row["verdicts"]]
    assert all(verdict["kept"] == (0.3 <= verdict["value"] <= 0.7) for verdict in judged)
    assert 0 < sum(verdict["kept"] for verdict in judged) < len(judged)
    kept = [row for row in rows if row["is_kept"]]
    assert len(kept) == len(run.train_dataset.queue)
    assert all(row["vote_share"] == row["verdicts"]["difficulty"]["value"] for row in kept)
    assert logged(run, "serl/filter/frac_rejected_difficulty")[0] == pytest.approx(
        sum(not verdict["kept"] for verdict in judged) / len(rows)
    )
    assert logged(run, "serl/instructions/num_rollouts_ahead") == [4.0 * len(judged)]
    assert set(logged(run, "serl/gate/num_refill_rounds")) == {0.0}


def test_voting_ahead_leaves_no_trace(tmp_path):
    run = trainer(tmp_path, difficulty_filter="ahead", num_instructions=4)
    run.model.eval()
    state = torch.get_rng_state()
    run.regenerate_instructions(0)
    assert torch.equal(state, torch.get_rng_state())
    assert not run.model.training
    assert not any(name.startswith("completions/") for name in run._metrics["train"])


def test_ahead_needs_a_vote(tmp_path):
    with pytest.raises(ValueError, match="add a MajorityVoteReward"):
        trainer(tmp_path, reward_funcs=Alternating(), difficulty_filter="ahead")


@pytest.mark.slow
def test_step_writes_before_each_rollout_with_the_policy_as_it_is(tmp_path, monkeypatch):
    run = trainer(tmp_path, regenerate="step", num_train_epochs=2)
    events = []
    for name in ("written_replies", "rollouts"):
        original = getattr(serl_trl.rollouts.batch_source, name)

        def spy(trainer, *args, name=name, original=original):
            checksum = sum(value.double().sum().item() for value in trainer.model.parameters())
            events.append((name, trainer.state.global_step, checksum))
            return original(trainer, *args)

        monkeypatch.setattr(serl_trl.rollouts.batch_source, name, spy)
    run.train()
    for step in range(4):
        names = [name for name, when, _ in events if when == step]
        assert names[0] == "written_replies"
        assert "rollouts" in names[1:]
        assert len({checksum for _, when, checksum in events if when == step}) == 1
    assert len({checksum for *_, checksum in events}) == 4
    # the results are where they are with regenerate="epoch"
    for iteration in (1, 2):
        text = (tmp_path / f"instructions/iteration_{iteration}.jsonl").read_text()
        assert sum(json.loads(line)["vote_share"] is not None for line in text.splitlines()) >= 8
    assert (
        len(logged(run, "serl/instructions/num_written")) == len(logged(run, "serl/filter/frac_rejected_novelty")) == 4
    )


def broken_in_iteration(monkeypatch, run, iteration, num_good):
    """Has the policy write nothing of use in an iteration, but for the first few replies."""
    original = serl_trl.rollouts.batch_source.written_replies

    def write(trainer, prompts, seed):
        if run.train_dataset.iteration != iteration:
            return original(trainer, prompts, seed)
        num_missing = max(num_good - len(run.train_dataset.queue), 0)
        good = original(trainer, prompts, seed)[:num_missing] if num_missing else []
        return good + [Reply("No.")] * (len(prompts) - len(good))

    monkeypatch.setattr(serl_trl.rollouts.batch_source, "written_replies", write)


def test_a_short_queue_masks_slots_and_says_so(tmp_path, monkeypatch, capsys):
    run = trainer(tmp_path)
    broken_in_iteration(monkeypatch, run, 0, num_good=3)
    before = parameters(run.model)
    run.train()
    assert not equal(before, parameters(run.model))
    assert logged(run, "serl/gate/num_candidates") == [2.0, 1.0]  # of eight slots, in two batches
    assert "3 instructions for 8 slots" in capsys.readouterr().out


def test_a_run_whose_instructions_leave_the_seeds_is_warned_of_once_an_iteration(tmp_path, monkeypatch, caplog):
    poems = [f"Write line {number} of a poem about the {place}." for number in range(40) for place in ("sea", "moon")]
    run = trainer(tmp_path, regenerate="step", num_train_epochs=2, novelty_threshold=1.0, reserve_fraction=0.0)
    original, written = serl_trl.rollouts.batch_source.written_replies, iter(poems)

    def write(trainer, prompts, seed):
        is_second = run.train_dataset.iteration == 1
        return [Reply(next(written)) for _ in prompts] if is_second else original(trainer, prompts, seed)

    monkeypatch.setattr(serl_trl.rollouts.batch_source, "written_replies", write)
    run.train()
    assert [round(far) for far in logged(run, "serl/drift/frac_far")] == [0, 0, 1, 1]
    warnings = [row.getMessage() for row in caplog.records if "left the seeds" in row.getMessage()]
    assert len(warnings) == 1  # though the second iteration writes before each of its two rollouts
    assert "Iteration 2: The instructions have left the seeds: 100% of those kept" in warnings[0]
    assert "raise seed_fraction" in warnings[0]


@pytest.mark.parametrize("regenerate", ["epoch", "step"])
def test_too_few_instructions_stop_the_run_with_everything_saved(tmp_path, monkeypatch, regenerate):
    run = trainer(tmp_path, regenerate=regenerate, num_train_epochs=2)
    broken_in_iteration(monkeypatch, run, 1, num_good=0)
    message = r"Iteration 2: The policy wrote 0 usable.*minimum of 1.*length: \d+.*widen min_instruction_words"
    if regenerate == "step":
        run.args.reserve_fraction = 0.0  # else what iteration 1 left over would do
    with pytest.raises(TooFewInstructionsError, match=message) as caught:
        run.train()
    checkpoint = tmp_path / "checkpoint-2"
    assert f"{checkpoint} " in f"{caught.value}".replace(".", " ")
    saved = AutoModelForCausalLM.from_pretrained(checkpoint)
    assert equal(parameters(saved), parameters(run.model))
    assert (checkpoint / "optimizer.pt").is_file()
    rows = [json.loads(line) for line in (tmp_path / "instructions/iteration_2.jsonl").read_text().splitlines()]
    assert rows
    assert not any(row["is_kept"] for row in rows)
