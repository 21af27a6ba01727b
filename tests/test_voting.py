"""Expected votes are counted by hand; the properties are those that design and paper promise of a vote."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.voting import Vote, completion_text, majority_vote


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
        majority_vote(boxed("1")).winner = 1


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
    assert dataclasses.asdict(vote) == {"labels": [0, None], "winner": 0, "answer": "1", "share": 0.5, "rewards": [1.0, 0.0], "forms": [], "undecided": {}}  # fmt: skip
