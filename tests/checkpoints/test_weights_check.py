"""Models whose weights have other names in a checkpoint than in memory, stopped and resumed, compared bit by bit."""

import json
import shutil
from typing import Any

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    Qwen3MoeConfig,
    TrainerCallback,
)

from runs import SETTINGS, differences, seeds
from serl_trl import MajorityVoteReward, SeRLConfig, SeRLTrainer
from serl_trl.checkpoints.weights_check import load_if_renamed, saved_names, tensor_hashes
from serl_trl.laboratory import CHECKPOINT
from serl_trl.monitoring.collapse_guard import CollapseGuard
from serl_trl.monitoring.collapse_signs import CollapseLimits


SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
EXPERTS = {"num_key_value_heads": 1, "num_experts_per_tok": 2}
CONFIGS = {
    "qwen3_moe": (Qwen3MoeConfig, {**EXPERTS, "num_experts": 4, "moe_intermediate_size": 8, "head_dim": 8}),
    "mixtral": (MixtralConfig, {**EXPERTS, "num_local_experts": 4}),
    "gpt_neox": (GPTNeoXConfig, {}),
    "llama": (LlamaConfig, {}),
}
RENAMED = {  # a name in the checkpoint of each, that the model does not have
    "qwen3_moe": "model.layers.1.mlp.experts.3.up_proj.weight",
    "mixtral": "model.layers.1.block_sparse_moe.gate.weight",
    "gpt_neox": "embed_out.weight",
}
# Four steps with a checkpoint of each, two of a rollout.
SHORT = {**SETTINGS, "self_instruct": False, "num_train_epochs": 2, "logging_steps": 1, "log_completions": False}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Folders of random models with the built-in model's tokenizer."""
    folder, tokenizer = tmp_path_factory.mktemp("bases"), AutoTokenizer.from_pretrained(CHECKPOINT)
    for name, (config, sizes) in CONFIGS.items():
        torch.manual_seed(7)
        ids = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        model = AutoModelForCausalLM.from_config(config(vocab_size=len(tokenizer), **SIZES, **sizes, **ids))
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


def spread(completions, **kwargs):
    """A reward that differs among completions, whatever they are."""
    return [float(len(completion[0]["content"]) % 7) for completion in completions]


def trainer(base, output_dir, rewards=spread, **settings):
    kwargs = {name: settings.pop(name) for name in ("peft_config", "eval_dataset") if name in settings}
    args = SeRLConfig(str(output_dir), **{**SHORT, **settings})
    return SeRLTrainer(str(base), rewards, args, seeds(4), **kwargs)


def hashes(run):
    return tensor_hashes(dict(run.model.named_parameters()))


@pytest.mark.parametrize("name", RENAMED)
def test_a_killed_run_ends_as_the_run_that_was_not(bases, tmp_path, name):
    whole = trainer(bases / name, tmp_path / "whole", hub_model_id="me/it")
    first = hashes(whole)
    whole.train()
    assert RENAMED[name] in saved_names(tmp_path / "whole" / "checkpoint-2") - whole.model.state_dict().keys()
    assert not set(first.items()) & set(hashes(whole).items())  # every parameter has moved
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "again" / "checkpoint-2")
    again = trainer(bases / name, tmp_path / "again", hub_model_id="me/it")
    again.train(resume_from_checkpoint=True)
    assert hashes(again) == hashes(whole)
    assert differences(tmp_path / "whole", tmp_path / "again", 4) == []


@pytest.mark.parametrize("name", RENAMED)
def test_the_best_model_is_the_one_that_was_saved(bases, tmp_path, name):
    metric = "eval_rewards/spread/mean"
    evaluation = {"eval_strategy": "steps", "eval_steps": 1, "eval_dataset": seeds(2), "per_device_eval_batch_size": 4}
    best = {"load_best_model_at_end": True, "metric_for_best_model": metric, "num_generations_eval": 4}
    run, found = trainer(bases / name, tmp_path, **evaluation, **best), {}
    evaluate = run.evaluate
    run.evaluate = lambda *a, **k: evaluate(*a, **k) | {metric: -abs(run.state.global_step - 2)}

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            found[state.global_step] = hashes(run)

    run.add_callback(Watch())
    run.train()
    assert run.state.best_model_checkpoint == str(tmp_path / "checkpoint-2")
    assert hashes(run) == found[2] != found[4]


@pytest.mark.parametrize("name", ["mixtral"])
def test_a_guard_goes_back_to_what_was_saved(bases, tmp_path, name):
    run = trainer(bases / name, tmp_path, [spread, MajorityVoteReward()], min_vote_share=0, max_vote_share=1)
    unwatched: dict[str, Any] = dict.fromkeys(("top_answer", "no_answer", "length_ratio", "frac_kept"))
    limits = CollapseLimits(abandoned=1e-9, **unwatched)
    guard = CollapseGuard(run, "restore", num_probes=2, probe_every=1, limits=limits)
    look, found = guard.probes.look, []

    def scripted():
        found.append(hashes(run))
        told = {"serl/probe/frac_settled": 1.0, "serl/probe/frac_abandoned": float(len(found) > 3)}
        return look() | told

    guard.probes.look = scripted
    run.add_callback(guard)
    run.train()
    assert [alarm["step"] for alarm in guard.alarms] == [3]
    assert hashes(run) == found[1] != found[3]


