"""In which form an answer is found, or why none is; and that no text takes more than linear time."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.answers import clean_response
from serl_trl.answers.answer_types import ANSWER_TYPES, find_answer, is_equivalent
from serl_trl.answers.blanks import says_nothing
from serl_trl.answers.find_answer import find_math, find_number, find_text, number_in


@pytest.mark.parametrize(
    ("find", "text", "found"),
    [
        (find_math, r"So it is \boxed{5}.", ("5", "box")),
        (find_math, r"\boxed{3}. The final answer is 4.", ("4", "statement")),
        (find_math, r"\boxed{3}. The answer is 4.", ("3", "box")),
        (find_math, "The answer is 5.", ("5", "statement")),
        (find_math, "Therefore, she has 5 apples.", ("5", "conclusion")),
        (find_math, "5", ("5", "lone")),
        (find_math, "We add.\n\n5", ("5", "lone")),
        (find_math, "", (None, "empty")),
        (find_math, "<think>It may be 5", (None, "cut_off")),
        (find_math, r"The answer is \boxed{5", (None, "cut_off")),
        (find_math, r"It is \boxed{\ldots}.", (None, "unmarked")),
        (find_math, "There are 3 bags with 4 apples. Then", (None, "unmarked")),
        (find_math, "3 + 4 = 7", (None, "unmarked")),
        # as SmolLM2-135M-Instruct writes
        (find_math, "The original answer is actually 18.", ("18", "statement")),
        (find_math, "13 is not an answer - results she needs", (None, "unmarked")),
        (find_math, "The answer is inside", (None, "unmarked")),
        (find_math, "The answer is (This", (None, "unmarked")),
        (find_number, "The answer is $1,250.", ("1250", "statement")),
        (find_number, r"\boxed{\text{none}}", (None, "wrong_type")),
        (find_math, "### 72", ("72", "lone")),
        (find_math, r"The answer is 5 \times", (None, "unmarked")),
        (find_text, "It's Paris.", ("Paris", "lone")),
        (find_text, "The capital of France is Paris.", ("Paris", "conclusion")),
        (find_text, "No idea", (None, "unmarked")),
        (find_text, r"\boxed{the Nile}", ("the Nile", "box")),
    ],
)
def test_form(find, text, found):
    assert find(text) == found


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("x = -3", "-3"),
        ("12 apples", "12"),
        (r"1.5 \times 10^3", "1500"),
        ("2^3", "2^3"),
        ("none", None),
        ("9" * 5000, None),
    ],
)
def test_number_in(answer, number):
    assert number_in(answer) == number


# What the patterns are made of, over and over -----------------------------------------------------------------------

FRAGMENTS = ["answer is ", "final ", "#### ", "**", "$", "$$", "\\(", "\\[", "\\boxed{", "\\boxed", "{", "}", "\\", "\n", " \n", " ", "1", "1,", "1.", ".", "?", "!", "- ", "=", "(A", "A) ", "option: ", "Thus ", "and ", "\\begin{align}", "<think>", "<answer>", "<|x|>", "```\n", "Wait", "Good luck ", "a\u0301\u0316", "\ud800", "\x00", "\u2212", "\ufdfa", "%", "{0}", "\\pm", "\\{", "&", "is the answer ", "the correct answer ", "[", "_"]  # fmt: skip
LONG = [fragment * (200_000 // len(fragment)) for fragment in FRAGMENTS]
PAIRED = [(a + b) * 500 for a, b in itertools.product(FRAGMENTS[::3], FRAGMENTS[1::3])]


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_any_text_takes_linear_time(answer_type):
    slowest = 0.0
    for text in LONG if answer_type in {"math", "choice"} else PAIRED:
        start = time.process_time()
        answer, form = find_answer(text, answer_type)
        slowest = max(slowest, time.process_time() - start)
        assert answer is None or len(answer) <= len(text)
        assert form
    assert slowest < 2, slowest


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_comparing_any_text_takes_linear_time(answer_type):
    for fragment in FRAGMENTS[::4]:
        for num_chars in (900, 50_000):
            text = fragment * (num_chars // len(fragment))
            start = time.process_time()
            assert is_equivalent(text, text, answer_type) is not says_nothing(text)
            is_equivalent(text, text + "1x", answer_type)
            assert time.process_time() - start < 2, fragment


FORMS = {"box", "statement", "conclusion", "lone", "empty", "cut_off", "unmarked", "wrong_type"}


@given(
    st.lists(st.sampled_from(FRAGMENTS) | st.text(st.characters(), max_size=3), max_size=40),
    st.sampled_from(list(ANSWER_TYPES)),
)
def test_every_response_has_a_form(fragments, answer_type):
    answer, form = find_answer("".join(fragments), answer_type)
    assert form in FORMS
    assert (answer is None) is (form in {"empty", "cut_off", "unmarked", "wrong_type"})
    assert answer is None or is_equivalent(answer, answer, answer_type)


def test_megabytes():
    start = time.process_time()
    assert find_math("x" * 5_000_000 + r"\boxed{5}") == ("5", "box")
    assert find_math(r"\boxed{5}" + "x" * 5_000_000) == (None, "unmarked")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "answer",
    ["(3,4)", "[1,2)", r"\{1,2\}", r"\pm 3", "3:5", "x=1,y=2", r"x=1 \text{ or } x=2", "x+5", "n!", r"(-\infty,3]"],
)
def test_what_is_no_single_number(answer):
    assert number_in(answer) is None
    assert find_number(rf"\boxed{{{answer}}}") == (None, "wrong_type")


@pytest.mark.parametrize(
    ("answer", "value"),
    [("5!", "120"), ("12+3", "15"), (r"\binom{5}{2}", "10"), (r"3\cdot 4", "12"), ("12 (7+5)", "12"), (r"\{5\}", "5")],
)
def test_a_number_that_is_to_be_worked_out(answer, value):
    assert is_equivalent(number_in(answer), value, "number")
    assert is_equivalent(answer, value, "number")


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
@pytest.mark.parametrize("text", [r"It is \boxed{}. So, then", r"It is \boxed{5", r"It is \boxed{5}.", "Who knows"])
def test_a_text_is_parsed_once(monkeypatch, answer_type, text):
    calls = []

    def noted(name, function):
        def call(text):
            calls.append(name)
            return function(text)

        return call

    for name in ("response_of", "said_in", "breaks_off", "_closed_boxes"):
        monkeypatch.setattr(clean_response, name, noted(name, getattr(clean_response, name)))
    find_answer(text, answer_type)
    assert calls == ["response_of", "said_in", "breaks_off", "_closed_boxes"]
