"""Real training steps of the built-in model; what the official formulas give is computed by hand here."""

import random

import pytest
import torch
from datasets import Dataset, IterableDataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOTrainer

from serl_trl import GroundTruthReward, MajorityVoteReward, SelfInstructDataset, SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from serl_trl.prompts.template import PromptTemplate
from tiny_runs import SETTINGS, Alternating, equal, parameters, rollout, seeds, snapshots, trained, trainer


def plain(model):
    """The model with its own output layer, as a new one with the same weights."""
    copy = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
    copy.load_state_dict(model.state_dict())
    return copy


def test_a_run_trains_writes_and_logs(tmp_path):
    run = trainer(tmp_path, num_train_epochs=2)
    before = parameters(run.model)
    run.train()
    assert not equal(before, parameters(run.model))
    assert sorted(p.name for p in (tmp_path / "instructions").iterdir()) == ["iteration_1.jsonl", "iteration_2.jsonl"]
    logs = {key for row in run.state.log_history for key in row}
    assert {
        "reward",
        "kl",
        "serl/vote/share_mean",
        "serl/vote/frac_no_answer",
        "serl/gate/frac_kept",
        "serl/gate/frac_too_hard",
        "serl/gate/frac_too_easy",
        "serl/gate/frac_empty_steps",
        "serl/gate/frac_filled",
        "serl/gate/num_refill_rounds",
        "serl/filter/frac_rejected_novelty",
        "serl/filter/frac_rejected_parse",
        "serl/instructions/num_kept",
    } <= logs
    drawn = run.train_dataset.queue[: run.train_dataset.cursor.position]
    assert len(drawn) >= 8
    assert all(instruction.vote_share is not None for instruction in drawn)


def test_two_runs_with_one_seed_are_the_same(tmp_path):
    runs = [trained(tmp_path / name) for name in "ab"]
    assert equal(parameters(runs[0].model), parameters(runs[1].model))
    assert (tmp_path / "a/instructions/iteration_1.jsonl").read_text() == (
        tmp_path / "b/instructions/iteration_1.jsonl"
    ).read_text()


def test_labels_are_not_read(tmp_path):
    short = {"num_instructions": 4}  # a step
    labelled = trained(tmp_path / "labelled", seeds(), **short)
    bare = trained(tmp_path / "bare", seeds().remove_columns("answer"), **short)
    lying = trained(tmp_path / "lying", seeds().map(lambda row: {"answer": "-1"}), **short)
    assert equal(parameters(labelled.model), parameters(bare.model))
    assert equal(parameters(labelled.model), parameters(lying.model))


def test_writing_leaves_no_trace(tmp_path):
    run = trainer(tmp_path)
    run.model.train()
    config, kwargs = run.generation_config.to_dict(), dict(run.generation_kwargs)
    states = torch.get_rng_state(), random.getstate()
    run.regenerate_instructions(0)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert run.model.training
    assert (run.generation_config.to_dict(), run.generation_kwargs) == (config, kwargs)
    assert not any(key.startswith("completions/") for key in run._metrics["train"])


def test_instructions_are_sampled_with_their_own_settings(tmp_path, monkeypatch):
    run = trainer(tmp_path, instruction_temperature=0.31, instruction_top_p=0.7)
    seen = []
    original = type(run.model).generate

    def generate(model, *args, generation_config=None, **kwargs):
        seen.append((generation_config.temperature, generation_config.top_p, generation_config.max_new_tokens))
        return original(model, *args, generation_config=generation_config, **kwargs)

    monkeypatch.setattr(type(run.model), "generate", generate)
    rollout(run)
    assert set(seen[:-1]) == {(0.31, 0.7, 80)}
    assert seen[-1] == (1.0, 1.0, 24)


def test_votes_are_taken_over_each_group(tmp_path):
    run = trainer(tmp_path)
    output = rollout(run)
    texts = run.processing_class.batch_decode(output["completion_ids"], skip_special_tokens=True)
    reward = MajorityVoteReward()
    expected = [value for i in range(0, 16, 4) for value in reward.vote(texts[i : i + 4]).rewards]
    assert run._rewards.per_func[:, 0].tolist() == expected


