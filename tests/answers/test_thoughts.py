"""Thoughts in the marks of many models, for those who read answers and those who read instructions."""

import time

import pytest

from serl_trl import extract_answer
from serl_trl.answers.find_answer import find_math
from serl_trl.answers.thoughts import breaks_off, is_planning, said_in
from serl_trl.instructions.reply_parser import parse_reply
from serl_trl.types import Reply


MARKS = [
    ("<think>", "</think>"),
    ("<THINK>", "</THINK>"),
    ("<thinking>", "</thinking>"),
    ("<Thought>", "</Thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ('<think time="3">', "</think >"),
    ("[THINK]", "[/THINK]"),
    ("[thinking]", "[/thinking]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis", "assistantfinal"),  # the same, decoded without special tokens
]
THOUGHT = "We need it. 1. Is the answer 4? So \\boxed{4}.\nThe answer is 4.\n"
PROBLEM = "A train has 8 cars. How many wheels has it?"


@pytest.mark.parametrize(("start", "end"), MARKS)
def test_what_is_said_behind_a_thought_counts(start, end):
    assert extract_answer(f"{start}{THOUGHT}{end}\n\nThe answer is 7.") == "7"
    assert extract_answer(f"{THOUGHT}{end}\n\nThe answer is 7.") == "7"  # the template opened it
    assert parse_reply(Reply(f"{start}{THOUGHT}{end}\n\n{PROBLEM}")) == [PROBLEM]
    assert parse_reply(Reply(f"{THOUGHT}{end}\n\n5. {PROBLEM}")) == [PROBLEM]


@pytest.mark.parametrize("answer_type", ["math", "number", "choice", "text"])
@pytest.mark.parametrize(("start", "end"), MARKS)
def test_a_thought_alone_says_nothing(start, end, answer_type):
    for text in (
        f"{start}{THOUGHT}",
        f"{start}{THOUGHT}So B. The answer is B.",
        f"{start}{THOUGHT}{end}",
        f"{THOUGHT}{end}\n\n",
    ):
        assert extract_answer(text, answer_type) is None
        assert parse_reply(Reply(text)) == []
    assert parse_reply(Reply(f"{start}{THOUGHT}1. How many?", is_truncated=True)) == []


def test_a_later_thought_that_is_open_leaves_nothing():
    text = "<think>Is it 4?</think>The answer is 4. <think>Or is it"
    assert find_math(text) == (None, "cut_off")
    assert said_in(text).is_thinking


def test_both_sides_of_a_thought_are_said():
    assert said_in("9. One? <think>And now?</think>10. Two?").pieces == ["9. One? ", "10. Two?"]
    assert said_in("No mark, but a < b and [think about] it") == (["No mark, but a < b and [think about] it"], False)


@pytest.mark.parametrize(
    ("text", "is_thought"),
    [
        (
            "So it is 7. Therefore, the answer is 7.\n\nBut let me double-check whether the 5 were eaten before or",
            True,
        ),
        ("So the answer would be 42. But wait, is the fee included? Let me recompute by", True),
        (r"So \boxed{12}. Hmm, but actually the question asks for", True),
        ("The answer is 9. However, I should check if the discount applies to", True),
        ("So the answer is B. But wait, let me reconsider option", True),
        ("The answer is 7.", False),
        ("The answer is 7. But let me check.", False),
        ("Wait, that is wrong. The answer is 7, since the first and the last of them", False),
        ("Let me check again. The final answer is Rio de Janeiro", False),
        (r"Wait. **Final Answer:** \boxed{7}" + "\n\nLet me verify this by the", False),
        (r"\boxed{75}" + "\n\nVerification: everything fits, because the", False),
        ("Let me check the options.\nthe correct choice is d", False),
    ],
)
def test_a_thought_without_marks_that_breaks_off(text, is_thought):
    assert breaks_off(text) is is_thought
    if is_thought:
        assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Okay, the user wants new problems. 1. Something with apples?\n2. Something with", []),
        ("We need to write problems. 1. Apples?", []),
        ("Okay, here is one:\n1. How many apples are there?\n2. How", ["How many apples are there?"]),
    ],
)
def test_plans_that_ran_out_of_tokens_are_no_instructions(text, expected):
    assert is_planning(text) is (expected == [])
    assert parse_reply(Reply(text, is_truncated=True)) == expected


@pytest.mark.parametrize("fragment", ["<think>", "</think>", "<", "<think ", "[think", "But wait, ", "<|channel|>"])
def test_time_is_linear(fragment):
    text = fragment * (200_000 // len(fragment))
    start = time.process_time()
    said_in(text)
    breaks_off(text)
    assert time.process_time() - start < 1
