"""Group generation writes what Transformers' `generate` writes, in less work, and leaves to it what it cannot do."""

import functools
import logging
import random
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoTokenizer,
    BertConfig,
    DeepseekV3Config,
    FalconConfig,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    T5Config,
    T5ForConditionalGeneration,
)

from serl_trl.laboratory import CHECKPOINT
from serl_trl.prompts.generation import GroupGeneration, group_generation
from serl_trl.prompts.memory_bound import most_rows, row_bytes
from written_tokens import SIZES, VOCABULARY, assert_same, count_work, padded, random_model, written


WINDOW: dict[str, Any] = {"sliding_window": 6}
CONFIGS = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES, use_sliding_window=True, max_window_layers=1, **WINDOW),
    "qwen3": Qwen3Config(**SIZES, head_dim=8),
    "gemma3": Gemma3TextConfig(
        **SIZES, head_dim=8, layer_types=["sliding_attention", "full_attention", "sliding_attention"], **WINDOW
    ),
    "mistral": MistralConfig(**SIZES, **WINDOW),
    "phi3": Phi3Config(**SIZES),
    "gpt2": GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=3, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2
    ),
    "olmo2": Olmo2Config(**SIZES),
}


@functools.cache
def model_of(name):
    return random_model(CONFIGS[name])


@st.composite
def requests(draw):
    """Prompts of random lengths, each for a group of completions, in any order, and any sampling settings."""
    words = random.Random(draw(st.integers(0, 2**32)))
    lengths = draw(st.lists(st.integers(1, 24), min_size=1, max_size=4))
    size = draw(st.integers(1, 6))
    rows = [prompt for n in lengths for prompt in [[words.randrange(3, VOCABULARY) for _ in range(n)]] * size]
    if draw(st.booleans()):
        words.shuffle(rows)
    sampling: dict[str, Any] = {"do_sample": False}
    if draw(st.integers(0, 3)):
        sampling = {
            "do_sample": True,
            "temperature": draw(st.sampled_from([0.5, 1.0, 1.7])),
            "top_k": draw(st.sampled_from([0, 5])),
            "top_p": draw(st.sampled_from([1.0, 0.7])),
            "min_p": draw(st.sampled_from([None, 0.02])),
        }
    config = GenerationConfig(
        max_new_tokens=draw(st.sampled_from([1, 12, 30])),
        repetition_penalty=draw(st.sampled_from([1.0, 1.3])),
        eos_token_id=words.sample(range(VOCABULARY), draw(st.sampled_from([1, 5, 30]))),
        pad_token_id=0,
        **sampling,
    )
    return padded(rows), config


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request=requests(), seed=st.integers(0, 2**32))
def test_tokens_and_random_numbers_are_those_of_generate(name, request, seed):
    asked, config = request
    assert_same(model_of(name), asked, config, seed)


def test_a_batch_of_one_and_an_end_at_the_first_token():
    asked = padded([[5, 6, 7]])
    assert_same(
        model_of("llama"), asked, GenerationConfig(max_new_tokens=9, do_sample=True, eos_token_id=2, pad_token_id=0)
    )
    all_end = GenerationConfig(max_new_tokens=9, do_sample=True, eos_token_id=list(range(VOCABULARY)), pad_token_id=0)
    tokens, _ = written(model_of("llama"), asked, all_end, 0, group_generation)
    assert tokens.shape == (1, 4)
    assert_same(model_of("llama"), padded([[5], [5, 6, 7], [5]]), all_end)


def test_without_an_end_and_without_a_pad_token():
    asked = padded([[5, 6], [5, 6], [8]])
    assert_same(model_of("qwen3"), asked, GenerationConfig(max_new_tokens=9, do_sample=True, pad_token_id=0))
    assert_same(model_of("qwen3"), asked, GenerationConfig(max_new_tokens=9, do_sample=True, eos_token_id=[9, 10, 11]))


@pytest.mark.parametrize("is_active", [True, False])
def test_adapter_active_or_not(is_active):
    model = get_peft_model(
        random_model(CONFIGS["llama"]), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    ).eval()
    model.generation_config = GenerationConfig()  # type: ignore[assignment]
    asked = padded([[5, 6, 7]] * 4 + [[8]] * 4)
    config = GenerationConfig(max_new_tokens=20, do_sample=True, top_k=0, eos_token_id=[2, 3, 4, 5], pad_token_id=0)
    if is_active:
        assert_same(model, asked, config)
    else:
        with model.disable_adapter():
            assert_same(model, asked, config)


