"""Flips are counted by hand."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.voting.majority_vote import majority_vote
from serl_trl.voting.winner_changes import WinnerMemory


def votes(*answers):
    return [majority_vote(["Hm." if answer is None else rf"\boxed{{{answer}}}"]) for answer in answers]


def update(memory, **winners):
    metrics = memory.update(list(winners), votes(*winners.values()))
    return metrics["serl/vote/frac_seen_before"], metrics.get("serl/vote/frac_flipped")


def test_flips():
    memory = WinnerMemory()
    assert update(memory, a="1", b="2") == (0, None)
    assert update(memory, a="1", c="3") == (1 / 2, 0)
    assert update(memory, a="5", b="2", c="3", d="4") == (3 / 4, 1 / 3)
    assert update(memory, a="1", b="1") == (1, 1)  # against the last look, not the first


def test_equal_answers_are_no_flip():
    memory = WinnerMemory()
    update(memory, a=r"\frac{1}{2}", b="(x+1)^2")
    assert update(memory, a="0.5", b="x^2 + 2x + 1") == (1, 0)


def test_the_answer_type_decides():
    loose = WinnerMemory((lambda text: text, lambda a, b: a.lower() == b.lower()))
    loose.update(["p"], [majority_vote(["YES"], "text")])
    assert loose.update(["p"], [majority_vote(["yes"], "text")])["serl/vote/frac_flipped"] == 0


def test_no_winner():
    memory = WinnerMemory()
    update(memory, a=None, b=None, c="1")
    assert update(memory, a=None, b="1", c=None) == (1, 2 / 3)


def test_a_prompt_twice_in_a_step_is_seen_twice():
    memory = WinnerMemory()
    assert memory.update(["a", "a"], votes("1", "2")) == {
        "serl/vote/frac_seen_before": 0.5,
        "serl/vote/frac_flipped": 1,
    }


def test_prompts_are_told_apart():
    memory = WinnerMemory()
    chat = [{"role": "user", "content": "a"}]
    memory.update(["a", chat], votes("1", "2"))
    same_chat = [{"content": "a", "role": "user"}]
    assert memory.update([same_chat, "A"], votes("2", "1")) == {
        "serl/vote/frac_seen_before": 0.5,
        "serl/vote/frac_flipped": 0,
    }


def test_memory_is_bounded_and_forgets_what_was_seen_longest_ago():
    memory = WinnerMemory(max_prompts=2)
    update(memory, a="1", b="2")
    update(memory, a="1")
    update(memory, c="3")  # b goes
    assert len(memory) == 2
    assert update(memory, a="1", b="2", c="3")[0] == 2 / 3
    for step in range(100):
        memory.update([f"p{step}"], votes(step))
    assert len(memory) == 2


def test_a_long_winner_is_forgotten():
    memory = WinnerMemory()
    update(memory, a="1", b="2")
    memory.update(["a"], [majority_vote([rf"\boxed{{{'7' * 2000}}}"])])
    assert len(memory) == 1
    assert update(memory, a="1", b="2") == (1 / 2, 0)


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([None, "1", "2", "\\text{\u00e9}"])), max_size=20)
)
def test_state_survives_json(looks):
    memory = WinnerMemory(max_prompts=4)
    for prompt, answer in looks:
        memory.update([prompt], votes(answer))
    restored = WinnerMemory(max_prompts=4)
    restored.load_state_dict(json.loads(json.dumps(memory.state_dict())))
    assert restored.state_dict() == memory.state_dict()
    assert update(restored, a="1", x="1", c=None) == update(memory, a="1", x="1", c=None)
    assert restored.state_dict() == memory.state_dict()  # in the same order, so that the same are forgotten


def test_a_smaller_memory_keeps_the_latest():
    memory, smaller = WinnerMemory(), WinnerMemory(max_prompts=1)
    update(memory, a="1", b="2")
    smaller.load_state_dict(memory.state_dict())
    assert update(smaller, a="1", b="2") == (1 / 2, 0)


@pytest.mark.parametrize("state", [None, {}, [], {"winners": 5}, {"winners": [["key"]]}, {"winners": [["key", 5]]}])
def test_foreign_state(state):
    memory = WinnerMemory()
    update(memory, a="1")
    with pytest.raises(ValueError, match="state of the vote's winners"):
        memory.load_state_dict(state)
    assert len(memory) == 1


def test_bad_options():
    with pytest.raises(ValueError, match="max_prompts is 0"):
        WinnerMemory(max_prompts=0)
    with pytest.raises(ValueError, match="'maths'"):
        WinnerMemory("maths")
