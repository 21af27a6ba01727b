"""Random numbers of a row of a request: they depend on a seed and on the row, not on the batch that the row is computed in."""

import hashlib

import torch


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
