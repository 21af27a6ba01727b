"""Expected votes are counted by hand; the properties are those that design and paper promise of a vote."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.types import completion_text
from serl_trl.voting.majority_vote import Vote, majority_vote


NO_ANSWER = "I do not know."
ANSWERS = ["1/2", "0.5", "2", "x=2", "30", "-4"]
BOXES = st.lists(st.sampled_from([NO_ANSWER, *(rf"\boxed{{{answer}}}" for answer in ANSWERS)]), max_size=9)


def boxed(*answers):
    return [NO_ANSWER if answer is None else rf"\boxed{{{answer}}}" for answer in answers]


@pytest.mark.parametrize(
    ("answers", "labels", "winner", "answer", "share"),
    [
        (["1", "2", "2"], [0, 1, 1], 1, "2", 2 / 3),
        (["1/2", "7", "0.5", r"\frac12"], [0, 1, 0, 0], 0, "1/2", 3 / 4),
        ([None, None, None, "5"], [None, None, None, 0], 0, "5", 1 / 4),
        ([None, None], [None, None], None, None, 0.0),
        ([], [], None, None, 0.0),
        (["5"], [0], 0, "5", 1.0),
        (["10", "3"], [0, 1], 1, "3", 1 / 2),
        (["4", "3"], [0, 1], 0, "4", 1 / 2),
        (["100", "2.0", "100.0", "2"], [0, 1, 0, 1], 1, "2", 1 / 2),
        (["12", "12", "7"], [0, 0, 1], 0, "12", 2 / 3),
        (["0.50", r"\frac{1}{2}", "0.5", "1/2"], [0, 0, 0, 0], 0, "0.5", 1.0),
        (["11", "22", "33"], [0, 1, 2], 0, "11", 1 / 3),
    ],
)
def test_vote(answers, labels, winner, answer, share):
    vote = majority_vote(boxed(*answers))
    assert (vote.labels, vote.winner, vote.answer) == (labels, winner, answer)
    assert vote.share == pytest.approx(share)


def test_rewards():
    assert majority_vote(boxed("3", None, "3.0", "4")).rewards == [1.0, 0.0, 1.0, 0.0]


def test_answer_type():
    assert majority_vote(["The answer is (B).", "(B)", "The answer is A"], "choice").answer == "B"


def test_prompt_is_not_read():
    messages = [[{"role": "user", "content": r"\boxed{9}"}, {"role": "assistant", "content": r"\boxed{1}"}]]
    assert majority_vote(messages).answer == "1"


@pytest.mark.parametrize(("answers", "num_classes", "is_tie"), [
    (["1", "2", "2", None], 2, False), (["1", "2"], 2, True), ([None], 0, False), (["1"], 1, False),
    (["1", "1", "2", "2", "3"], 3, True),
])  # fmt: skip
def test_properties(answers, num_classes, is_tie):
    vote = majority_vote(boxed(*answers))
    assert vote.num_classes == num_classes
    assert vote.is_tie is is_tie


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        majority_vote(boxed("1")).winner = 1  # type: ignore[misc]  # on purpose


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("plain", "plain"),
        ([{"role": "assistant", "content": "chat"}], "chat"),
        ([{"role": "assistant", "content": "first"}, {"role": "tool", "content": "t"}, {"role": "assistant", "content": "last"}], "last"),
        ([{"role": "assistant", "content": None}], ""),
        ([{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "ab"),
        ([], ""),
    ],
)  # fmt: skip
def test_completion_text(completion, text):
    assert completion_text(completion) == text


@pytest.mark.parametrize("completion", [None, 5, ["text"]])
def test_completion_text_rejects(completion):
    with pytest.raises(TypeError, match="must be a string or a list of messages"):
        completion_text(completion)


@given(BOXES)
@settings(max_examples=100, deadline=None)
def test_winner_is_a_largest_class(completions):
    vote = majority_vote(completions)
    sizes = Counter(label for label in vote.labels if label is not None)
    assert (vote.winner is None) is (not sizes)
    assert vote.share * len(completions) == pytest.approx(max(sizes.values(), default=0))
    assert sum(vote.rewards) == pytest.approx(vote.share * len(completions))


@given(BOXES)
@settings(max_examples=100, deadline=None)
def test_no_answer_never_wins(completions):
    vote = majority_vote(completions)
    silent = [i for i, completion in enumerate(completions) if completion == NO_ANSWER]
    assert all(vote.labels[i] is None and vote.rewards[i] == 0.0 for i in silent)
    assert all((reward == 1.0) is (label == vote.winner) for reward, label in zip(vote.rewards, vote.labels, strict=True) if label is not None)  # fmt: skip


@given(BOXES, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_share_ignores_order(completions, rng):
    shuffled = rng.sample(completions, len(completions))
    assert majority_vote(shuffled).share == majority_vote(completions).share


@given(st.lists(st.integers(0, 10**6), unique=True, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_all_different(numbers):
    vote = majority_vote(boxed(*numbers))
    assert vote.answer == min(map(str, numbers), key=len)
    assert vote.share == pytest.approx(1 / len(numbers))
    assert vote.is_tie is (len(numbers) > 1)


@given(BOXES)
@settings(max_examples=50, deadline=None)
def test_adding_silence_keeps_the_winner(completions):
    vote, diluted = majority_vote(completions), majority_vote([*completions, NO_ANSWER])
    assert (diluted.winner, diluted.answer) == (vote.winner, vote.answer)
    assert diluted.share == pytest.approx(vote.share * len(completions) / (len(completions) + 1))


def test_vote_is_plain_data():
    vote = Vote([0, None], 0, "1", 0.5, [1.0, 0.0])
    assert dataclasses.asdict(vote) == {"labels": [0, None], "winner": 0, "answer": "1", "share": 0.5, "rewards": [1.0, 0.0], "forms": [], "undecided": {}, "weights": None}  # fmt: skip


# Weights -----------------------------------------------------------------------------------------------------------

WEIGHTS = st.one_of(st.integers(0, 50).map(lambda n: n / 8), st.floats(1e-6, 1e6))


@st.composite
def weighted_groups(draw):
    completions = draw(BOXES)
    return completions, draw(st.lists(WEIGHTS, min_size=len(completions), max_size=len(completions)))


def classes(vote):
    """The partition as sets of rows, whatever the ids are, and the winning set."""
    labelled = set(vote.labels) - {None}
    return {frozenset(i for i, label in enumerate(vote.labels) if label == c) for c in labelled}


@pytest.mark.parametrize(
    ("answers", "weights", "answer", "share", "is_tie"),
    [
        (["1", "1", "2"], [1, 1, 3], "2", 3 / 5, False),
        (["1", "1.0", "2"], [0.5, 0.25, 0.25], "1", 3 / 4, False),
        (["1", None, "2"], [1, 7, 0], "1", 1 / 8, False),
        (["10", "2"], [2, 2], "2", 1 / 2, True),  # a tie goes to the shortest
        (["10", "20"], [2, 2], "10", 1 / 2, True),  # then to the first
        (["30", "30", "2"], [0.1, 0.2, 0.3], "2", 1 / 2, True),  # 0.1 + 0.2 is above 0.3 by rounding alone
        (["30", "30", "2"], [0.1, 0.2, 0.3 - 1e-6], "30", 0.3 / (0.6 - 1e-6), False),
        (["1", "2"], [0, 0], None, 0.0, False),
        ([None, "2"], [1, 0], None, 0.0, False),  # the only answer does not vote
        (["1", "2"], [1e308, 1e308], "1", 1 / 2, True),
        (["1", "2"], [5e-324, 0], "1", 1.0, False),
        ([], [], None, 0.0, False),
    ],
)
def test_weighted_vote(answers, weights, answer, share, is_tie):
    vote = majority_vote(boxed(*answers), weights=weights)
    assert (vote.answer, vote.is_tie) == (answer, is_tie)
    assert vote.share == pytest.approx(share)
    assert vote.weights == weights


def test_a_completion_without_weight_is_rewarded_but_does_not_vote():
    vote = majority_vote(boxed("1", "1", "2", "2", "2"), weights=[2, 0, 0.5, 0.5, 0.5])
    assert (vote.answer, vote.rewards) == ("1", [1.0, 1.0, 0.0, 0.0, 0.0])
    assert vote.share == pytest.approx(2 / 3.5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "1 weights for 2 completions"),
        ([1.0, -0.5], r"weights\[1\] is -0.5"),
        ([float("nan"), 1.0], r"weights\[0\] is nan"),
        ([1.0, float("inf")], r"weights\[1\] is inf"),
    ],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        majority_vote(boxed("1", "2"), weights=weights)


def test_soft_rewards_are_the_shares_of_the_classes():
    vote = majority_vote(boxed("1", None, "2", "1.0"))
    assert vote.class_shares == [0.5, 0.25]
    assert vote.soft_rewards == [0.5, 0.0, 0.25, 0.5]
    weighted = majority_vote(boxed("1", None, "2", "1.0"), weights=[1, 3, 4, 2])
    assert weighted.soft_rewards == pytest.approx([0.3, 0.0, 0.4, 0.3])


@given(BOXES)
def test_unit_weights_are_the_plain_vote(completions):
    plain, weighted = majority_vote(completions), majority_vote(completions, weights=[1] * len(completions))
    assert dataclasses.replace(weighted, weights=None) == plain
    assert weighted.is_tie is plain.is_tie
    assert weighted.soft_rewards == plain.soft_rewards


@given(weighted_groups(), st.floats(1e-3, 1e3))
def test_only_ratios_of_weights_matter(group, factor):
    completions, weights = group
    vote = majority_vote(completions, weights=weights)
    scaled = majority_vote(completions, weights=[weight * factor for weight in weights])
    assert scaled.share == pytest.approx(vote.share)
    assert scaled.soft_rewards == pytest.approx(vote.soft_rewards)
    assert (scaled.answer, scaled.rewards) == (vote.answer, vote.rewards)


@given(weighted_groups(), st.randoms(use_true_random=False))
def test_a_weighted_vote_ignores_the_order(group, rng):
    completions, weights = group
    order = rng.sample(range(len(completions)), len(completions))
    vote = majority_vote(completions, weights=weights)
    shuffled = majority_vote([completions[i] for i in order], weights=[weights[i] for i in order])
    assert shuffled.share == pytest.approx(vote.share, abs=1e-8)  # tied classes may differ by the tolerance
    assert shuffled.is_tie is vote.is_tie
    assert shuffled.soft_rewards == [vote.soft_rewards[i] for i in order]
    if not vote.is_tie:
        assert shuffled.rewards == [vote.rewards[i] for i in order]


@given(weighted_groups())
def test_a_whole_weight_is_as_many_votes(group):
    completions, weights = group
    counts = [int(weight) % 4 for weight in weights]
    vote = majority_vote(completions, weights=counts)
    repeated = majority_vote([text for text, count in zip(completions, counts, strict=True) for _ in range(count)])
    assert vote.share == pytest.approx(repeated.share)
    assert (vote.winner is None) is (repeated.winner is None)
    assert vote.is_tie is repeated.is_tie


@given(weighted_groups())
def test_shares_are_shares(group):
    completions, weights = group
    vote = majority_vote(completions, weights=weights)
    assert sum(vote.class_shares) <= 1 + 1e-9
    assert all(0 <= share <= vote.share + 1e-9 for share in vote.class_shares)
    assert len(vote.class_shares) == vote.num_classes == len(classes(vote))
    assert classes(vote) == classes(majority_vote(completions))  # weights change the winner, never the classes
