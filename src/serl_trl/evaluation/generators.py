"""Text from a model that stands alone: by Transformers or by vLLM, with one sampling setting for both."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from ..prompts import Decoding, Generated, Sampling, end_tokens, row_seed
from ..types import Prompt


if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from vllm import LLM


Engine: TypeAlias = Callable[[Sequence[Prompt], Sampling], list[Generated]]  # one completion for each prompt


class TransformersEngine:
    """
    Completions by Transformers' `generate`. The model's mode is restored afterwards; random states do not move.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal LM, not wrapped for distributed training.
        decoding ([`Decoding`]): The rules by which prompts become tokens and completions end.
        batch_size (`int`, *optional*, defaults to `256`): Completions generated at a time.
    """

    def __init__(self, model: "PreTrainedModel | PeftModel", decoding: Decoding, batch_size: int = 256) -> None:
        self.model, self.decoding, self.batch_size = model, decoding, batch_size

    @property
    def settings(self) -> dict[str, Any]:
        """What completions depend on beside prompts and sampling: the rules, and the precision of the moment."""
        device = self.model.device.type
        is_mixed = torch.is_autocast_enabled(device)
        computed = torch.get_autocast_dtype(device) if is_mixed else self.model.dtype
        return self.decoding.settings() | {"dtype": str(self.model.dtype), "computed_in": str(computed)}

    def __call__(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generated]:
        return self.decoding.complete(self.model, prompts, sampling, self.batch_size)

    def prompt_lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        """The tokens of each prompt: this engine fills prompts up, so [`evaluate`] asks for alike ones together."""
        return [len(ids) for ids in self.decoding.prompt_ids(prompts)]


def transformers_engine(
    model: "PreTrainedModel | PeftModel",
    tokenizer: "PreTrainedTokenizerBase",
    batch_size: int = 256,
    chat_template_kwargs: dict[str, Any] | None = None,
) -> TransformersEngine:
    """
    [`TransformersEngine`] of a model that no trainer trains.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal LM.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): Its tokenizer; it need not have a pad token.
        batch_size (`int`, *optional*, defaults to `256`): Completions generated at a time.
        chat_template_kwargs (`dict`, *optional*): Arguments of the chat template, such as `{"enable_thinking": False}`.
    """
    return TransformersEngine(model, Decoding.of(model, tokenizer, chat_template_kwargs), batch_size)


class VLLMEngine:
    """
    Completions by vLLM, which takes a batch of any size, and fills no prompt up.

    Each row is seeded by its number. vLLM is handed tokens and the ends of completions; it is left nothing to read from the checkpoint's generation config.

    Args:
        llm (`vllm.LLM`): The engine.
        decoding ([`Decoding`]): The rules by which prompts become tokens and completions end.
    """

    def __init__(self, llm: "LLM", decoding: Decoding) -> None:
        self.llm, self.decoding = llm, decoding

    @property
    def settings(self) -> dict[str, Any]:
        """What completions depend on beside prompts and sampling."""
        return self.decoding.settings() | {"dtype": str(self.llm.llm_engine.model_config.dtype), "engine": "vllm"}

    def __call__(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Generated]:
        from vllm import SamplingParams

        params = [
            SamplingParams(
                max_tokens=sampling.max_new_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=None if sampling.temperature == 0 else row_seed(sampling.seed, row),
                stop_token_ids=list(self.decoding.eos_token_ids),
            )
            for row in sampling.row_numbers(len(prompts))
        ]
        asked = [{"prompt_token_ids": ids} for ids in self.decoding.prompt_ids(prompts)]
        outputs = self.llm.generate(asked, params, use_tqdm=False)
        return [(output.outputs[0].text, len(output.outputs[0].token_ids)) for output in outputs]


def vllm_engine(llm: "LLM", chat_template_kwargs: dict[str, Any] | None = None) -> Engine:
    """
    [`VLLMEngine`] with the tokenizer and the end tokens of the model that vLLM has loaded.

    Args:
        llm (`vllm.LLM`): The engine.
        chat_template_kwargs (`dict`, *optional*): Arguments of the chat template, such as `{"enable_thinking": False}`.
    """
    tokenizer = llm.get_tokenizer()
    declared = llm.llm_engine.model_config.try_get_generation_config().get("eos_token_id")
    return VLLMEngine(llm, Decoding(tokenizer, end_tokens(declared, tokenizer), chat_template_kwargs or {}))
