"""A growing bank of texts that says how similar a new text is to any of them, in exact ROUGE-L."""

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Indel, LCSseq
from rouge_score.tokenize import tokenize


# Two scores closer than this may be equal up to rounding; such pairs are scored again as rouge-score does it.
_ROUNDING = 1e-9

# rapidfuzz is less precise about its cutoff than about its scores: pairs 1e-9 above it get lost, pairs 1e-7 do not.
_CUTOFF_SLACK = 1e-4

# The id of every word that is not in the bank. No bank entry holds it, so it matches nothing.
_UNKNOWN = 0


def _rouge_l(tokens: tuple[int, ...], other: tuple[int, ...]) -> float:
    """ROUGE-L F1 of two sequences that are not empty, in rouge-score's own order of operations.

    That order matters: 7 common words of 7 and 13 have F1 = 14 / 20, which rouge-score rounds to a number above 0.7,
    though 14 / 20 itself is not: a threshold of 0.7 would decide the other way.
    """
    num_common = LCSseq.similarity(tokens, other)
    precision, recall = num_common / len(tokens), num_common / len(other)
    return 2 * precision * recall / (precision + recall) if num_common else 0.0


class NoveltyIndex:
    r"""Bank of texts that answers how similar a new text is to the closest of them.

    Similarity is ROUGE-L F1, \\( 2 \ell / (m + n) \\) with \\( \ell \\) the length of the longest common subsequence
    of two texts of \\( m \\) and \\( n \\) words; words are what rouge-score's default tokenizer, without stemmer,
    finds. Scores are equal to rouge-score's to the last bit, and so are decisions.

    rouge-score knows the letters a to z and digits only: a text without any (empty, punctuation, another script) has
    no words. rouge-score gives it similarity 0 to everything; here it has similarity 1 to the very same text, so that
    it cannot be novel twice.

    Args:
        threshold (`float`, *optional*, defaults to 0.7):
            Highest similarity, from 0 to 1, at which a text still counts as novel (0.7: SeRL and Self-Instruct).

    Raises:
        `ValueError`: If `threshold` is not in [0, 1].

    Source: SeRL (arXiv 2505.20347), after Self-Instruct (arXiv 2212.10560). The official code compares with the seeds
    and a buffer that it empties at each step; this bank forgets nothing.

    Example:

    ```python
    >>> index = NoveltyIndex()
    >>> index.add("How many apples does Tom have?")
    >>> index.max_similarity("How many pears does Tom have")
    0.8333333333333334
    >>> index.is_novel("How many apples does Tom have now?"), index.is_novel("A train leaves at noon.")
    (False, True)

    ```
    """

    def __init__(self, threshold: float = 0.7) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], not {threshold}; 0.7 is the usual choice.")
        self.threshold = threshold
        self._texts: list[str] = []
        self._ids: dict[str, int] = {}  # word -> id, from 1
        self._worded: list[tuple[str, tuple[int, ...]]] = []
        self._wordless: set[str] = set()

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that was added, in order: adding it to a new index restores this one."""
        return tuple(self._texts)

    def add(self, text: str) -> None:
        """Put `text` into the bank, novel or not.

        Args:
            text (`str`):
                Any text.
        """
        tokens = tuple(self._ids.setdefault(word, len(self._ids) + 1) for word in tokenize(text, None))
        self._texts.append(text)
        if tokens:
            self._worded.append((text, tokens))
        else:
            self._wordless.add(text)

    def most_similar(self, text: str) -> tuple[str | None, float]:
        """Closest text of the bank and its similarity.

        Args:
            text (`str`):
                Any text.

        Returns:
            `tuple[str | None, float]`: The text of the bank with the highest ROUGE-L F1, the earliest if there are
            several, and that F1, from 0 to 1; `(None, 0.0)` if no text of the bank shares a word with it.

        Example:

        ```python
        >>> index = NoveltyIndex()
        >>> index.add("two plus two")
        >>> index.most_similar("Two plus 3")
        ('two plus two', 0.6666666666666666)

        ```
        """
        return self._closest(text, score_cutoff=None)

    def max_similarity(self, text: str) -> float:
        """Highest ROUGE-L F1 of `text` with any text of the bank.

        Args:
            text (`str`):
                Any text.

        Returns:
            `float`: From 0 to 1; 0 for an empty bank.
        """
        return self.most_similar(text)[1]

    def is_novel(self, text: str) -> bool:
        """Whether no text of the bank is more similar to `text` than the threshold.

        The same as `max_similarity(text) <= threshold`, but faster: pairs that cannot reach the threshold are
        abandoned early.

        Args:
            text (`str`):
                Any text.

        Returns:
            `bool`: `True` if `text` is novel.
        """
        return self._closest(text, score_cutoff=max(0.0, self.threshold - _CUTOFF_SLACK))[1] <= self.threshold

    def _closest(self, text: str, score_cutoff: float | None) -> tuple[str | None, float]:
        """Closest text and its similarity, or `(None, 0.0)` if none reaches `score_cutoff`."""
        tokens = tuple(self._ids.get(word, _UNKNOWN) for word in tokenize(text, None))
        if not tokens:
            return (text, 1.0) if text in self._wordless else (None, 0.0)
        # Indel similarity over words is ROUGE-L F1 up to rounding.
        scores = process.cdist(
            [tokens],
            [other for _, other in self._worded],
            scorer=Indel.normalized_similarity,
            score_cutoff=score_cutoff,
            dtype=np.float64,
        )[0]
        if not scores.any():
            return None, 0.0
        candidates = [self._worded[position] for position in np.flatnonzero(scores >= scores.max() - _ROUNDING)]
        return max(((other, _rouge_l(tokens, ids)) for other, ids in candidates), key=lambda pair: pair[1])
