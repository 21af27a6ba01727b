"""Random models of eight architectures, small enough for a test, and batches for them."""

import inspect
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import Accelerator
from transformers import AutoConfig, AutoModelForCausalLM
from trl import GRPOTrainer
from trl.trainer import add_fused_lm_head

from serl_trl.trainer.token_logprobs import TokenLogprobs


VOCABULARY = 50
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "attention_dropout": 0.0,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]},
    "mistral": {"head_dim": 8, "sliding_window": 4},
    "phi3": {"resid_pdrop": 0.0, "embd_pdrop": 0.0},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "olmo2": {},
}


def tiny_model(architecture, temperature=1.0, **changes):
    """A model with random weights, large enough that every token of the prompt shows, and TRL's fused head."""
    config = AutoConfig.for_model(architecture, **{**SIZES, **ARCHITECTURES.get(architecture, {}), **changes})
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    add_fused_lm_head(model, temperature=temperature, outputs=("log_probs", "entropy"))
    return model


def tiny_batch(generator, num_prompts=3, num_generations=4, max_prompt=14, max_completion=9, is_shuffled=True):
    """Rows of random prompts and completions of random lengths, padded as TRL pads them: ids, mask, width of completions."""

    def lengths(least, most, count):
        return torch.randint(least, most + 1, (count,), generator=generator)

    prompts = [
        torch.randint(3, VOCABULARY, (int(n),), generator=generator) for n in lengths(2, max_prompt, num_prompts)
    ]
    completions = lengths(1, max_completion, num_prompts * num_generations)
    num_prompt_tokens, width = max(map(len, prompts)), int(completions.max()) + 1  # one column that no row has
    ids = torch.zeros(len(completions), num_prompt_tokens + width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, num_tokens in enumerate(completions.tolist()):
        prompt = prompts[i // num_generations]
        columns = slice(num_prompt_tokens - len(prompt), num_prompt_tokens + num_tokens)
        tokens = torch.randint(3, VOCABULARY, (num_tokens,), generator=generator)
        ids[i, columns], mask[i, columns] = torch.cat([prompt, tokens]), 1
    order = torch.randperm(len(ids), generator=generator) if is_shuffled else torch.arange(len(ids))
    return ids[order], mask[order], width


def namespace(**attributes: Any) -> Any:
    """Something that stands for a trainer."""
    return SimpleNamespace(**attributes)


class Scorer:
    """Scores completions with a model as TRL's trainer does, and as ours does."""

    def __init__(self, model, **settings):
        args = SimpleNamespace(
            share_prompts=True,
            gradient_checkpointing_kwargs=None,
            torch_compile=False,
            use_liger_kernel=False,
            report_to=[],
        )
        vars(args).update(settings)
        self.trainer = namespace(
            args=args,
            model=model,
            accelerator=Accelerator(cpu=True),
            is_deepspeed_enabled=False,
            is_fsdp_enabled=False,
            aux_loss_enabled=False,
        )
        self.num_by_trl = 0
        self.token_logprobs = TokenLogprobs(self.trainer)

    def by_trl(self, model, *args, **kwargs):
        self.num_by_trl += 1
        return inspect.unwrap(GRPOTrainer._get_per_token_logps_and_entropies)(self.trainer, model, *args, **kwargs)

    def ours(self, ids, mask, width, model=None, **kwargs):
        return self.token_logprobs(self.by_trl, model or self.trainer.model, ids, mask, width, **kwargs)

    def theirs(self, ids, mask, width, **kwargs):
        return self.by_trl(self.trainer.model, ids, mask, width, **kwargs)
