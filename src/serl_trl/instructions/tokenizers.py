"""Text to words, for comparing texts: as rouge-score does it, and for every script. The length of a text in words."""

import math
import unicodedata
from collections.abc import Callable

from rouge_score.tokenize import tokenize


# Scripts that put no space between words, as ranges of code points, each with how many of its letters are as long as a
# word of English. Finding their words takes a dictionary; comparing and counting by characters does not. Hangul is
# missing on purpose: Korean puts spaces.
# The numbers are measured on MGSM (arXiv 2210.03057), the same 250 word problems in many languages: where the English
# have 11,566 words, the Chinese have 1.52 letters for each, the Thai 3.52 without vowel and tone marks, and the Japanese
# 2.95 kana beside Han counted as in Chinese. MGSM has no Lao, Khmer or Burmese; they are taken to be as Thai is.
_HAN, _KANA, _SOUTH_EAST_ASIAN = 1.5, 3.0, 3.5
_UNSPACED = (
    ("\u0e00", "\u0eff", _SOUTH_EAST_ASIAN),  # Thai, Lao
    ("\u1000", "\u109f", _SOUTH_EAST_ASIAN),  # Myanmar
    ("\u1780", "\u17ff", _SOUTH_EAST_ASIAN),  # Khmer
    ("\u1950", "\u19df", _SOUTH_EAST_ASIAN),  # Tai Le, New Tai Lue
    ("\u1a20", "\u1aaf", _SOUTH_EAST_ASIAN),  # Tai Tham
    ("\u2e80", "\u2fdf", _HAN),  # Han radicals
    ("\u3005", "\u3007", _HAN),  # 々, which repeats the last character, and two more
    ("\u3040", "\u30ff", _KANA),  # Hiragana, Katakana
    ("\u31f0", "\u31ff", _KANA),  # Katakana for Ainu
    ("\u3400", "\u9fff", _HAN),  # Han
    ("\ua9e0", "\ua9ff", _SOUTH_EAST_ASIAN),  # Myanmar, for Shan
    ("\uaa60", "\uaadf", _SOUTH_EAST_ASIAN),  # Myanmar, for minorities; Tai Viet
    ("\uf900", "\ufaff", _HAN),  # Han, for compatibility
    ("\uff66", "\uff9f", _KANA),  # Katakana of half width
    ("\U0001b000", "\U0001b16f", _KANA),  # old kana
    ("\U00020000", "\U0003ffff", _HAN),  # rare Han
)

# Between the syllables of Tibetan, and between the words of old Ethiopic texts; Python does not split at them.
_SPACES = str.maketrans(dict.fromkeys("\u0f0b\u0f0c\u1361", " "))

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


def num_words(text: str) -> int:
    """
    The length of a text in words, whatever its script.

    Where spaces separate words, what lies between spaces is a word, numbers and signs too. Chinese, Japanese, Thai, Lao,
    Khmer and Burmese put no space between words: there, letters are counted, and 1.5 Han characters, 3 kana, or 3.5
    letters of the scripts of South-East Asia (marks not counted) make a word. These are the lengths at which a problem
    has as many words as its English translation; words themselves are not found. What stands between such letters, a
    number or a formula, is a word of its own; punctuation is none.

    Args:
        text (`str`):
            Any text.

    Returns:
        `int`: At least 0; where spaces separate words, `len(text.split())`.

    Source: ours; the lengths are measured, see `_UNSPACED`.

    Example:

    ```python
    >>> num_words("What is 2 + 2?"), num_words("2加2等于几？"), num_words(" ")
    (5, 5, 0)

    ```
    """
    if text.isascii():  # for speed alone
        return len(text.split())
    num_spaced, num_unspaced = 0, 0.0
    for piece in text.translate(_SPACES).split():
        shares = [_word_share(char) for char in piece]
        if not any(shares):
            num_spaced += 1
            continue
        num_unspaced += sum(shares)
        others = "".join(" " if share else char for char, share in zip(piece, shares, strict=True)).split()
        num_spaced += sum(any(map(str.isalnum, other)) for other in others)
    return num_spaced + math.ceil(round(num_unspaced, 6))  # the sum of thirds is rounded before it is rounded up


def is_rouge_blind(text: str) -> bool:
    """
    Whether rouge-score's words leave out most letters of a text: it knows those from a to z only.

    Args:
        text (`str`):
            Any text.

    Example:

    ```python
    >>> is_rouge_blind("小明有5个苹果"), is_rouge_blind("Größe")
    (True, False)

    ```
    """
    letters = [char for char in text if char.isalpha()]
    return sum(not char.isascii() for char in letters) > len(letters) / 2


def _word_share(char: str) -> float:
    """Which share of a word a letter is; 0 where spaces separate words, and for what is no letter."""
    letters = _letters_per_word(char)
    return 1 / letters if letters and char.isalnum() and not char.isdigit() else 0.0


def _is_unspaced(char: str) -> bool:
    return _letters_per_word(char) > 0


def _letters_per_word(char: str) -> float:
    """Of a script without spaces between words; 0 for any other."""
    if char < _UNSPACED[0][0]:
        return 0.0
    return next((letters for first, last, letters in _UNSPACED if first <= char <= last), 0.0)


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"rouge": rouge_words, "unicode": unicode_words}
