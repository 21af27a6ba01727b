"""Sums, means and moments over the unmasked entries of a tensor.

Masked entries are selected away, never multiplied by zero: padding may hold `nan` or `inf` without doing harm.
"""

from collections.abc import Callable

import torch


SumOverProcesses = Callable[[torch.Tensor], torch.Tensor]


def _selected(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return `x`, in float32 at least, with zeros where `mask` is zero; raise when the shapes differ."""
    if x.shape != mask.shape:
        raise ValueError(
            f"x has shape {tuple(x.shape)} but mask has shape {tuple(mask.shape)}; pass a mask with one entry for "
            "each entry of x (use mask.expand_as(x) to repeat one)."
        )
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return torch.where(mask.bool(), x, torch.zeros_like(x))


def masked_mean(x: torch.Tensor, mask: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> torch.Tensor:
    r"""Mean of the unmasked entries: \\( \sum_i m_i x_i / \sum_i m_i \\).

    The mean of equal entries is that entry exactly, in every float type: a second pass adds the mean of what the
    first one left over. Estimators rely on it, since they divide by spreads as small as 1e-9.

    Args:
        x (`torch.Tensor`):
            Values of any shape.
        mask (`torch.Tensor`):
            Same shape as `x`, bool or number; entries other than zero count.
        dim (`int`, *optional*):
            Dimension to average over. All of them by default.
        keepdim (`bool`, *optional*, defaults to `False`):
            Whether to keep `dim` with length 1. Needs `dim`.

    Returns:
        `torch.Tensor`: The mean, in float32 or wider; 0 where everything is masked.

    Raises:
        `ValueError`: If the shapes differ.

    Example:

    ```python
    >>> import torch
    >>> masked_mean(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1, 1, 0]))
    tensor(1.5000)

    ```
    """
    selected = _selected(x, mask)
    dims = tuple(range(x.ndim)) if dim is None else (dim,)
    count = mask.bool().sum(dims, keepdim=True).clamp(min=1)
    mean = selected.sum(dims, keepdim=True) / count
    rest = _selected(selected - mean, mask)
    mean = mean + rest.sum(dims, keepdim=True) / count
    if dim is None:
        return mean.reshape(())
    return mean if keepdim else mean.squeeze(dim)


def masked_moments(
    x: torch.Tensor, mask: torch.Tensor, sum_over_processes: SumOverProcesses | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Mean and biased variance of the unmasked entries, over all processes if asked.

    \\( \mu = \frac{1}{n} \sum_i m_i x_i \\), \\( \sigma^2 = \frac{1}{n} \sum_i m_i (x_i - \mu)^2 \\) with
    \\( n = \sum_i m_i \\). The squares are summed around the mean (the corrected two-pass algorithm), so that a large
    mean costs no digits of the variance, and float64, which not every accelerator has, is not needed.

    Args:
        x (`torch.Tensor`):
            This process's values, any shape.
        mask (`torch.Tensor`):
            Same shape as `x`, bool or number; entries other than zero count.
        sum_over_processes (`Callable[[torch.Tensor], torch.Tensor]`, *optional*):
            Returns the elementwise sum of a small tensor over all processes. It is called exactly twice, also when
            everything is masked here: all processes have to come along. By default the moments are local.

    Returns:
        `tuple[torch.Tensor, torch.Tensor]`: Mean and biased variance, two scalars; both 0 where everything is masked.

    Raises:
        `ValueError`: If the shapes differ.

    Example:

    ```python
    >>> import torch
    >>> masked_moments(torch.tensor([1.0, 3.0, 9.0]), torch.tensor([1, 1, 0]))
    (tensor(2.), tensor(1.))

    ```
    """
    selected = _selected(x, mask)
    total, count = selected.sum(), mask.bool().sum().to(selected.dtype)
    if sum_over_processes is not None:
        total, count = sum_over_processes(torch.stack([total, count])).unbind()
    count = count.clamp(min=1)
    mean = total / count

    rest = _selected(selected - mean, mask)
    sums = torch.stack([rest.sum(), rest.square().sum()])
    if sum_over_processes is not None:
        sums = sum_over_processes(sums)
    shift, square = (sums / count).unbind()
    return mean + shift, (square - shift.square()).clamp(min=0)


def suffix_sums(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    r"""Sum of the unmasked entries from each position to the end: \\( S_t = \sum_{s \ge t} m_s x_s \\).

    Args:
        x (`torch.Tensor` of shape `(..., T)`):
            Values.
        mask (`torch.Tensor` of shape `(..., T)`):
            Bool or number; entries other than zero count.

    Returns:
        `torch.Tensor` of shape `(..., T)`: The sums, in float32 or wider; at masked positions too.

    Raises:
        `ValueError`: If the shapes differ.

    Example:

    ```python
    >>> import torch
    >>> suffix_sums(torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([1, 1, 1, 0]))
    tensor([7., 6., 4., 0.])

    ```
    """
    return _selected(x, mask).flip(-1).cumsum(-1).flip(-1)
