import pytest

from serl_trl.prompts import Reply
from serl_trl.replies import parse_reply


@pytest.mark.parametrize(
    ("text", "is_truncated", "expected"),
    [
        ("9. What is 2 + 2?", False, ["What is 2 + 2?"]),
        ("What is 2 + 2?", False, ["What is 2 + 2?"]),
        ("9) What is $\\Delta$?\n10) And 3?", False, ["What is $\\Delta$?", "And 3?"]),
        ("- One?\n- Two?", False, ["One?", "Two?"]),
        ("**9.** A bold one?", False, ["A bold one?"]),
        ("Problem 9: How many?", False, ["How many?"]),
        ("9. A story\nover two lines. How many?", False, ["A story over two lines. How many?"]),
        ("9. How many? Answer: 12", False, ["How many?"]),
        ("9. How many?\nSolution: 3 + 4 = 7", False, ["How many?"]),
        (
            "9. Paco had 8 cookies. He ate 6. How many are left? The answer is 2",
            False,
            ["Paco had 8 cookies. He ate 6. How many are left?"],
        ),
        ("9. Paco had 8 cookies. The answer is 4 cookies.", False, ["Paco had 8 cookies."]),
        (
            "How much is 49 plus 59?\nThe correct answer is 78.\n\nSo the total is 121.",
            False,
            ["How much is 49 plus 59?"],
        ),
        ("9. How many? So the answer is $\\boxed{12}$.", False, ["How many?"]),
        ("9. Add 26 and 25. \\boxed{51}", False, ["Add 26 and 25."]),
        ("9. What is 26 + 25? 26 + 25 = 51. \\boxed{51}", False, ["What is 26 + 25?"]),
        ("9. What is 26 + 25? = 51\n10. What is 2 - 7? -5", False, ["What is 26 + 25?", "What is 2 - 7?"]),
        ("9. 26 + 25 = 51\n10. (2 + 3) * 4 = 5 * 4 = 20.", False, ["26 + 25", "(2 + 3) * 4"]),
        ("9. Whole?\n10. Cut o", True, ["Whole?"]),
        ("9. Cut o", True, []),
        ("", False, []),
        ("3.5 apples cost how much?", False, ["3.5 apples cost how much?"]),
    ],
)
def test_parse_reply(text, is_truncated, expected):
    assert parse_reply(Reply(text, is_truncated)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Solve x + 2 = 5.",
        "If x^2 = 16 and y = 3, what is x + y?",
        "26 + ? = 51",
        "? + 25 = 51",
        "Find n. The answer is an integer between 0 and 999.",
        "Which number is it? The answer is 3 digits long.",
        "What is 7 * 8? Put your answer in \\boxed{}.",
        "How far is it? It is 3 km to the station, and 4 km from there.",
        "Write \\boxed{x} for the unknown. What is it?",
        "What is 0.5 + 1.25?",
    ],
)
def test_parse_reply_leaves_alone_what_only_looks_like_a_solution(text):
    assert parse_reply(Reply(text)) == [text]