def test_bfloat16_agrees_to_rounding():
    model = random_model(CONFIGS["llama"]).to(torch.bfloat16)
    asked = padded([[5, 6, 7, 8]] * 6 + [[9, 10]] * 6)
    config = GenerationConfig(max_new_tokens=16, do_sample=True, top_k=0, pad_token_id=0)
    logits: dict[Any, list[torch.Tensor]] = {}
    tokens = {}
    for way in (None, group_generation):
        logits[way] = []
        hook = model.lm_head.register_forward_hook(
            lambda _, __, output, seen=logits[way]: seen.append(output[:, -1].float())
        )
        tokens[way] = written(model, asked, config, 0, way)[0][:, 4:]
        hook.remove()
    assert len(logits[None][0]) == 12
    assert len(logits[group_generation][0]) == 2
    logits[group_generation][0] = logits[group_generation][0].repeat_interleave(6, dim=0)
    num_compared = 0
    for row in range(12):
        same = (tokens[None][row] == tokens[group_generation][row]).int()
        for t in range(min(int(same.cumprod(0).sum()) + 1, 16)):  # as long as what stands before is the same
            one, other = (logits[way][t][row].log_softmax(-1) for way in (None, group_generation))
            assert (one - other).abs().max() < 2**-4
            num_compared += 1
    assert num_compared > 100


def test_a_prompt_is_computed_once_and_ended_rows_leave():
    model, asked = model_of("llama"), padded([[5, 6, 7, 8]] * 8 + [[9, 10, 11, 12]] * 8)
    config = GenerationConfig(max_new_tokens=60, do_sample=True, eos_token_id=list(range(2, 14)), pad_token_id=0)
    theirs, ours = count_work(model, asked, config), count_work(model, asked, config, group_generation)
    assert theirs[0] == 64
    assert ours[0] == 8
    assert set(theirs[1:]) == {16}
    assert len(ours) == len(theirs)
    assert ours[1] == 16
    assert ours[-1] <= 4
    assert ours == sorted(ours, key=lambda n: (n == 8, n), reverse=True)  # rows only ever leave


# Numbers of a row's own ------------------------------------------------------------------------------------------------


