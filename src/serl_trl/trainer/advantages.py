r"""Advantage estimators: pure functions from the rewards of completions to one advantage per token.

All of them share one signature and one contract, which [`reinforce_plus_plus`] documents. With \\( r \\) the scalar
reward of a completion (B = P prompts · G generations, completions of one prompt adjacent), they differ in the
baseline and in what they divide by:

| name | shaped reward | then |
|---|---|---|
| `reinforce++` | r | batch normalisation over tokens |
| `reinforce++_baseline` | r - group mean | batch normalisation over tokens |
| `rloo` | r - mean of the others in the group | batch normalisation over tokens |
| `grpo` | (r - group mean) / (group std + 1e-9) | - |
| `dr_grpo` | r - group mean | - |

Where `kl` is given, each subtracts the KL penalty of a token and of those behind it from the shaped reward, ahead of any
batch normalisation. Without it the penalty is left to the loss.

A reward of `nan` says that a completion could not be scored or was gated away. Such a row gets advantage 0 and
influences nobody: it is in no baseline, no spread and no token moment. This is where we differ from the official
code, which normalises first and drops rows afterwards.
"""

from collections.abc import Callable

import torch

from .masked_sums import SumOverProcesses, masked_mean, masked_moments, suffix_sums


def _local_rows(
    rewards: torch.Tensor, kl: torch.Tensor | None, mask: torch.Tensor, num_generations: int, rows: slice | None
) -> slice:
    """Check all shapes and return the slice of `rewards` that `mask` belongs to."""
    if rewards.ndim != 1 or mask.ndim != 2:
        raise ValueError(
            f"rewards must have shape (B,) and mask (B, T), not {tuple(rewards.shape)} and {tuple(mask.shape)}; pass "
            "one scalar reward per completion and one mask entry per token."
        )
    if num_generations < 1 or rewards.shape[0] % num_generations != 0:
        raise ValueError(
            f"{rewards.shape[0]} rewards do not form groups of num_generations={num_generations}; pass the rewards of "
            "whole groups (in multi-process training those of the whole batch, with rows=slice(...) for this process)."
        )
    rows = slice(None) if rows is None else rows
    num_rows = len(range(*rows.indices(rewards.shape[0])))
    if num_rows != mask.shape[0]:
        raise ValueError(
            f"mask of shape {tuple(mask.shape)} has {mask.shape[0]} rows but {rows} selects {num_rows} of the "
            f"{rewards.shape[0]} rewards; pass rows=slice(start, stop) so that it names the rows of mask."
        )
    if kl is not None and kl.shape != mask.shape:
        raise ValueError(
            f"kl has shape {tuple(kl.shape)} but mask has shape {tuple(mask.shape)}; pass the k1 estimate of each "
            "completion token, or None."
        )
    if torch.isinf(rewards).any():
        raise ValueError(
            "rewards hold an infinite value, which would make every advantage nan; return a finite reward, or nan "
            "(None in a reward function) for a completion that cannot be scored."
        )
    return rows


