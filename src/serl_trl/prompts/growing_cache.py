"""`GrowingLayer`: keys and values that grow in place, where Transformers copies all of them for each token."""

from typing import TypeGuard

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer


SPARE_TOKENS = 32  # by so many a full layer grows: it is copied once for each


class GrowingLayer(DynamicLayer):
    """
    A [`~transformers.cache_utils.DynamicLayer`] with room for further tokens behind those that it holds.

    `update` of the original concatenates, and so copies the whole layer for every token. Here a token is written into its
    place, and `keys` and `values` are views of what is filled. For generation without gradients.

    Args:
        layer ([`~transformers.cache_utils.DynamicLayer`]): The layer whose keys and values it takes over.
        rows (`torch.Tensor` of shape `(B,)`): Which rows of that layer to take, in which order; a row may repeat.
    """

    def __init__(self, layer: DynamicLayer, rows: torch.Tensor) -> None:
        super().__init__()
        assert layer.keys is not None
        assert layer.values is not None
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True
        self._num_filled = layer.keys.shape[2]
        self._key_room = _with_room(layer.keys, self._num_filled, rows)  # (B, heads, tokens and room, size)
        self._value_room = _with_room(layer.values, self._num_filled, rows)
        self._show_filled()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As [`~transformers.cache_utils.DynamicLayer.update`]: adds tokens, returns all, (B, heads, tokens, size)."""
        start, end = self._num_filled, self._num_filled + key_states.shape[2]
        if end > self._key_room.shape[2]:
            self._key_room, self._value_room = (
                _with_room(room[:, :, :start], end) for room in (self._key_room, self._value_room)
            )
        self._key_room[:, :, start:end] = key_states
        self._value_room[:, :, start:end] = value_states
        self._num_filled = end
        return self._show_filled()

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps some rows only."""
        keys, values = self._show_filled()
        self._key_room = _with_room(keys, self._num_filled, indices)
        self._value_room = _with_room(values, self._num_filled, indices)
        self._show_filled()

    def _show_filled(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Has `keys` and `values`, which Transformers reads, be what is filled."""
        keys, values = (room[:, :, : self._num_filled] for room in (self._key_room, self._value_room))
        self.keys, self.values = keys, values
        return keys, values


def _with_room(filled: torch.Tensor, num_tokens: int, rows: torch.Tensor | None = None) -> torch.Tensor:
    """A copy of what is filled, or of some rows of it, with room for so many tokens and some more."""
    length = filled.shape[2]
    num_rows = len(filled) if rows is None else len(rows)
    room = filled.new_empty(num_rows, filled.shape[1], num_tokens + SPARE_TOKENS, filled.shape[3])
    if rows is None:
        room[:, :, :length] = filled
    else:
        torch.index_select(filled, 0, rows, out=room[:, :, :length])
    return room


def is_selectable(cache: object) -> TypeGuard[DynamicCache]:
    """Whether rows of a cache can be chosen: of full and sliding attention, on the device of the model."""
    return (
        type(cache) is DynamicCache
        and not cache.offloading
        and all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
    )


def spread(cache: DynamicCache, rows: torch.Tensor) -> None:
    """
    Has a cache hold rows of its own, in an order of one's own, in layers that grow in place.

    Args:
        cache ([`~transformers.DynamicCache`]): The cache of the prompts, which is changed.
        rows (`torch.Tensor` of shape `(B,)`): Which of its rows each new row is.
    """
    for i, layer in enumerate(cache.layers):
        if type(layer) is DynamicLayer and layer.is_initialized:
            cache.layers[i] = GrowingLayer(layer, rows)
        elif isinstance(layer, DynamicLayer):
            layer.batch_select_indices(rows)
