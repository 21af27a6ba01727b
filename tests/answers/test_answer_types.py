"""Expected values are read off mathematics and off the responses by hand; the properties hold for any input."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.answers.answer_types import ANSWER_TYPES, answer_classes, extract_answer, is_equivalent
from serl_trl.answers.blanks import says_nothing


POOL = [
    "1/2",
    "0.5",
    r"\frac12",
    "2",
    "x=2",
    r"\sqrt{4}",
    r"2\pi",
    "(1,2)",
    "1,2",
    "2,1",
    "east",
    "x^2",
    "50\\%",
    "50",
    "",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"So $x=\boxed{5}$.", "5"),
        (r"\boxed{1} at first, but then \boxed{2}.", "2"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{x = \boxed{5}}", "5"),
        (r"\fbox{7}", "7"),
        (r"\boxed {7}", "7"),
        (r"\boxed{ $5$ }", "5"),
        (r"\boxed{12} so that is it; to check, \boxed{\frac{1", "12"),
        (r"\boxed{3}. The answer is 4.", "3"),
        ("The answer is 42.", "42"),
        ("The answer is: 42", "42"),
        ("the final answer is $\\frac{3}{4}$. I hope it is correct.", r"\frac{3}{4}"),
        ("The answer to the question is 3.5.", "3.5"),
        ("The answer is 2. No wait.\nThe answer is 3.", "3"),
        ("The answer is 5, because 2 + 3 = 5.", "5"),
        ("The answer is 5 because 2 + 3 = 5.", "5"),
        ("The answer is **18**.", "18"),
        ("The answer is $2$ and $3$.", "$2$ and $3$"),
        ("The answers are 2 and -3.", "2 and -3"),
        ("The answer would be 7.", "7"),
        ("The answer is A.", "A"),
        ("The answer is $7$ meters.", "7"),
        ("The answer is 12 and she has 5 left.", "12"),
        ("The answer is Evelyn.", "Evelyn"),
        ("The answer is \\[\n\\frac{1}{2}\n\\]", r"\frac{1}{2}"),
        ("The answer is \\(x^2\\).", "x^2"),
        ("The answer is therefore 8.", "8"),
        ("**Answer:** 12", "12"),
        ("**Final Answer**\n\n12", "12"),
        ("Answer: 3, 5, 7", "3, 5, 7"),
        ("2 + 2 = 4\n#### 4", "4"),
        ("Let us see. Therefore, the area is $25\\pi$.", r"25\pi"),
        ("We add.\nThus x = 7.", "7"),
        ("42", "42"),
        ("  $\\frac{1}{2}$ ", r"\frac{1}{2}"),
        ("-3/4.", "-3/4"),
        (r"2\sqrt{3}", r"2\sqrt{3}"),
    ],
)
def test_extract_math(text, expected):
    assert extract_answer(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        r"\boxed{}",
        r"\boxed{ }",
        r"\boxed{$$}",
        r"\boxed{\ldots}",
        r"\boxed{answer}",
        r"\boxed{your answer here}",
        r"\boxed{\frac{1}{2}",
        r"The answer is \boxed{12",
        r"The answer is $\frac{1}{2",
        "The answer is",
        "The answer is not 5.",
        "The answer is found by adding the two numbers 3 and 4",
        "First, 3 bags hold 12 apples. Then 5 bags hold",
        "There are 12 apples.",
        "48/2 = 24",
        "48 +",
        "1. We start with 3 apples.\n2. Then\n3",
        "I do not know.",
        "The answer is obtained when we divide",
    ],
)
def test_extract_math_none(text):
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("text", "answer_type", "expected"),
    [
        ("The answer is 18 dollars.", "number", "18"),
        (r"\boxed{\$1,250}", "number", "1250"),
        (r"\boxed{x = -3}", "number", "-3"),
        (r"\boxed{\$1,234.50}", "number", "1234.50"),
        (r"\boxed{1.5 \times 10^3}", "number", "1500"),
        (r"\boxed{1 \frac{1}{2}}", "number", "3/2"),
        (r"\boxed{3 + 5 = 8}", "number", "8"),
        (r"\boxed{\text{none}}", "number", None),
        ("She has 7 left", "number", None),
        ("145.0", "number", "145.0"),
        (r"\boxed{\frac{3}{4}}", "number", r"\frac{3}{4}"),
        ("The answer is (B).", "choice", "B"),
        ("The answer is C", "choice", "C"),
        (r"\boxed{\text{(D)}}", "choice", "D"),
        (r"\boxed{A}", "choice", "A"),
        (r"\boxed{B. 42}", "choice", "B"),
        ("Let us see.\n\n(E)", "choice", "E"),
        ("**B**", "choice", "B"),
        ("A good question", "choice", None),
        ("The answer is 42", "choice", None),
        (r"\boxed{\text{The Nile}}", "text", r"\text{The Nile}"),
        ("The answer is Paris.", "text", "Paris"),
        ("Paris", "text", "Paris"),
        ("One.\nTwo.", "text", None),
    ],
)
def test_extract_types(text, answer_type, expected):
    assert extract_answer(text, answer_type) == expected


EQUAL = [
    ("0.5", "1/2"),
    (r"\frac{1}{2}", ".5"),
    (r"\dfrac12", r"\tfrac{2}{4}"),
    (r"\frac 34", "0.75"),
    (r"-\frac{1}{2}", r"\frac{-1}{2}"),
    ("\u22125", "-5"),
    ("+5", "5"),
    ("5.", "5"),
    ("5.00", "5"),
    ("007", "7"),
    ("x = 5", "5"),
    (r"\text{Area} = 25\pi", r"25 \pi"),
    ("f(2)=5", "5"),
    (r"x \in [-2,7]", "[-2,7]"),
    (r"10,\!080", "10080"),
    ("58,500", "58500"),
    ("1,234,567", "1234567"),
    ("10{,}080", "10080"),
    (r"\$32,\!348", "32348"),
    (r"\$ 1.06", "$1.06"),
    (r"50\%", "50"),
    ("50%", r"50\%"),
    (r"90^\circ", "90"),
    ("90°", r"90^{\circ}"),
    (r"15\mbox{ cm}^2", "15"),
    (r"5.4 \text{ cents}", "5.4"),
    (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}"),
    ("18 dollars", "18"),
    ("5 cm", "5"),
    ("60 miles per hour", "60"),
    (r"1\frac{4}{5}", "9/5"),
    ("1 1/2", "1.5"),
    (r"-1\frac{1}{2}", "-1.5"),
    (r"1.5\times10^{3}", "1500"),
    ("1.5e3", "1500"),
    (r"10\,080", "10080"),
    ("5!", "120"),
    (r"\emptyset", r"\varnothing"),
    (r"\log_2 8", "3"),
    ("x = 5 or x = -5", "-5, 5"),
    ("1 \\times 10^{-2}", "0.01"),
    (r"\left(3, \frac{\pi}{2}\right)", r"(3,\frac{\pi}{2})"),
    ("(0.5, 0.6)", r"(\frac12, \frac35)"),
    ("1,-2", "-2, 1"),
    (r"-2 \text{ or } -12", "-12, -2"),
    ("2 and 3", "3, 2"),
    (r"\{1, 2\}", r"\{2,1\}"),
    (r"\text{Evelyn}", "evelyn"),
    (r"\textbf{(C)}", "C"),
    ("No", r"\text{no}"),
    ("4210_{5}", "4210_5"),
    (r"\boxed{5}", "5"),
    ("**5**", "5"),
    (r"\sqrt{12}", r"2\sqrt3"),
    (r"\sqrt{4}", "2"),
    ("√3", r"\sqrt{3}"),
    ("sqrt(3)", r"\sqrt{3}"),
    ("2π", r"2\pi"),
    ("2pi", r"\pi \cdot 2"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt2}{2}"),
    ("(x+1)^2", "x^2+2x+1"),
    ("(a+5)(b+2)", "ab+2a+5b+10"),
    ("y = 2x + 3", "2x+3"),
    ("5x-7y+4=0", "10x-14y+8=0"),
    (r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}"),
    (r"(-\infty, 2) \cup (3, \infty)", r"(3,\infty)\cup(-\infty,2)"),
    ("x > 5", "5 < x"),
    ("6+9i", "9i+6"),
    (r"\begin{pmatrix} 1/5 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 0.2 \\ 2 \end{pmatrix}"),
    ("2^{10}", "1024"),
    ("2**10", "1024"),
    (r"x^{\frac{1}{2}}", r"\sqrt{x}"),
    ("x^{n+1}", r"x \cdot x^{n}"),
    ("5cm", "5 centimeters"),
    ("1/3", "0.3333333333"),
    (r"\sqrt{17}", "4.123105625617661"),
    ("2/3", "0.666666"),
    ("2/3", "0.666667"),
    ("2/3", "0.6667"),  # 0.6667 is rounded from nothing else that anyone would write
    ("8/3", "2.6666"),
    ("(3/5, 8/3]", "(0.6, 2.6667]"),
    ("-1/6", "-0.16667"),
]
UNEQUAL = [
    ("1/3", "0.333"),
    ("1/3", "0.333334"),
    ("1/3", "0.3332"),
    ("1/7", "0.1429"),
    ("1/12", "0.0833"),
    ("0.0001", "0.00012"),
    ("0.1112", "0.11118"),
    (r"\sqrt{0.1111}", "0.3333"),
    ("0.000001", "0.0000014"),
    ("0.1", "0.10000001"),
    ("5", "-5"),
    ("12", "1 2"),
    (r"50\%", "0.5"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "[1,2]"),
    ("(3,4]", "[3,4)"),
    ("1,2", "1,2,3"),
    ("(1,234)", "1234"),
    ("1,2", "12"),
    ("101_2", "101_3"),
    ("east", "west"),
    ("listen", "silent"),
    ("even", "odd"),
    ("A", "B"),
    (r"\pi", "3.14"),
    (r"\sqrt{2}", r"\sqrt{3}"),
    (r"\infty", r"-\infty"),
    ("x^2", "x^3"),
    ("2x", "x"),
    ("1+2m", "3"),
    ("6 xyz", "6"),
    ("2**3", "23"),
    ("x", "y"),
    (r"(2,\infty)", r"[2,\infty)"),
    ("", "0"),
    ("1/0", "2/0"),
]


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal(a, b):
    assert is_equivalent(a, b)
    assert is_equivalent(b, a)


@pytest.mark.parametrize(("a", "b"), UNEQUAL)
def test_unequal(a, b):
    assert not is_equivalent(a, b)
    assert not is_equivalent(b, a)


@pytest.mark.parametrize(
    ("a", "b", "answer_type", "expected"),
    [
        ("18.00", "$18", "number", True),
        ("1,250 apples", "1250", "number", True),
        ("3/4", "0.75", "number", True),
        ("18", "18.01", "number", False),
        ("(b)", "B", "choice", True),
        ("B. 42", "B", "choice", True),
        ("A", "B", "choice", False),
        ("The  Nile.", r"\text{the nile}", "text", True),
        ("1/2", "0.5", "text", False),
    ],
)
def test_equal_types(a, b, answer_type, expected):
    assert is_equivalent(a, b, answer_type) is expected


@pytest.mark.parametrize("answer_type", ANSWER_TYPES)
def test_none_equals_nothing(answer_type):
    assert not is_equivalent(None, None, answer_type)
    assert not is_equivalent(None, "5", answer_type)


@pytest.mark.parametrize("call", [lambda t: extract_answer("1", t), lambda t: is_equivalent("1", "1", t), lambda t: answer_classes([], t)])  # fmt: skip
def test_unknown_type(call):
    with pytest.raises(ValueError, match=r"'maths'.*'math', 'number', 'choice', 'text'"):
        call("maths")


@given(st.text(max_size=60), st.sampled_from(list(ANSWER_TYPES)))
@settings(max_examples=300, deadline=None)
def test_reflexive_unless_nothing_is_said(answer, answer_type):
    assert is_equivalent(answer, answer, answer_type) is not says_nothing(answer)


LATEXISH = st.text(alphabet=r"\{}^_/,.()[]=+-!$%0123456789xyi ", max_size=12) | st.sampled_from(POOL)


@given(LATEXISH, LATEXISH)
@settings(max_examples=150, deadline=None)
def test_symmetric(a, b):
    assert is_equivalent(a, b) is is_equivalent(b, a)


@given(st.fractions(max_denominator=10**6), st.fractions(max_denominator=10**6))
@settings(deadline=None)
def test_fractions_exact(a, b):
    latex = rf"\frac{{{b.numerator}}}{{{b.denominator}}}"
    assert is_equivalent(str(a), latex) is (a == b)
    assert is_equivalent(str(b), latex)


@given(st.integers(-(10**12), 10**12))
@settings(deadline=None)
def test_thousands(n):
    assert is_equivalent(f"{n:,}", str(n))


@given(st.text(max_size=200), st.sampled_from(list(ANSWER_TYPES)))
@settings(max_examples=300, deadline=None)
def test_extract_is_none_or_visible(text, answer_type):
    answer = extract_answer(text, answer_type)
    assert answer is None or answer.strip() == answer != ""


@given(st.lists(st.sampled_from([*POOL, None]), max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_classes_ignore_order(answers, rng):
    order = list(range(len(answers)))
    rng.shuffle(order)
    before = answer_classes(answers)
    after = dict(zip(order, answer_classes([answers[i] for i in order]), strict=True))
    pairs = [(i, j) for i in order for j in order if answers[i] is not None and answers[j] is not None]
    assert all((before[i] == before[j]) is (after[i] == after[j]) for i, j in pairs)


@given(st.lists(st.sampled_from([*POOL, None]), max_size=8))
@settings(max_examples=50, deadline=None)
def test_equal_answers_share_a_class(answers):
    ids = answer_classes(answers)
    for a, i in zip(answers, ids, strict=True):
        assert (i is None) is (a is None or says_nothing(a))
        assert all(i == j for b, j in zip(answers, ids, strict=True) if is_equivalent(a, b))


@pytest.mark.parametrize("answers", list(permutations(["1", "2", "3", "7"])))
def test_classes_close_chains(answers):
    near = (str, lambda a, b: abs(int(a) - int(b)) <= 1)  # not transitive
    ids = dict(zip(answers, answer_classes(answers, near), strict=True))
    assert ids["1"] == ids["2"] == ids["3"] != ids["7"]


def test_classes_count_from_first():
    assert answer_classes(["7", None, "3", "7.0", "1", "6/2"]) == [0, None, 1, 0, 2, 1]