def test_rejected_groups_leave_masks_and_denominators(tmp_path):
    """The band lets through groups in which two of four are right, not the first, in which all are."""
    both = {"reward_funcs": [MajorityVoteReward(), Alternating()], "reward_weights": [0.0, 1.0]}
    run = trainer(tmp_path, self_instruct=False, beta=0.0, **both)
    shares = [1.0, 0.5, 0.5, 0.5]
    run._group_shares = lambda: shares
    output = rollout(run)
    kept = output["completion_mask"] * torch.tensor([0] * 4 + [1] * 12)[:, None]
    assert torch.equal(output["tool_mask"] * output["completion_mask"], kept)
    assert output["num_items_in_batch"] == kept.sum()
    # reinforce++ by hand: rewards 1 and 0, normalised over the kept tokens alone
    lengths = kept.sum(dim=1)
    rewards = torch.tensor([0.0] * 4 + [1.0, 0.0, 0.0, 1.0] * 3)
    p = (rewards * lengths).sum() / lengths.sum()
    expected = ((rewards - p) / (p * (1 - p)).sqrt())[:, None] * kept
    torch.testing.assert_close(output["advantages"], expected, atol=1e-5, rtol=1e-5)
    logged = torch.tensor(list(run._logs["advantages"]))
    torch.testing.assert_close(logged, expected.sum(dim=1) / lengths.clamp(min=1), atol=1e-5, rtol=1e-5)


def test_kl_in_the_reward_stays_out_of_the_loss(tmp_path):
    run = trainer(tmp_path, beta=0.5, min_vote_share=0, max_vote_share=1)
    for parameter in run.model.parameters():
        parameter.data *= 1.02  # away from the reference
    output = rollout(run)
    assert "ref_per_token_logps" not in output
    assert run._metrics["train"]["kl"][-1] != 0
    per_token = output["advantages"][output["completion_mask"].bool()]
    assert abs(per_token.mean()) < 1e-4  # normalised over every token
    assert output["advantages"][0, 0] != output["advantages"][0, 1]  # returns differ along a completion
    run.current_gradient_accumulation_steps = 2  # set by Trainer while it trains
    batch = {key: value[:8] if value.ndim else value for key, value in output.items()}
    with_kl = run.compute_loss(run.model, batch)
    run.beta = 0.0
    torch.testing.assert_close(with_kl, run.compute_loss(run.model, batch))


@pytest.mark.parametrize("estimator", ["grpo", "dr_grpo"])
def test_kl_is_in_the_reward_of_any_estimator(tmp_path, estimator):
    """Each token's advantage is what it is without KL, less beta times the k1 of it and of those behind it."""
    settings = {"advantage_estimator": estimator, "min_vote_share": 0, "max_vote_share": 1, "self_instruct": False}
    run = trainer(tmp_path, reward_funcs=Alternating(), beta=0.5, kl_placement="reward", **settings)
    for parameter in run.model.parameters():
        parameter.data *= 1.02  # away from the reference
    output = rollout(run)
    assert "ref_per_token_logps" not in output
    mask, ids = output["completion_mask"], torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
    attention_mask = torch.cat([output["prompt_mask"], mask], dim=1)
    with torch.no_grad():
        logps, ref_logps = (
            model(input_ids=ids, attention_mask=attention_mask)
            .logits[:, -mask.size(1) - 1 : -1]
            .log_softmax(-1)
            .gather(2, output["completion_ids"][:, :, None])[:, :, 0]
            for model in (plain(run.model), plain(run.ref_model))
        )
    rewards = [0.0] * 4 + [1.0, 0.0, 0.0, 1.0] * 3  # less their mean of 1 or 1/2
    centred = torch.tensor([0.0 if i < 4 else reward - 0.5 for i, reward in enumerate(rewards)])
    if estimator == "grpo":
        centred = centred / (1 / 3) ** 0.5  # four times 1/4, over n - 1
    kl = (logps - ref_logps) * mask
    assert kl.abs().max() > 1e-3
    behind = kl.sum(dim=1, keepdim=True) - kl.cumsum(dim=1) + kl
    torch.testing.assert_close(output["advantages"], (centred[:, None] - 0.5 * behind) * mask, atol=1e-4, rtol=1e-4)


