"""Random models, prompts for them, and what `generate` and group generation write."""

import functools
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
)

from serl_trl.prompts.generation import group_generation


VOCABULARY = 97
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
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
ASKED = [[5, 6, 7]] * 3 + [[8, 9]] * 3
PLAIN = {"max_new_tokens": 8, "pad_token_id": 0, "eos_token_id": 2}


def random_model(config: Any) -> Any:
    """Weights that are large enough for its tokens to depend on what stands before."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    model.generation_config = GenerationConfig()
    return model


@functools.cache
def model_of(name):
    return random_model(CONFIGS[name])


def padded(prompts):
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return {"input_ids": ids, "attention_mask": mask}


def written(model, asked, config, seed, way=None):
    """What a way of generation writes, and the random number that comes next."""
    torch.manual_seed(seed)
    with way(model) if way else torch.no_grad():
        tokens = model.generate(**asked, generation_config=config)
    return tokens, torch.rand(1)


def assert_same(model: Any, asked: Any, config: GenerationConfig, seed: int = 0, way: Any = group_generation) -> None:
    expected, next_expected = written(model, asked, config, seed)
    found, next_found = written(model, asked, config, seed, way)
    assert found.tolist() == expected.tolist()
    assert next_found == next_expected


def count_work(model, asked, config, way=None):
    """Tokens that a model is given in all of its forward passes."""
    counted = []
    hook = model.model.register_forward_pre_hook(
        lambda _, __, kwargs: counted.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    try:
        written(model, asked, config, 0, way)
    finally:
        hook.remove()
    return counted


def uniforms_of(num_rows, num_tokens, seed=0):
    return torch.rand(num_rows, num_tokens, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_uniforms(model, prompts, uniforms, batch_size=None, num_tokens=20):
    config = GenerationConfig(
        max_new_tokens=num_tokens, do_sample=True, top_k=0, eos_token_id=[2, 3, 4, 5], pad_token_id=0
    )
    with group_generation(model, uniforms, batch_size):
        return model.generate(**padded(prompts), generation_config=config)
