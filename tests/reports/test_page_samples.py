from typing import Any

import pytest

from serl_trl.reports.page_samples import marked


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("5 and \\boxed{5}, or 5", "5 and \\boxed{5}, or <mark>5</mark>"),
        ("a < b & \\boxed{x<y}", "a &lt; b &amp; \\boxed{<mark>x&lt;y</mark>}"),
        ([{"role": "assistant", "content": "The answer is 12."}], "The answer is <mark>12</mark>."),
        ("<mark>9</mark> \\boxed{4}", "&lt;mark&gt;9&lt;/mark&gt; \\boxed{<mark>4</mark>}"),
    ],
)
def test_the_last_occurrence_of_the_answer_is_marked(completion, text):
    assert str(marked(completion)["text"]) == text


def test_an_answer_that_does_not_occur_to_the_letter_stands_behind():
    found = marked("So \\boxed{1}, \\boxed{2}.")
    assert "<mark>" not in found["text"]
    assert found["behind"] == "1, 2"
    assert found["reason"] is None


def test_no_answer_has_its_reason():
    assert marked("So it is \\boxed{4")["reason"] == "cut off"
    assert marked("")["reason"] == "empty"
    unfiled: Any = None
    assert marked(unfiled) == {"text": "None", "behind": None, "reason": "unmarked"}


def test_a_long_completion_keeps_its_end_where_the_answer_is():
    found = marked("word " * 2000 + "\\boxed{7}")
    assert found["text"].startswith("\u2026 ")
    assert found["text"].endswith("\\boxed{<mark>7</mark>}")
    assert len(found["text"]) < 3100
    found = marked("\\boxed{7}" + " word" * 2000)
    assert found["behind"] == "7"
