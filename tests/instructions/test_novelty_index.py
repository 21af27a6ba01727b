"""Expected values come from rouge-score itself, and from hand arithmetic."""

# ruff: noqa: RUF001 (other scripts are the point)

import itertools
import json
import os
import random
import re
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import process
from rapidfuzz.distance import LCSseq
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize

from serl_trl.instructions.novelty_index import NoveltyIndex, closest_text


SHARED_DATA = Path(os.environ.get("SERL_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
SCORER = RougeScorer(["rougeL"], use_stemmer=False)

# Few words, so that they recur; case, punctuation, digits and letters outside a to z go through the tokenizer.
words = st.sampled_from(["a", "B", "cat", "Cat", "it's", "x_1", "42", "$\\frac{1}{2}$", "naïve", "?", "...", "次"])
texts = st.lists(words, max_size=25).map(" ".join)
THRESHOLDS = [0.0, 0.25, 1 / 3, 0.5, 0.6, 2 / 3, 0.7, 0.8, 1.0]


@contextmanager
def small_shards(num_texts=2):
    """Shards of a few texts, so that banks of a few dozen go through tail, shards and merges."""
    with (
        mock.patch("serl_trl.instructions.novelty_index._TAIL_TEXTS", num_texts),
        mock.patch("serl_trl.instructions.novelty_index._YOUNG_TEXTS", 4 * num_texts),
        mock.patch("serl_trl.instructions.novelty_index.MAX_SHARD_TEXTS", 8 * num_texts),
        mock.patch("serl_trl.instructions.novelty_index._FIRST_BATCH", 2),
    ):
        yield


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
@given(text=texts.filter(has_words), bank=st.lists(texts, min_size=1, max_size=40), is_sharded=st.booleans())
def test_similarity_is_that_of_rouge_score_to_the_last_bit(text, bank, is_sharded):
    expected = max(rouge_l(text, other) for other in bank)
    with small_shards() if is_sharded else small_shards(num_texts=256):
        index = filled(bank)
        assert index.max_similarity(text) == expected
        closest, similarity = index.most_similar(text)
    assert similarity == expected
    assert (closest is None) == (expected == 0.0)
    if closest is not None:
        assert closest == next(other for other in bank if rouge_l(text, other) == expected)


@settings(deadline=None)
@given(text=texts.filter(has_words), bank=st.lists(texts, max_size=40), threshold=st.sampled_from(THRESHOLDS))
def test_decisions_are_those_of_rouge_score(text, bank, threshold):
    expected = all(rouge_l(text, other) <= threshold for other in bank)
    with small_shards():
        assert filled(bank, threshold).is_novel(text) == expected


@settings(deadline=None)
@given(
    text=texts.filter(has_words),
    bank=st.lists(texts.filter(has_words), max_size=40),
    threshold=st.sampled_from(THRESHOLDS),
    is_sharded=st.booleans(),
)
def test_similar_texts_are_counted_as_rouge_score_counts_them(text, bank, threshold, is_sharded):
    with small_shards(2 if is_sharded else 100):
        count = filled(bank).num_similar(text, threshold)
    assert count == sum(rouge_l(text, other) > threshold for other in bank)


@settings(deadline=None)
@given(text=texts.filter(has_words), bank=st.lists(texts.filter(has_words), min_size=1, max_size=8))
def test_the_closest_of_a_few_is_that_of_rouge_score(text, bank):
    similarities = [rouge_l(text, other) for other in bank]
    assert rouge_l(text, closest_text(text, bank)) == pytest.approx(max(similarities))


@settings(deadline=None)
@given(bank=st.lists(texts.filter(has_words), min_size=1, max_size=30), threshold=st.sampled_from(THRESHOLDS))
def test_a_bank_that_grows_between_questions(bank, threshold):
    with small_shards():
        index = NoveltyIndex(threshold)
        for position, text in enumerate(bank):
            expected = max((rouge_l(text, other) for other in bank[:position]), default=0.0)
            assert index.max_similarity(text) == expected
            assert index.is_novel(text) == (expected <= threshold)
            index.add(text)
            assert len(index) == position + 1
        assert index.texts == tuple(bank)


def test_the_earliest_among_equals_wherever_it_is():
    # "a b c d" has similarity 0.75 to each of these; shards are searched from new to old and sorted by length
    bank = [f"a b c {last}" for last in "efghijklmnopq"]
    with small_shards():
        for first in range(len(bank)):
            assert filled(bank[first:]).most_similar("a b c d") == (bank[first], 0.75)
        # the words of the others promise 1.0 and give 0.75: the first one, which promises 0.75, is still the earliest
        assert filled(["a b c e", *["a b d c"] * 7]).most_similar("a b c d") == ("a b c e", 0.75)


@pytest.mark.parametrize("num_texts", [*range(1, 40), 100])
def test_shards_double_up_to_the_largest(num_texts):
    bank = [f"text {number}" for number in range(num_texts)]
    with small_shards():
        index = filled(bank)
    sizes = [len(shard) for shard in index._shards]
    # tails of 2 go into a young shard, until it has 8 texts; two of 8 make one of 16
    num_full, rest = divmod(num_texts, 16)
    assert sizes == [16] * num_full + [size for size in (rest & 8, rest & 6) if size]
    positions = [position for shard in index._shards for position in sorted(shard.positions.tolist())]
    assert positions == list(range(sum(sizes)))


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


@pytest.mark.parametrize("tokenizer", ["rouge", "unicode"])
@pytest.mark.parametrize("text", ["", "   ", "?!", "二加二等于几", "Сколько?", "\ud800"])
def test_a_text_without_words_is_novel_once(text, tokenizer):
    index = NoveltyIndex(tokenizer=tokenizer)
    for other in ("two plus two", "…", "三个苹果"):
        index.add(other)
    assert index.is_novel(text)
    index.add(text)
    assert index.most_similar(text) == (text, 1.0)
    assert not index.is_novel(text)
    assert index.max_similarity("two") == pytest.approx(0.5)  # 2 * 1 / (1 + 3): texts without words do no harm


def test_texts_without_words_are_compared_among_themselves():
    index = filled(["小明有3个苹果，吃了1个，还剩几个？".replace("3", "三").replace("1", "一"), "①②③", "∑ ∫"])
    # 14 of 15 and 15 characters, in order
    assert index.max_similarity("小明有五个苹果，吃了一个，还剩几个？") == pytest.approx(14 / 15)
    assert not index.is_novel("小明有五个苹果，吃了一个，还剩几个？")
    # 1 of 6 and 15: of its characters only 几 is there
    assert index.max_similarity("二加二等于几") == pytest.approx(2 / 21)
    # NFKC makes ①②③ the word 123, but for rouge-score it has no word, and 123 has
    assert rouge_l("123", "①②③") == 0.0
    assert index.max_similarity("123") == 0.0
    assert index.max_similarity("①②③!") == 1.0
    # a blank text equals a blank one only
    assert index.max_similarity("") == 0.0
    index.add(" ")
    assert index.max_similarity("") == 1.0
    assert index.max_similarity("?") == 0.0


def test_unicode_words_decide_where_rouge_score_sees_only_numbers():
    known, other = "У Маши 5 яблок и 3 груши, сколько всего фруктов?", "Поезд едет 5 часов и 3 минуты до города."
    assert filled([known]).max_similarity(other) == rouge_l(other, known) == 1.0
    index = NoveltyIndex(tokenizer="unicode")
    index.add(known)
    # 5, и, 3 of 10 and 9 words
    assert index.max_similarity(other) == pytest.approx(6 / 19)
    assert index.is_novel(other)
    assert not index.is_novel(known.replace("Маши", "Даши").upper())


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


def test_unknown_tokenizers_raise():
    with pytest.raises(ValueError, match="'bytes'; choose one of 'rouge', 'unicode'"):
        NoveltyIndex(tokenizer="bytes")


def shared_problems():
    files = [SHARED_DATA / f"{name}.jsonl" for name in ("math_seed_500", "math_500", "gsm8k_test", "svamp_test")]
    if not all(file.exists() for file in files):
        pytest.skip(f"{files} are not all there; set SERL_SHARED_DATA to their folder")
    problems = [json.loads(line)["problem"] for file in files for line in file.read_text("utf-8").splitlines()]
    random.Random(0).shuffle(problems)
    return problems


def test_mathematics_problems_score_as_in_rouge_score():
    problems = shared_problems()
    bank, candidates = problems[:60], problems[60:80]
    candidates += [problem.replace("the", "a") for problem in bank[:5]]
    index = filled(bank)
    expected = [max(rouge_l(candidate, other) for other in bank) for candidate in candidates]
    assert [index.max_similarity(candidate) for candidate in candidates] == expected
    assert {score > 0.7 for score in expected} == {True, False}


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.7, 1.0])
def test_a_bank_of_two_thousand_problems_against_every_pair(threshold):
    problems = shared_problems()
    bank, fresh = problems[:2000], problems[2000:2060]
    rng = random.Random(0)
    renumbered = [re.sub(r"\d+", lambda _: str(rng.randrange(100)), text) for text in rng.sample(bank, 60)]
    halves = [a[: len(a) // 2] + b[len(b) // 2 :] for a, b in zip(rng.sample(bank, 60), fresh, strict=True)]
    index = filled(bank, threshold)
    tokens = [tokenize(text, None) for text in bank]
    lengths = np.array([len(words) for words in tokens])
    for text in fresh + renumbered + halves:
        words = tokenize(text, None)
        common = process.cdist([words], tokens, scorer=LCSseq.similarity, dtype=np.int32)[0]
        nearest = bank[np.argmax(2 * common / (len(words) + lengths))]
        expected = rouge_l(text, nearest)
        assert index.max_similarity(text) == expected
        assert index.is_novel(text) == (expected <= threshold)
