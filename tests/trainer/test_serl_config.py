from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import get_scheduler
from trl import ModelConfig, TrlParser

from serl_trl import SeRLConfig


ROOT = Path(__file__).parents[2]
KINDS: Any = (SeRLConfig, ModelConfig)
ACCELERATE = ROOT / "accelerate_configs"


def config(**settings):
    return SeRLConfig(output_dir="out", use_cpu=True, report_to="none", **settings)


def test_defaults_are_the_papers():
    args = config()
    assert (args.advantage_estimator, args.num_generations, args.num_train_epochs) == ("reinforce++", 16, 3)
    assert (args.num_instructions, args.num_few_shot, args.seed_fraction) == (2000, 8, 0.25)
    assert (args.novelty_threshold, args.min_vote_share, args.max_vote_share) == (0.7, 0.2, 0.8)
    assert (args.learning_rate, args.beta, args.max_completion_length) == (5e-7, 1e-3, 1024)
    # 16 prompts a generation, then 16 optimiser steps of 16 completions
    assert args.num_prompts_per_generation == 16
    assert args.steps_per_generation // args.gradient_accumulation_steps == 16


def test_nothing_but_a_folder_is_needed():
    args = SeRLConfig(output_dir="out")
    assert args.bf16 == torch.cuda.is_available()


@pytest.mark.parametrize("world_size", [1, 2, 8, 64])
def test_defaults_are_valid_for_any_world_size(world_size, monkeypatch):
    monkeypatch.setattr(SeRLConfig, "world_size", property(lambda self: world_size))
    assert config().generation_batch_size == 256 * world_size


@pytest.mark.parametrize("world_size", [1, 2, 3, 8, 64])
@pytest.mark.parametrize(
    "settings",
    [
        {"num_generations": 12},
        {"num_generations": 7},
        {"num_generations": 300},
        {"per_device_train_batch_size": 12},
        {"per_device_train_batch_size": 12, "num_generations": 12},
        {"per_device_train_batch_size": 1, "num_instructions": 12},
        {"num_instructions": 64},
        {"gradient_accumulation_steps": 3},
        {"gradient_accumulation_steps": 3, "num_generations": 10},
        {"generation_batch_size": 64 * 3 * 16},
        {"generation_batch_size": 64 * 3 * 5, "num_generations": 5},
        {"steps_per_generation": 3},
        {"eval_strategy": "steps"},
        {"eval_strategy": "epoch", "num_generations": 12},
        {"eval_strategy": "steps", "num_generations_eval": 5},
        {"do_eval": True},
    ],
)
def test_sizes_that_are_not_set_fit_those_that_are(settings, world_size, monkeypatch):
    monkeypatch.setattr(SeRLConfig, "world_size", property(lambda self: world_size))
    args = config(**settings)
    assert {name: getattr(args, name) for name in settings} == settings
    # what TRL asks for
    per_pass = args.per_device_train_batch_size * world_size
    assert args.generation_batch_size == args.steps_per_generation * per_pass
    assert args.generation_batch_size % args.num_generations == 0
    assert args.num_prompts_per_generation <= args.num_instructions
    if "eval_strategy" in settings:
        group = args.num_generations_eval or args.num_generations
        assert args.per_device_eval_batch_size * world_size % group == 0
    else:
        assert args.per_device_eval_batch_size == 8


@pytest.mark.parametrize(
    ("settings", "per_device", "generation_batch"),
    [
        ({}, 8, 256),
        ({"num_generations": 12}, 8, 240),  # 252 and 264 do not divide into 8, 288 is further away
        ({"num_generations": 20}, 8, 240),  # 10 steps of 8 are 4 groups: 240 or 320
        ({"per_device_train_batch_size": 12}, 12, 240),  # 48, and two steps a time
        ({"num_instructions": 15}, 8, 240),
        ({"num_instructions": 1}, 8, 16),
        ({"generation_batch_size": 36, "num_generations": 12}, 6, 36),  # 8 and 7 do not divide 36
        ({"steps_per_generation": 3}, 16, 48),  # three times 8 or less are no whole groups of 16
    ],
)
def test_sizes_by_hand(settings, per_device, generation_batch):
    args = config(**settings)
    assert (args.per_device_train_batch_size, args.generation_batch_size) == (per_device, generation_batch)


def test_fewer_prompts_than_a_generation_batch_take_a_smaller_one():
    args = config(self_instruct=False)
    args.fit_sizes(5)
    assert (args.generation_batch_size, args.num_prompts_per_generation) == (80, 5)
    args.fit_sizes(1000)
    assert args.generation_batch_size == 256
    with pytest.raises(
        ValueError, match="The number of prompts is 0, less than the 1 prompts of one generation batch"
    ):
        args.fit_sizes(0)
    with pytest.raises(
        ValueError, match=r"is 5, less than the 16 prompts.*generation_batch_size=512, .*raise it, or lower"
    ):
        config(self_instruct=False, generation_batch_size=256 * 2, num_generations=32).fit_sizes(5)