def _centred(rewards: torch.Tensor, num_generations: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return reward minus group mean, and the number of scored rewards, as (P, G) and (P, 1); `nan` stays `nan`."""
    groups = rewards.reshape(-1, num_generations)  # (B,) -> (P, G)
    scored = ~groups.isnan()
    return groups - masked_mean(groups, scored, dim=1, keepdim=True), scored.sum(1, keepdim=True)


def _spread_over_tokens(shaped: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give each token that counts its row's value, (B,) -> (B, T), and 0 to the others; return it and what counts.

    A token counts if it is unmasked, in a row whose shaped reward is not `nan`.
    """
    shaped = shaped.to(torch.promote_types(shaped.dtype, torch.float32))
    counts = mask.bool() & ~shaped.isnan()[:, None]  # (B, T)
    return torch.where(counts, shaped[:, None], torch.zeros_like(shaped)[:, None]), counts


def _returns(
    shaped: torch.Tensor, kl: torch.Tensor | None, mask: torch.Tensor, kl_coef: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return-to-go of each token that counts, 0 for the others, (B, T); return it and what counts.

    The shaped reward sits at the last unmasked token and is not discounted, so every token's return holds all of it.
    """
    returns, counts = _spread_over_tokens(shaped, mask)
    if kl is not None:
        penalty = kl_coef * suffix_sums(kl, counts)
        returns = torch.where(counts, returns - penalty, torch.zeros_like(penalty))
    return returns, counts


def _normalised_returns(
    shaped: torch.Tensor,
    kl: torch.Tensor | None,
    mask: torch.Tensor,
    kl_coef: float,
    sum_over_processes: SumOverProcesses | None,
) -> torch.Tensor:
    """Return-to-go of each token, normalised over every counting token of the whole batch."""
    returns, counts = _returns(shaped, kl, mask, kl_coef)
    mean, variance = masked_moments(returns, counts, sum_over_processes)
    advantages = (returns - mean) / variance.clamp(min=1e-8).sqrt()
    return torch.where(counts, advantages, torch.zeros_like(advantages))


def reinforce_plus_plus(
    rewards: torch.Tensor,
    kl: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    num_generations: int,
    kl_coef: float,
    rows: slice | None = None,
    sum_over_processes: SumOverProcesses | None = None,
) -> torch.Tensor:
    r"""REINFORCE++: no baseline per prompt, but one normalisation over every token of the batch.

    It exists because a baseline per prompt overfits to easy prompts and a spread per prompt is biased; with the
    moments of the whole batch neither a critic nor a group is needed.

    \\( G_t = r - \beta \sum_{s \ge t} k_s \\) and \\( A_t = (G_t - \mu) / \sqrt{\max(\sigma^2, 10^{-8})} \\), with
    \\( k_s = \log \pi(y_s) - \log \pi_{ref}(y_s) \\) and the mean \\( \mu \\) and biased variance \\( \sigma^2 \\) of
    \\( G_t \\) over every unmasked token of the whole batch.

    Args:
        rewards (`torch.Tensor` of shape `(B,)`):
            Scalar reward of each completion, completions of one prompt adjacent. `nan` stands for a completion that
            could not be scored or was gated away. With `rows`, the rewards of all processes.
        kl (`torch.Tensor` of shape `(B, T)`, *optional*):
            k1 estimate of each token, policy minus reference log-probability. `None` leaves the penalty out.
        mask (`torch.Tensor` of shape `(B, T)`):
            Bool or number; other than zero at the completion tokens that count. A row of zeros gets advantage 0 and
            has no part in the token moments; its reward still counts in its group's baseline, unless it is `nan`.
        num_generations (`int`):
            Completions per prompt, G. B has to be a multiple of it.
        kl_coef (`float`):
            Coefficient \\( \beta \\) of the KL penalty, at least 0.
        rows (`slice`, *optional*):
            The rows of `rewards` that `kl` and `mask` hold. Groups may straddle processes, so baselines are taken
            over all rewards. All rows by default.
        sum_over_processes (`Callable[[torch.Tensor], torch.Tensor]`, *optional*):
            Returns the elementwise sum of a small tensor over all processes, such as
            `functools.partial(accelerator.reduce, reduction="sum")`; it is called twice, on every process.

    Returns:
        `torch.Tensor` of shape `(B, T)`: The advantages, in float32 or wider; 0 where masked or not scored.

    Raises:
        `ValueError`: If shapes do not fit together, B is no multiple of `num_generations`, or a reward is infinite.

    Source: Hu et al., "REINFORCE++" (arXiv 2501.03262), as the official SeRL code computes it, except that rows
    without a reward leave before the normalisation, not after.

    Example:

    ```python
    >>> import torch
    >>> rewards, mask = torch.tensor([1.0, 0.0, float("nan")]), torch.tensor([[1, 1, 0], [1, 1, 0], [1, 1, 1]])
    >>> reinforce_plus_plus(rewards, None, mask, num_generations=3, kl_coef=0.0)
    tensor([[ 1.,  1.,  0.],
            [-1., -1.,  0.],
            [ 0.,  0.,  0.]])

    ```
    """
    rows = _local_rows(rewards, kl, mask, num_generations, rows)
    return _normalised_returns(rewards[rows], kl, mask, kl_coef, sum_over_processes)


def reinforce_plus_plus_baseline(
    rewards: torch.Tensor,
    kl: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    num_generations: int,
    kl_coef: float,
    rows: slice | None = None,
    sum_over_processes: SumOverProcesses | None = None,
) -> torch.Tensor:
    r"""REINFORCE++ with the group mean as baseline: \\( r_i - \bar r \\), then as [`reinforce_plus_plus`].

    It exists because prompts differ in difficulty: the group mean takes that out, and the batch normalisation still
    sets the scale, so that a group whose rewards hardly differ is not blown up.

    Args, Returns, Raises: as [`reinforce_plus_plus`].

    Source: Hu et al., "REINFORCE++" (arXiv 2501.03262), the baseline variant.

    Example:

    ```python
    >>> import torch
    >>> rewards, mask = torch.tensor([1.0, 0.0, 9.0, 8.0]), torch.ones(4, 1)
    >>> reinforce_plus_plus_baseline(rewards, None, mask, num_generations=2, kl_coef=0.0).squeeze(1)
    tensor([ 1., -1.,  1., -1.])

    ```
    """
    rows = _local_rows(rewards, kl, mask, num_generations, rows)
    centred, _ = _centred(rewards, num_generations)
    return _normalised_returns(centred.flatten()[rows], kl, mask, kl_coef, sum_over_processes)


def rloo(
    rewards: torch.Tensor,
    kl: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    num_generations: int,
    kl_coef: float,
    rows: slice | None = None,
    sum_over_processes: SumOverProcesses | None = None,
) -> torch.Tensor:
    r"""REINFORCE leave-one-out: \\( r_i - \frac{1}{n-1} \sum_{j \ne i} r_j \\), then as [`reinforce_plus_plus`].

    It exists because a baseline that includes the completion itself is biased; the mean of the n - 1 other scored
    rewards of the group is not. A completion without scored companions has no baseline, and is treated as if it had
    no reward: advantage 0, no influence.

    Args, Returns, Raises: as [`reinforce_plus_plus`].

    Source: Kool et al., "Buy 4 REINFORCE samples, get a baseline for free!" (2019); Ahmadian et al., "Back to basics"
    (arXiv 2402.14740). The batch normalisation afterwards is the official SeRL code's.

    Example:

    ```python
    >>> import torch
    >>> rewards, mask = torch.tensor([1.0, 0.0, 0.5, 0.5]), torch.ones(4, 1)
    >>> rloo(rewards, None, mask, num_generations=2, kl_coef=0.0).squeeze(1)
    tensor([ 1.4142, -1.4142,  0.0000,  0.0000])

    ```
    """
    rows = _local_rows(rewards, kl, mask, num_generations, rows)
    centred, num_scored = _centred(rewards, num_generations)
    # r - mean of the others = (r - mean of all) n / (n - 1); 0 / 0 = nan marks the row without companions.
    left_out = centred * (num_scored / (num_scored - 1))
    left_out = torch.where(num_scored > 1, left_out, torch.full_like(left_out, torch.nan))
    return _normalised_returns(left_out.flatten()[rows], kl, mask, kl_coef, sum_over_processes)


def grpo(
    rewards: torch.Tensor,
    kl: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    num_generations: int,
    kl_coef: float,
    rows: slice | None = None,
    sum_over_processes: SumOverProcesses | None = None,
) -> torch.Tensor:
    r"""GRPO: \\( A_{i,t} = (r_i - \bar r) / (s + 10^{-9}) - \beta \sum_{u \ge t} k_u \\), \\( s \\) the spread of the group.

    It exists because the group replaces a critic: its mean is the baseline, its spread (over n - 1) the scale. The KL
    penalty, which GRPO has in its loss, is subtracted afterwards where `kl` is given: it is neither centred nor scaled.
    `sum_over_processes` is accepted and not used, since no moment goes beyond a group. The reward of a group with fewer
    than two scored completions counts as 0.

    Args, Returns, Raises: as [`reinforce_plus_plus`].

    Source: Shao et al., "DeepSeekMath" (arXiv 2402.03300), with the official SeRL code's 1e-9, where TRL has 1e-4.

    Example:

    ```python
    >>> import torch
    >>> rewards, mask = torch.tensor([2.0, 0.0, 1.0, 5.0, 5.0, 5.0]), torch.ones(6, 1)
    >>> grpo(rewards, None, mask, num_generations=3, kl_coef=0.0).squeeze(1)
    tensor([ 1., -1.,  0.,  0.,  0.,  0.])

    ```
    """
    rows = _local_rows(rewards, kl, mask, num_generations, rows)
    centred, num_scored = _centred(rewards, num_generations)
    std = (centred.square().nansum(1, keepdim=True) / (num_scored - 1).clamp(min=1)).sqrt()
    return _returns((centred / (std + 1e-9)).flatten()[rows], kl, mask, kl_coef)[0]


def dr_grpo(
    rewards: torch.Tensor,
    kl: torch.Tensor | None,
    mask: torch.Tensor,
    *,
    num_generations: int,
    kl_coef: float,
    rows: slice | None = None,
    sum_over_processes: SumOverProcesses | None = None,
) -> torch.Tensor:
    r"""Dr. GRPO: \\( A_{i,t} = r_i - \bar r - \beta \sum_{s \ge t} k_s \\).

    It exists because dividing by the group's spread favours prompts that are nearly always or nearly never solved.
    The other half of the method, a loss that is not divided by the completion length, is the loss's business. The KL
    penalty is subtracted as in [`grpo`], and `sum_over_processes` is not used.

    Args, Returns, Raises: as [`reinforce_plus_plus`].

    Source: Liu et al., "Understanding R1-Zero-like training" (arXiv 2503.20783).

    Example:

    ```python
    >>> import torch
    >>> dr_grpo(torch.tensor([1.0, 0.0]), None, torch.ones(2, 1), num_generations=2, kl_coef=0.0).squeeze(1)
    tensor([ 0.5000, -0.5000])

    ```
    """
    rows = _local_rows(rewards, kl, mask, num_generations, rows)
    centred, _ = _centred(rewards, num_generations)
    return _returns(centred.flatten()[rows], kl, mask, kl_coef)[0]


ADVANTAGE_ESTIMATORS: dict[str, Callable[..., torch.Tensor]] = {
    "reinforce++": reinforce_plus_plus,
    "reinforce++_baseline": reinforce_plus_plus_baseline,
    "rloo": rloo,
    "grpo": grpo,
    "dr_grpo": dr_grpo,
}
