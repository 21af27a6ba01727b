"""Group generation stays within the memory that there is."""

import logging
from typing import Any

import pytest
import torch
from transformers import (
    DeepseekV3Config,
    FalconConfig,
    GenerationConfig,
)

from serl_trl.prompts.generation import GroupGeneration, group_generation
from serl_trl.prompts.memory_bound import most_rows, row_bytes
from written_tokens import (
    ASKED,
    PLAIN,
    SIZES,
    VOCABULARY,
    assert_same,
    model_of,
    padded,
    random_model,
    uniforms_of,
    with_uniforms,
    written,
)


def test_the_estimate_is_what_a_cache_takes():
    for name in ("llama", "qwen3", "gpt2"):
        model = model_of(name)
        with torch.no_grad():
            cache = model(torch.ones(2, 11, dtype=torch.long)).past_key_values
        size = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers) / 2
        sampling = VOCABULARY * (4 + 4 * 6)
        assert row_bytes(model.config, 11, torch.float32) == size + sampling, name


LATENT: dict[str, Any] = {
    "num_key_value_heads": 4, "q_lora_rank": 16, "kv_lora_rank": 12, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4,
    "v_head_dim": 8, "first_k_dense_replace": 3,
}  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        DeepseekV3Config(**{**SIZES, **LATENT}),
        FalconConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
    ],
    ids=["latent attention", "one head of keys"],
)
def test_the_estimate_knows_caches_that_are_smaller(config):
    model = random_model(config)
    with torch.no_grad():
        cache = model(torch.ones(1, 11, dtype=torch.long)).past_key_values
    size = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert row_bytes(model.config, 11, torch.float32) == size + VOCABULARY * (4 + 4 * 6)


def test_the_estimate_reads_sizes_that_layers_have_of_their_own():
    transformers = pytest.importorskip("transformers", minversion="5.23")
    config = transformers.Gemma4TextConfig(
        **SIZES, head_dim=8, global_head_dim=16, num_kv_shared_layers=0, hidden_size_per_layer_input=0,
        layer_types=["sliding_attention", "full_attention", "full_attention"], sliding_window=32,
    )  # fmt: skip
    assert_same(random_model(config), padded(ASKED), GenerationConfig(**PLAIN, do_sample=True))


def test_a_batch_that_would_not_fit_is_written_in_parts(monkeypatch, caplog):
    model = model_of("llama")
    each = row_bytes(model.config, 22, torch.float32)
    monkeypatch.setattr("serl_trl.prompts.memory_bound.free_bytes", lambda device: 5 * each)
    assert most_rows(model, 22) == 4
    sizes = []
    hook = model.register_forward_pre_hook(
        lambda _, __, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    config = GenerationConfig(max_new_tokens=20, do_sample=False, pad_token_id=0)
    asked = padded([[7, 8]] * 5 + [[9, 10]] * 5)
    with caplog.at_level(logging.WARNING):
        found, _ = written(model, asked, config, 0, group_generation)
    hook.remove()
    assert max(sizes) == 4
    assert "10 rows of 22 tokens would not fit into memory; they are written 4 at a time." in caplog.text
    expected, _ = written(model, asked, config, 0)
    assert found.tolist() == expected.tolist()


class OutOfMemoryAbove:
    """A model's `generate` that runs out of memory for more than so many rows, after it has drawn some numbers."""

    def __init__(self, model, num_rows):
        self.generate, self.num_rows, self.calls = model.generate, num_rows, []

    def __call__(self, **kwargs):
        self.calls.append(len(kwargs["input_ids"]))
        if self.calls[-1] > self.num_rows:
            torch.rand(3)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.generate(**kwargs)


def test_running_out_of_memory_halves_once_and_loses_nothing(caplog):
    model = model_of("llama")
    rows = [[7, 8]] * 6 + [[9, 10, 11]] * 6
    config = GenerationConfig(max_new_tokens=20, do_sample=True, top_k=0, eos_token_id=[2, 3, 4, 5], pad_token_id=0)
    expected = []
    torch.manual_seed(1)
    with group_generation(model):
        for part in (rows[:6], rows[6:]):
            expected += [
                row[len(part[0]) :] for row in model.generate(**padded(part), generation_config=config).tolist()
            ]
    generation = GroupGeneration(model)
    generation.generate = OutOfMemoryAbove(model, 6)
    torch.manual_seed(1)
    with caplog.at_level(logging.WARNING):
        found = generation(**padded(rows), generation_config=config)[:, 3:].tolist()
    assert generation.generate.calls == [12, 6, 6]
    assert "12 rows have run out of memory; from here on it is 6 at a time." in caplog.text
    for one, other in zip(found, expected, strict=True):
        length = min(len(one), len(other))
        assert one[:length] == other[:length]
        assert not any(one[length:] + other[length:])


def test_what_is_done_before_memory_runs_out_is_kept():
    model = model_of("llama")
    rows = [[7, 8]] * 2 + [[9, 10, 11]] * 6
    generation = GroupGeneration(model, uniforms_of(8, 20), 6)
    generation.generate = calls = OutOfMemoryAbove(model, 3)
    config = GenerationConfig(max_new_tokens=20, do_sample=True, top_k=0, eos_token_id=[2, 3, 4, 5], pad_token_id=0)
    found = generation(**padded(rows), generation_config=config)
    assert calls.calls.count(2) >= 1
    assert calls.calls.count(6) == 1
    assert found.tolist() == with_uniforms(model, rows, uniforms_of(8, 20)).tolist()


def test_running_out_twice_is_the_error_it_is():
    model = model_of("llama")
    generation = GroupGeneration(model)
    generation.generate = calls = OutOfMemoryAbove(model, 2)
    with pytest.raises(torch.OutOfMemoryError, match="Tried to allocate"):
        generation(**padded([[7, 8]] * 12), generation_config=GenerationConfig(max_new_tokens=2, pad_token_id=0))
    assert calls.calls == [12, 6]
