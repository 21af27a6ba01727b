"""Random numbers of a row of a request: they depend on a seed and on the row, not on the batch that the row is computed in."""

import copy
import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from ..runtime import isolated_random_state


def row_seed(seed: int, row: int) -> int:
    """
    A seed for a row of a request.

    Args:
        seed (`int`): Of the request.
        row (`int`): The row's number.

    Returns:
        `int`: 63 bits of a SHA-256 hash, so that neighbouring rows and seeds have nothing in common.
    """
    digest = hashlib.sha256(f"{seed}:{row}".encode()).digest()
    return int.from_bytes(digest[:8], "big") & (2**63 - 1)


def row_uniforms(seed: int, row: int, num_tokens: int) -> torch.Tensor:
    """
    The random numbers by which a row's tokens are drawn, one for each token.

    Args:
        seed (`int`): Of the request.
        row (`int`): The row's number.
        num_tokens (`int`): How many; the first ones do not depend on it.

    Returns:
        `torch.Tensor` of float64: (num_tokens,), uniform in [0, 1), on the CPU.

    Example:

    ```python
    >>> long, short = row_uniforms(0, 7, 100), row_uniforms(0, 7, 3)
    >>> torch.equal(long[:3], short)
    True

    ```
    """
    generator = torch.Generator().manual_seed(row_seed(seed, row))
    return torch.rand(num_tokens, dtype=torch.float64, generator=generator)


class RowDraws(LogitsProcessor):
    """
    Draws each row's next token by the row's own random number, and leaves `generate` no other choice.

    The token is the first at which the sum of probabilities, in the order of the vocabulary, is above the number.

    Args:
        uniforms (`torch.Tensor`): (B, T) in [0, 1): of each row a number for each token to come.
        temperature, top_p (`float`): As `generate` has them.
    """

    def __init__(self, uniforms: torch.Tensor, temperature: float, top_p: float) -> None:
        self._uniforms, self._num_drawn = uniforms, 0
        self._warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
        if top_p < 1:
            self._warpers.append(TopPLogitsWarper(top_p))

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        number = self._uniforms[:, self._num_drawn, None].to(scores.device)  # (B, 1)
        self._num_drawn += 1
        sums = self._warpers(input_ids, scores).softmax(-1).to(number.dtype).cumsum(-1)  # (B, V)
        total = sums[:, -1:]
        below = torch.minimum(number * total, total.nextafter(torch.zeros_like(total)))  # never one of probability 0
        token = torch.searchsorted(sums, below, right=True)
        return torch.full_like(scores, -torch.inf).scatter(1, token, 0.0)  # type: ignore[return-value]


def generated_by_rows(
    model: Any, inputs: Mapping[str, torch.Tensor], config: GenerationConfig, uniforms: torch.Tensor | None
) -> torch.Tensor:
    """
    The output of Transformers' `generate`, sampled by the rows' own random numbers.

    Beams are several rows for one: they are drawn from a random state that the first number seeds, batch by batch.

    Args:
        model ([`~transformers.PreTrainedModel`]): A causal LM.
        inputs (`Mapping`): Tokens and attention mask of the prompts, (B, P) each, filled up on the left.
        config ([`~transformers.GenerationConfig`]): How tokens are drawn.
        uniforms (`torch.Tensor`, *optional*): (B, max_new_tokens) in [0, 1); `None` where nothing is drawn.

    Returns:
        `torch.Tensor`: (B, P + T) tokens of prompts and completions; random states stay as they were.
    """
    if uniforms is None:
        return model.generate(**inputs, generation_config=config)
    if (config.num_beams or 1) > 1:
        with isolated_random_state(int(uniforms[0, 0] * 2**32)):
            return model.generate(**inputs, generation_config=config)
    draws = RowDraws(uniforms, config.temperature, config.top_p)
    greedy = copy.deepcopy(config)
    greedy.update(do_sample=False, temperature=None, top_p=None, top_k=None)  # what is drawn is the only choice left
    return model.generate(**inputs, generation_config=greedy, logits_processor=LogitsProcessorList([draws]))