def uniforms_of(num_rows, num_tokens, seed=0):
    return torch.rand(num_rows, num_tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_uniforms(model, prompts, uniforms, batch_size=None, num_tokens=20):
    config = GenerationConfig(
        max_new_tokens=num_tokens, do_sample=True, top_k=0, eos_token_id=[2, 3, 4, 5], pad_token_id=0
    )
    with group_generation(model, uniforms, batch_size):
        return model.generate(**padded(prompts), generation_config=config)


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_a_row_is_the_same_whatever_is_beside_it(name):
    model, words = model_of(name), random.Random(3)
    prompts = [[words.randrange(6, VOCABULARY) for _ in range(words.choice([2, 5, 9]))] for _ in range(6)]
    rows = [prompt for prompt in prompts for _ in range(4)]
    uniforms = uniforms_of(len(rows), 20)
    whole = with_uniforms(model, rows, uniforms)
    width = max(map(len, rows))
    for size in (1, 3, 7):
        again = with_uniforms(model, rows, uniforms, size)
        assert again.tolist() == whole.tolist()
    alone = with_uniforms(model, rows[9:10], uniforms[9:10])
    of_whole = whole[9, width:].tolist()
    of_alone = alone[0, len(rows[9]) :].tolist()
    assert of_whole[: len(of_alone)] == of_alone
    assert set(of_whole[len(of_alone) :]) <= {0}


def test_the_random_state_is_left_alone_with_numbers_of_ones_own():
    model = model_of("llama")  # which seeds the random state when it is made
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with_uniforms(model, [[7, 8]] * 3, uniforms_of(3, 20))
    assert torch.rand(1) == expected


# Memory ----------------------------------------------------------------------------------------------------------------


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


# What is left to generate ------------------------------------------------------------------------------------------------


@pytest.fixture
def said(caplog):
    """The reasons that have been said, from a state in which none has been."""
    from serl_trl.prompts import generation as module

    module._say_once.cache_clear()
    caplog.set_level(logging.WARNING)
    return lambda: [record.message for record in caplog.records if "Transformers' own loop" in record.message]


ASKED = [[5, 6, 7]] * 3 + [[8, 9]] * 3
PLAIN = {"max_new_tokens": 8, "pad_token_id": 0, "eos_token_id": 2}
LEFT_TO_GENERATE: dict[str, tuple[dict[str, Any], str]] = {
    "beams": ({"num_beams": 2}, "generation by beam search"),
    "static cache": ({"cache_implementation": "static"}, "the cache StaticCache"),
    "no cache": ({"use_cache": False}, "the cache NoneType"),
    "penalty on the prompt": ({"encoder_repetition_penalty": 1.2}, "EncoderRepetitionPenaltyLogitsProcessor"),
    "scores": ({"return_dict_in_generate": True, "output_scores": True}, "scores"),
    "several for a row": ({"num_return_sequences": 2, "do_sample": True}, "num_return_sequences"),
    "a prompt in chunks": ({"prefill_chunk_size": 2}, "a prompt in chunks"),
    "prompt lookup": ({"prompt_lookup_num_tokens": 2}, "generation by assisted generation"),
}


@pytest.mark.parametrize(("further", "reason"), LEFT_TO_GENERATE.values(), ids=LEFT_TO_GENERATE)
def test_what_cannot_be_shared_is_left_to_generate_and_said_once(said, further, reason):
    model, asked, config = model_of("llama"), padded(ASKED), GenerationConfig(**PLAIN | further)
    if "prompt_lookup_num_tokens" in further:
        asked = padded(ASKED[:1])
    expected, _ = written(model, asked, config, 0)
    for _ in range(2):
        found, _ = written(model, asked, config, 0, group_generation)
        for one, other in ((found, expected),) if torch.is_tensor(found) else ((found.sequences, expected.sequences),):
            assert one.tolist() == other.tolist()
    (message,) = said()
    assert reason in message


def test_a_model_that_fills_no_cache(said):
    model = random_model(BertConfig(**{**SIZES, "eos_token_id": None}, is_decoder=False))
    assert_same(model, padded(ASKED), GenerationConfig(**PLAIN, do_sample=True))
    assert "BertLMHeadModel fills no cache" in said()[0]


def test_activated_lora_looks_for_its_beginning_in_each_row(said):
    lora = LoraConfig(
        task_type="CAUSAL_LM", target_modules=["q_proj"], alora_invocation_tokens=[6, 7], init_lora_weights=False
    )
    model = get_peft_model(random_model(CONFIGS["llama"]), lora).eval()
    model.generation_config = GenerationConfig()  # type: ignore[assignment]
    assert_same(model, padded(ASKED), GenerationConfig(**PLAIN, do_sample=True))
    assert "activated LoRA" in said()[0]


def test_stop_strings_are_left_to_generate_which_needs_a_tokenizer(said):
    model, asked = model_of("llama"), padded(ASKED)
    tokenizer = AutoTokenizer.from_pretrained(str(CHECKPOINT))
    config = GenerationConfig(
        **PLAIN, do_sample=True, stop_strings=tokenizer.batch_decode([[i] for i in range(40, 50)])
    )
    torch.manual_seed(0)
    expected = model.generate(**asked, generation_config=config, tokenizer=tokenizer)
    torch.manual_seed(0)
    with group_generation(model):
        found = model.generate(**asked, generation_config=config, tokenizer=tokenizer)
    assert found.tolist() == expected.tolist()
    assert "tokenizer" in said()[0]


def test_models_without_keys_and_values(said):
    sizes: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "pad_token_id": 0,
        "eos_token_id": 2,
    }
    assert_same(random_model(MambaConfig(**sizes)), padded(ASKED), GenerationConfig(**PLAIN, do_sample=True))
    assert "MambaForCausalLM" in said()[0]


def test_encoder_decoder(said):
    config = T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    model = T5ForConditionalGeneration(config).eval()
    model.generation_config = GenerationConfig(decoder_start_token_id=0)
    asked = padded(ASKED)
    assert_same(model, asked, GenerationConfig(**PLAIN, decoder_start_token_id=0))
    assert "an encoder-decoder model" in said()[0]


def test_an_assistant_and_other_arguments(said):
    model, config = model_of("llama"), GenerationConfig(**PLAIN)
    asked = padded(ASKED[:1]) | {"assistant_model": model_of("llama")}
    assert_same(model, asked, config)
    assert "assistant_model" in said()[0]


@pytest.mark.parametrize("name", ["is_deepspeed_zero3_enabled", "is_fsdp_managed_module"])
def test_sharded_parameters(said, monkeypatch, name):
    from serl_trl.prompts import generation as module

    monkeypatch.setattr(module, name, lambda *args: True)
    assert_same(model_of("llama"), padded(ASKED), GenerationConfig(**PLAIN, do_sample=True))
    assert "parameters are sharded" in said()[0]


