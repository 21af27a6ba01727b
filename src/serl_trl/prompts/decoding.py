"""How a prompt becomes tokens, how text is sampled and where it ends: one answer for everything that a policy writes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from transformers import GenerationConfig

from ..runtime import model_mode
from ..types import Prompt
from .generation import group_generation
from .length_batches import length_batches
from .row_draws import row_uniforms


if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Sampling:
    """
    How completions are drawn.

    Args:
        max_new_tokens (`int`): Longest completion, in tokens.
        temperature (`float`, *optional*, defaults to `0.0`): 0 is greedy.
        top_p (`float`, *optional*, defaults to `1.0`): Nucleus, of no effect with temperature 0.
        seed (`int`, *optional*, defaults to `0`): Of the random numbers.
        rows (`tuple[int, ...]`, *optional*):
            The numbers of the rows of a request, by default their positions. A row's random numbers come from the seed and its
            number alone: whatever else is asked for, and in whatever batches, its completion is the same.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    rows: tuple[int, ...] | None = None

    def as_kwargs(self) -> dict[str, Any]:
        """The same as arguments of Transformers' `generate`."""
        length = {"max_new_tokens": self.max_new_tokens}
        if self.temperature == 0:
            return {**length, "do_sample": False}
        return {**length, "do_sample": True, "temperature": self.temperature, "top_p": self.top_p, "top_k": 0}

    def row_numbers(self, num_rows: int) -> Sequence[int]:
        """
        The numbers of the rows of a request.

        Args:
            num_rows (`int`): How many there are.

        Raises:
            ValueError: If `rows` is of another length.
        """
        if self.rows is None:
            return range(num_rows)
        if len(self.rows) != num_rows:
            raise ValueError(
                f"There are {num_rows} prompts and {len(self.rows)} numbers of rows; give each prompt one."
            )
        return self.rows

    def uniforms(self, rows: Sequence[int]) -> torch.Tensor | None:
        """The random numbers of rows with these numbers, (B, max_new_tokens); `None` where nothing is drawn."""
        if self.temperature == 0:
            return None
        return torch.stack([row_uniforms(self.seed, row, self.max_new_tokens) for row in rows])


Generated: TypeAlias = tuple[str, int]  # a completion's text and its length in tokens, with the token that ends it

