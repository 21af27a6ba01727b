"""How far what the policy writes has moved from the seeds, and how much it repeats itself."""

import math
import random
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .novelty_filters import Encoder
from .tokenizers import num_words, unicode_words


MAX_TEXTS = 1000  # compared at most, of the seeds and of an iteration each: cosines take all pairs
NUM_WORDS = 2000  # of which distinct n-grams are counted at most: their share falls with the length of a text

# The policy has left the seeds when most of what it writes lies further from them than 19 in 20 of them do from each
# other. Of problems of the seeds' own kind one in twenty does; the filters, which ask for something new, make it a few more.
FAR_QUANTILE = 0.95
MAX_FRAC_FAR = 0.5

_NUMERAL = re.compile(r"\d+")


class TfidfEncoder:
    r"""
    Texts to vectors of their words: the number of times each occurs times \\( \ln((1 + N) / (1 + n)) + 1 \\), where n of
    the N texts fitted hold it, divided by the vector's length.

    Words are those of [`~serl_trl.instructions.tokenizers.unicode_words`]; all numerals count as one word, for the same
    problem with other numbers is no other kind of problem. Vectors of one call can be compared, those of two cannot:
    each has the words that it needs.

    Args:
        texts (`Sequence[str]`): What is fitted.

    Source: the weights are scikit-learn's (`smooth_idf`), which is no dependency of ours for the sake of one function.

    Example:

    ```python
    >>> vectors = TfidfEncoder(["Add 2 and 3.", "Add 7 and 5."])(["Add 1 and 1.", "Name a prime."])
    >>> (vectors @ vectors.T).round(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]

    ```
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._num_texts = len(texts)
        self._num_holding = Counter(word for text in texts for word in set(_words(text)))

    def __call__(self, texts: Sequence[str]) -> NDArray[np.floating]:
        counts = [Counter(_words(text)) for text in texts]
        columns: dict[str, int] = {}
        for count in counts:
            for word in count:
                columns.setdefault(word, len(columns))
        vectors = np.zeros((len(texts), len(columns)), dtype=np.float32)  # (N, V)
        for row, count in zip(vectors, counts, strict=True):
            for word, number in count.items():
                row[columns[word]] = number * (math.log((1 + self._num_texts) / (1 + self._num_holding[word])) + 1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class DriftMonitor:
    """
    Compares what was kept in an iteration with the seeds.

    Args:
        seeds (`Sequence[str]`): The seeds; more than 1,000 are represented by 1,000 of them, always the same.
        encode (`Callable[[Sequence[str]], np.ndarray]`, *optional*):
            Texts to vectors of length 1. Defaults to [`TfidfEncoder`] fitted on the seeds.

    Example:

    ```python
    >>> monitor = DriftMonitor(["Add 2 and 3.", "Add 4 and 9.", "Take 3 from 8.", "Take 1 from 2."])
    >>> near = monitor.measure(["Add 5 and 5.", "Take 6 from 7."], ["Add 2 and 3.", "Take 1 from 2."])
    >>> far = monitor.measure(["Name a prime.", "Who was Gauss?"], ["Add 2 and 3.", "Add 2 and 3."])
    >>> drift_warning(near) is None, far["serl/drift/frac_far"], far["serl/drift/max_seed_share"]
    (True, 1.0, 1.0)

    ```
    """

    def __init__(self, seeds: Sequence[str], encode: Encoder | None = None) -> None:
        self.num_seeds = len(seeds)
        self.seeds = _sample(seeds)
        self._tfidf = TfidfEncoder(self.seeds) if encode is None else None
        self._encode = encode
        self._seed_vectors: NDArray | None = None  # of an encoder whose calls can be compared
        self._seed_distances: NDArray = np.zeros(0)  # of each seed from the closest other one
        self._far = math.nan  # the distance that counts as far

    def measure(self, instructions: Sequence[str], seed_parents: Sequence[str | None]) -> dict[str, float]:
        """
        Metrics of an iteration, each beside that of the seeds where it means something for them.

        Args:
            instructions (`Sequence[str]`): What was kept; more than 1,000 are represented by 1,000 of them.
            seed_parents (`Sequence[str | None]`): The seed that each descends from.

        Returns:
            `dict[str, float]`: `serl/drift/...`: `seed_distance` (1 - cosine with the closest seed, mean; for the seeds
            with the closest other seed), `frac_far` (the share whose distance exceeds the 95 % quantile of the seeds'),
            `self_similarity` (mean cosine of two of them), `distinct_1` and `distinct_2` (different words, and pairs of
            neighbouring words, over all, in as many words of both, at most 2,000), `length_words` (mean), `num_words` (vocabulary),
            `frac_new_words` (share of the words that no seed holds), `max_seed_share` and `frac_seeds_used` (the largest
            share of a seed parent, and the share of seeds that are one); `seeds_...` are those of the seeds. Empty if there
            are fewer than two seeds or no instructions.
        """
        if len(self.seeds) < 2 or not instructions:
            return {}
        chosen = _sample(instructions)
        of_seeds, of_new = self._vectors(chosen)
        if math.isnan(self._far):
            among_seeds = of_seeds @ of_seeds.T
            np.fill_diagonal(among_seeds, -1.0)  # not with itself
            self._seed_distances = 1 - among_seeds.max(axis=1)
            self._far = float(np.quantile(self._seed_distances, FAR_QUANTILE))
        distances = 1 - (of_new @ of_seeds.T).max(axis=1)  # (N,)
        seed_words, new_words = ([_words(text) for text in texts] for texts in (self.seeds, chosen))
        num_counted = min(NUM_WORDS, *(sum(map(len, words)) for words in (seed_words, new_words)))
        of_both = {
            "": _spread(chosen, of_new, distances, new_words, num_counted),
            "seeds_": _spread(self.seeds, of_seeds, self._seed_distances, seed_words, num_counted),
        }
        known, written = {word for words in seed_words for word in words}, [w for words in new_words for w in words]
        parents = Counter(parent for parent in seed_parents if parent is not None)
        metrics = {
            **{f"{prefix}{name}": value for prefix, values in of_both.items() for name, value in values.items()},
            "frac_far": float(np.mean(distances > self._far + 1e-6)),
            "num_words": float(len(set(written))),
            "frac_new_words": sum(word not in known for word in written) / max(len(written), 1),
            "max_seed_share": max(parents.values(), default=0) / max(parents.total(), 1),
            "frac_seeds_used": len(parents) / self.num_seeds,
        }
        return {f"serl/drift/{name}": value for name, value in metrics.items()}

    def _vectors(self, texts: list[str]) -> tuple[NDArray, NDArray]:
        """Vectors of the seeds and of some texts that can be compared."""
        if self._encode is None:
            assert self._tfidf is not None  # one of the two is there
            vectors = self._tfidf([*self.seeds, *texts])
            return vectors[: len(self.seeds)], vectors[len(self.seeds) :]
        if self._seed_vectors is None:
            self._seed_vectors = np.asarray(self._encode(self.seeds))
        return self._seed_vectors, np.asarray(self._encode(texts))


def drift_warning(metrics: dict[str, float]) -> str | None:
    """What to tell the user if an iteration has left the seeds: more than half of it is far from all of them.

    Args:
        metrics (`dict[str, float]`): As [`DriftMonitor.measure`] returns them.
    """
    frac_far = metrics.get("serl/drift/frac_far", 0.0)
    if frac_far <= MAX_FRAC_FAR:
        return None
    return (
        f"The instructions have left the seeds: {frac_far:.0%} of those kept are further from the closest seed than "
        f"{FAR_QUANTILE:.0%} of the seeds are from each other (mean distance {metrics['serl/drift/seed_distance']:.2f}, of "
        f"seeds {metrics['serl/drift/seeds_seed_distance']:.2f}). Read some; raise seed_fraction, lower "
        "instruction_temperature, or stop earlier."
    )


def _spread(
    texts: Sequence[str], vectors: NDArray, distances: NDArray, words: Sequence[list[str]], num_counted: int
) -> dict[str, float]:
    """What can be said of the seeds as well as of what was written."""
    total = vectors.sum(axis=0, dtype=np.float64)
    num_pairs = len(texts) * (len(texts) - 1)
    first: list[list[str]] = []
    for text in words:
        first.append(text[:num_counted])
        num_counted -= len(first[-1])
    return {
        "seed_distance": float(distances.mean()),
        # the sum over pairs of different vectors of length 1, from the square of their sum
        "self_similarity": float((total @ total - len(texts)) / num_pairs) if num_pairs else 1.0,
        "distinct_1": _frac_distinct([word for text in first for word in text]),
        "distinct_2": _frac_distinct([pair for text in first for pair in pairwise(text)]),
        "length_words": sum(map(num_words, texts)) / len(texts),
    }


def _frac_distinct(grams: Sequence[object]) -> float:
    return len(set(grams)) / max(len(grams), 1)


def _words(text: str) -> list[str]:
    return unicode_words(_NUMERAL.sub("0", text))


def _sample(texts: Sequence[str]) -> list[str]:
    return random.Random(0).sample(list(texts), MAX_TEXTS) if len(texts) > MAX_TEXTS else list(texts)