def test_generate_of_a_checkpoints_own_is_left_alone():
    model = random_model(CONFIGS["llama"])
    model.generate = own = lambda **kwargs: "its own"
    with group_generation(model):
        assert model.generate is own
    assert model.generate is own


def test_what_cannot_be_shared_leaves_the_random_state_alone_with_numbers_of_ones_own(said):
    model, config = model_of("llama"), GenerationConfig(**PLAIN, num_beams=2, do_sample=True)
    outputs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        with group_generation(model, uniforms_of(6, 8)):
            outputs.append(model.generate(**padded(ASKED), generation_config=config).tolist())
        expected = torch.rand(2, generator=torch.Generator().manual_seed(seed))
        assert torch.rand(2).tolist() == expected.tolist()
    assert outputs[0] == outputs[1]


def test_numbers_of_ones_own_draw_the_same_tokens_where_generate_writes(said, monkeypatch):
    from serl_trl.prompts import generation as module

    model, asked = model_of("llama"), padded(ASKED)
    for further in ({}, {"temperature": 0.6, "top_k": 9, "top_p": 0.8, "repetition_penalty": 1.3}, {"min_p": 0.05}):
        config = GenerationConfig(**PLAIN | {"do_sample": True, "top_k": 0, "max_new_tokens": 20} | further)
        with group_generation(model, uniforms_of(6, 20)):
            expected = model.generate(**asked, generation_config=config)
        with monkeypatch.context() as patch:
            patch.setattr(module, "is_fsdp_managed_module", lambda *args: True)
            with group_generation(model, uniforms_of(6, 20)):
                found = model.generate(**asked, generation_config=config)
        assert found.tolist() == expected.tolist()
        assert len({tuple(row) for row in found.tolist()}) > 3
    assert "parameters are sharded" in said()[0]


def test_a_block_within_a_block():
    model = random_model(CONFIGS["llama"])
    with group_generation(model):
        outer = model.generate
        with group_generation(model, uniforms_of(1, 4)):
            assert model.generate is not outer
            assert model.generate.uniforms is not None
        assert model.generate is outer
    assert "generate" not in vars(model)


def test_rare_cut_offs_hold_where_generate_writes_by_row(said, monkeypatch):
    """A cut-off that leaves one token: it would draw others if it were lost."""
    from serl_trl.prompts import generation as module

    model, asked = model_of("llama"), padded(ASKED)
    monkeypatch.setattr(module, "is_fsdp_managed_module", lambda *args: True)
    config = GenerationConfig(**PLAIN | {"do_sample": True, "top_k": 0, "epsilon_cutoff": 0.9})
    greedy, _ = written(model, asked, GenerationConfig(**PLAIN), 0)
    with group_generation(model, uniforms_of(6, 8)):
        found = model.generate(**asked, generation_config=config)
    assert found.tolist() == greedy.tolist()


def test_generate_of_fsdp2_gets_the_numbers_of_rows(said, monkeypatch):
    """Accelerate sets a `generate` on the model itself there, which gathers the parameters."""
    from serl_trl.prompts import generation as module

    model = random_model(CONFIGS["llama"])
    config = GenerationConfig(**PLAIN | {"do_sample": True, "top_k": 0})
    with group_generation(model, uniforms_of(6, 8)):
        expected = model.generate(**padded(ASKED), generation_config=config)
    monkeypatch.setattr(module, "_is_sharded", lambda model: True)
    model.generate = own = model.generate
    with group_generation(model, uniforms_of(6, 8)):
        assert model.generate(**padded(ASKED), generation_config=config).tolist() == expected.tolist()
    assert model.generate is own
    assert "parameters are sharded" in said()[0]


def test_the_model_is_as_it_was_afterwards():
    model = random_model(CONFIGS["llama"])
    with pytest.raises(KeyError), group_generation(model):
        raise KeyError("in the block")
    assert "generate" not in vars(model)
    assert not model.get_output_embeddings()._forward_pre_hooks


def test_the_head_gets_its_input_in_one_piece():
    model, seen = random_model(CONFIGS["llama"]), []
    with group_generation(model):
        hook = model.lm_head.register_forward_pre_hook(lambda _, args: seen.append(args[0].is_contiguous()))
        model.generate(**padded(ASKED), generation_config=GenerationConfig(**PLAIN, num_beams=2))
        model.generate(**padded(ASKED), generation_config=GenerationConfig(**PLAIN))
        hook.remove()
    assert seen
    assert all(seen)
