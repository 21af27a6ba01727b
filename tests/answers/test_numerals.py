"""Numbers as people write them; expectations by hand, by the rules at the top of the module, and by Python's formatting."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serl_trl import extract_answer, is_equivalent
from serl_trl.answers.numerals import decimal_of, plain_number


@pytest.mark.parametrize(
    ("numeral", "plain", "in_comma_language", "in_list"),
    [
        ("1,234", "1234", "1.234", "1234"),
        ("3,14", "3.14", "3.14", None),
        ("0,125", "0.125", "0.125", None),
        ("3,5", "3.5", "3.5", None),
        ("1.234", "1.234", "1234", "1.234"),
        ("0.125", "0.125", "0.125", "0.125"),
        ("1.234,50", "1234.50", "1234.50", "1234.50"),
        ("1,234.50", "1234.50", "1234.50", "1234.50"),
        ("1.234.567", "1234567", "1234567", "1234567"),
        ("1,234,567", "1234567", "1234567", "1234567"),
        ("12,34,567", "1234567", "1234567", "1234567"),
        ("1,23,456.75", "123456.75", "123456.75", "123456.75"),
        ("1'234'567.5", "1234567.5", "1234567.5", "1234567.5"),
        ("12 345,5", "12345.5", "12345.5", "12345.5"),
        ("1\u202f234", "1234", "1234", "1234"),
        ("1,2,3", None, None, None),
        ("5.3.2024", None, None, None),
        ("1.2.3", None, None, None),
        ("1,234,56", None, None, None),
    ],
)
def test_separators(numeral, plain, in_comma_language, in_list):
    assert decimal_of(numeral) == plain
    assert decimal_of(numeral, has_comma=True) == in_comma_language
    assert decimal_of(numeral, may_be_list=True) == in_list


@given(st.integers(1000, 10**12), st.integers(0, 99))
def test_every_grouping_of_a_number(n, cents):
    english = f"{n:,}.{cents:02}"
    german = english.translate({ord(","): ".", ord("."): ","})
    assert decimal_of(english) == decimal_of(german) == f"{n}.{cents:02}"
    assert decimal_of(english.replace(",", "'")) == f"{n}.{cents:02}"
    assert decimal_of(german.replace(".", " ")) == f"{n}.{cents:02}"


@given(st.integers(10**5, 10**12))
def test_indian_grouping(n):
    head, last = str(n)[:-3], str(n)[-3:]
    pairs = [head[max(0, i - 2) : i] for i in range(len(head), 0, -2)][::-1]
    assert decimal_of(",".join([*pairs, last])) == str(n)


@pytest.mark.parametrize("zero", ["\u0660", "\u06f0", "\u0966", "\u09e6", "\u0be6", "\u0c66", "\u0e50", "\uff10"])
def test_digits_of_every_script(zero):
    written = "".join(chr(ord(zero) + int(digit)) for digit in "1234567890")
    for answer_type in ("math", "number"):
        assert is_equivalent(rf"{written}", "1234567890", answer_type)
        assert extract_answer(rf"\boxed{{{written}}}", answer_type) == "1234567890"


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("minus 3", "-3"),
        ("negative 3", "-3"),
        (r"\text{negative } 3", "-3"),
        ("- 3", "-3"),
        ("\u2212 3", "-3"),
        (r"minus \frac{1}{2}", "-1/2"),
        ("US$ 40", "40"),
        ("Rs. 4,500", "4500"),
        ("\u20b94,50,000", "450000"),
        ("CHF 1'250.50", "1250.5"),
        ("\u20ac 3,50", "3.5"),
        ("3,50 \u20ac", "3.5"),
        ("40 USD", "40"),
        ("$3.5k", "3500"),
        ("$1.2M", "1200000"),
        ("2 lakh", "200000"),
        ("1.5\u4ebf", "150000000"),
        ("12\u4e07\u5143", "120000"),
        ("5 dollars and 25 cents", "5.25"),
        ("3,5 kg", "3.5"),
        ("1.234,50 Euro", "1234.5"),
        (r"1\,234{,}5", "1234.5"),
        ("3\u5206\u4e4b2", "2/3"),
        ("\u06f1\u066b\u06f5", "1.5"),
        ("\u0661\u066c\u0662\u0663\u0664", "1234"),
    ],
)
def test_plain(answer, value):
    assert is_equivalent(answer, value, "math")
    assert is_equivalent(answer, value, "number")
    assert is_equivalent(extract_answer(f"The answer is {answer}.", "number"), value, "number")


@pytest.mark.parametrize(
    "answer", ["3,5", "(3,5)", "2024-03-05", "5.3.2024", "12\u03b1", "3k", "x+1", "1:30", "3\u4e2a\u534a", "5 and 144", "1, 234"]
)  # fmt: skip
def test_left_alone(answer):
    assert plain_number(answer) == answer


@pytest.mark.parametrize(
    "text",
    [
        "121 or 144",
        "5 and 144",
        "12 and 345",
        "3, 4",
        "1,2,3",
        "12 or 345",
        "2024-03-05",
        "5.3.2024",
        "5 feet and 3 inches",
    ],
)
def test_several_numbers_are_no_number(text):
    assert extract_answer(f"The answer is {text}.", "number") is None
    assert extract_answer(rf"\boxed{{\text{{{text}}}}}", "number") is None


@pytest.mark.parametrize(
    ("lead", "is_sign"), [("The answer is ", True), ("#### ", True), ("Answer: ", True), ("Answer:\n", False)]
)
def test_a_hyphen_is_a_sign_unless_it_begins_a_list(lead, is_sign):
    assert is_equivalent(extract_answer(f"{lead}- 3", "number"), "-3" if is_sign else "3")


@pytest.mark.parametrize("fragment", ["1", "1,", "1.", "1 ", "- ", "$", "\u5143", "minus ", "'"])
def test_time_is_linear(fragment):
    start = time.process_time()
    for num_chars in (290, 50_000):
        plain_number(fragment * (num_chars // len(fragment)))
        plain_number("1" + fragment * (num_chars // len(fragment)) + "x")
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ("2\u5343", "2000"),  # thousand
        ("2\u5343\u514b", "2"),  # kilograms
        ("3\u767e", "300"),
        ("5\ucc9c\uc6d0", "5000"),
        ("5\ubc31\ub9cc", "5000000"),
        ("1.2\u767e\u4e07", "1200000"),
        ("12 TL", "12"),
        ("12 Ft", "12"),
        ("12 \u0441\u043c^2", "12"),
        ("-5 \u043c^{3}", "-5"),
    ],
)
def test_scales_and_units_of_other_scripts(answer, plain):
    assert plain_number(answer) == plain


def test_joined_thousands_are_thousands_in_any_language():
    assert plain_number(r"10,\!080", has_comma=True) == "10080"
