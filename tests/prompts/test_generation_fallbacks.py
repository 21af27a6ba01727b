"""What group generation cannot do is left to Transformers' `generate`, and said once."""

import logging
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoTokenizer,
    BertConfig,
    GenerationConfig,
    MambaConfig,
    T5Config,
    T5ForConditionalGeneration,
)

from serl_trl.laboratory import CHECKPOINT
from serl_trl.prompts.generation import group_generation
from written_tokens import (
    ASKED,
    CONFIGS,
    PLAIN,
    SIZES,
    VOCABULARY,
    assert_same,
    model_of,
    padded,
    random_model,
    uniforms_of,
    written,
)


@pytest.fixture
def said(caplog):
    """The reasons that have been said, from a state in which none has been."""
    from serl_trl.prompts import generation as module

    module._say_once.cache_clear()
    caplog.set_level(logging.WARNING)
    return lambda: [record.message for record in caplog.records if "Transformers' own loop" in record.message]


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
