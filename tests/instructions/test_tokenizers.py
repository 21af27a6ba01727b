"""Expected words are written by hand, or come from rouge-score's tokenizer."""

# ruff: noqa: RUF001 (other scripts are the point)

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.tokenize import tokenize

from serl_trl.instructions.tokenizers import is_rouge_blind, num_words, rouge_words, unicode_words


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


@given(text=st.text(alphabet=st.characters(max_codepoint=0x0DFF, exclude_characters="\u1361")))
def test_where_spaces_separate_words_they_are_what_spaces_separate(text):
    assert num_words(text) == len(text.split())


@pytest.mark.parametrize(
    "text",
    ["사과 다섯 개", "Có 5 quả táo", "У Маши 5 яблок", "कितने सेब हैं?", "كم تفاحة؟", "Compute $x^2 + 1$.", "Größe?"],
)
def test_languages_with_spaces_are_counted_as_ever(text):
    assert num_words(text) == len(text.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("二", 1),  # never none
        ("二加三", 2),  # 3 / 1.5
        ("二加二等于几？", 4),  # 6 / 1.5, and a full-width question mark
        ("小明有5个苹果，又买了3个。", 9),  # 10 / 1.5, and two numbers
        ("小明有 5 个苹果，又买了 3 个。", 9),  # spaces around numbers change nothing
        ("求 $x + 1 = 2$ 的解。", 7),  # 3 / 1.5, and five pieces of a formula
        ("りんご", 1),  # 3 / 3
        ("リンゴとみかん", 3),  # 7 / 3, rounded up
        ("ﾘﾝｺﾞ", 2),  # half width: 4 / 3
        ("12個のりんご", 3),  # a number, 1 / 1.5 + 4 / 3 = 2
        ("กี่", 1),  # one letter and two marks
        ("แดงมีส้ม", 2),  # 6 letters, 2 marks: 6 / 3.5
        ("แดง มี ส้ม", 2),  # in Thai a space ends a clause
        ("๑๒ ๓", 2),  # digits of Thai are numbers
        ("བཀྲ་ཤིས་བདེ་ལེགས", 4),  # syllables of Tibetan
        ("", 0),
        ("。", 1),  # as "." is
        (" \n", 0),
    ],
)
def test_words_counted_by_hand(text, expected):
    assert num_words(text) == expected


@pytest.mark.parametrize(
    ("text", "is_blind"),
    [
        ("小明有5个苹果", True),
        ("У Маши 5 яблок", True),
        ("What is 2 + 2?", False),
        ("Größe", False),
        ("2 + 2 = ?", False),  # without a letter there is nothing to miss
        ("求 $\\frac{1}{2}$", False),
        ("", False),
    ],
)
def test_scripts_that_rouge_score_does_not_see(text, is_blind):
    assert is_rouge_blind(text) is is_blind
