"""Text to words, for comparing texts: as rouge-score does it, and for every script."""

import unicodedata
from collections.abc import Callable

from rouge_score.tokenize import tokenize


# Scripts that put no space between words, as ranges of code points. Finding their words takes a dictionary;
# comparing by characters does not. Hangul is missing on purpose: Korean puts spaces.
_UNSPACED = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Myanmar
    ("\u1780", "\u17ff"),  # Khmer
    ("\u2e80", "\u2fdf"),  # Han radicals
    ("\u3005", "\u3007"),  # 々, which repeats the last character, and two more
    ("\u3040", "\u30ff"),  # Hiragana, Katakana
    ("\u31f0", "\u31ff"),  # Katakana for Ainu
    ("\u3400", "\u9fff"),  # Han
    ("\uf900", "\ufaff"),  # Han, for compatibility
    ("\U0001b000", "\U0001b16f"),  # old kana
    ("\U00020000", "\U0003ffff"),  # rare Han
)

# rouge-score's words start with a letter or a digit, so that a word with this in front equals none of them.
_FALLBACK_MARK = " "


def unicode_words(text: str) -> list[str]:
    """Words of a text in any script, never none.

    The text is normalised to NFKC (full-width digits become digits, a composed accent equals a separate one) and
    case-folded. A word is a run of letters and digits with their combining marks. Chinese, Japanese, Thai, Lao, Khmer
    and Burmese put no space between words: there, each character with its marks is a word, since a whole sentence as
    one word would equal only itself. A text without any letter or digit falls into its characters other than white
    space; a blank one has a single empty word.

    Args:
        text (`str`):
            Any text.

    Returns:
        `list[str]`: At least one word.

    Source: ours. Python's `\\w+` alone would cut Hindi and Thai words at their vowel signs, which are marks.

    Example:

    ```python
    >>> unicode_words("Größe: 2 Äpfel"), unicode_words("二加二"), unicode_words("?!"), unicode_words(" ")
    (['grösse', '2', 'äpfel'], ['二', '加', '二'], ['?', '!'], [''])

    ```
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    words: list[str] = []
    was_in_word = was_spaced = False
    for char in text:
        is_mark = was_in_word and unicodedata.category(char).startswith("M")
        is_in_word = is_mark or char.isalnum()
        is_spaced = was_spaced if is_mark else not _is_unspaced(char)
        if is_mark or (is_in_word and was_in_word and is_spaced and was_spaced):
            words[-1] += char
        elif is_in_word:
            words.append(char)
        was_in_word, was_spaced = is_in_word, is_spaced
    return words or [char for char in text if not char.isspace()] or [""]


def rouge_words(text: str) -> list[str]:
    """Words of a text as rouge-score's default tokenizer, without stemmer, finds them, never none.

    rouge-score knows the letters a to z and digits only. A text without any of them, in another script or of
    punctuation alone, has no words there, and similarity 0 to everything, itself included. Here it falls back on
    [`unicode_words`], each marked so that it equals no word of rouge-score: such texts are compared among themselves.

    Args:
        text (`str`):
            Any text.

    Returns:
        `list[str]`: At least one word.

    Example:

    ```python
    >>> rouge_words("It's 2 Äpfel"), rouge_words("二加二")
    (['it', 's', '2', 'pfel'], [' 二', ' 加', ' 二'])

    ```
    """
    return tokenize(text, None) or [_FALLBACK_MARK + word for word in unicode_words(text)]


def _is_unspaced(char: str) -> bool:
    return char >= _UNSPACED[0][0] and any(first <= char <= last for first, last in _UNSPACED)


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"rouge": rouge_words, "unicode": unicode_words}
