r"""Patterns of the phrases in `languages.py`: what leads to an answer, to a letter, to a conclusion, and what follows.

A pattern is compiled when its language is met for the first time, and looked for only in text that holds one of its
words: English responses pay for none of them.
"""

import re
import unicodedata
from functools import cache

from .languages import LANGUAGES, Language


_ABC = re.compile(r"[A-Za-z\u00c0-\u1fff]")  # scripts with words apart from each other, in which a letter has cases
_END = r"[*_)\]}\u00bb\"\u201d]{0,4}"  # of bold print around a label
_FINAL = (  # with it an answer is called final
    r"(?:finale?s?|final[oa]?|endg\u00fcltige|ostateczna|definitief"
    r"|\u043e\u043a\u043e\u043d\u0447\u0430\u0442\u0435\u043b\u044c\u043d\u044b\u0439"
    r"|\u0438\u0442\u043e\u0433\u043e\u0432\u044b\u0439|\u6700\u7ec8|\u6700\u7d42|\u6700\u7d42\u7684\u306a"
    r"|\ucd5c\uc885|\u0905\u0902\u0924\u093f\u092e)\s{0,2}"
)
_NOT = (  # the answer is *not* A
    r"(?<!\w)(?:no|non|not|nicht|kein\w{0,2}|pas|n'est|ne|n\u00e3o|nu|nie|niet|ikke|inte|ei|nem|bukan|kh\u00f4ng"
    r"|de\u011fil|\u043d\u0435|\u03b4\u03b5\u03bd)(?!\w)"
    r"|\u4e0d|\u306a\u3044|\uc544\ub2c8|\u0644\u064a\u0633|\u0646\u06c1\u06cc\u06ba|\u0646\u06cc\u0633\u062a"
    r"|\u0928\u0939\u0940\u0902|\u05d0\u05d9\u05e0"
)
_OPENING = r"[\s*_:$({\[\"'\u201c\u300c]{0,8}"
_CLOSING = r"[)\]*_\"'\u201d\u300d}$\s,]{0,8}"


# "And", "or" between two values: words, and the signs of Chinese, Japanese and Korean. "i" and "e" are numbers, too.
AND_OR = r"(?:und|oder|et|ou|y|o|\u0438|\u0438\u043b\u0438|\u0456|\u0430\u0431\u043e|lub|en|og|och|eller|ve|veya|dan|atau|v\u00e0|ho\u1eb7c)"
AND_OR_SIGNS = r"[\u3001\u548c\u6216\u4e0e\u8207\u53ca\u3068\uacfc\uc640]"


def _alternatives(*fields: str) -> list[str]:
    """The words of fields of the table, composed and decomposed, the longest first."""
    words = {word for field in fields for word in field.split("|") if word}
    return sorted(words | {unicodedata.normalize("NFD", word) for word in words}, key=lambda word: (-len(word), word))


def any_of(*fields: str) -> str:
    """A pattern for any of the words. Where a script puts spaces, no letter may stand beside them."""
    words = []
    for word in _alternatives(*fields):
        before = r"(?<![^\W\d_])" if _is_cased(word[0]) else ""
        after = r"(?![^\W\d_])" if _is_cased(word[-1]) else ""
        words.append(before + re.escape(word) + after)
    return rf"(?:{'|'.join(words)})" if words else r"(?!)"


def _is_cased(char: str) -> bool:
    return char.lower() != char.upper()


# The answer --------------------------------------------------------------------------------------------------------

_KEYS = {row.code: tuple(_alternatives(row.answers, row.results)) for row in LANGUAGES}
_ENGLISH = {"option", "letter", "item", "proposition", "variant", "alternative", "is correct"}
_OPTION_KEYS = {
    row.code: tuple(
        word
        for word in _alternatives(row.options, row.correct)
        if (len(word) > 3 or not word.isascii()) and word not in _ENGLISH
    )
    for row in LANGUAGES
}


def _index(keys_of: dict[str, tuple[str, ...]]) -> tuple[list[str], list[tuple[str, list[Language]]]]:
    """ASCII keys that hold no other of them, any of which a text of a language in ASCII holds; all keys with their rows."""
    rows: dict[str, list[Language]] = {}
    for row in LANGUAGES:
        for key in keys_of[row.code]:
            rows.setdefault(key, []).append(row)
    ascii_keys = {key for key in rows if key.isascii()}
    least = [key for key in ascii_keys if not any(other in key for other in ascii_keys - {key})]
    return sorted(least), list(rows.items())


_FOREIGN_LETTER = re.compile(r"[^\W\d_\x00-\x7f]")
_INDEX = _index(_KEYS)
_CHOICE_INDEX = _index({code: keys + _OPTION_KEYS[code] for code, keys in _KEYS.items()})


def _languages(text: str, index: tuple[list[str], list[tuple[str, list[Language]]]]) -> list[Language]:
    ascii_keys, rows = index
    if text.isascii() or not _FOREIGN_LETTER.search(text):
        for key in ascii_keys:  # a loop, since nearly every response comes this way
            if key in text:
                break
        else:
            return []
    found = {row.code for key, of_key in rows if key in text for row in of_key}
    return [row for row in LANGUAGES if row.code in found]


def languages_in(text: str) -> list[Language]:
    """The languages, other than English, in which `text`, in lower case, may say what the answer is.

    Example:

    >>> [language.code for language in languages_in("die antwort ist 12.")], languages_in("the answer is 12.")
    (['de'], [])
    """
    return _languages(text, _INDEX)


def _then(language: Language) -> str:
    """What may stand between the verb and the value: la r\u00e9ponse est *donc* 12."""
    return rf"(?:\s{any_of(language.therefore)}(?=\s))?"


