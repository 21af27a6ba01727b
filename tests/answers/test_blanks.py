"""Mark-up without content is no answer, in any type, by any way of reading; expectations by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl import extract_answer, is_equivalent, majority_vote
from serl_trl.answers.answer_types import ANSWER_TYPES, answer_classes
from serl_trl.answers.blanks import says_nothing


NOTHING = [
    *("", " ", "$$", "**", "****", "()", "[]", "...", "\u2026", "?", "??", "____", r"\_\_", "-", "\u2014", "`", '""', "~"),
    *(r"\boxed{}", r"\boxed{ }", r"\boxed{\text{}}", r"\boxed{\text{ }}", r"\boxed{\quad}", r"\boxed{?}", r"\boxed{...}"),
    *(r"\boxed{\_\_}", r"\boxed{\boxed{}}", r"\boxed{\ldots}", r"\boxed{$ $}", r"\boxed{\phantom{12}}", r"\boxed{\square}"),
    *(r"\boxed{\underline{\hspace{2cm}}}", r"\boxed{\mathrm{}}", r"\boxed{\;}", r"\boxed{,}", r"\fbox{}", r"\boxed{\\}"),
    *(r"\frac{}{}", r"\sqrt{}", r"\begin{pmatrix} & \\ & \end{pmatrix}", r"\(\)", r"\[\]", r"\text{}", r"\left(\right)"),
    *("[answer]", "<answer>", "[insert answer]", "<your answer here>", "{answer}", "[Your Final Answer]", "<number>", "TODO"),
    *(r"\boxed{[answer]}", r"\boxed{answer}", r"\boxed{\text{your answer}}", r"\boxed{\text{Final Answer}}", "your answer here"),
    *("x =", "$x =$", r"\boxed{x = }", r"\boxed{x = \_\_\_}", r"x = \boxed{}"),
    *("\u7b54\u6848", "[respuesta]", r"\boxed{Antwort}", r"\boxed{\text{\u7b54\u6848}}".replace(r"\u7b54\u6848", "\u7b54\u6848")),
]  # fmt: skip
SOMETHING = [
    *("0", "x", "-3", "$5$", "<", ">", "=", "+", r"\le", r"\infty", r"\pi", r"\emptyset", "\u2205", r"\{\}", r"\left\{\right\}"),
    *("(1,2)", "[0,1)", "[a,b]", "{a}", r"\{1\}", "<x>", "x = 5", r"\frac{1}{2}", "no", "None", r"\text{no solution}", "i"),
    *("Paris", "number", "Blank verse", r"\triangle", r"\text{undefined}", "5=", "__init__"[2:6], "\u5317\u4eac"),
]  # fmt: skip
SOMETHING.remove("5=")  # a sum without its result

TEMPLATES = [
    *("@", "The answer is @.", "The final answer is $@$.", "Answer: @", "**Answer:** @", "**Final Answer**\n\n@", "#### @"),
    *("3 + 4 = 7. Therefore, @.", "Therefore, the total is @.", "So @.", "@ is the answer.", "<answer>@</answer>", "Answer:\n$$\n@\n$$"),
    *("\u7b54\u6848\u662f@\u3002", "Respuesta: @", "Thus, $x = @$.", "So the answer is **@**", r"Hence the answer is \(@\)", r"\[ @ \]"),
]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING)
def test_says_nothing(text):
    assert says_nothing(text)


@pytest.mark.parametrize("text", SOMETHING)
def test_says_something(text):
    assert not says_nothing(text)


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_nothing_is_read(template, answer_type):
    read = {nothing: extract_answer(template.replace("@", nothing), answer_type) for nothing in NOTHING}
    assert set(read.values()) == {None}, {nothing: answer for nothing, answer in read.items() if answer is not None}


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
@pytest.mark.parametrize("nothing", NOTHING)
def test_nothing_equals_nothing(nothing, answer_type):
    assert not is_equivalent(nothing, nothing, answer_type)
    assert not is_equivalent(nothing, "5", answer_type)
    assert answer_classes([nothing, "5", nothing], answer_type) == [None, 0, None]


def test_a_policy_that_boxes_nothing_wins_no_vote():
    vote = majority_vote([r"The final answer is $\boxed{}$."] * 7 + [r"The final answer is $\boxed{5}$."])
    assert (vote.answer, vote.share, sum(vote.rewards)) == ("5", 1 / 8, 1.0)


def test_users_own_types_are_not_touched():
    echo = (str, lambda a, b: a == b)
    assert extract_answer("$$", echo) == "$$"
    assert is_equivalent("$$", "$$", echo)


@given(
    st.lists(
        st.sampled_from([r"\boxed{", r"\text{", "}", "{", "$", r"\quad", " ", "*", r"\frac", "_", ".", r"\\"]),
        max_size=12,
    )
)
def test_mark_up_alone_says_nothing(pieces):
    assert says_nothing("".join(pieces).replace(r"\{\}", ""))
