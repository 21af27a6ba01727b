"""Parts of a large bank of texts, searched by bounds on the longest common subsequence before it is computed.

A bound costs next to nothing: no common subsequence is longer than the number of words in common, each word counted as
often as both texts hold it. The k-th occurrence of a word in a text is a feature of its own, so that this number is
the number of features in common, and an inverted index adds it up for all texts at once.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import LCSseq


# Bounds on F1 are compared with this relative tolerance, that of 32-bit floats with room to spare: it lets through a
# few texts more, and loses none.
ROUNDING = 1e-6

# Most texts of a shard: their numbers fit in 16 bits, and one count for each of them in a processor's cache.
MAX_SHARD_TEXTS = 1 << 16

# A feature that more of the texts hold is stored as a flag for every text, another one as a list of texts. Adding a flag
# takes a fiftieth of the time of an entry of a list, and half of its memory. 1 / 32 was not faster, and a fourth larger.
_FRAC_COMMON = 1 / 16

# All occurrences of a word in a text from this one on are one feature.
_MAX_OCCURRENCE = (1 << 16) - 1


def _occurrences(keys: NDArray) -> NDArray:
    """How many equal keys come before each, in a sorted array."""
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    occurrences = np.arange(len(keys))
    occurrences -= np.repeat(starts, np.diff(starts, append=len(keys)))
    return occurrences


class Query:
    """A text to compare with, in the form that shards need.

    Args:
        words (`Sequence[int]`):
            Ids of its words, in order; -1 for a word that no bank text holds.
        num_known_words (`int`):
            Number of ids in use, which run from 0.
    """

    def __init__(self, words: Sequence[int], num_known_words: int) -> None:
        known = [word for word in words if word >= 0]
        self.num_words, self.num_known = len(words), len(known)
        counts: dict[int, int] = {}
        features = []
        for word in known:
            occurrence = counts.get(word, 0)
            counts[word] = occurrence + 1
            features.append(word << 16 | min(occurrence, _MAX_OCCURRENCE))
        self.features: NDArray = np.array(features, dtype=np.int64)
        # rapidfuzz is fastest on strings: each word of the query becomes a character, any other word becomes "\0".
        self.characters: NDArray = np.zeros(num_known_words, dtype="<u4")
        self.characters[list(counts)] = range(1, len(counts) + 1)
        self.string = _decode(self.characters[known])


def _decode(characters: NDArray) -> str:
    return characters.tobytes().decode("utf-32-le", "surrogatepass")


class Texts:
    """Texts as arrays of word ids, without an index.

    Args:
        words (`np.ndarray`, int32, shape `(T,)`):
            Ids of the words of all texts, one text after the other.
        lengths (`np.ndarray`, int32, shape `(N,)`):
            Number of words of each text, at least 1.
        positions (`np.ndarray`, int64, shape `(N,)`):
            Number of each text in the bank.
    """

    def __init__(self, words: NDArray, lengths: NDArray, positions: NDArray) -> None:
        self.words, self.lengths, self.positions = words, lengths, positions
        self.starts = np.cumsum(lengths, dtype=np.int64) - lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def words_of(self, rows: NDArray) -> NDArray:
        """Word ids of some texts, one after the other."""
        lengths = self.lengths[rows]
        ends = lengths.cumsum(dtype=np.int64)
        places = (self.starts[rows] - (ends - lengths)).repeat(lengths)
        places += np.arange(ends[-1])
        return self.words[places]

    def candidates(self, query: Query, bar: float) -> tuple[NDArray, NDArray]:
        """Texts that may have an F1 of `bar` or more with the query.

        Args:
            query (`Query`):
                What to compare with.
            bar (`float`):
                F1 that is of interest, from 0 to 1.

        Returns:
            `tuple[np.ndarray, np.ndarray]`: Rows, int64, and upper bounds on their F1, float32, above 0, both of
            shape (K,). Here lengths alone are looked at.
        """
        num_shared = np.minimum(self.lengths, query.num_known)
        return _above(bar, np.arange(len(self)), num_shared, query.num_words + self.lengths)

    def num_common(self, query: Query, rows: NDArray) -> NDArray:
        """Lengths of the longest common subsequences with some texts.

        Args:
            query (`Query`):
                What to compare with.
            rows (`np.ndarray`, int64, shape `(K,)`):
                Which texts, at least one.

        Returns:
            `np.ndarray`: int32, shape `(K,)`, in words.
        """
        string = _decode(query.characters.take(self.words_of(rows)))
        ends = self.lengths[rows].cumsum(dtype=np.int64).tolist()
        others = [string[start:end] for start, end in pairwise([0, *ends])]
        return process.cdist([query.string], others, scorer=LCSseq.similarity, dtype=np.int32)[0]


class Shard(Texts):
    """Texts with an inverted index, sorted by length. It does not change: two are merged into a new one.

    Args:
        words, lengths, positions:
            As in [`Texts`], in any order, at most `MAX_SHARD_TEXTS` texts.

    Source: the bounds are those of set similarity joins (AllPairs, WWW 2007; PPJoin, WWW 2008). Their prefix filter
    does not pay here: at a threshold of 0.7 it has to look up half of a text's words, among them common ones, and
    adding up the flags of the rest takes less time than picking out the texts that are left.
    """

    def __init__(self, words: NDArray, lengths: NDArray, positions: NDArray) -> None:
        unsorted = Texts(words, lengths, positions)
        order = np.argsort(lengths, kind="stable")
        super().__init__(unsorted.words_of(order), lengths[order], positions[order])
        features, owners = self._entries()
        is_first = np.concatenate(([True], features[1:] != features[:-1]))
        starts = np.flatnonzero(is_first)
        counts = np.diff(starts, append=len(features))
        is_common = counts > _FRAC_COMMON * len(self)
        self._common = features[starts[is_common]]
        self._flags = np.zeros((len(self._common), len(self)), dtype=np.uint8)
        for flags, start, count in zip(self._flags, starts[is_common], counts[is_common], strict=True):
            flags[owners[start : start + count]] = 1
        self._rare = features[starts[~is_common]]
        self._owners = owners[np.repeat(~is_common, counts)]
        self._owner_starts = np.concatenate(([0], np.cumsum(counts[~is_common])))

    @classmethod
    def merge(cls, *parts: Texts) -> "Shard":
        """A shard of all texts of several parts."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("words", "lengths", "positions")))

    def _entries(self) -> tuple[NDArray, NDArray]:
        """Every feature of every text, sorted by feature, and the text, both of shape (T,)."""
        # in place, since these arrays are several times as large as the shard that comes out
        entries = np.repeat(np.arange(len(self)), self.lengths)  # row
        entries <<= 32
        entries |= self.words  # row, word
        entries.sort()
        occurrences = _occurrences(entries)
        rows = (entries >> 32).astype(np.uint16)
        entries <<= 32
        entries |= rows
        entries = entries[occurrences <= _MAX_OCCURRENCE]
        entries |= occurrences[occurrences <= _MAX_OCCURRENCE] << 16  # word, occurrence, row
        entries.sort()
        rows = (entries & 0xFFFF).astype(np.uint16)
        entries >>= 16
        return entries, rows

    def candidates(self, query: Query, bar: float) -> tuple[NDArray, NDArray]:
        """As in [`Texts`]; looks at lengths first, then at the words in common, in any order."""
        first, last = self._window(query, bar)
        if first == last:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        counts = self._num_shared(query, first, last)
        # what the shortest text of the window needs, the others need more: few rows are left for a bound of their own
        num_needed = math.ceil(bar * (query.num_words + int(self.lengths[first])) / 2 * (1 - ROUNDING))
        (rows,) = (counts >= max(1, num_needed)).nonzero()
        return _above(bar, rows + first, counts[rows], query.num_words + self.lengths[rows + first])

    def _window(self, query: Query, bar: float) -> tuple[int, int]:
        """The range of rows whose length allows an F1 of `bar`: the shorter text has no more words to share."""
        if bar == 0:
            return 0, len(self)
        shortest = bar * query.num_words / (2 - bar) * (1 - ROUNDING)
        longest = (2 * query.num_known / bar - query.num_words) * (1 + ROUNDING)
        ends = math.ceil(shortest), math.floor(min(longest, self.lengths[-1])) + 1
        first, last = self.lengths.searchsorted(np.array(ends, dtype=self.lengths.dtype)).tolist()
        return first, max(first, last)

    def _num_shared(self, query: Query, first: int, last: int) -> NDArray:
        """Number of features that each row from `first` to before `last` shares with the query."""
        counts = np.zeros(len(self), dtype=np.min_scalar_type(query.num_known))
        found = _find(self._rare, query.features)
        if len(found):
            bounds = zip(self._owner_starts[found].tolist(), self._owner_starts[found + 1].tolist(), strict=True)
            owners = np.concatenate([self._owners[start:end] for start, end in bounds])
            np.add.at(counts, owners, counts.dtype.type(1))
        counts = counts[first:last]
        for place in _find(self._common, query.features).tolist():
            counts += self._flags[place, first:last]
        return counts


def _above(bar: float, rows: NDArray, num_shared: NDArray, num_both: NDArray) -> tuple[NDArray, NDArray]:
    """The rows whose bound on F1 is above 0 and not clearly below the bar, and the bounds."""
    bounds = 2 * np.divide(num_shared, num_both, dtype=np.float32)
    is_above = bounds > bar * (1 - ROUNDING)
    return rows[is_above], bounds[is_above]


def _find(known: NDArray, wanted: NDArray) -> NDArray:
    """Where the wanted numbers are in a sorted array, for those that are."""
    if not len(known):
        return np.zeros(0, dtype=np.int64)
    places = known.searchsorted(wanted)
    return places[known.take(places, mode="clip") == wanted]
