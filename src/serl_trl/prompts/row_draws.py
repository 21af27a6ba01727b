"""Random numbers of a row of a request: they depend on a seed and on the row, not on the batch that the row is computed in."""

import copy
import hashlib

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


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


def drawn_tokens(probabilities: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """
    The token of each row at which the sum of probabilities, in the order of the vocabulary, passes the row's number.

    Args:
        probabilities (`torch.Tensor` of shape `(n, V)`): Of the next token; each row has a sum of about 1.
        uniforms (`torch.Tensor` of shape `(n,)`): Numbers in [0, 1).

    Returns:
        `torch.Tensor`: (n,), never a token of probability 0.

    Example:

    ```python
    >>> drawn_tokens(torch.tensor([[0.5, 0.0, 0.5]]).expand(3, -1), torch.tensor([0.0, 0.4, 0.5])).tolist()
    [0, 0, 2]

    ```
    """
    dtype = torch.float32 if probabilities.device.type == "mps" else torch.float64  # which MPS does not have
    sums = probabilities.to(dtype, copy=True).cumsum_(dim=-1)  # in place, for a vocabulary may be large
    total = sums[:, -1:]
    below = torch.minimum(uniforms.to(total)[:, None] * total, total.nextafter(torch.zeros_like(total)))
    return torch.searchsorted(sums, below, right=True).squeeze(1)


class RowDraws(LogitsProcessor):
    """
    Draws each row's next token by the row's own number, and leaves Transformers' `generate` no other choice.

    For requests that are left to `generate`, so that their tokens are those of all others.

    Args:
        uniforms (`torch.Tensor` of shape `(B, T)`): Of each row a number in [0, 1) for each token to come.
        config ([`~transformers.GenerationConfig`]): Whose temperature, top-k, top-p and min-p shape what is drawn from.
    """

    def __init__(self, uniforms: torch.Tensor, config: GenerationConfig) -> None:
        self._uniforms, self._num_drawn = uniforms, 0
        self._warpers = LogitsProcessorList()  # in the order of `generate`
        if config.temperature not in (None, 1.0):
            self._warpers.append(TemperatureLogitsWarper(config.temperature))
        if config.top_k:
            self._warpers.append(TopKLogitsWarper(config.top_k))
        if config.top_p is not None and config.top_p < 1:
            self._warpers.append(TopPLogitsWarper(config.top_p))
        if config.min_p is not None:
            self._warpers.append(MinPLogitsWarper(config.min_p))

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores of `scores`'s shape, (B, V): 0 for the token drawn, else minus infinity."""
        numbers = self._uniforms[:, self._num_drawn]
        self._num_drawn += 1
        tokens = drawn_tokens(self._warpers(input_ids, scores).softmax(dim=-1), numbers)
        return torch.full_like(scores, -torch.inf).scatter(1, tokens[:, None], 0.0)  # type: ignore[return-value]


def can_draw_by(config: GenerationConfig) -> bool:
    """Whether [`RowDraws`] has all the settings by which a configuration samples; it lacks the rarer cut-offs."""
    rare = (config.typical_p, config.epsilon_cutoff, config.eta_cutoff, getattr(config, "top_h", None))
    return config.get_generation_mode() == "sample" and all(value in (None, 0, 1) for value in rare)


def greedy_but_for(config: GenerationConfig) -> GenerationConfig:
    """The same settings without sampling: what [`RowDraws`] has drawn is the only choice left."""
    greedy = copy.deepcopy(config)
    greedy.update(do_sample=False, temperature=None, top_p=None, top_k=None, min_p=None)
    return greedy
