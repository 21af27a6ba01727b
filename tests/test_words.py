"""Expected words are written by hand, or come from rouge-score's tokenizer."""

# ruff: noqa: RUF001 (other scripts are the point)

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.tokenize import tokenize

from serl_trl.words import rouge_words, unicode_words


@given(text=st.text())
def test_words_of_rouge_score_are_kept_as_they_are(text):
    expected = tokenize(text, None)
    if expected:
        assert rouge_words(text) == expected
    else:
        assert rouge_words(text)
        # words of a fallback equal none of rouge-score's, whatever text those come from
        assert not any(tokenize(word, None) == [word] for word in rouge_words(text))


@given(text=st.text(alphabet=st.characters(max_codepoint=127)))
def test_both_tokenizers_agree_on_english(text):
    if tokenize(text, None):
        assert unicode_words(text) == tokenize(text, None)


@given(text=st.text())
def test_there_is_always_a_word_and_words_are_never_blank(text):
    words = unicode_words(text)
    assert words
    assert all(word.strip() for word in words) or (words == [""] and not text.strip())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Größe: STRASSE, Straße", ["grösse", "strasse", "strasse"]),  # case folding
        ("１２３　ＡＢ", ["123", "ab"]),  # NFKC: full-width forms
        ("x² + ½", ["x2", "1⁄2"[:1], "2"]),  # NFKC: a superscript; a fraction slash is no digit
        ("cafe\u0301 café", ["café", "café"]),  # NFKC: a composed accent equals a separate one
        ("Сколько яблок у Ёлки?", ["сколько", "яблок", "у", "ёлки"]),  # Cyrillic
        ("كم تفاحة؟", ["كم", "تفاحة"]),  # Arabic
        ("कितने सेब हैं?", ["कितने", "सेब", "हैं"]),  # Hindi: vowel signs and nasal marks belong to the word
        ("사과는 몇 개", ["사과는", "몇", "개"]),  # Korean has spaces
        ("二加2等于几？", ["二", "加", "2", "等", "于", "几"]),  # Chinese has none, numbers stay whole
        ("りんごは12個", ["り", "ん", "ご", "は", "12", "個"]),  # Japanese
        ("ที่นี่", ["ที่", "นี่"]),  # Thai: consonants with their vowel and tone marks
        ("abc二def", ["abc", "二", "def"]),
        ("二\u0301a", ["二\u0301", "a"]),  # an accent belongs to the character before it, whatever comes next
        ("snake_case", ["snake", "case"]),  # as rouge-score cuts it
        ("∑∫ =", ["∑", "∫", "="]),  # no letter, no digit
        ("\u0301", ["\u0301"]),  # a mark without a letter
        ("", [""]),
        (" \n", [""]),
        ("\ud800", ["\ud800"]),  # half of a pair
    ],
)
def test_unicode_words_by_hand(text, words):
    assert unicode_words(text) == [unicodedata.normalize("NFC", word) for word in words]