@pytest.mark.parametrize(
    ("estimator", "is_kl_in_reward"),
    [("reinforce++", True), ("reinforce++_baseline", True), ("rloo", True), ("grpo", False), ("dr_grpo", False)],
)
def test_kl_goes_where_the_official_scripts_put_it(estimator, is_kl_in_reward):
    assert config(advantage_estimator=estimator).is_kl_in_reward is is_kl_in_reward


@pytest.mark.parametrize(
    ("settings", "is_refilled"),
    [
        ({}, True),
        ({"max_refill_rounds": 0}, False),
        ({"difficulty_filter": "ahead"}, False),
        ({"min_vote_share": 0, "max_vote_share": 1}, False),
    ],
)
def test_groups_are_replaced_where_a_gate_rejects_them_at_rollout(settings, is_refilled):
    assert config(**settings).is_refilled is is_refilled


def test_dr_grpo_brings_its_loss():
    assert config(advantage_estimator="dr_grpo").loss_type == "dr_grpo"
    assert config(advantage_estimator="dr_grpo", loss_type="bnpo").loss_type == "bnpo"


def test_another_schedule_is_not_given_the_minimum_of_the_default():
    assert config().lr_scheduler_kwargs == {"min_lr_rate": 0.1}
    assert config(lr_scheduler_type="cosine_with_min_lr").lr_scheduler_kwargs == {"min_lr_rate": 0.1}
    assert config(lr_scheduler_type="linear").lr_scheduler_kwargs is None


@pytest.mark.parametrize("num_steps", [10, 100, 6000])
def test_every_step_of_the_default_schedule_moves_weights(num_steps):
    """It rises by equal steps to the peak, which the last step of the warm-up has, and ends at a tenth of it."""
    args = config()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=args.learning_rate)
    num_warmup = args.get_warmup_steps(num_steps)
    schedule = get_scheduler(
        args.lr_scheduler_type, optimizer, num_warmup, num_steps, scheduler_specific_kwargs=args.lr_scheduler_kwargs
    )
    rates = []
    for _ in range(num_steps):
        rates += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    assert num_warmup == -(-num_steps * 3 // 100)
    assert rates[:num_warmup] == pytest.approx([5e-7 * (i + 1) / num_warmup for i in range(num_warmup)])
    assert max(rates) == pytest.approx(5e-7)
    assert min(rates) > 0
    assert rates[-1] == pytest.approx(5e-8)


@pytest.mark.parametrize("estimator", ["grpo", "dr_grpo", "reinforce++", "rloo"])
def test_kl_may_be_put_in_either_place(estimator):
    assert config(advantage_estimator=estimator, kl_placement="reward").is_kl_in_reward
    assert not config(advantage_estimator=estimator, kl_placement="loss").is_kl_in_reward


def test_trls_advantages_are_those_of_grpo_with_the_kl_in_the_loss():
    settings = {"advantage_estimator": "grpo", "min_vote_share": 0, "max_vote_share": 1}
    assert config(**settings).has_trl_advantages
    assert config(**settings, kl_placement="reward", beta=0.0).has_trl_advantages
    assert not config(**settings, kl_placement="reward").has_trl_advantages
    assert not config(advantage_estimator="grpo").has_trl_advantages
    assert not config(**settings | {"advantage_estimator": "dr_grpo"}).has_trl_advantages


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"advantage_estimator": "ppo"}, "'ppo'; choose one of"),
        ({"kl_placement": "nowhere"}, "'nowhere'"),
        (
            {"kl_placement": "reward", "advantage_estimator": "grpo", "scale_rewards": "batch"}
            | {"min_vote_share": 0, "max_vote_share": 1},
            "the KL term in the loss",
        ),
        ({"use_transformers_continuous_batching": True, "bf16": True}, "bf16=False"),
        ({"use_transformers_continuous_batching": True, "fp16": True, "bf16": False}, "fp16=False"),
        ({"scale_rewards": "batch"}, "scale_rewards='batch' would be ignored"),
        ({"scale_rewards": "none", "advantage_estimator": "grpo"}, "would be ignored"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, "would be ignored"),
        ({"min_vote_share": 0.9}, "min_vote_share=0.9"),
        ({"max_vote_share": 1.2}, "max_vote_share=1.2"),
        ({"seed_fraction": 25}, "seed_fraction is 25"),
        ({"novelty_threshold": 0}, "novelty_threshold is 0"),
        ({"novelty_tokenizer": "bytes"}, "'bytes'; choose one of rouge, unicode"),
        ({"min_instruction_words": 200}, "min_instruction_words=200"),
        ({"num_few_shot": 0}, "num_few_shot is 0"),
        ({"num_instructions": 15, "generation_batch_size": 512}, "num_instructions is 15, less than the 32 prompts"),
        ({"num_generations": 1}, "num_generations is 1; it is a whole number, at least 2"),
        ({"per_device_train_batch_size": 0}, "per_device_train_batch_size is 0; it is a whole number"),
        (
            {"generation_batch_size": 100},
            r"=100 does not divide into whole groups of num_generations=16.*take 96 or 112",
        ),
        (
            {"generation_batch_size": 64, "per_device_train_batch_size": 12},
            "=64 .*per_device_train_batch_size=12 on 1 process; take 48 or 96",
        ),
        (
            {"steps_per_generation": 3, "per_device_train_batch_size": 12},
            "steps_per_generation=3 .* batch of 36, .*; take steps_per_generation 4",
        ),
        ({"steps_per_generation": 3, "generation_batch_size": 48}, "in two units; set one of them"),
        (
            {"eval_strategy": "steps", "per_device_eval_batch_size": 12},
            "batch_size=12 on 1 process .*groups of 16.* 16",
        ),
        (
            {"num_instructions": 3, "per_device_train_batch_size": 64},
            r"num_instructions is 3, less than the 4 prompts.*lower per_device_train_batch_size",
        ),
        ({"regenerate": "never"}, "regenerate is 'never'; choose one of epoch, step"),
        ({"difficulty_filter": "none"}, "difficulty_filter is 'none'; choose one of rollout, ahead"),
        ({"reserve_fraction": -0.1}, "reserve_fraction=-0.1"),
        ({"max_refill_rounds": -1}, "max_refill_rounds=-1"),
        ({"min_instruction_fraction": 0}, "min_instruction_fraction is 0"),
        ({"dataloader_persistent_workers": True, "dataloader_num_workers": 1}, "dataloader_persistent_workers"),
    ],
)
def test_bad_values_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        config(**settings)


