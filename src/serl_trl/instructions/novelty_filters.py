"""
Filters that compare an instruction with the seeds and everything kept before: by its words, or by its meaning.

The ROUGE-L threshold is `novelty_threshold` of [`SeRLConfig`], 0.7 by default.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..types import Verdict
from .novelty_index import NoveltyIndex


Encoder: TypeAlias = Callable[[Sequence[str]], NDArray[np.floating]]  # N texts to (N, D), rows of length 1

# A candidate is crowded by what is more similar to it than this: well below any threshold of novelty in use.
RELATED_SIMILARITY = 0.5

_BLOCK_ROWS = 4096  # of the bank of vectors, which grows by blocks


class NoveltyFilter:
    """Reject instructions that are too similar to one in a bank, the more readily the more the bank holds of the kind.

    An instruction is kept if max ROUGE-L F1 + `crowding_penalty` * (share of the bank with a ROUGE-L F1 above 0.5) is at
    most the threshold of the bank. Asking adds nothing to it; [`~NoveltyFilter.learn`] does.

    Args:
        index ([`~serl_trl.instructions.novelty_index.NoveltyIndex`]):
            The bank, which holds the threshold.
        crowding_penalty (`float`, *optional*, defaults to 0.0):
            What it would cost to resemble all of the bank. 0: only the closest text counts. A kind has rarely more than some
            hundredths of a bank, so that values of several units make a difference.

    Raises:
        `ValueError`: If `crowding_penalty` is negative or not finite.

    Source: the threshold is SeRL's; the penalty is ours, after R-Zero (arXiv 2508.05004), which takes the share of a
    batch that resembles a question off the question writer's reward. Ours looks at everything ever kept.

    Example:

    ```python
    >>> novelty = NoveltyFilter(NoveltyIndex(threshold=0.7))
    >>> novelty.learn(["What is 2 + 2?"])
    >>> novelty("What is 2 - 2?")
    Verdict(kept=False, reason='similar', value=1.0)

    ```
    """

    name: ClassVar[str] = "novelty"

    def __init__(self, index: NoveltyIndex, crowding_penalty: float = 0.0) -> None:
        if not 0 <= crowding_penalty < math.inf:
            raise ValueError(f"crowding_penalty is {crowding_penalty}; it is 0 (none) or a positive number.")
        self.index = index
        self.crowding_penalty = crowding_penalty

    def learn(self, instructions: Sequence[str]) -> None:
        """Put instructions into the bank."""
        for instruction in instructions:
            self.index.add(instruction)

    def __call__(self, instruction: str) -> Verdict:
        similarity = self.index.max_similarity(instruction)
        if similarity > self.index.threshold:
            return Verdict(False, "similar", similarity)
        if self.crowding_penalty:
            num_related = self.index.num_similar(instruction, RELATED_SIMILARITY)
            similarity += self.crowding_penalty * num_related / max(len(self.index), 1)
            if similarity > self.index.threshold:
                return Verdict(False, "crowded", similarity)
        return Verdict(True, None, similarity)


class SemanticNoveltyFilter:
    """Reject instructions whose meaning is too close to that of one kept before, or of a seed: rephrased copies.

    Closeness is the highest cosine with any vector of the bank, which takes 1.5 KB a text at 384 dimensions and is searched
    from end to end.

    Args:
        encode (`Callable[[Sequence[str]], np.ndarray]`):
            Texts to vectors of length 1, such as [`sentence_encoder`] gives.
        threshold (`float`, *optional*, defaults to 0.95):
            Highest cosine that is kept. It depends on the encoder: problems that differ in their numbers only have
            cosines above 0.9 with most.

    Raises:
        `ValueError`: If `threshold` is not in (0, 1], or the encoder returns anything but one vector of length 1 a text.

    Example:

    ```python
    >>> vectors = {"Add 2 and 3.": [1.0, 0.0], "What is 2 + 3?": [0.96, 0.28], "Name a prime.": [0.0, 1.0]}
    >>> semantic = SemanticNoveltyFilter(lambda texts: np.array([vectors[text] for text in texts]))
    >>> semantic.learn(["Add 2 and 3."])
    >>> semantic("What is 2 + 3?"), semantic("Name a prime.").kept
    (Verdict(kept=False, reason='same_meaning', value=0.96), True)

    ```
    """

    name: ClassVar[str] = "semantic"

    def __init__(self, encode: Encoder, threshold: float = 0.95) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"the threshold of semantic novelty is {threshold}; cosines that reject lie in (0, 1].")
        self.encode = encode
        self.threshold = threshold
        self._blocks: list[NDArray] = []  # (4096, D) each
        self._num_texts = 0
        self._latest: tuple[str, NDArray] | None = None  # what is kept has just been asked about

    def __len__(self) -> int:
        return self._num_texts

    def learn(self, instructions: Sequence[str]) -> None:
        """Put instructions into the bank."""
        for start in range(0, len(instructions), _BLOCK_ROWS):
            for vector in self._vectors(instructions[start : start + _BLOCK_ROWS]):
                row = self._num_texts % _BLOCK_ROWS
                if row == 0:
                    self._blocks.append(np.zeros((_BLOCK_ROWS, len(vector)), dtype=np.float32))
                self._blocks[-1][row] = vector
                self._num_texts += 1

    def __call__(self, instruction: str) -> Verdict:
        if self._num_texts == 0:
            return Verdict(True, None, 0.0)
        vector = self._vectors([instruction])[0]
        cosine = max(float((block @ vector).max()) for block in self._blocks)  # rows not in use yet are 0
        cosine = round(cosine, 6)  # float32, and a text equals itself
        return Verdict(False, "same_meaning", cosine) if cosine > self.threshold else Verdict(True, None, cosine)

    def _vectors(self, texts: Sequence[str]) -> NDArray:
        if self._latest is not None and list(texts) == [self._latest[0]]:
            return self._latest[1]
        vectors = np.asarray(self.encode(texts), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(texts) or not np.allclose((vectors**2).sum(1), 1, atol=1e-3):
            raise ValueError(
                f"the encoder turned {len(texts)} texts into an array of shape {vectors.shape}; it must return a vector of "
                "length 1 for each."
            )
        self._latest = (texts[0], vectors) if len(texts) == 1 else None
        return vectors


def sentence_encoder(model: str, **kwargs: Any) -> Encoder:
    """
    Vectors of meaning by a model of sentence-transformers (extra `embeddings`).

    Args:
        model (`str`): A model of the Hugging Face Hub, such as `"sentence-transformers/all-MiniLM-L6-v2"`, or a folder.
        **kwargs: Further arguments of `sentence_transformers.SentenceTransformer`, `device` for one.

    Returns:
        `Callable[[Sequence[str]], np.ndarray]`: Texts to an array (N, D) of float32, rows of length 1.

    Raises:
        ValueError: If the extra is not installed, or there is no such model.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise ValueError(
            f"embedding_model={model!r} needs the extra 'embeddings': pip install 'serl_trl[embeddings]' (or "
            "sentence-transformers)."
        ) from None
    try:
        network = SentenceTransformer(model, **kwargs)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"embedding_model={model!r} cannot be loaded ({str(error).splitlines()[0]}); give the id of a sentence-transformers "
            "model on the Hugging Face Hub, or a folder with one."
        ) from None
    return lambda texts: network.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
