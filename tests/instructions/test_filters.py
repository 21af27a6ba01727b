"""Expected verdicts are read off the official code's rules and worked out by hand."""

import dataclasses
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.instructions.filters import (
    BANNED_WORDS,
    InstructionFilter,
    KeywordFilter,
    LengthFilter,
    apply_filters,
    check_filters,
    tell_filters,
)
from serl_trl.instructions.novelty_filters import NoveltyFilter
from serl_trl.instructions.novelty_index import NoveltyIndex
from serl_trl.types import Verdict
from serl_trl.voting.difficulty_gate import DifficultyGate, is_in_band


nan = math.nan


def test_a_verdict_cannot_be_changed():
    verdict = Verdict(True)
    assert (verdict.reason, verdict.value) == (None, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict.kept = False  # type: ignore[misc]


# --- length ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_words", "reason"),
    [(0, "too_short"), (3, "too_short"), (4, None), (150, None), (151, "too_long")],
)
def test_length(num_words, reason):
    for separator in (" ", "\n", " \t "):
        text = separator.join(["word"] * num_words)
        assert LengthFilter()(text) == Verdict(reason is None, reason, num_words)


@pytest.mark.parametrize(
    ("unit", "shortest", "longest"),
    [("二", 5, 225), ("り", 10, 450), ("ก", 11, 525), ("ກ", 11, 525), ("ក", 11, 525), ("က", 11, 525)],
)
def test_length_of_languages_without_spaces(unit, shortest, longest):
    """4 and 150 words of 1.5 Han, 3 kana, 3.5 letters of Thai, Lao, Khmer and Burmese; what is begun counts as a word."""
    kept = {num for num in range(1, 600) if LengthFilter()(unit * num).kept}
    assert (min(kept), max(kept), len(kept)) == (shortest, longest, longest - shortest + 1)


def test_length_options():
    assert LengthFilter(1, 2)("two words").kept
    assert LengthFilter(max_words=4)("one two three four five").reason == "too_long"
    assert LengthFilter(0, 0)("").kept


@pytest.mark.parametrize(("min_words", "max_words"), [(-1, 5), (6, 5)])
def test_length_options_out_of_range_raise(min_words, max_words):
    with pytest.raises(ValueError, match=f"min_words={min_words} and max_words={max_words}"):
        LengthFilter(min_words, max_words)


# --- keyword --------------------------------------------------------------------------------------------------------


def test_the_default_list_is_the_official_one():
    nouns = [form for noun in ("image", "graph", "picture", "file", "map") for form in (noun, noun + "s")]
    assert sorted(BANNED_WORDS) == sorted([*nouns, "draw", "plot", "go to"])


@settings(deadline=None)
@given(
    word=st.sampled_from(BANNED_WORDS),
    style=st.sampled_from([str, str.upper, str.title]),
    before=st.sampled_from(["", "the ", "(", "$\\", "x-"]),
    after=st.sampled_from(["", " of f", ").", "'s", "\n"]),
)
def test_banned_words_are_found_whatever_surrounds_them(word, style, before, after):
    assert KeywordFilter()(before + style(word) + after) == Verdict(False, "banned_word", word)


@pytest.mark.parametrize(
    "text",
    [
        "A mapping is linear.",
        "Find the imagery in it.",
        "The profile of a photographer",
        "He withdraws 5 dollars and is drawn to plots.",
        "Let map_1 be x2file.",
        "She will go and got to town; go together.",
        "How would you write a program?",
        "",
    ],
)
def test_parts_of_words_are_not_banned(text):
    assert KeywordFilter()(text) == Verdict(True, None, None)


@pytest.mark.parametrize(
    "text", ["Write a program that adds.", "write a program", "  Write a\nprogram", "Write a programme"]
)
def test_banned_starts(text):
    assert KeywordFilter()(text) == Verdict(False, "banned_word", "Write a program")


def test_phrases_match_across_white_space_and_the_first_word_is_named():
    assert KeywordFilter()("Now go\n  to town").value == "go to"
    assert KeywordFilter()("Plot it on a map").value == "plot"


def test_keyword_options():
    own = KeywordFilter(banned_words=["C++", "a.b"], banned_starts=[])
    assert own("Use C++ here").value == "C++"
    assert own("Is a.b right?").value == "a.b"
    assert own("Is axb right?").kept
    assert own("Write a program with a map").kept
    assert KeywordFilter([], [])("draw a map").kept


@pytest.mark.parametrize("options", [{"banned_words": ["map", " "]}, {"banned_starts": [""]}, {"banned_words": "map"}])
def test_keyword_options_that_ban_too_much_raise(options):
    with pytest.raises(ValueError, match=r"blank|single string"):
        KeywordFilter(**options)


# --- several filters ------------------------------------------------------------------------------------------------


class Recorder:
    def __init__(self, name, kept):
        self.name, self.kept, self.num_calls = name, kept, 0

    def __call__(self, instruction):
        self.num_calls += 1
        return Verdict(self.kept, None if self.kept else "because")


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=5))
def test_filters_are_asked_in_order_until_one_rejects(answers):
    filters = [Recorder(f"filter {number}", kept) for number, kept in enumerate(answers)]
    verdicts = apply_filters("text", filters)
    num_asked = answers.index(False) + 1 if False in answers else len(answers)
    assert list(verdicts) == [f"filter {number}" for number in range(num_asked)]
    assert [verdict.kept for verdict in verdicts.values()] == answers[:num_asked]
    assert [recorder.num_calls for recorder in filters] == [1] * num_asked + [0] * (len(answers) - num_asked)


