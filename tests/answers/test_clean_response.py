"""What a response is cleared of, and the boxes in it; expectations read off by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl.answers.clean_response import MAX_RESPONSE_CHARS, Response, response_of


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("  It is 5.\n\n", "It is 5."),
        ("<think>Is it 4?</think>\n\nIt is 5.", "It is 5."),
        ("<Thinking>Is it 4?</Thinking>It is 5.", "It is 5."),
        ("[THINK]Is it 4?[/THINK]It is 5.", "It is 5."),
        ("[THINK]Is it 4?", "<think>"),
        ("<|begin_of_thought|>4?<|end_of_thought|>\n<|begin_of_solution|>5<|end_of_solution|>", "5"),
        ("<|channel|>analysis<|message|>4?<|end|><|start|>assistant<|channel|>final<|message|>5<|return|>", "5"),
        ("It may be 4.</think>It is 5.", "It is 5."),  # the template had opened the tag
        ("<think>All of it: 5</think>", ""),
        ("It is 5.</think>\n\n", ""),  # the template had opened the tag, and nothing is said behind the thought
        ("Well. <think>Is it 4? Is it", "<think>"),
        (r"<think>It is \boxed{5}", "<think>"),
        (r"<think>a</think> It is \boxed{5}. <think>Or", "<think>"),
        ("It is 5.<|im_end|><|im_start|>assistant<think>Or", "It is 5."),  # that turn is no longer its own
        ("It is 5.<|im_end|>\n<|im_start|>user\nAnd now?", "It is 5."),
        ("<|assistant|>It is 5.</s>", "It is 5."),
        ("<answer>4</answer> no, <answer> 5 </answer>", "Answer: 5"),
        (r"<answer>\boxed{5}</answer>", r"\boxed{5}"),
        ("[ANSWER]5[/ANSWER]", "Answer: 5"),
        ("<answer>5", "<answer>5"),
        ("It is 5. I hope it is correct.", "It is 5."),
        ("It is 5.\n\nLet me know if you need more!\n\nGood luck!", "It is 5."),
        ("This is the answer: 5", "This is the answer: 5"),
        ("```\n5\n```", "5"),
        ("It is 5.\r\n\r\n---\r\n", "It is 5."),
        ("It is 5. \u2705 $\\blacksquare$", "It is 5."),
        ("> It is\n> 5.", "It is\n5."),
        ("It is 5.\n\nHuman: And 3 + 4?\n\nAssistant: 7", "It is 5."),
        ("\uff15\u200b", "5"),  # full-width, then nothing to see
        ("a \n \n \n b", "a\n\nb"),
        ("", ""),
    ],
)
def test_response(text, response):
    assert response_of(text) == response


def test_only_the_end_counts():
    assert response_of("x" * MAX_RESPONSE_CHARS + "5") == "x" * (MAX_RESPONSE_CHARS - 1) + "5"


@given(st.text(max_size=60))
def test_response_is_stripped(text):
    assert response_of(text) == response_of(text).strip()


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        (r"\boxed{1} \boxed{\frac{1}{2}}", ["1", r"\frac{1}{2}"]),
        (r"\boxed{x = \boxed{5}}", [r"x = \boxed{5}", "5"]),
        (r"\boxed{1} \boxed{2", ["1"]),
        (r"\boxed{\{1\}}", [r"\{1\}"]),
        (r"\boxed{} \boxed{ $ $ } \boxed{\text{ }} \boxed{\quad} \boxed{\phantom{1}} \boxed{___}", []),
        (r"\boxed 5, \fbox{6} and \\boxed{7}", ["5", "6", "7"]),
        (r"} \boxed{1}}", ["1"]),
        (r"\boxed", []),
    ],
)
def test_boxes(text, contents):
    assert [text[box.content_start : box.content_end] for box in Response.of(text).boxes] == contents


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{1}, \boxed{2}", "1, 2"),
        (r"$\boxed{1}$ and $\boxed{2}$", "1, 2"),
        (r"$x_1 = \boxed{1}$ or $x_2 = \boxed{2}$", "1, 2"),
        (r"\boxed{1}. Then \boxed{2}", "2"),
        (r"\boxed{2}\boxed{2}", "2"),
        ("none", None),
    ],
)
def test_last_boxes(text, answer):
    boxes = Response.of(text).last_boxes()
    assert (boxes and boxes[0]) == answer


@given(
    st.text(alphabet="{}\\a $", max_size=12),
    st.sampled_from([r"\boxed{5}", r"\fbox{5} }", r"{ \boxed{\frac{1}{2}} }"]),
)
def test_what_stands_before_the_first_box_changes_no_box(before, text):
    before = before.rstrip("\\")  # an escaped backslash would belong to the box
    alone = [text[box.content_start : box.content_end] for box in Response.of(text).boxes]
    longer = before + text
    assert [longer[box.content_start : box.content_end] for box in Response.of(longer).boxes] == alone
