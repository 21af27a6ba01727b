import math

import numpy as np
import pytest

from serl_trl.instructions.drift import DriftMonitor, TfidfEncoder, drift_warning
from serl_trl.laboratory import word_problems


OTHERS = [
    "Who painted the ceiling of the chapel?",
    "Translate this sentence into French.",
    "Name the capital of Peru.",
    "Which element follows helium?",
    "Summarise the second act of the play.",
]


def test_the_weights_are_those_of_the_formula():
    # two texts, "add" in both, "two" in one: idf ln(3/3) + 1 = 1 and ln(3/2) + 1 = 1.405465
    vectors = TfidfEncoder(["add two", "add"])(["add two", "add add", "two"])
    length = math.hypot(1, 1.4054651081)
    assert vectors @ vectors[0] == pytest.approx([1.0, 1 / length, 1.4054651081 / length], abs=1e-6)


def test_weights_as_in_scikit_learn():
    text = pytest.importorskip("sklearn.feature_extraction.text")
    problems = word_problems(40, "drift tests")["prompt"][:]
    ours = TfidfEncoder(problems)(problems)
    theirs = text.TfidfVectorizer(preprocessor=lambda t: t.lower(), token_pattern=r"[a-z]+|\d+", tokenizer=None)
    theirs = theirs.fit_transform(
        [" ".join("0" if w.isdigit() else w for w in _tokens(p)) for p in problems]
    ).toarray()
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-5)


def _tokens(text):
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def test_other_numbers_are_no_other_problem():
    vectors = TfidfEncoder(["Add 2 and 3."])(["Add 2 and 3.", "Add 17 and 4."])
    assert vectors[0] @ vectors[1] == pytest.approx(1.0)


def test_metrics_by_hand():
    vectors = {"a a": [1, 0], "b": [0, 1], "c": [0.6, 0.8], "a b c": [0.8, 0.6], "a a d": [1, 0]}
    monitor = DriftMonitor(["a a", "b", "c"], lambda texts: np.array([vectors[text] for text in texts], dtype=float))
    metrics = monitor.measure(["a b c", "a a d"], ["b", "b"])
    metrics = {name.removeprefix("serl/drift/"): value for name, value in metrics.items()}
    # cosines of the seeds: a-b 0, a-c .6, b-c .8; closest others .6, .8, .8
    assert metrics["seeds_seed_distance"] == pytest.approx((0.4 + 0.2 + 0.2) / 3)
    assert metrics["seeds_self_similarity"] == pytest.approx((0 + 0.6 + 0.8) / 3)
    # "a b c" is closest to c: .6 * .8 + .8 * .6 = .96
    assert metrics["seed_distance"] == pytest.approx((0.04 + 0.0) / 2)
    assert metrics["self_similarity"] == pytest.approx(0.8)
    assert metrics["frac_far"] == 0.0
    # the seeds have 4 words, a a b c, and so 4 are counted of both; the others are a b c a
    assert metrics["seeds_distinct_1"] == pytest.approx(3 / 4)
    assert metrics["distinct_1"] == pytest.approx(3 / 4)
    assert (metrics["seeds_distinct_2"], metrics["distinct_2"]) == (1.0, 1.0)  # a a; a b, b c
    assert (metrics["length_words"], metrics["num_words"]) == (3.0, 4.0)
    assert metrics["frac_new_words"] == pytest.approx(1 / 6)
    assert metrics["max_seed_share"] == 1.0
    assert metrics["frac_seeds_used"] == pytest.approx(1 / 3)


def test_lengths_are_those_of_the_length_filter():
    texts = ["小明有5个苹果", "他有3个梨吗"]  # 6 / 1.5 + 1 = 5; 5 / 1.5 + 1, rounded up, = 5
    metrics = DriftMonitor(texts).measure(texts, texts)
    assert metrics["serl/drift/length_words"] == metrics["serl/drift/seeds_length_words"] == 5.0


def test_problems_of_the_same_kind_raise_no_warning():
    problems = word_problems(200, "drift tests")["prompt"][:]
    metrics = DriftMonitor(problems[:100]).measure(problems[100:], [None] * 100)
    assert metrics["serl/drift/frac_far"] < 0.15
    assert drift_warning(metrics) is None


def test_leaving_the_seeds_raises_a_warning():
    seeds = word_problems(100, "drift tests")["prompt"][:]
    metrics = DriftMonitor(seeds).measure([*OTHERS, *seeds[:4]], [None] * 9)
    assert metrics["serl/drift/frac_far"] == pytest.approx(5 / 9)
    warning = drift_warning(metrics)
    assert warning is not None
    assert "56% of those kept are further" in warning
    assert "seed_fraction" in warning
    assert drift_warning(DriftMonitor(seeds).measure([*OTHERS, *seeds[:5]], [None] * 10)) is None  # half, not most


def test_copies_are_alike():
    seeds = word_problems(50, "drift tests")["prompt"][:]
    metrics = DriftMonitor(seeds).measure([seeds[0]] * 20, [seeds[0]] * 20)
    assert metrics["serl/drift/self_similarity"] == pytest.approx(1.0, abs=1e-6)
    assert metrics["serl/drift/seed_distance"] == pytest.approx(0.0, abs=1e-6)
    assert metrics["serl/drift/distinct_1"] < 0.1


def test_many_texts_are_represented_by_some_always_the_same():
    shapes = []

    def encode(texts):
        shapes.append(len(texts))
        angles = np.array([len(text) for text in texts], dtype=float)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    problems = word_problems(2500, "drift tests")["prompt"][:]
    monitor = DriftMonitor(problems[:1200], encode)
    first, second = (monitor.measure(problems[1200:], [None] * 1300) for _ in range(2))
    assert shapes == [1000, 1000, 1000]  # the seeds once
    assert first == second


@pytest.mark.parametrize(("seeds", "written"), [(["one"], ["two"]), (["one", "two"], [])])
def test_nothing_to_compare_is_nothing_measured(seeds, written):
    assert DriftMonitor(seeds).measure(written, [None] * len(written)) == {}
    assert drift_warning({}) is None
