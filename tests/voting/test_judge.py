"""Verdicts are read by hand; a judge that is right by construction shows what the reward makes of its replies."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl import MajorityVoteReward
from serl_trl.evaluation.generators import Sampling, transformers_engine
from serl_trl.rollouts.generate import whole_model
from serl_trl.voting.judge import JUDGE_TEMPLATE, JudgeReward, verdict_of
from tiny_runs import equal, parameters, trained, trainer


RIGHT = [
    "yes", "Yes.", "YES!", "**Yes**", "'yes'", " Yes, the answer is right.", "Yes, it is.\nThe sum is 5.", "Correct.",
    "True", "correct\n", "The proposed solution is correct.", "The final answer is right.", "Verdict: correct",
    "**Verdict:** **Yes**", "\\boxed{yes}", "\\boxed{\\text{Yes}}", "$\\boxed{\\text{correct}}$", "Answer: yes",
    "The answer is: Yes", "Let us check: 3 + 4 = 7. So the solution is indeed correct.", "That isn't wrong.",
    "It is not incorrect.", "The first step is wrong at first sight. But no, it is correct.",
    "<think>No? 4 + 4 is 8. No.</think>Yes.", "Yes.<|im_end|>\nNo.", "The answer seems to be correct.",
    "7 is the correct answer.", "Yes\n\nThe problem asks for the sum. No other reading is possible.",
    "The proposed solution appears correct.", "Final answer: **yes**", "No doubt the solution is right.",
]  # fmt: skip
WRONG = [
    "no", "No.", "NO", "**No**", "No, the answer is 12.", "No. The correct answer is 5.", "Incorrect.", "False",
    "Wrong!", "The proposed solution is incorrect.", "The final answer is not correct.", "The answer isn't right.",
    "The answer isn\u2019t right.", "Verdict: incorrect", "Judgement: not correct", "Verdict: **No**", "\\boxed{no}",
    "\\boxed{\\text{incorrect}}", "Answer: no", "The answer is: No", "3 + 4 is 7, not 8, so the solution is wrong.",
    "It looks right, but it is wrong.", "Yes, the method is fine. Verdict: wrong", "The solution is not valid.",
    "It is not the right answer.", "No\n\nThe sum is correct, but that is not what was asked.",
    "The proposed solution is mistaken.", "Not correct.", "No. 3 + 4 is 7.",
]  # fmt: skip
NEITHER = [
    "", "Hm.", "The correct answer is 5.", "Correct answer: 5", "The answer is 12.", "I do not know.", "12",
    "Let us solve the problem step by step.", "Nobody knows.", "Yesterday", "To find the right answer, we add.",
    "Notice that 3 + 4 = 7.", "The right triangle has legs 3 and 4.", "<think>Yes, yes",
]  # fmt: skip


@pytest.mark.parametrize("reply", RIGHT)
def test_right(reply):
    assert verdict_of(reply) is True


@pytest.mark.parametrize("reply", WRONG)
def test_wrong(reply):
    assert verdict_of(reply) is False


@pytest.mark.parametrize("reply", NEITHER)
def test_neither(reply):
    assert verdict_of(reply) is None


@given(st.text())
def test_any_text_is_read(reply):
    assert verdict_of(reply) in (True, False, None)


@pytest.mark.parametrize(
    "fragment", ["is ", "the answer is ", "not ", "is the the the ", "\\boxed{", "verdict:   ", "*", " \n"]
)
def test_long_replies_take_no_time(fragment):
    """Quadratic time would be minutes."""
    start_s = time.process_time()
    verdict_of(fragment * (200_000 // len(fragment)))
    assert time.process_time() - start_s < 2


def test_the_judge_sees_problem_and_solution_and_no_more():
    seen = []

    def judge(prompts):
        seen.extend(prompts)
        return ["no"] * len(prompts)

    chat = [{"role": "system", "content": "Box it."}, {"role": "user", "content": "What is {solution}?"}]
    said = [{"role": "assistant", "content": r"It is \boxed{4}, not {problem}."}]
    assert JudgeReward(judge)(prompts=[chat], completions=[said], answer=["4"]) == [0.0]
    assert JudgeReward(judge, "{problem}|{solution}")(prompts=["1+1?"], completions=["2"]) == [0.0]
    expected = JUDGE_TEMPLATE.replace("{problem}", "What is {SOLUTION}?").replace("{solution}", said[0]["content"])
    assert seen[0] == [{"role": "user", "content": expected.replace("{SOLUTION}", "{solution}")}]
    assert seen[1] == "1+1?|2"


def test_equal_rows_are_judged_once_and_no_verdict_is_counted():
    asked: list[str] = []
    metrics: dict[str, float] = {}

    def judge(prompts):
        asked.extend(prompts)
        return ["Yes." if "[2]" in prompt else "Hm." if "[?]" in prompt else "No." for prompt in prompts]

    reward = JudgeReward(judge, "{problem} [{solution}]")
    rewards = reward(
        prompts=["a"] * 4 + ["b"],
        completions=["2", "2", "3", "?", "2"],
        log_metric=metrics.__setitem__,
        completion_ids=[[1]] * 5,
    )
    assert rewards == [1.0, 1.0, 0.0, None, 1.0]
    assert asked == ["a [2]", "a [3]", "a [?]", "b [2]"]
    assert metrics == {"serl/judge/frac_no_verdict": 1 / 5}


def test_bad_judges():
    with pytest.raises(ValueError, match="1 replies to 2 prompts"):
        JudgeReward(lambda prompts: ["yes"])(prompts=["a", "b"], completions=["1", "1"])
    with pytest.raises(ValueError, match=r"lacks the place for \{solution\}"):
        JudgeReward(lambda prompts: prompts, "Is {problem} right?")


@pytest.mark.slow
def test_the_policy_judges_itself_without_a_trace(tmp_path):
    """As docs/how-to.md has it: at weight 0 training ends at the same parameters as without the judge."""

    def ask(prompts):
        with whole_model(run) as model:
            return [text for text, _ in transformers_engine(model, run.processing_class)(prompts, Sampling(8))]

    alone = parameters(trained(tmp_path / "alone").model)
    rewards = [MajorityVoteReward(), JudgeReward(ask)]
    run = trainer(tmp_path / "judged", reward_funcs=rewards, reward_weights=[1.0, 0.0])
    run.train()
    assert equal(alone, parameters(run.model))
    logged = [row["serl/judge/frac_no_verdict"] for row in run.state.log_history if "reward" in row]
    assert len(logged) == 2
    assert all(0 <= share <= 1 for share in logged)


def test_trl_names():
    utils = pytest.importorskip("trl.trainer.utils")
    reward = JudgeReward(lambda prompts: ["yes"] * len(prompts))
    assert utils.get_callable_name(reward) == "JudgeReward"
    assert not utils.is_async_callable(reward)


def test_a_problem_in_content_blocks_is_shown_to_the_judge():
    asked: list = []

    def judge(prompts):
        asked.extend(prompts)
        return ["Yes."] * len(prompts)

    reward = JudgeReward(judge, "{problem} {solution}")
    prompt = [{"role": "user", "content": [{"type": "text", "text": "1+1?"}]}]
    assert reward(prompts=[prompt], completions=[[{"role": "assistant", "content": None}]]) == [1.0]
    assert asked == [[{"role": "user", "content": "1+1? "}]]