# Arguments of `generate` that say how tokens are drawn and how many. What is measured has its own.
_DRAWING = (
    *("do_sample", "temperature", "top_p", "top_k", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h"),
    *("max_new_tokens", "max_length", "num_return_sequences"),
)


@dataclass(frozen=True)
class Decoding:
    """
    The rules by which a model and its tokenizer turn prompts into completions.

    Rollouts, further votes, instructions, probes and evaluation follow the same rules, so that what is measured is what is
    trained. The settings in a checkpoint's own `generation_config` (penalties, beams, cut-offs, stop strings) are not part of
    them: only the tokens that it declares as ends are.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): The tokenizer. It need not have a pad token.
        eos_token_ids (`tuple[int, ...]`): The tokens that end a completion.
        chat_template_kwargs (`Mapping`, *optional*): Arguments of the chat template, such as `enable_thinking`.
        chat_template (`str`, *optional*): A template in the place of the tokenizer's own.
        generation_kwargs (`Mapping`, *optional*): Further arguments of Transformers' `generate`, such as a repetition penalty.

    Source: TRL 1.16 ends rollouts at the model's and the tokenizer's end tokens alike, and so do we.
    """

    tokenizer: Any  # a PreTrainedTokenizerBase, whose methods may return more kinds than are asked for here
    eos_token_ids: tuple[int, ...]
    chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    chat_template: str | None = None
    generation_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: "PreTrainedModel | PeftModel",
        tokenizer: "PreTrainedTokenizerBase",
        chat_template_kwargs: Mapping[str, Any] | None = None,
    ) -> "Decoding":
        """The rules for a model that stands alone."""
        return cls(tokenizer, end_tokens(model.generation_config.eos_token_id, tokenizer), chat_template_kwargs or {})

    @classmethod
    def of_trainer(cls, trainer: Any) -> "Decoding":
        """The rules of a trainer; how many tokens are drawn, and how, is left to whoever asks for text."""
        args = trainer.args
        further = {} if trainer.use_vllm else args.generation_kwargs or {}  # vLLM's are of another language
        kwargs = {"repetition_penalty": trainer.repetition_penalty, **further}
        kwargs = {name: value for name, value in kwargs.items() if name not in _DRAWING}
        tokenizer = getattr(trainer.processing_class, "tokenizer", trainer.processing_class)
        ends = tuple(trainer.eos_token_ids)
        return cls(tokenizer, ends, trainer.chat_template_kwargs, trainer.chat_template, kwargs)

    @property
    def pad_token_id(self) -> int:
        """What fills a row up; masked, so that it does not matter which token it is."""
        known = (self.tokenizer.pad_token_id, *self.eos_token_ids, 0)
        return next(token for token in known if token is not None)

    def settings(self) -> dict[str, Any]:
        """What completions depend on beside weights, prompts and sampling, as data that JSON can hold."""
        found = {"chat_template_kwargs": dict(self.chat_template_kwargs), "eos_token_ids": sorted(self.eos_token_ids)}
        return found | {"generation_kwargs": {name: str(value) for name, value in self.generation_kwargs.items()}}

    def prompt_ids(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """
        The tokens of each prompt: of a text with the tokenizer's special tokens, of messages as the chat template has it.

        Args:
            prompts (`Sequence`): Texts or messages, also mixed.

        Returns:
            `list[list[int]]`: As long as `prompts`, without padding.
        """
        found: list[list[int]] = []
        for i, prompt in enumerate(prompts):  # the completions of a prompt stand side by side
            is_repeated = i > 0 and prompt == prompts[i - 1]
            found.append(list(found[-1]) if is_repeated else self._ids_of(prompt))
        return found

    def _ids_of(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            return self.tokenizer(text=prompt)["input_ids"]
        return self.tokenizer.apply_chat_template(
            prompt,
            chat_template=self.chat_template,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            **self.chat_template_kwargs,
        )["input_ids"]

    def until_end(self, ids: Sequence[int]) -> list[int]:
        """A completion up to and with the first token that ends it; what follows is padding, whatever token that is."""
        end = next((place for place, token in enumerate(ids) if token in self.eos_token_ids), len(ids))
        return list(ids[: end + 1])

    def complete(self, model: Any, prompts: Sequence[Prompt], sampling: Sampling, batch_size: int) -> list[Generated]:
        """
        One completion for each prompt, by Transformers' `generate`, which leaves the model and random states as they were.

        Batches have prompts of like length ([`length_batches`]). Neither they nor their size decide what is drawn for a row.

        Args:
            model ([`~transformers.PreTrainedModel`]): A causal LM, not wrapped for distributed training.
            prompts (`Sequence`): The prompts.
            sampling ([`Sampling`]): How tokens are drawn.
            batch_size (`int`): Most completions generated at a time.

        Returns:
            `list[tuple[str, int]]`: Text and length in tokens of each.

        Raises:
            ValueError: If `sampling.rows` does not number these prompts.
        """
        numbers = sampling.row_numbers(len(prompts))
        config = GenerationConfig(
            eos_token_id=list(self.eos_token_ids) or None,
            pad_token_id=self.pad_token_id,
            bos_token_id=self.tokenizer.bos_token_id,
            **{**self.generation_kwargs, **sampling.as_kwargs()},
        )
        prompt_ids = self.prompt_ids(prompts)
        completions: list[Generated] = [("", 0)] * len(prompts)
        with writing(model), torch.no_grad():
            for batch in length_batches(prompt_ids, batch_size):
                inputs = self._padded([prompt_ids[i] for i in batch], model.device)
                # A row's random numbers go with it into whatever batch it is in: (B, max_new_tokens), or None if greedy.
                uniforms = sampling.uniforms([numbers[i] for i in batch])
                with group_generation(model, uniforms):
                    output = model.generate(**inputs, generation_config=config)
                new = output[:, inputs["input_ids"].size(1) :].tolist()
                for i, ids in zip(batch, map(self.until_end, new), strict=True):
                    completions[i] = (self.tokenizer.decode(ids, skip_special_tokens=True), len(ids))
        return completions

    def _padded(self, rows: Sequence[list[int]], device: torch.device) -> dict[str, torch.Tensor]:
        """Tokens and attention mask, both (B, T), filled up on the left."""
        width = max(map(len, rows))
        tokens = [[self.pad_token_id] * (width - len(row)) + row for row in rows]
        mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        return {
            "input_ids": torch.tensor(tokens, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }


def end_tokens(declared: int | Sequence[int] | None, tokenizer: "PreTrainedTokenizerBase") -> tuple[int, ...]:
    """
    The tokens that end a completion.

    Args:
        declared (`int` or `Sequence[int]`, *optional*): The `eos_token_id` of the model's generation config.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): Whose end token ends completions, too.
    """
    ends = [] if declared is None else [declared] if isinstance(declared, int) else list(declared)
    own = tokenizer.eos_token_id
    return tuple(ends if own is None or own in ends else [own, *ends])


@contextmanager
def writing(model: Any, uniforms: torch.Tensor | None = None) -> Iterator[None]:
    """
    Puts a model into the state in which it writes, for the length of a block.

    That is eval mode (dropout is for training), and no generation settings of the checkpoint's own: Transformers fills every
    argument that is not given from them. What is saved keeps them. Its `generate` computes equal prompts once
    ([`~generation.GroupGeneration`]).

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): The model, not wrapped for distributed training.
        uniforms (`torch.Tensor` of shape `(B, T)`, *optional*): The numbers by which each row is drawn; by default those of
            the random state.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    configs = {part: part.generation_config for part in (model, base) if "generation_config" in vars(part)}
    try:
        for part in configs:
            part.generation_config = GenerationConfig()
        with model_mode(model, training=False), group_generation(model, uniforms):
            yield
    finally:
        for part, config in configs.items():
            part.generation_config = config
