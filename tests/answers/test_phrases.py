"""Which languages are looked for in a text, and that English pays for none."""

import re

import pytest

from serl_trl.answers.languages import LANGUAGES
from serl_trl.answers.phrases import (
    any_of,
    choice_lead_of,
    choosing_of,
    language_of_conclusion,
    languages_in,
    lead_of,
    option_of,
)


@pytest.mark.parametrize("row", LANGUAGES, ids=lambda row: row.code)
def test_every_row_makes_patterns(row):
    label = row.answers.split("|")[0]
    assert row in languages_in(f"... {label}: 5")
    assert lead_of(row).search(f"... {label}: 5").end() == len(f"... {label}:")
    assert choice_lead_of(row).search(f"... {label}: B")
    assert all(isinstance(pattern(row), re.Pattern) for pattern in (choosing_of, option_of))


@pytest.mark.parametrize(
    "text", ["the answer is 5.", "so the result is here: 5", "the solution", "\u03c0 \u2248 3.14 is the answer"]
)
def test_english_is_no_other_language(text):
    assert languages_in(text) == []


@pytest.mark.parametrize(
    ("sentence", "code"), [("**Por lo tanto**, 5.", "es"), ("Therefore, 5.", None), ("Also, 5.", None)]
)
def test_conclusions(sentence, code):
    language = language_of_conclusion(sentence)
    assert (language and language.code) == code


def test_words_stand_alone_where_a_script_has_spaces():
    assert re.fullmatch(f".*{any_of('svar')}.*", "ett svar: 5")
    assert not re.search(any_of("svar"), "svara ansvar")
    assert re.search(any_of("\u7b54\u6848"), "\u6b63\u786e\u7b54\u6848\u662f5")
