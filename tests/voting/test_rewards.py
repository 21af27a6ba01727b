"""The rewards are called as TRL calls them: by keyword, with every dataset column and TRL's own extras."""

import pickle

import pytest

from serl_trl.voting.rewards import GroundTruthReward, MajorityVoteReward


A, B, C = (rf"It is \boxed{{{answer}}}." for answer in ("1", "2", "3"))
SILENT = "Hm."


def call(reward, prompts, completions, **columns):
    return reward(
        prompts=prompts,
        completions=completions,
        completion_ids=[[1, 2]] * len(completions),
        trainer_state=object(),
        log_metric=lambda name, value: None,
        **columns,
    )


@pytest.mark.parametrize(
    ("prompts", "completions", "expected"),
    [
        ("ppp", [A, A, B], [1.0, 1.0, 0.0]),
        ("pppqqq", [A, A, B, C, B, B], [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]),
        ("ppqqq", [SILENT, SILENT, A, A, SILENT], [0.0, 0.0, 1.0, 1.0, 0.0]),
        ("", [], []),
    ],
)
def test_majority_runs(prompts, completions, expected):
    assert call(MajorityVoteReward(), list(prompts), completions) == expected


def test_majority_fixed_groups_split_a_repeated_prompt():
    rows = [A, A, B, B, B, A]
    assert call(MajorityVoteReward(num_generations=3), ["p"] * 6, rows) == [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert call(MajorityVoteReward(), ["p"] * 6, rows) == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]


def test_majority_conversational():
    prompt = [{"role": "user", "content": "1+1?"}]
    completions = [[{"role": "assistant", "content": text}] for text in (B, B, A)]
    assert call(MajorityVoteReward(), [prompt] * 3, completions) == [1.0, 1.0, 0.0]


def test_majority_ignores_labels():
    assert call(MajorityVoteReward(), ["p"] * 3, [A, A, B], answer=["2"] * 3) == [1.0, 1.0, 0.0]


def test_majority_logs_a_row_each():
    logged: dict[str, list] = {}
    call(MajorityVoteReward(), list("pppq"), [A, A, B, SILENT], log_extra=logged.__setitem__)
    assert logged["vote_answer"] == ["1", "1", "1", ""]
    assert logged["vote_share"] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0.0])


def test_majority_vote_of_one_group():
    vote = MajorityVoteReward("choice").vote(["The answer is B", "The answer is (B)", "The answer is A"])
    assert (vote.answer, vote.rewards) == ("B", [1.0, 1.0, 0.0])


def test_majority_partial_group():
    with pytest.raises(ValueError, match=r"5 rows .*num_generations=4.*per_device_train_batch_size"):
        call(MajorityVoteReward(num_generations=4), ["p"] * 5, [A] * 5)


def test_majority_rows_differ():
    with pytest.raises(ValueError, match="completions has 2 rows where 3"):
        call(MajorityVoteReward(), ["p"] * 3, [A] * 2)


def test_majority_num_generations_positive():
    with pytest.raises(ValueError, match="num_generations is 0"):
        MajorityVoteReward(num_generations=0)


@pytest.mark.parametrize(
    ("label", "completion", "expected"),
    [
        ("1", A, 1.0),
        ("2", A, 0.0),
        ("1.0", A, 1.0),
        (1, A, 1.0),
        (1.0, A, 1.0),
        (None, A, None),
        ("", A, None),
        (float("nan"), A, None),
        ("1", SILENT, 0.0),
        ("1 + 0 = 1\n#### 1", A, 1.0),
        (r"Adding gives \boxed{1}.", A, 1.0),
    ],
)
def test_truth(label, completion, expected):
    assert call(GroundTruthReward(), ["p"], [completion], answer=[label]) == [expected]


def test_truth_conversational():
    completions = [[{"role": "assistant", "content": text}] for text in (B, A)]
    assert call(GroundTruthReward(), ["p"] * 2, completions, answer=["2", "2"]) == [1.0, 0.0]


def test_truth_answer_type():
    completions = ["The answer is (B).", "The answer is (C)."]
    assert call(GroundTruthReward("choice"), ["p"] * 2, completions, answer=["b", "B"]) == [1.0, 0.0]


def test_truth_without_column():
    with pytest.raises(ValueError, match=r"column 'answer'.*MajorityVoteReward"):
        call(GroundTruthReward(), ["p"], [A], solution=["1"])


def test_truth_rows_differ():
    with pytest.raises(ValueError, match="answer has 1 rows where 2"):
        call(GroundTruthReward(), ["p"] * 2, [A] * 2, answer=["1"])


@pytest.mark.parametrize("reward", [MajorityVoteReward, GroundTruthReward])
def test_unknown_type(reward):
    with pytest.raises(ValueError, match="'maths'"):
        reward("maths")


@pytest.mark.parametrize("reward", [MajorityVoteReward, GroundTruthReward])
def test_trl_names(reward):
    utils = pytest.importorskip("trl.trainer.utils")
    assert utils.get_callable_name(reward()) == reward.__name__
    assert not utils.is_async_callable(reward())


@pytest.mark.parametrize("reward", [MajorityVoteReward("choice", num_generations=4), GroundTruthReward("choice")])
def test_picklable(reward):
    assert vars(pickle.loads(pickle.dumps(reward))) == vars(reward)


# Weights, soft rewards, number of votes ----------------------------------------------------------------------------


def test_soft():
    assert call(MajorityVoteReward(soft=True), list("pppp"), [A, A, B, SILENT]) == [0.5, 0.5, 0.25, 0.0]


def test_weights_are_asked_for_each_group():
    asked = []

    def longest_counts(prompt, completions):
        asked.append((prompt, list(completions)))
        return [len(text) for text in completions]

    long_b = f"Let me think about it. {B}"
    reward = MajorityVoteReward(weights=longest_counts)
    assert call(reward, list("pppqq"), [A, A, long_b, A, B]) == [0.0, 0.0, 1.0, 1.0, 0.0]
    assert asked == [("p", [A, A, long_b]), ("q", [A, B])]


def test_soft_and_weighted():
    reward = MajorityVoteReward(soft=True, weights=lambda prompt, completions: [1, 2, 5])
    assert call(reward, list("ppp"), [A, A, B]) == pytest.approx([3 / 8, 3 / 8, 5 / 8])


@pytest.mark.parametrize(("weights", "message"), [([1.0], "1 weights for 3"), ([1, -1, 1], r"weights\[1\] is -1.0")])
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        call(MajorityVoteReward(weights=lambda prompt, completions: weights), ["p"] * 3, [A] * 3)


def test_more_votes_than_rows_need_our_trainer():
    with pytest.raises(ValueError, match=r"num_votes=64 needs SeRLTrainer"):
        call(MajorityVoteReward(num_votes=64), ["p"] * 3, [A] * 3)


def test_weights_are_a_function():
    with pytest.raises(ValueError, match=r"weights is \[1, 2\].*must be a function"):
        MajorityVoteReward(weights=[1, 2])  # type: ignore[arg-type]  # on purpose


def test_num_votes_positive():
    with pytest.raises(ValueError, match="num_votes is 0"):
        MajorityVoteReward(num_votes=0)


def test_truth_scores_an_answer():
    assert [GroundTruthReward().score(answer, "0.5") for answer in ("1/2", "2", None)] == [1.0, 0.0, 0.0]
    assert GroundTruthReward().score("1", None) is None
