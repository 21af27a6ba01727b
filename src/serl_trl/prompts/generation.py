"""`GroupGeneration`: what a model's `generate` is while it writes for us. Equal prompts are computed once, memory is bounded."""

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from transformers import GenerationConfig, LogitsProcessorList
from transformers.integrations import is_deepspeed_zero3_enabled, is_fsdp_managed_module

from ..runtime import isolated_random_state
from .group_sampling import NotShareableError, pad_token, sample_groups
from .length_batches import length_batches
from .memory_bound import most_rows
from .row_draws import RowDraws, can_draw_by, greedy_but_for


logger = logging.getLogger(__name__)


class GroupGeneration:
    """
    A model's `generate` with which equal prompts are computed once ([`~group_sampling.sample_groups`]).

    With the same random state its tokens are those of Transformers' `generate`, but for rounding. A batch that would not fit
    into memory is written in parts, and one that runs out of it is halved once; both are said. What cannot be shared is left
    to `generate`, which is said once for each reason.

    Args:
        model ([`~transformers.PreTrainedModel`] or [`~peft.PeftModel`]): The model, not wrapped for distributed training.
        uniforms (`torch.Tensor` of shape `(B, T)`, *optional*):
            The numbers by which the tokens of each row are drawn, in place of the random state; see `sample_groups`. A row is
            then the same whatever rows are beside it, and batches are made of prompts of like length.
        batch_size (`int`, *optional*): The most rows at a time.
        generate (`Callable`, *optional*): Transformers' `generate` of the model.
    """

    def __init__(
        self,
        model: Any,
        uniforms: torch.Tensor | None = None,
        batch_size: int | None = None,
        generate: Callable[..., torch.Tensor] | None = None,
    ) -> None:
        self.model, self.uniforms, self.batch_size = model, uniforms, batch_size
        self.generate = generate or model.generate

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """As `generate` of the model."""
        reason = _why_not(self.model, args, kwargs)
        if reason is None:
            try:
                return self._in_parts(**kwargs)
            except NotShareableError as error:
                reason = str(error)
        _say_once(f"Transformers' own loop generates, and computes a prompt for each of its completions: {reason}.")
        return self._by_generate(*args, **kwargs)

    def _by_generate(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """By Transformers' own loop, which is given the tokens that the numbers of the rows draw."""
        config = kwargs.get("generation_config")
        if self.uniforms is None or config is None or not config.do_sample:
            return self.generate(*args, **kwargs)
        if can_draw_by(config) and (config.num_return_sequences or 1) == 1:
            draws = LogitsProcessorList(
                [*(kwargs.pop("logits_processor", None) or []), RowDraws(self.uniforms, config)]
            )
            kwargs |= {"generation_config": greedy_but_for(config), "logits_processor": draws}
            return self.generate(*args, **kwargs)
        with isolated_random_state(
            int(self.uniforms[0, 0] * 2**32)
        ):  # beams are several rows for one, and rare cut-offs stay generate's
            return self.generate(*args, **kwargs)

    def _in_parts(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        config: GenerationConfig = kwargs["generation_config"]
        width, num_new = input_ids.shape[1], int(config.max_new_tokens or 0)
        limit = self._most_rows(len(input_ids), width + num_new)
        waiting = self._parts(input_ids, attention_mask, limit)
        written = input_ids.new_full((len(input_ids), num_new), pad_token(config))
        num_written, was_halved = 0, False
        while waiting:
            part = waiting[0]
            states = _random_states(input_ids.device)
            try:
                tokens = self._part(part, input_ids, attention_mask, kwargs)
            except RuntimeError as error:
                if was_halved or len(part) == 1 or not should_reduce_batch_size(error):
                    raise
                tokens = None  # and leave the block: the error holds on to what was computed
            if tokens is None:
                was_halved, half = True, (len(part) + 1) // 2
                logger.warning(f"{len(part)} rows have run out of memory; from here on it is {half} at a time.")
                _restore(states, input_ids.device)
                waiting = [piece for batch in waiting for piece in _pieces(batch, half)]
                continue
            del waiting[0]
            written[part, : tokens.shape[1]] = tokens
            num_written = max(num_written, tokens.shape[1])
        return torch.cat([input_ids, written[:, :num_written]], dim=1)

    def _most_rows(self, num_rows: int, num_tokens: int) -> int:
        """How many rows to write at a time, by the memory that is free."""
        wanted = min(num_rows, self.batch_size or num_rows)
        limit = most_rows(self.model, num_tokens)
        if limit is None or limit >= wanted:
            return wanted
        _say_once(
            f"{wanted} rows of {num_tokens} tokens would not fit into memory; they are written {limit} at a time."
        )
        return limit

    def _parts(self, input_ids: torch.Tensor, mask: torch.Tensor, limit: int) -> list[torch.Tensor]:
        """The rows of each batch, as indices."""
        if self.uniforms is None:  # the order decides on who gets which random numbers
            return _pieces(torch.arange(len(input_ids)), limit)
        prompts = [tuple(row[kept.bool()].tolist()) for row, kept in zip(input_ids, mask, strict=True)]
        return [torch.tensor(batch) for batch in length_batches(prompts, limit)]

    def _part(
        self, rows: torch.Tensor, input_ids: torch.Tensor, mask: torch.Tensor, kwargs: dict[str, Any]
    ) -> torch.Tensor:
        """The completions (n, T') of some of the rows."""
        start = int((mask[rows] == 0).all(dim=0).sum())  # columns that hold nothing but padding
        uniforms = None if self.uniforms is None else self.uniforms[rows]
        output = self.generate(
            input_ids=input_ids[rows, start:],
            attention_mask=mask[rows, start:],
            custom_generate=functools.partial(sample_groups, uniforms=uniforms),
            **kwargs,
        )
        return output[:, input_ids.shape[1] - start :]


@contextmanager
def group_generation(
    model: Any, uniforms: torch.Tensor | None = None, batch_size: int | None = None
) -> Iterator[None]:
    """
    Has a model's `generate` compute equal prompts once, for the length of a block; arguments as of [`GroupGeneration`].

    The output head is given its input in one piece meanwhile. PyTorch's matrix product on a CPU would repeat a bfloat16 weight
    for each row of a slice: 17.6 s for 4 rows in place of 0.1 (Linear(1536, 151936), torch 2.13, on a CPU with AMX).
    """
    outer = vars(model).get("generate")  # of a block around this one, of FSDP2, or one that came with the checkpoint
    if outer is not None and not isinstance(outer, GroupGeneration) and not _is_sharded(model):
        yield
        return
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(_contiguous_input) if head is not None else None
    generate = outer.generate if isinstance(outer, GroupGeneration) else model.generate
    model.generate = GroupGeneration(model, uniforms, batch_size, generate)
    try:
        yield
    finally:
        del model.generate
        if outer is not None:
            model.generate = outer
        if hook is not None:
            hook.remove()


def _contiguous_input(module: torch.nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.contiguous() if torch.is_tensor(value) else value for value in args)


def _why_not(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Why a request has to be left to `generate`, as far as that is known before it is prepared."""
    config = kwargs.get("generation_config") or GenerationConfig()
    if args or kwargs.keys() != {"input_ids", "attention_mask", "generation_config"}:
        return f"generate is called with {', '.join(sorted(kwargs)) or 'positional arguments'}"
    if not config.max_new_tokens or (config.num_return_sequences or 1) > 1:
        return "max_new_tokens is not set, or num_return_sequences is"
    if is_deepspeed_zero3_enabled() or is_fsdp_managed_module(model) or _is_sharded(model):
        return "parameters are sharded"
    adapters = getattr(model, "peft_config", {}).values()
    if any(getattr(adapter, "alora_invocation_tokens", None) for adapter in adapters):
        return "where the adapter begins is found in each row beforehand (activated LoRA)"
    if model.device.type != "cpu" and "grouped_mm" in _experts(model):
        return "Transformers has a way of its own to decode with experts on this device"
    return None


def _is_sharded(model: Any) -> bool:
    """Whether parameters are DTensors, as those of FSDP2 are."""
    return any(hasattr(parameter, "device_mesh") for parameter in model.parameters())


def _experts(model: Any) -> list[str | None]:
    """How the experts of a model are computed, if it has any and Transformers says so."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return list(base.get_experts_implementation().values()) if hasattr(base, "get_experts_implementation") else []


def _pieces(rows: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Rows in as few parts as can be of at most `size`, as even as can be."""
    return list(rows.tensor_split(-(-len(rows) // size)))


def _random_states(device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
    on_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), on_device


def _restore(states: tuple[torch.Tensor, torch.Tensor | None], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if states[1] is not None:
        torch.cuda.set_rng_state(states[1], device)


@functools.cache
def _say_once(message: str) -> None:
    logger.warning(message)