def test_trl_settings_count_where_trls_advantages_are_used():
    args = config(advantage_estimator="grpo", min_vote_share=0, max_vote_share=1, scale_rewards="batch")
    assert args.scale_rewards == "batch"


def test_every_yaml_of_the_recipes_parses():
    paths = sorted((ROOT / "recipes" / "configs").glob("*.yaml"))
    assert paths
    for path in paths:
        settings = yaml.safe_load(path.read_text())
        parser = TrlParser(KINDS)
        known = {name for kind in KINDS for name in kind.__dataclass_fields__}
        flags = ["--config", str(path)]
        _, _, rest = parser.parse_args_and_config(flags, return_remaining_strings=True, fail_with_unknown_args=False)
        assert {flag.lstrip("-") for flag in rest if flag.startswith("--")} == set(settings) - known


@pytest.mark.parametrize(
    ("name", "processes"),
    [("llama3.2_3b", 8), ("llama3.2_3b_lora", 8), ("qwen2.5_7b", 8), ("qwen2.5_7b_lora", 8), ("qwen2.5_0.5b", 1)],
)
def test_the_papers_recipes_hold_the_papers_settings(name, processes, monkeypatch):
    monkeypatch.setattr(SeRLConfig, "world_size", property(lambda self: processes))
    path = ROOT / "recipes" / "configs" / f"{name}.yaml"
    args, model_args = TrlParser(KINDS).parse_args_and_config(["--config", str(path)], fail_with_unknown_args=True)
    # 16 prompts x 16 completions, then 16 optimiser steps of 16 completions
    assert (args.num_prompts_per_generation, args.num_generations, args.seed) == (16, 16, 42)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps * processes == 16
    assert args.steps_per_generation == 16 * args.gradient_accumulation_steps
    assert (args.num_train_epochs, args.num_instructions, args.max_completion_length) == (3, 2000, 1024)
    assert (args.warmup_steps, args.beta, args.temperature) == (0.03, 1e-3, 1.0)
    assert args.learning_rate == (5e-6 if name.endswith("lora") else 5e-7)
    assert model_args.use_peft == name.endswith("lora")
    assert (args.use_vllm, args.vllm_mode, args.gradient_checkpointing) == (True, "colocate", True)


def test_every_yaml_for_accelerate_parses():
    from accelerate.commands.config.config_args import load_config_from_file

    kinds = {
        path.stem: load_config_from_file(str(path)).distributed_type.value
        for path in sorted(ACCELERATE.glob("*.yaml"))
    }
    assert kinds == {
        "cpu": "MULTI_GPU",  # over gloo, with use_cpu
        "deepspeed_zero2": "DEEPSPEED",
        "deepspeed_zero3": "DEEPSPEED",
        "fsdp2": "FSDP",
        "multi_gpu": "MULTI_GPU",
        "multi_node": "MULTI_GPU",
    }
    stages = {
        yaml.safe_load(path.read_text())["deepspeed_config"]["zero_stage"] for path in ACCELERATE.glob("deepspeed*")
    }
    assert stages == {2, 3}
