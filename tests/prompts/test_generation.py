"""Group generation writes what Transformers' `generate` writes, in less work."""

import random
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import (
    GenerationConfig,
)

from serl_trl.prompts.generation import group_generation
from written_tokens import (
    ASKED,
    CONFIGS,
    PLAIN,
    VOCABULARY,
    assert_same,
    count_work,
    model_of,
    padded,
    random_model,
    uniforms_of,
    with_uniforms,
    written,
)


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
