"""Answers stated in words; expectations read off by hand."""

import pytest

from serl_trl.answers.stated_answer import DIGITS, MATH, NUMBER, formula_in, is_complete, stated, statement


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 3. Then the answer is 4.", "4"),
        ("I thought the answer is 3.", None),
        ("The answer is 3. Wait, I forgot one.", None),
        ("The answer might be 3, but let me check.", None),
        ("The answer is 3, but I'm not sure.", "3"),
        ("Is the answer 3?", None),
        ("12 is the answer.", "12"),
        ("The blue whale is tall.\nx = 12 is our final answer.", "x = 12"),
        ("That makes 12 the answer.", "12"),
        ("This is the answer.", None),
        ("Answer: your answer here", None),
        ("Answer \u2192 4:3", "4:3"),
        ("Die Antwort lautet 12.", "12"),
        ("The answer is greater than 10", None),
        ("The answer is 12 and", None),
        ("The answer is 12 +", None),
        ("The answer is 360^", None),
        ("The answer is C++", "C++"),
        ("Answer: Rs. 4,500/-", "Rs. 4,500/-"),
        ("La r\u00e9ponse est donc 12.", "12"),
        ("La risposta \u00e8 quindi 12.", "12"),
        ("\u7b54\u3048\u306f \\frac{2}{3} \u3067\u3059\u3002", "\\frac{2}{3}"),
        ("\u7b54\u3048\u306f (2,4) \u3067\u3059\u3002", "(2,4)"),
        ("\u7b54\u3048\u306f $\\frac{2}{3}$ \u3067\u3059\u3002", "\\frac{2}{3}"),
        ("Cevap $\\frac{3}{4}$ olur.", "\\frac{3}{4}"),
        ("Die Antwort lautet 10,\\!080.", "10080"),
        ("The answer is\n\n**12**", "12"),
        ('{"answer": "12"}', "12"),
    ],
)
def test_stated(text, answer):
    found = stated(text)
    assert (found and found[0]) == answer


def test_final_is_told_apart():
    assert stated("The answer is 3.") == ("3", False)
    assert stated("The final answer is 3.") == ("3", True)


@pytest.mark.parametrize(
    ("rest", "answer"),
    [
        (" 5, because 2 + 3 = 5.", "5"),
        (": therefore about 12 apples", "12 apples"),
        (" $2$ and $3$.", "$2$ and $3$"),
        (" that she has 12 apples", "12"),
        (" 12 distinct sequences that meet all the given conditions", "12"),
        (r" $\frac{1}{2", None),
        (" found by adding", None),
        ("", ""),
    ],
)
def test_statement(rest, answer):
    assert statement(rest) == answer


def test_numbers_and_formulas():
    text = r"It costs $5 and $7, so 1,250.50 or 1 3/4, but not x2, 2^3 nor 3x."
    assert [number.strip() for number in NUMBER.findall(text)] == ["$5", "$7", "1,250.50", "1 3/4"]
    assert [formula_in(match) for match in MATH.finditer(r"$3 : 5$ \(x\) $$y$$ \[z\] for $5 each")] == [
        "3 : 5",
        "x",
        "y",
        "z",
    ]
    assert DIGITS


def test_what_is_complete():
    assert is_complete(r"$\frac{1}{2}$")
    assert not is_complete(r"\frac{1}{")
    assert not is_complete("so \\box")
