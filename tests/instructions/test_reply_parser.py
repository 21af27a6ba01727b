import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import replies
from serl_trl.instructions.reply_parser import parse_reply
from serl_trl.types import Reply


KINDS = ("NUMBERED", "BULLETS", "BOLD", "LINES", "TRUNCATED", "SOLUTIONS", "CHAT", "SMOLLM2")
ROWS = [row for kind in KINDS for row in getattr(replies, kind)]


@pytest.mark.parametrize(("text", "is_truncated", "expected"), ROWS)
def test_instructions_of_a_reply(text, is_truncated, expected):
    assert parse_reply(Reply(text, is_truncated)) == expected


@pytest.mark.parametrize("text", replies.UNTOUCHED)
def test_what_only_looks_like_a_solution_is_left_alone(text):
    assert parse_reply(Reply(text)) == [text]
    assert parse_reply(Reply(f"9. {text}\n\n10. {text}")) == [text, text]


@pytest.mark.parametrize("colon", [":", "\uff1a"])
def test_a_lead_in_is_no_instruction(colon):
    problem = "\u5c0f\u660e\u67098\u4e2a\u82f9\u679c\u3002\u8fd8\u5269\u51e0\u4e2a\uff1f"
    assert parse_reply(Reply(f"\u597d\u7684{colon}\n\n5. {problem}")) == [problem]
    assert parse_reply(Reply(f"Here is one{colon}\n\n{problem}")) == [problem]


def test_the_table_is_large():
    assert len(ROWS) + len(replies.UNTOUCHED) >= 60


@given(
    st.lists(st.sampled_from([line for text, _, _ in ROWS for line in text.split("\n")]), max_size=12), st.booleans()
)
def test_nothing_is_altered_but_white_space(lines, is_truncated):
    # whatever the lines of a reply are, an instruction is a run of its words but for list markers and emphasis
    text = "\n".join(lines)
    squeezed = "".join(text.replace("*", "").split())
    for instruction in parse_reply(Reply(text, is_truncated)):
        assert instruction == " ".join(instruction.split())
        words = instruction.replace("*", "").split()
        position = 0
        for word in words:
            position = squeezed.index(word, position) + len(word)


@given(st.text())
def test_any_text_can_be_parsed(text):
    assert all(instruction.strip() for instruction in parse_reply(Reply(text)))


@pytest.mark.parametrize(
    "fragment", ["9. ", "1? ", "?", "\\boxed{", "**", " ", "\n", "- a\n", "answer is ", "To solve ", "1", "#", "<|", "Q: ", "(", "a: b "]
)  # fmt: skip
def test_time_is_linear_in_the_length(fragment):
    short, long = (fragment * (size // len(fragment)) for size in (5_000, 100_000))
    parse_reply(Reply(short))
    start = time.process_time()
    parse_reply(Reply(long))
    assert time.process_time() - start < 2.0  # quadratic time would take minutes


def test_random_mixtures_of_fragments_take_no_long_time():
    rng = random.Random(0)
    fragments = [line for text, _, _ in ROWS for line in text.split(" ")]
    text = "".join(rng.choice(fragments) + rng.choice(" \n") for _ in range(20_000))
    start = time.process_time()
    parse_reply(Reply(text))
    assert time.process_time() - start < 5.0
