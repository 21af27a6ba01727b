"""Memory, communication and disk by hand, and against a run of the tiny model."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from serl_trl import SeRLConfig
from serl_trl.cli.plan import ARCHITECTURES
from serl_trl.cli.plan_memory import kv_bytes_per_token, layer_bytes, memory, vllm_memory
from serl_trl.cli.plan_sizes import ModelSize, Setup, checkpoint_bytes, communication, readable
from serl_trl.cli.plan_work import WorkPlan


ROOT = Path(__file__).parents[2]
specification = importlib.util.spec_from_file_location("bench_cost_model", ROOT / "benchmarks" / "bench_cost_model.py")
assert specification is not None
assert specification.loader is not None
bench = importlib.util.module_from_spec(specification)
sys.modules["bench_cost_model"] = bench
specification.loader.exec_module(bench)

# Two layers of 1,000 parameters and a head of 400 x 10
SIZE = ModelSize(
    num_parameters=6000, num_trainable=6000, num_layers=2, hidden_size=10, intermediate_size=30, num_heads=5, num_kv_heads=1,
    head_dim=2, vocab_size=400, is_tied=True,
)  # fmt: skip
ADAPTED = dataclasses.replace(SIZE, num_parameters=6200, num_trainable=200)


def work(**settings):
    settings = {
        "max_completion_length": 8,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
    } | settings
    args = SeRLConfig(output_dir="out", use_cpu=True, report_to="none", num_generations=16, **settings)
    return WorkPlan.from_config(args, 2000)


def parts(phase, model=SIZE, plan=None, **setup):
    return memory(model, Setup(prompt_tokens=4, **setup), plan or work())[phase].parts


def sizes_of(name):
    known = json.loads(ARCHITECTURES.read_text())
    with torch.device("meta"):
        return ModelSize.of(AutoModelForCausalLM.from_config(AutoConfig.for_model(**known[name])))


@pytest.mark.parametrize(
    ("name", "num_parameters"),
    [
        ("meta-llama/Llama-3.2-3B-Instruct", 3_212_749_824),
        ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512),
        ("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768),
        ("meta-llama/Llama-3.1-70B-Instruct", 70_553_706_496),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008),
    ],
)
def test_parameters_are_those_of_the_model_cards(name, num_parameters):
    assert sizes_of(name).num_parameters == num_parameters


def test_parts_of_a_model():
    assert (SIZE.head_parameters, SIZE.layer_parameters) == (4000, 1000)
    assert dataclasses.replace(SIZE, is_tied=False, num_parameters=10_000).layer_parameters == 1000
    assert not SIZE.is_adapted
    assert ADAPTED.is_adapted


@pytest.mark.parametrize(
    ("setup", "weights", "reference", "optimiser", "gradients"),
    [
        ({"is_bf16": False}, 4, 4, 8, 4),
        ({"weight_bytes": 2}, 2, 2, 8, 2),
        ({"num_processes": 4}, 4, 4, 8, 8),  # DDP's buckets hold the gradients again
        ({"num_processes": 4, "sharding": "fsdp2"}, 1, 1, 2, 1),
        # ZeRO: 2 + 2 + 12 bytes a parameter, of which stage 2 shards the last two and stage 3 all; and a bucket of gradients
        ({"num_processes": 4, "sharding": "zero2"}, 2, 2, 3, 0.5 + 2),
        ({"num_processes": 4, "sharding": "zero3"}, 0.5, 0.5, 3, 0.5 + 2),
        ({"num_processes": 4, "sharding": "zero3", "is_optimiser_elsewhere": True}, 0.5, 0.5, 0, 0.5 + 2),
    ],
)
def test_states_in_bytes_a_parameter(setup, weights, reference, optimiser, gradients):
    found = parts("training", **setup)
    assert [found[name] / 6000 for name in ("weights", "reference", "optimiser", "gradients")] == [
        weights, reference, optimiser, gradients,
    ]  # fmt: skip


def test_an_adapter_trains_little_and_needs_no_reference():
    found = parts("training", ADAPTED, weight_bytes=2)
    assert found["weights"] == 2 * 6000 + 4 * 200
    assert (found["reference"], found["optimiser"], found["gradients"]) == (0, 1600, 800)
    assert checkpoint_bytes(ADAPTED, Setup(weight_bytes=2), work())["weights"] == 800


def test_no_reference_where_there_is_no_kl():
    assert parts("training", plan=work(beta=0))["reference"] == 0


def test_fsdp2_keeps_gradients_whole_between_micro_batches():
    setup = {"num_processes": 4, "sharding": "fsdp2"}
    assert parts("training", plan=work(gradient_accumulation_steps=2), **setup)["gradients"] == 6000 * (1 + 2)


def test_activations_are_checkpoints_and_one_layer_or_all_layers():
    setup = Setup(is_bf16=False, prompt_tokens=4)
    # norms: two inputs of float32, two normalised, two outputs; attention: five times its width; MLP: four times
    assert layer_bytes(SIZE, setup) == 4 * (6 * 10 + 5 * 10 + 4 * 30)
    tokens = 2 * (4 + 8)
    assert parts("training", is_bf16=False)["activations"] == tokens * 2 * 10 * 4
    kept = parts("training", plan=work(gradient_checkpointing=False), is_bf16=False)["activations"]
    assert kept == tokens * 2 * layer_bytes(SIZE, setup)


def test_the_logits_are_a_tile_of_completion_tokens_whatever_the_vocabulary():
    larger = dataclasses.replace(SIZE, vocab_size=200_000)
    for size in (SIZE, larger):
        assert parts("scoring", size)["LM head"] == 2 * 8 * 32768 * 2
    assert parts("scoring", plan=work(max_completion_length=100_000))["LM head"] == 4096 * 32768 * 2


def test_the_cache_is_of_all_rows_of_a_process():
    found = parts("rollout", is_bf16=False, num_processes=2)
    assert kv_bytes_per_token(SIZE, Setup(is_bf16=False)) == 2 * 4 * 2 * 1 * 2  # keys and values, float32, layers x 2
    assert found["KV cache"] == 128 * (4 + 8) * 32
    assert kv_bytes_per_token(SIZE, Setup()) == 32  # autocast leaves it float32
    assert kv_bytes_per_token(SIZE, Setup(sharding="zero3")) == 16


def test_vllm_has_its_share_while_it_is_awake():
    vllm: dict[str, Any] = {"vllm_share": 0.5, "device_bytes": 1e6, "does_vllm_roll_out": True}
    assert parts("training", **vllm)["vLLM"] == parts("rollout", **vllm)["vLLM"] == 5e5
    assert parts("training", **vllm, does_vllm_sleep=True)["vLLM"] == 0
    assert "KV cache" not in parts("rollout", **vllm)
    inside = vllm_memory(SIZE, Setup(prompt_tokens=4, vllm_parallel=2, **vllm), work())
    # half of 12,000 bytes of weights; a row of 12 tokens has 2 x 2 bytes x 2 layers x 2, halved
    assert inside == {"weights": 6000, "KV cache": 494_000, "rows at once": 494_000 // (12 * 8)}


def test_fsdp2_gathers_the_reference_whole_and_the_policy_by_layers():
    found = {phase: parts(phase, num_processes=4, sharding="fsdp2") for phase in ("scoring", "training")}
    name = "weights gathered or cast"
    assert found["training"][name] == 3 * 2 * 1000 + 4 * 4000
    assert found["scoring"][name] == 3 * 2 * 1000 + 4 * 4000  # more than the 12,000 of the reference
    deep = dataclasses.replace(SIZE, num_parameters=104_000, num_trainable=104_000, num_layers=100)
    assert parts("scoring", deep, num_processes=4, sharding="fsdp2")[name] == 2 * 104_000


@pytest.mark.parametrize(
    ("sharding", "accumulation", "sent"),
    [
        ("ddp", 2, 2 * 4),  # all-reduce of float32 gradients: twice around the ring
        ("zero2", 1, 2 + 2),
        ("zero2", 2, 2 * 2 + 2),
        ("zero3", 2, 2 * (2 + 2 + 2)),
        ("fsdp2", 2, 2 * (2 + 2) + 2),
    ],
)
def test_bytes_of_an_optimiser_step(sharding, accumulation, sent):
    setup = Setup(num_processes=4, sharding=sharding)
    found = communication(SIZE, setup, work(gradient_accumulation_steps=accumulation))
    assert found["an optimiser step"] == 6000 * sent * 3 / 4
    assert communication(SIZE, Setup(), work())["an optimiser step"] == 0


def test_scoring_gathers_sharded_weights_for_each_micro_batch():
    setup = Setup(num_processes=4, sharding="zero3")
    rollouts = 8 * 256 * 8 * 3 / 4
    assert communication(SIZE, setup, work()) == {
        "an optimiser step": 6000 * 6 * 3 / 4,
        "a generation batch": 12_000 * 2 * 32 * 3 / 4
        + rollouts,  # policy and reference, 64 rows in micro-batches of 2
        "rollouts": rollouts,
    }


def test_rollouts_are_saved_where_a_batch_takes_several_steps():
    several, one = work(), work(gradient_accumulation_steps=128)
    assert checkpoint_bytes(SIZE, Setup(prompt_tokens=4), several)["rollouts"] == 256 * (16 * 12 + 16 * 8)
    assert checkpoint_bytes(SIZE, Setup(prompt_tokens=4), one)["rollouts"] == 0


def test_an_unknown_sharding_is_named():
    with pytest.raises(ValueError, match="'zero1'; choose one of ddp, fsdp2, zero2, zero3"):
        Setup(sharding="zero1")


def test_units():
    assert [readable(n) for n in (12, 1500, 2.5e9, 3e12)] == ["12 B", "1.5 kB", "2.5 GB", "3.0 TB"]


# Against runs ------------------------------------------------------------------------------------------------------


def test_a_run_of_the_tiny_model_is_as_planned(tmp_path):
    found = bench.measure("tiny", str(tmp_path))
    ratio = {name: row["predicted"] / row["measured"] for name, row in found.items() if row["measured"]}
    for name in ("parameters", "optimiser steps", "policy, no gradient", "reference", "policy, forward"):
        assert ratio[name] == 1, name
    assert ratio["gradients, bytes"] == ratio["optimiser, bytes"] == 1
    for name in ("rollouts, at most", "generated tokens, at most", "replies, at most"):
        assert ratio[name] >= 1, name
    assert 0.99 < ratio["model of a checkpoint, bytes"] < 1.01
    assert 0.98 < ratio["optimiser of a checkpoint, bytes"] < 1.02
    assert found["rest of a checkpoint, bytes"]["measured"] < 1e6
    assert 0.9 < ratio["training step, allocated bytes"] < 1.1
    # never touched: the words of the LM head's tile that the tiny vocabulary lacks
    assert ratio.get("training step, resident bytes", 1) < 3


def test_with_gradient_checkpointing_and_one_step_a_batch_too(tmp_path):
    found = bench.measure("tiny", str(tmp_path), gradient_checkpointing=True, gradient_accumulation_steps=4, beta=0)
    ratio = {name: row["predicted"] / row["measured"] for name, row in found.items() if row["measured"]}
    assert ratio["optimiser steps"] == ratio["policy, forward"] == 1
    assert found["policy, no gradient"] == found["reference"] == {"predicted": 0, "measured": 0}
    assert 0.9 < ratio["training step, allocated bytes"] < 1.1


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "autocast"])
def test_layers_take_the_memory_that_the_model_says(kind):
    (row,) = bench.measure_layers(kind).values()
    assert 0.9 < row["predicted"] / row["measured"] < 1.1
