"""Expected values come from rouge-score itself, and from hand arithmetic."""

import itertools
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from serl_trl.novelty import NoveltyIndex


SHARED_DATA = Path(os.environ.get("SERL_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
SCORER = RougeScorer(["rougeL"], use_stemmer=False)

# Few words, so that they recur; case, punctuation, digits and letters outside a to z go through the tokenizer.
words = st.sampled_from(["a", "B", "cat", "Cat", "it's", "x_1", "42", "$\\frac{1}{2}$", "naïve", "?", "...", "次"])
texts = st.lists(words, max_size=25).map(" ".join)


def rouge_l(text, other):
    return SCORER.score(other, text)["rougeL"].fmeasure


def filled(texts, threshold=0.7):
    index = NoveltyIndex(threshold)
    for text in texts:
        index.add(text)
    return index


def has_words(text):
    return rouge_l(text, text) == 1.0


@settings(deadline=None)
@given(text=texts.filter(has_words), bank=st.lists(texts, min_size=1, max_size=8))
def test_similarity_is_that_of_rouge_score_to_the_last_bit(text, bank):
    expected = max(rouge_l(text, other) for other in bank)
    index = filled(bank)
    assert index.max_similarity(text) == expected
    closest, similarity = index.most_similar(text)
    assert similarity == expected
    assert (closest is None) == (expected == 0.0)
    if closest is not None:
        assert closest == next(other for other in bank if rouge_l(text, other) == expected)


@settings(deadline=None)
@given(
    text=texts.filter(has_words),
    bank=st.lists(texts, max_size=8),
    threshold=st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.6, 2 / 3, 0.7, 0.8, 1.0]),
)
def test_decisions_are_those_of_rouge_score(text, bank, threshold):
    expected = all(rouge_l(text, other) <= threshold for other in bank)
    assert filled(bank, threshold).is_novel(text) == expected


@pytest.mark.parametrize("threshold", [0.6, 0.7])
def test_decisions_on_the_threshold_itself(threshold):
    decisions = set()
    for num_words, num_other in itertools.product(range(1, 31), repeat=2):
        num_common = round(threshold * (num_words + num_other) / 2)
        if abs(2 * num_common / (num_words + num_other) - threshold) > 1e-9 or num_common > min(num_words, num_other):
            continue
        common = [f"c{position}" for position in range(num_common)]
        text = " ".join(common + [f"t{position}" for position in range(num_words - num_common)])
        other = " ".join(common + [f"o{position}" for position in range(num_other - num_common)])
        is_novel = rouge_l(text, other) <= threshold
        decisions.add(is_novel)
        assert filled([other], threshold).is_novel(text) == is_novel, (num_words, num_other)
    # F1 is the threshold in all of these pairs, and rouge-score rounds some of them up and some not
    assert decisions == {True, False}


def test_similarity_by_hand():
    # "the cat sat" against "the cat ate fish": 2 common words, F1 = 2 * 2 / (3 + 4)
    index = filled(["a dog barked", "the cat ate fish"])
    assert index.most_similar("The cat sat.") == ("the cat ate fish", pytest.approx(4 / 7, abs=1e-15))
    # order counts: "cat the" shares one word at a time
    assert index.max_similarity("cat the") == pytest.approx(2 / 6, abs=1e-15)


def test_words_that_the_bank_does_not_hold_match_nothing():
    index = filled(["first second third"])
    assert index.max_similarity("unseen other strange") == 0.0
    assert index.max_similarity("unseen second strange") == pytest.approx(1 / 3, abs=1e-15)


def test_an_empty_bank_makes_everything_novel():
    index = NoveltyIndex()
    assert len(index) == 0
    for text in ("", "two plus two", "?"):
        assert index.most_similar(text) == (None, 0.0)
        assert index.is_novel(text)


@pytest.mark.parametrize("text", ["", "   ", "?!", "二加二等于几", "\ud800"])
def test_a_text_without_words_is_novel_once(text):
    index = filled(["two plus two", "…"])
    assert index.is_novel(text)
    index.add(text)
    assert index.most_similar(text) == (text, 1.0)
    assert not index.is_novel(text)
    assert index.max_similarity(text + "!") == 0.0
    assert index.max_similarity("two") == pytest.approx(0.5)  # 2 * 1 / (1 + 3): texts without words do no harm


def test_asking_adds_nothing_and_adding_always_does():
    index = filled(["two plus two", "two plus two", ""])
    assert len(index) == 3
    index.is_novel("three plus three")
    index.max_similarity("four plus three")
    assert len(index) == 3
    assert index.max_similarity("three") == 0.0
    assert index.texts == ("two plus two", "two plus two", "")
    # words that were asked about before they were added are still told apart: 1 common word of 2 and 2
    index.add("three four")
    assert index.max_similarity("four three") == 0.5


@settings(deadline=None)
@given(bank=st.lists(texts, max_size=6), text=texts)
def test_texts_restore_an_index(bank, text):
    index = filled(bank)
    assert index.texts == tuple(bank)
    assert filled(index.texts).most_similar(text) == index.most_similar(text)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_thresholds_out_of_range_raise(threshold):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        NoveltyIndex(threshold)


def test_mathematics_problems_score_as_in_rouge_score():
    file = SHARED_DATA / "math_seed_500.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is not there; set SERL_SHARED_DATA to its folder")
    problems = [json.loads(line)["problem"] for line in file.read_text().splitlines()]
    bank, candidates = problems[:60], problems[60:80]
    candidates += [problem.replace("the", "a") for problem in bank[:5]]
    index = filled(bank)
    expected = [max(rouge_l(candidate, other) for other in bank) for candidate in candidates]
    assert [index.max_similarity(candidate) for candidate in candidates] == expected
    assert {score > 0.7 for score in expected} == {True, False}
