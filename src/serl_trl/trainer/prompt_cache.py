"""A prompt's keys and values, computed once and read by all of its completions."""

import inspect
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import pad
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from ..prompts import first_come


INDEXABLE = (DynamicLayer, DynamicSlidingWindowLayer)  # kinds whose keys and values have a row for each sequence


@dataclass(frozen=True)
class Rows:
    """
    Prompts, padded on the left, and a completion of each, padded on the right.

    Args:
        ids (`torch.Tensor` of shape `(B, P + T)`): Tokens.
        mask (`torch.Tensor` of shape `(B, P + T)`): 1 at tokens, 0 at padding.
        width (`int`): T, the columns of the completions.
    """

    ids: Tensor
    mask: Tensor
    width: int

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, index: Tensor) -> "Rows":
        """The rows of an index, in its order."""
        return Rows(self.ids[index], self.mask[index], self.width)

    @property
    def end_of_prompts(self) -> int:
        """P, the column at which completions begin."""
        return self.ids.size(1) - self.width

    @cached_property
    def prompt_lengths(self) -> Tensor:
        """Tokens of each prompt, (B,)."""
        return self.end_of_prompts - self.mask[:, : self.end_of_prompts].ne(0).int().argmax(dim=1)

    @cached_property
    def completion_lengths(self) -> Tensor:
        """Tokens of each completion, (B,)."""
        places = torch.arange(1, self.width + 1, device=self.mask.device)
        return (self.mask[:, self.end_of_prompts :].ne(0) * places).amax(dim=1)

    @property
    def trimmed(self) -> tuple[slice, slice]:
        """The columns that hold tokens: of prompts, and of completions (at least one)."""
        first = self.end_of_prompts - int(self.prompt_lengths.max())
        last = self.end_of_prompts + max(int(self.completion_lengths.max()), 1)
        return slice(first, self.end_of_prompts), slice(self.end_of_prompts, last)

    def padded(self) -> "Rows":
        """Rows with one more column of padding, and none of it elsewhere; the last token goes if there are more than one."""
        of_prompts, of_completions = self.trimmed
        width = max(of_completions.stop - of_completions.start - 1, 1)
        columns = slice(of_prompts.start, of_prompts.stop + width)
        return Rows(pad(self.ids[:, columns], (1, 0)), pad(self.mask[:, columns], (1, 0)), width)

    @cached_property
    def prompts(self) -> tuple[Tensor, Tensor]:
        """Each row's prompt, (B,), counted from 0 in the order in which they come; and the first row of each prompt, (U,)."""
        prompts = slice(0, self.end_of_prompts)
        return first_come(self.ids[:, prompts].masked_fill(self.mask[:, prompts] == 0, -1))


class SpreadLayer(CacheLayerMixin):
    """
    A layer of a prompts' cache, of which each row of a batch reads the row of its own prompt.

    What it returns lives as long as the layer's attention needs it; nothing is stored for every completion, so that a
    batch takes no more memory than one that has its prompts in full.

    Args:
        layer (`DynamicLayer`): The layer, with a row for each prompt.
        index (`torch.Tensor` of shape `(B,)`): The prompt of each row.
    """

    def __init__(self, layer: DynamicLayer, index: Tensor) -> None:
        super().__init__()
        self.layer, self.index = layer, index
        self.is_sliding = layer.is_sliding
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: the prompts are there."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of the prompts and, behind them, those given."""
        index = self.index.to(key_states.device)
        # both kinds of layer have them by now: the prompts have been through the model
        keys = torch.cat([self.layer.keys[index], key_states], dim=-2)  # type: ignore[index]
        values = torch.cat([self.layer.values[index], value_states], dim=-2)  # type: ignore[index]
        return keys, values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """As the layer's."""
        return self.layer.get_mask_sizes(query_length)

    def get_seq_length(self) -> int:
        """As the layer's."""
        return self.layer.get_seq_length()

    def get_max_length(self) -> int:
        """As the layer's."""
        return self.layer.get_max_length()


def causal_model(model: Module) -> Any:
    """The language model that PEFT has put its adapters into, or the model itself."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def reason_not_to_share(model: Module) -> str | None:
    """
    Why a model cannot read its prompts from a cache, if it cannot.

    Args:
        model (`torch.nn.Module`): A causal language model, with or without PEFT's adapters, not wrapped for training.
    """
    adapters = model.peft_config.values() if isinstance(model, PeftModel) else []
    if any(a.is_prompt_learning or getattr(a, "alora_invocation_tokens", None) for a in adapters):
        return "its adapter depends on the whole of the input"
    base = causal_model(model)
    if getattr(base.config, "is_encoder_decoder", False):
        return "it is an encoder-decoder"
    accepted = inspect.signature(base.base_model.forward).parameters
    if not {"past_key_values", "position_ids"} <= accepted.keys():
        return f"{type(base).__name__} takes no cache or no positions"
    config = base.config.get_text_config(decoder=True)
    if getattr(config, "num_kv_shared_layers", None):
        return "its layers share their caches"
    if "chunked_attention" in (getattr(config, "layer_types", None) or ()):
        return "its attention is cut at fixed places, which trimming would move"
    kinds = {type(layer) for layer in DynamicCache(config=base.config).layers}
    if not kinds <= set(INDEXABLE):
        return f"its cache cannot be indexed ({', '.join(sorted(kind.__name__ for kind in kinds))})"
    return None


@dataclass(frozen=True)
class PromptCache:
    """
    Keys and values of prompts without their last tokens, which completions are read after.

    Args:
        layers (`list[DynamicLayer]`): A row for each of U prompts.
        index (`torch.Tensor` of shape `(B,)`): The prompt of each row.
        first (`int`): The first column that was read.
    """

    layers: list[Any]
    index: Tensor
    first: int

    @classmethod
    def computed(cls, model: Module, rows: Rows) -> "PromptCache":
        """
        One forward pass over the different prompts of rows, with a gradient where there is one.

        The head is left out. No prompt may have less than two tokens.

        Args:
            model (`torch.nn.Module`): As in [`reason_not_to_share`].
            rows ([`Rows`]): Their completions are not looked at.
        """
        index, firsts = rows.prompts
        prompts, base = rows.of(firsts), causal_model(model)
        columns = slice(rows.trimmed[0].start, rows.end_of_prompts - 1)
        cache = DynamicCache(config=base.config)
        base.base_model(
            input_ids=prompts.ids[:, columns],
            attention_mask=prompts.mask[:, columns],
            position_ids=positions(prompts, columns),
            past_key_values=cache,
            use_cache=True,
        )
        return cls(cache.layers, index, columns.start)

    def of(self, rows: Tensor) -> "PromptCache":
        """What some of the rows read."""
        return PromptCache(self.layers, self.index[rows], self.first)

    def spread(self) -> Cache:
        """A cache that has a row for each row."""
        return Cache(layers=[SpreadLayer(layer, self.index) for layer in self.layers])


def positions(rows: Rows, columns: slice) -> Tensor:
    """The places of columns, (B, columns): those that a model counts by itself where nothing is trimmed, padding included."""
    return torch.arange(columns.start, columns.stop, device=rows.ids.device).expand(len(rows), -1)
