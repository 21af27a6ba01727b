"""Evaluation metrics: pass@k, and how far a mean over problems can be trusted."""

import math
import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class MeanWithInterval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    r"""Probability that at least one of k samples is right, estimated without bias from n samples of which c are.

    \\( 1 - \binom{n - c}{k} / \binom{n}{k} \\), in exact integers up to the last division.

    Args:
        num_samples (`int`):
            Samples of the problem, n, at least 1.
        num_correct (`int`):
            Samples that are right, c, from 0 to n.
        k (`int`):
            Samples one is allowed, from 1 to n.

    Returns:
        `float`: pass@k of this problem, from 0 to 1. The benchmark's is the mean over problems.

    Raises:
        `ValueError`: If the numbers are out of range.
        `TypeError`: If they are not integers.

    Source: Chen et al., "Evaluating large language models trained on code" (arXiv 2107.03374), equation 1.

    Example:

    ```python
    >>> pass_at_k(num_samples=4, num_correct=2, k=1)
    0.5
    >>> pass_at_k(num_samples=4, num_correct=2, k=2)
    0.8333333333333334

    ```
    """
    num_samples, num_correct, k = (operator.index(number) for number in (num_samples, num_correct, k))
    if not 0 <= num_correct <= num_samples:
        raise ValueError(f"num_correct={num_correct} must lie between 0 and num_samples={num_samples}.")
    if not 1 <= k <= num_samples:
        raise ValueError(f"k={k} must lie between 1 and num_samples={num_samples}; draw more samples or lower k.")
    num_draws = math.comb(num_samples, k)
    return (num_draws - math.comb(num_samples - num_correct, k)) / num_draws


def _checked(values: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
    """Return `values` as a 1-D float64 array; raise if it is empty or holds anything that is not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"values have shape {array.shape}; pass one number per problem, for at least one problem.")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(array))} of {array.size} values are not finite; score or leave out "
            "those problems first, and report how many there were."
        )
    return array


def _mean(array: NDArray[np.float64]) -> float:
    """Mean around the first value, so that the mean of equal values is that value exactly."""
    return float(array[0] + (array - array[0]).mean())


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.floating], *, num_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over problems.

    Problems are drawn with replacement `num_resamples` times; the interval holds the middle `level` of the means. It
    covers the choice of problems, not the sampling of answers within one.

    Args:
        values (`Sequence[float]` of length P):
            One finite score per problem.
        num_resamples (`int`, *optional*, defaults to 2000):
            Number of resamples, at least 1.
        level (`float`, *optional*, defaults to 0.95):
            Confidence level, between 0 and 1, both excluded.
        seed (`int`, *optional*, defaults to 0):
            Seed of the resampling; global random state is not touched.

    Returns:
        `tuple[float, float]`: Lower and upper end. Both are the mean if all values are equal: then, as with a single
        problem, the width says nothing.

    Raises:
        `ValueError`: If `values` is empty, not 1-D or not finite, or an option is out of range.

    Source: Efron, "Bootstrap methods: another look at the jackknife" (1979).

    Example:

    ```python
    >>> low, high = bootstrap_interval([0.0, 1.0] * 50)
    >>> 0.39 < low < 0.42 and 0.58 < high < 0.61
    True

    ```
    """
    array = _checked(values)
    if num_resamples < 1:
        raise ValueError(f"num_resamples={num_resamples} must be at least 1; 2000 is the usual choice.")
    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1; 0.95 is the usual choice.")
    generator = np.random.default_rng(seed)
    # One resample at a time: memory stays at P numbers, however many resamples.
    means = [_mean(array[generator.integers(array.size, size=array.size)]) for _ in range(num_resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_with_interval(
    values: Sequence[float] | NDArray[np.floating], *, num_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> MeanWithInterval:
    """Mean over problems with its [`bootstrap_interval`].

    Args, Raises: as [`bootstrap_interval`].

    Returns:
        [`MeanWithInterval`]: Mean, lower and upper end, a named tuple.

    Example:

    ```python
    >>> mean_with_interval([0.25, 0.25, 0.25])
    MeanWithInterval(mean=0.25, low=0.25, high=0.25)

    ```
    """
    low, high = bootstrap_interval(values, num_resamples=num_resamples, level=level, seed=seed)
    return MeanWithInterval(_mean(_checked(values)), low, high)