def test_the_default_chain_by_name():
    filters: list[InstructionFilter] = [LengthFilter(), KeywordFilter(), NoveltyFilter(NoveltyIndex())]
    assert list(apply_filters("How much is two plus two?", filters)) == ["length", "keyword", "novelty"]
    rejected = apply_filters("Draw two plus two apples.", filters)
    assert list(rejected) == ["length", "keyword"]
    assert rejected["keyword"].value == "draw"


def test_a_plain_object_is_a_filter():
    class Questions:
        name = "question"

        def __call__(self, instruction):
            return Verdict(instruction.endswith("?"), None, 1.0)

    filters = check_filters([LengthFilter(), Questions()])
    assert apply_filters("Why is it so?", filters)["question"].kept
    assert not apply_filters("It is so today.", filters)["question"].kept


def test_a_filter_that_raises_is_named_with_the_instruction():
    class Broken:
        name = "broken"

        def __call__(self, instruction):
            raise KeyError("colour")

    with pytest.raises(RuntimeError, match=r"'broken' raised KeyError: 'colour'.*'Why\?'") as caught:
        apply_filters("Why?", [Broken()])
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        True,
        "no",
        (False, "long"),
        Verdict(np.bool_(True)),  # type: ignore[arg-type]
        Verdict(False, 3),  # type: ignore[arg-type]
        Verdict(True, None, np.float32(0.5)),  # type: ignore[arg-type]
        Verdict(True, None, [1]),  # type: ignore[arg-type]
    ],
)
def test_a_filter_that_returns_anything_but_a_plain_verdict_is_named(nonsense):
    class Odd:
        name = "odd"

        def __call__(self, instruction):
            return nonsense

    with pytest.raises(TypeError, match=f"'odd' returned {re.escape(repr(nonsense))}.*Verdict\\(kept"):
        apply_filters("Why?", [Odd()])


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([LengthFilter], "no object that can be called"),
        (["length"], "'length' is no object"),
        ([lambda instruction: Verdict(True)], "the name None"),
        ([Recorder("", True)], "the name ''"),
        ([Recorder("parse", True)], "'parse' of a filter is taken"),
        ([Recorder("mine", True), Recorder("mine", True)], "'mine' of a filter is taken"),
    ],
)
def test_what_is_no_filter_is_said_at_once(filters, message):
    with pytest.raises(ValueError, match=message):
        check_filters(filters, reserved=["parse"])


def test_only_filters_that_learn_are_told():
    class Learner(Recorder):
        def learn(self, instructions):
            self.told = list(instructions)

    learner = Learner("learner", True)
    tell_filters([LengthFilter(), learner], ["one", "two"])
    assert learner.told == ["one", "two"]


def test_two_filters_of_one_name_raise():
    with pytest.raises(ValueError, match="'length'"):
        check_filters([LengthFilter(), LengthFilter(1, 2)])


# --- difficulty -----------------------------------------------------------------------------------------------------

shares = st.integers(1, 64).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@settings(deadline=None)
@given(shares, st.sampled_from([(0, 10), (2, 8), (1, 3), (3, 3), (3, 10), (0, 5)]))
def test_the_band_is_that_of_exact_fractions(share, tenths):
    num_winning, num_generations = share
    low, high = (Fraction(tenth, 10) for tenth in tenths)
    expected = low <= Fraction(num_winning, num_generations) <= high
    assert is_in_band(num_winning / num_generations, float(low), float(high)) == expected


@pytest.mark.parametrize(
    ("share", "low", "high"),
    [
        (0.1 + 0.2, 0.0, 0.3),  # 0.30000000000000004
        (0.3, 0.1 + 0.2, 1.0),
        (1 - 0.9, 0.1, 1.0),  # 0.09999999999999998
        (0.800000011920929, 0.2, 0.8),  # 0.8 in float32
        (0.699999988079071, 0.7, 0.8),  # 0.7 in float32
    ],
)
def test_rounding_leaves_the_ends_in_the_band(share, low, high):
    assert not low <= share <= high
    assert is_in_band(share, low, high)


@pytest.mark.parametrize("share", [0.19, 0.81, nan, math.inf])
def test_outside_the_band(share):
    assert not is_in_band(share, 0.2, 0.8)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (0.1875, Verdict(False, "too_hard", 0.1875)),
        (0.2, Verdict(True, None, 0.2)),
        (0.8, Verdict(True, None, 0.8)),
        (0.8125, Verdict(False, "too_easy", 0.8125)),
        (0.0, Verdict(False, "too_hard", 0.0)),
        (1.0, Verdict(False, "too_easy", 1.0)),
    ],
)
def test_the_gate_as_in_the_paper(share, verdict):
    assert DifficultyGate()(share) == verdict


def test_a_group_without_a_share_has_a_reason_of_its_own():
    verdict = DifficultyGate()(nan)
    assert (verdict.kept, verdict.reason) == (False, "no_share")


def test_an_open_gate_keeps_everything():
    gate = DifficultyGate(0.0, 1.0)
    assert gate.is_open
    assert all(gate(share).kept for share in (0.0, 0.5, 1.0, nan))
    assert not DifficultyGate().is_open
    assert not DifficultyGate(0.0, 0.9).is_open
    assert not DifficultyGate(0.1, 1.0).is_open


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.5), (0.6, 0.5), (0.5, 1.1), (nan, 0.5), (0.5, nan)])
def test_a_gate_that_is_no_band_raises(low, high):
    with pytest.raises(ValueError, match=f"min_vote_share={low} and max_vote_share={high}"):
        DifficultyGate(low, high)