def test_nothing_kept_moves_nothing(tmp_path):
    run = trainer(tmp_path, self_instruct=False, max_steps=4, num_train_epochs=2)
    run._group_shares = lambda: [0.5] * 4 if run.state.global_step == 0 else [1.0] * 4
    start, passed = parameters(run.model), snapshots(run)
    run.train()
    assert not equal(start, passed[0])  # momentum is there from the first step on
    assert all(equal(passed[0], later) for later in passed[1:])
    empty = [row["serl/gate/frac_empty_steps"] for row in run.state.log_history if "reward" in row]
    assert empty == [0.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("estimator", ["reinforce++_baseline", "rloo", "grpo", "dr_grpo"])
def test_every_estimator_trains(tmp_path, estimator):
    run = trainer(tmp_path, advantage_estimator=estimator, max_steps=1, min_vote_share=0.0, max_vote_share=0.99)
    before = parameters(run.model)
    run.train()
    assert not equal(before, parameters(run.model))


class Constant:
    """A reward that has an opinion on everything."""

    __name__ = "constant"

    def __call__(self, prompts, completions, **kwargs):
        return [float(i % 2) for i in range(len(completions))]


class HalfLabelled:
    """Rewards of 1, 0, 0, 1 in every other group, and none in the last row of those."""

    __name__ = "half_labelled"

    def __call__(self, prompts, completions, **kwargs):
        return [[1.0, 0.0, 0.0, None][i % 4] if i // 4 % 2 else None for i in range(len(completions))]


@pytest.mark.parametrize(
    ("estimator", "weights"),
    [
        *[
            pytest.param(name, [0.0, 1.0], marks=[pytest.mark.slow] if name != "grpo" else [])
            for name in ("reinforce++_baseline", "rloo", "grpo", "dr_grpo")
        ],
        ("reinforce++", [0.0, 0.5, 0.5]),
    ],
)
def test_a_reward_of_weight_0_is_none(tmp_path, estimator, weights):
    settings = {"advantage_estimator": estimator, "min_vote_share": 0, "max_vote_share": 1, "self_instruct": False}
    settings |= {"max_steps": 2, "beta": 0.1, "optim": "sgd", "learning_rate": 1e-2}
    bare = trained(tmp_path / "bare", None, HalfLabelled(), **settings)
    rewards = [Constant(), *[HalfLabelled() for _ in weights[1:]]]
    run = trained(tmp_path / "weighed", None, rewards, reward_weights=weights, **settings)
    assert equal(parameters(bare.model), parameters(run.model))
    for row, bare_row in zip(run.state.log_history, bare.state.log_history, strict=True):
        if "reward" in row:
            for name in ("reward", "reward_std", "frac_reward_zero_std", "kl", "rewards/half_labelled/mean"):
                assert row[name] == pytest.approx(bare_row[name])
            assert (row["reward"], row["rewards/constant/mean"]) == pytest.approx((1 / 3, 0.5))


@pytest.mark.parametrize("estimator", ["reinforce++", "grpo"])
def test_rows_without_a_reward_are_not_trained_on(tmp_path, estimator):
    settings = {"advantage_estimator": estimator, "min_vote_share": 0, "max_vote_share": 1, "self_instruct": False}
    run = trainer(tmp_path, None, [Constant(), HalfLabelled()], reward_weights=[0.0, 1.0], **settings)
    output = rollout(run)
    lengths = output["completion_mask"].sum(dim=1)
    has_reward = torch.tensor(([0] * 4 + [1, 1, 1, 0]) * 2).bool()
    assert torch.equal((output["completion_mask"] * output["tool_mask"]).sum(dim=1), lengths * has_reward)
    assert output["num_items_in_batch"] == lengths[has_reward].sum()
    assert not output["advantages"][~has_reward].any()
    assert list(run._logs["rewards"]["constant"]) == [0.0, 1.0] * 8
    if estimator == "grpo":  # TRL's: mean 1/3, variance (4/9 + 1/9 + 1/9) / 2 = 1/3
        std = (1 / 3) ** 0.5 + 1e-4
        expected = torch.tensor(([0.0] * 4 + [2 / 3 / std, -1 / 3 / std, -1 / 3 / std, 0.0]) * 2)
        torch.testing.assert_close(output["advantages"], expected)


@pytest.mark.parametrize("settings", [{}, {"self_instruct": False}])
def test_tokens_are_counted_when_they_are_generated(tmp_path, monkeypatch, settings):
    """Instructions, rollouts, further votes: at each log the count is that of what TRL's generation has got and given."""
    original, num_tokens = GRPOTrainer._generate_single_turn, [0]

    def spy(self, prompt_ids, *args, **kwargs):
        completion_ids, logprobs = original(self, prompt_ids, *args, **kwargs)
        num_tokens[0] += sum(map(len, [*prompt_ids, *completion_ids]))
        return completion_ids, logprobs

    run = trainer(tmp_path, None, MajorityVoteReward(num_votes=6), gradient_accumulation_steps=1, **settings)
    seen = []

    class Log(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            if "loss" in logs:
                seen.append((logs["num_tokens"], num_tokens[0]))

    run.add_callback(Log())
    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", spy)
    run.train()
    assert len(seen) == 4  # two rollouts, each of two steps
    assert all(found == expected > 0 for found, expected in seen)
    assert run.state.num_input_tokens_seen == num_tokens[0]


def test_continuous_batching_leaves_evaluation_in_its_mode(tmp_path):
    settings = {"use_transformers_continuous_batching": True, "max_completion_length": 4}
    cache = {"transformers_continuous_batching_config": {"page_size": 32, "num_blocks": 64, "max_batch_tokens": 256}}
    args = SeRLConfig(output_dir=str(tmp_path), **SETTINGS | settings | cache)
    run = SeRLTrainer(str(CHECKPOINT), args=args, train_dataset=seeds(), eval_dataset=seeds(2))
    modes, original = [], run.compute_loss

    def noted(*args, **kwargs):
        modes.append(run.model.training)
        return original(*args, **kwargs)

    run.compute_loss = noted
    assert "eval_reward" in run.evaluate()
    assert modes == [False]
    assert not run._metrics["train"]


def test_ground_truth_is_gated_by_accuracy(tmp_path):
    run = trained(tmp_path, reward_funcs=GroundTruthReward(), self_instruct=False)
    rows = [row for row in run.state.log_history if "reward" in row]
    for row in rows:
        assert row["serl/gate/frac_kept"] == pytest.approx(
            1 - row["serl/gate/frac_too_hard"] - row["serl/gate/frac_too_easy"]
        )
    assert not any("serl/vote/share_mean" in row for row in rows)


def test_other_rewards_are_not_gated(tmp_path):
    run = trained(tmp_path, reward_funcs=Alternating(), self_instruct=False, max_steps=1)
    assert run.state.log_history[0]["serl/gate/frac_kept"] == 1.0


def test_prompts_as_they_are_without_self_instruction(tmp_path):
    run = trained(tmp_path, self_instruct=False, max_steps=1)
    assert run.train_dataset.column_names == ["prompt", "answer"]
    assert not (tmp_path / "instructions").exists()


def test_a_dataset_of_ones_own(tmp_path):
    dataset = SelfInstructDataset(
        [row["prompt"][0]["content"] for row in seeds()],
        num_instructions=4,
        num_few_shot=3,
        prompt_template=PromptTemplate(),
    )
    run = trained(tmp_path, dataset)
    assert run.state.global_step == 1  # four slots, one generation batch
    assert {len(instruction.parents) for instruction in dataset.queue} == {3}
    assert len(dataset.queue) == 7  # four, and a reserve of 0.6 as many


def test_lora_takes_the_adapter_off_for_the_reference(tmp_path):
    from peft import LoraConfig

    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
    args = SeRLConfig(output_dir=str(tmp_path), **SETTINGS)
    run = SeRLTrainer(
        model,
        args=args,
        train_dataset=seeds(),
        processing_class=AutoTokenizer.from_pretrained(CHECKPOINT),
        peft_config=LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    )
    before = parameters(run.model)
    run.train()
    assert run.ref_model is None
    moved = [name for name, value in parameters(run.model).items() if not torch.equal(before[name], value)]
    assert moved
    assert all("lora" in name for name in moved)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tools": [print]}, "tools"),
        ({"train_dataset": IterableDataset.from_generator(lambda: iter([{"prompt": "?"}]))}, "streaming"),
        ({"train_dataset": ["a", "b"]}, "list"),
        ({"train_dataset": Dataset.from_dict({"prompt": ["a", "b", "c"]})}, "3 different seeds"),
        ({"train_dataset": Dataset.from_dict({"text": ["a"] * 9})}, "column 'prompt'"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        SeRLTrainer(
            str(CHECKPOINT),
            args=SeRLConfig(output_dir=str(tmp_path), **SETTINGS),
            **{"train_dataset": seeds(), **arguments},
        )
