"""Text from a model that stands alone: by Transformers or by vLLM, with one sampling setting for both."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from transformers import GenerationConfig

from .generation import model_mode
from .prompts import Prompt
from .random_state import isolated_random_state


@dataclass(frozen=True)
class Sampling:
    """
    How completions are drawn.

    Args:
        max_new_tokens (`int`): Longest completion, in tokens.
        temperature (`float`, *optional*, defaults to `0.0`): 0 is greedy.
        top_p (`float`, *optional*, defaults to `1.0`): Nucleus, of no effect with temperature 0.
        seed (`int`, *optional*, defaults to `0`): Of this batch of completions.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


Generated: TypeAlias = tuple[str, int]  # a completion's text and its length in tokens
Engine: TypeAlias = Callable[[Sequence[Prompt], Sampling], list[Generated]]  # one completion for each prompt


def transformers_engine(model: Any, tokenizer: Any, batch_size: int = 256) -> Engine:
    """
    Completions by Transformers' `generate`, without a trace: mode and random states are as they were afterwards.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal LM, not wrapped for distributed training.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): Its tokenizer.
        batch_size (`int`, *optional*, defaults to `256`): Completions generated at a time.
    """

    def complete(prompts: Sequence[Prompt], sampling: Sampling) -> list[Generated]:
        is_greedy = sampling.temperature == 0
        drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        with model_mode(model, training=False), nullcontext() if is_greedy else isolated_random_state(sampling.seed):
            return generate(
                model,
                tokenizer,
                prompts,
                batch_size=batch_size,
                max_new_tokens=sampling.max_new_tokens,
                do_sample=not is_greedy,
                **({} if is_greedy else drawn),
            )

    return complete


def vllm_engine(llm: Any) -> Engine:
    """
    Completions by vLLM, which takes a batch of any size.

    Args:
        llm (`vllm.LLM`): The engine, with its tokenizer.
    """
    from vllm import SamplingParams

    def complete(prompts: Sequence[Prompt], sampling: Sampling) -> list[Generated]:
        params = [
            SamplingParams(
                max_tokens=sampling.max_new_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=None if sampling.temperature == 0 else sampling.seed + i,
            )
            for i in range(len(prompts))
        ]
        ask = llm.generate if isinstance(prompts[0], str) else llm.chat
        outputs = ask(list(prompts), params, use_tqdm=False)
        return [(output.outputs[0].text, len(output.outputs[0].token_ids)) for output in outputs]

    return complete


def generate(
    model: Any, tokenizer: Any, prompts: Sequence[Prompt], *, batch_size: int, max_new_tokens: int, **sampling: Any
) -> list[Generated]:
    """One completion for each prompt by Transformers; a checkpoint's own sampling settings are not read."""
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=model.generation_config.eos_token_id or tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        **sampling,
    )
    order = sorted(range(len(prompts)), key=lambda i: len(str(prompts[i])))  # alike lengths, little padding
    completions: list[Generated] = [("", 0)] * len(prompts)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        texts = [_rendered(tokenizer, prompts[i]) for i in chosen]
        add_special_tokens = isinstance(prompts[chosen[0]], str)  # a chat template holds them already
        inputs = tokenizer(
            texts, padding=True, padding_side="left", return_tensors="pt", add_special_tokens=add_special_tokens
        ).to(model.device)
        with torch.no_grad():
            output = model.generate(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], generation_config=config
            )
        new = output[:, inputs["input_ids"].size(1) :]
        lengths = (new != config.pad_token_id).sum(dim=1).tolist()
        decoded = tokenizer.batch_decode(new, skip_special_tokens=True)
        for i, text, length in zip(chosen, decoded, lengths, strict=True):
            completions[i] = (text, length)
    return completions


def _rendered(tokenizer: Any, prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    return tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