@cache
def lead_of(language: Language) -> re.Pattern[str]:
    """What leads to an answer in a language: "la respuesta es", "Antwort:"; group `final` if it is called final."""
    between = rf"(?:(?!{_NOT})[^\n.:=?!\u3002\d\\]){{0,40}}?"
    verb = any_of(language.verbs)
    value = r"(?=[*_$\\(\s\"\u201c\u300c-]{0,8}(?:\d|[dt]?frac\{|sqrt))"  # Vastaus 12
    # where the verb comes last, only the value ends what leads to it
    far = rf"|{between}{value}(?=[^\n]{{1,40}}?{any_of(language.tails)})" if language.tails else ""
    return re.compile(
        rf"(?P<final>{_FINAL})?(?:{any_of(language.answers)}"
        rf"(?:{between}(?:{verb}{_then(language)}|{_END}\s{{0,2}}[:=\u0983])|{_END}\s[-\u2013\u2014]{{1,2}}(?=\s)"
        rf"|{_END}{value}{far})"
        rf"|{any_of(language.results)}(?:{between}{verb}{_then(language)}|{_END}\s{{0,2}}[:=]?{value})"
        rf"|{verb}\s(?:[^\W\d_]{{1,12}}\s)?{any_of(language.answers)}{_END}(?:\s{{0,2}}:"
        rf"|(?=\s+\S)))",  # ist die Antwort 12
        re.IGNORECASE,
    )


# Labels alone are placeholders: \boxed{Antwort}
LABELS = frozenset(word for row in LANGUAGES for word in _alternatives(row.answers, row.results))

# A verb that an apostrophe joins to the value, as in Turkish: B'dir
JOINED_TAIL = re.compile(
    "|".join(re.escape(word) for word in _alternatives(*(row.tails for row in LANGUAGES)) if word.startswith("'"))
)
# What ends a sentence behind a value, and only there: 12です。
TAIL = re.compile(rf"[\s*\"]{{0,4}}{any_of(*(row.tails for row in LANGUAGES))}[\s.!*\u3002\u0964]*(?:\n|$)")

_MARKS = re.compile(r"[\W\d]{0,20}")


_ANY_THEREFORE = re.compile(
    "|".join(map(re.escape, _alternatives(*(row.therefore for row in LANGUAGES)))), re.IGNORECASE
)


@cache
def _therefore(language: Language) -> re.Pattern[str]:
    return re.compile(any_of(language.therefore), re.IGNORECASE)


def language_of_conclusion(sentence: str) -> Language | None:
    """The language, other than English, in which a sentence begins as a conclusion does.

    Example:

    >>> language_of_conclusion("Por lo tanto, tiene 12 manzanas.").code
    'es'
    """
    marks = _MARKS.match(sentence)
    start = marks.end() if marks else 0
    if not _ANY_THEREFORE.match(sentence, start):
        return None
    return next((row for row in LANGUAGES if _therefore(row).match(sentence, start)), None)


# The letter of a choice --------------------------------------------------------------------------------------------

# (B), B, and no word that begins with it
_LETTER = r"\(?([A-J])(?![A-Za-z\d_'-])\)?"


def languages_of_choice(text: str) -> list[Language]:
    """The languages, other than English, in which `text`, in lower case, may say which choice is right."""
    return _languages(text, _CHOICE_INDEX)


@cache
def option_of(language: Language) -> re.Pattern[str]:
    """What may stand between the verb and the letter: "la opción"; matches nothing where nothing does."""
    noun = rf"{any_of(language.options, language.answers)}"
    return re.compile(
        rf"(?:{_OPENING}{noun}(?={_OPENING}(?-i:[A-J](?![^\W\d_]))|{_OPENING}{noun})){{0,3}}", re.IGNORECASE
    )


def _nouns(language: Language) -> str:
    """What a letter is called; not the articles before it."""
    words = language.options.split("|") + language.answers.split("|")
    return any_of(*(word for word in words if len(word) > 2 or not word.isascii()))


@cache
def choice_lead_of(language: Language) -> re.Pattern[str]:
    """What leads to a letter with a verb or a colon: "la opción correcta es"."""
    between = rf"(?:(?!{_NOT})[^\n.:=?!\u3002\d\\]){{0,40}}?"
    verb = any_of(language.verbs)
    return re.compile(
        rf"{_nouns(language)}(?:{between}(?:{verb}{_then(language)}|{_END}\s{{0,2}}[:=\u0983])"
        rf"|{_END}\s[-\u2013\u2014]{{1,2}}(?=\s))"
        rf"|{any_of(language.results)}{between}{verb}{_then(language)}"
        rf"|{verb}\s(?:[^\W\d_]{{1,12}}\s)?{_nouns(language)}{_END}(?:\s{{0,2}}:|(?=\s+\S))",
        re.IGNORECASE,
    )


@cache
def choosing_of(language: Language) -> re.Pattern[str]:
    """A choice without a verb before it: "B ist richtig", or "Antwort B." at the end of a sentence."""
    end = rf"{_CLOSING}(?:{any_of(language.tails)})?(?:\s{{0,2}}\$[^$\n]{{1,60}}\$)?[\s.!*\u3002\u0964]*(?:\n|\Z)"
    far = rf"(?:(?!{_NOT}|[A-J])[^\n.:=?!\u3002\d\\]){{0,30}}?" if language.tails else ""
    return re.compile(
        rf"(?:\A|\n)\W{{0,8}}(?i:{_nouns(language)}){_OPENING}([A-J])[)\].:][^\n]{{0,80}}\Z"  # Opción (C) 12 m/s
        rf"|(?<![A-Za-z\d'\\(]){_LETTER}{_CLOSING}(?i:{any_of(language.correct)})"
        rf"|(?i:{_nouns(language)}{far}){_OPENING}{_LETTER}{end}"
    )