@pytest.mark.parametrize("size", ["2KB", "1GB"])
@pytest.mark.parametrize("name", RENAMED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_whatever_is_in_how_many_files(bases, tmp_path, name, size, dtype):
    saved = AutoModelForCausalLM.from_pretrained(bases / name, dtype=dtype)
    if name == "mixtral":  # two types in one model
        saved.model.float()
    saved.save_pretrained(tmp_path, max_shard_size=size)
    other = AutoModelForCausalLM.from_config(saved.config, dtype=dtype)
    if name == "mixtral":
        other.model.float()
    places = {key: value.data_ptr() for key, value in other.named_parameters()}
    assert load_if_renamed(other, tmp_path)
    assert tensor_hashes(dict(other.named_parameters())) == tensor_hashes(dict(saved.named_parameters()))
    assert {key: value.data_ptr() for key, value in other.named_parameters()} == places  # an optimiser holds them


def test_names_that_are_the_models_own_are_left_to_trainer(bases, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(bases / "llama")
    assert not load_if_renamed(model, bases / "llama")
    assert not load_if_renamed(model, tmp_path)  # nothing there
    assert not load_if_renamed(torch.nn.Linear(1, 1), bases / "gpt_neox")


def test_weights_of_another_model_are_refused_by_name(bases):
    model = AutoModelForCausalLM.from_pretrained(bases / "llama")
    with pytest.raises(ValueError, match=r"gpt_neox does not hold the weights of a LlamaForCausalLM"):
        load_if_renamed(model, bases / "gpt_neox")


# Hashes --------------------------------------------------------------------------------------------------------------


def test_one_bit_is_seen_in_any_type_and_shape():
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensors = {
        "float": values,
        "half": values.bfloat16(),
        "column": values.T,
        "number": torch.tensor(5),
        "mask": values > 2,
    }
    first = tensor_hashes(tensors)
    assert first == tensor_hashes({name: tensor.clone() for name, tensor in tensors.items()})
    assert len(set(first.values())) == len(tensors)
    changed = values.clone()
    changed.view(torch.int32)[1, 1] ^= 1
    assert tensor_hashes({"float": changed}) != {"float": first["float"]}
    assert tensor_hashes({"nowhere": torch.empty(2, device="meta")}) == {}


def test_of_a_parameter_in_parts_the_own_part_counts():
    parameter = torch.nn.Parameter(torch.empty(0))
    parameter.ds_tensor = torch.tensor([1.0, 2.0])  # type: ignore[attr-defined]  # DeepSpeed's
    assert tensor_hashes({"a": parameter}) == tensor_hashes({"a": torch.tensor([1.0, 2.0])})


def spoil(checkpoint, name, change):
    path = checkpoint / name
    tensors = load_file(path)
    key = sorted(tensors)[0]
    tensors[key] = change(tensors[key])
    save_file(tensors, path, metadata={"format": "pt"})
    return key


def test_a_load_that_gives_other_weights_is_an_error(bases, tmp_path):
    trainer(bases / "llama", tmp_path, max_steps=1).train()
    key = spoil(tmp_path / "checkpoint-1", "model.safetensors", lambda values: values + 1e-3)
    run = trainer(bases / "llama", tmp_path)
    with pytest.raises(ValueError, match=rf"checkpoint-1 was loaded, but 1 of \d+ parameters .* \({key}\)"):
        run.train(resume_from_checkpoint=True)
    assert run.state.global_step == 1  # nothing was trained


def test_a_checkpoint_without_hashes_is_loaded_with_a_warning(bases, tmp_path, caplog):
    trainer(bases / "llama", tmp_path, max_steps=1).train()
    marker = tmp_path / "checkpoint-1" / "complete.json"
    files = json.loads(marker.read_text())["files"]
    del files["serl_state/weights.json"]
    marker.write_text(json.dumps({"files": files}))
    (tmp_path / "checkpoint-1" / "serl_state" / "weights.json").unlink()
    trainer(bases / "llama", tmp_path, max_steps=2).train(resume_from_checkpoint=True)
    assert "checkpoint-1 was written without hashes of its weights" in caplog.text


LORA: dict[str, Any] = {"r": 4, "task_type": "CAUSAL_LM", "init_lora_weights": False}


@pytest.mark.parametrize(
    ("name", "lora"),
    [
        ("llama", {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}),
        ("qwen3_moe", {"target_modules": ["q_proj", "v_proj"]}),
        ("gpt_neox", {"target_modules": ["query_key_value"], "modules_to_save": ["lm_head"]}),
    ],
)
def test_adapters(bases, tmp_path, name, lora):
    config = {"peft_config": LoraConfig(**LORA, **lora), "hub_model_id": "me/it"}
    whole = trainer(bases / name, tmp_path / "whole", **config)
    whole.train()
    shutil.copytree(tmp_path / "whole" / "checkpoint-2", tmp_path / "again" / "checkpoint-2")
    again = trainer(bases / name, tmp_path / "again", **config)
    again.train(resume_from_checkpoint=True)
    assert hashes(again) == hashes(whole)
    saved = json.loads((tmp_path / "whole" / "checkpoint-2" / "serl_state" / "weights.json").read_text())["hashes"]
    assert saved.keys() == dict(whole.model.named_parameters()).keys()


def test_an_adapter_on_another_base_is_an_error(bases, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(bases / "llama", base)
    config = {"peft_config": LoraConfig(**LORA, target_modules=["q_proj"])}
    trainer(base, tmp_path / "run", max_steps=1, **config).train()
    key = spoil(base, "model.safetensors", lambda values: values + 1e-3)
    with pytest.raises(ValueError, match=rf"1 of \d+ parameters are not what was saved \(\S*{key}\S*\). Use the base"):
        trainer(base, tmp_path / "run", **config).train(resume_from_checkpoint=True)
