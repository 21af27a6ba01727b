r"""Numbers as people write them: digits of any script, groups of digits, decimal commas, money, a sign in words.

What a separator stands for is decided by these rules, the first that applies:

1. `.` and `,` in one number: the last of them is the decimal mark, the other parts groups (1.234,50; 1,234.50).
2. One of them several times: groups, if all but the first have three digits (1.234.567), or two, and the last three, as
   in India (12,34,567); otherwise this is no number but a date or a list.
3. Apostrophes and spaces before three digits are groups (1'234; 12 345,5).
4. One comma: of thousands, if three digits follow and the number does not begin with 0 (1,234); otherwise a decimal mark
   (3,14; 0,125). In an answer that may be a list, that takes a unit or a currency beside it: `3,5` may be two numbers.
5. One point: a decimal mark (1.234).
6. Where the language of the sentence has a decimal comma (`languages.py`), one comma is always a decimal mark, and one
   point before three digits is of thousands, unless the number begins with 0.
"""

import re
from decimal import Decimal

from .languages import LANGUAGES
from .phrases import AND_OR, AND_OR_SIGNS, any_of


MAX_NUMERAL_CHARS = 300

# Characters --------------------------------------------------------------------------------------------------------

_ZEROS = (  # of the scripts whose digits follow each other
    "\u0660\u06f0\u07c0\u0966\u09e6\u0a66\u0ae6\u0b66\u0be6\u0c66\u0ce6\u0d66\u0de6\u0e50\u0ed0\u0f20\u1040\u1090\u17e0"
    "\u1810\u1946\u19d0\u1a80\u1a90\u1b50\u1bb0\u1c40\u1c50\ua620\ua8d0\ua900\ua9d0\ua9f0\uaa50\uabf0\uff10"
)
ASCII_DIGITS = {ord(zero) + digit: str(digit) for zero in _ZEROS for digit in range(10)}
# Arabic decimal mark, thousands mark, comma, percent sign, semicolon and question mark
ASCII_MARKS = {0x066B: ".", 0x066C: ",", 0x060C: ",", 0x066A: "%", 0x061B: ";", 0x061F: "?"}

# The parts of a number ---------------------------------------------------------------------------------------------

_MINUS_WORD = re.compile(
    rf"\A[\s$*(]{{0,4}}(?:\\text\w{{0,2}}\{{\s*)?(?:negative|minus"
    rf"|{any_of(*(row.minus for row in LANGUAGES))})\s*\}}?\s*"
    r"(?=[\d\\$.\u20ac\u00a3])",
    re.IGNORECASE,
)
_SPACED_SIGN = re.compile(r"\A\s*[-\u2212]\s+(?=[\d\\$.])")
_CURRENCY = (
    r"(?:(?:US|HK|AU?|CAD?|NZ|SG?|NT|R|MX|Mex|J|C)?\s?\\?\$|[\u00a2-\u00a5\u20a0-\u20bf\u09f3\u0e3f]|(?:Rs|Rp|Fr|Tk"
    r"|Kr|kr|Ksh|KSh|SFr|S/)\b\.?|S/\.?"
    r"|(?:USD|EUR|GBP|INR|CHF|CNY|RMB|JPY|KRW|RUB|BRL|MXN|AUD|CAD|NZD|SGD|HKD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|VND|IDR|MYR"
    r"|PHP|THB|ZAR|NGN|KES|PKR|BDT|RM|TL|Ft|lei|RON|RSD|UAH|KZT|ILS|EGP|SAR|AED)\b)"
)
_MONEY = re.compile(_CURRENCY)
_SPACE = r"[ \u00a0\u202f\u2009]"
_NUMERAL = rf"(?:\d+(?:[.,'\u2019]\d+|{_SPACE}\d{{3}}(?!\d))*|[.,]\d+)"
# 3.5k, 1.2M: of money only; 12万, 3 lakh, 5 Millionen
_LETTER_SCALES = {"k": 3, "K": 3, "m": 6, "M": 6, "mn": 6, "mio": 6, "B": 9, "bn": 9, "b": 9}
_SCALES = {
    "lakh": 5, "lakhs": 5, "lac": 5, "crore": 7, "crores": 7, "लाख": 5, "करोड़": 7, "হাজার": 3, "লক্ষ": 5, "কোটি": 7,
    "हज़ार": 3, "हजार": 3,
    "万": 4, "萬": 4, "만": 4, "亿": 8, "億": 8, "억": 8, "千": 3, "천": 3, "百": 2, "백": 2,
    "百万": 6, "百萬": 6, "백만": 6, "千万": 7, "千萬": 7, "천만": 7, "тыс.": 3, "тысяч": 3, "тысячи": 3, "тысяча": 3, "млн": 6,
    "миллионов": 6,
    "миллиона": 6, "миллион": 6, "млрд": 9, "миллиардов": 9, "миллиарда": 9, "Tausend": 3, "tausend": 3,
    "Millionen": 6, "Million": 6, "Mio.": 6,
    "Milliarden": 9, "Milliarde": 9, "Mrd.": 9, "mil": 3, "millones": 6, "millón": 6, "milhões": 6, "milhão": 6,
    "bilhões": 9, "mille": 3, "millions": 6,
    "milliards": 9, "milliard": 9, "milioni": 6, "milione": 6, "miliardi": 9, "triệu": 6, "nghìn": 3, "ngàn": 3,
    "tỷ": 9, "ribu": 3, "juta": 6,
    "bin": 3, "milyon": 6, "milyar": 9, "ألف": 3, "مليون": 6, "هزار": 3, "میلیون": 6, "ہزار": 3, "لاکھ": 5,
    "کروڑ": 7, "หมื่น": 4, "แสน": 5, "ล้าน": 6,
}  # fmt: skip
# a unit may follow at once: 12万元; 2千克 is a unit as a whole
_UNSPACED = (
    "百万",
    "百萬",
    "백만",
    "千万",
    "千萬",
    "천만",
    "万",
    "萬",
    "만",
    "亿",
    "億",
    "억",
    "千",
    "천",
    "百",
    "백",
)
_JOINED_SCALES = "|".join([*_UNSPACED[:-4], "千(?![克米瓦卡焦赫伏帕])", "천", "百(?!分)", "백(?!분)"])
_WORDS = "|".join(sorted(map(re.escape, set(_SCALES) - set(_UNSPACED)), key=lambda word: (-len(word), word)))
_SMALL = r"\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209f\u2150-\u218f"  # exponents and fractions of one character
_WHOLE = re.compile(
    rf"(?P<before>[^\d\n\\$<>=+*/^()\[\]{{}}|A-Za-z-]{{0,12}}?)(?P<sign>[-\u2212]?)\s?(?P<money>{_CURRENCY}\s?)?(?P<sign2>[-\u2212]?)"
    rf"(?P<number>{_NUMERAL})"
    rf"(?:\s?(?P<scale>(?:{_JOINED_SCALES})|(?:{_WORDS})(?![^\W\d_]))|(?P<letter>k|K|mn|mio|M|m|bn|B|b)(?![A-Za-z]))?"
    r"(?P<unit>(?:\s?(?:\\?[%$]|[\u00a2-\u00a5\u20a0-\u20bf]))?(?:\s{0,2}(?:\\(?:text|mathrm|mbox)\{[^{}\d\\]{0,40}\}"
    rf"|(?:[^\d\\{{}}<>=+*/^()\[\]|&;:,_\n{_SMALL}-]|/(?=[^\W\d_])|(?<=[^\W\d_])[\u00b2\u00b3]){{1,60}}))?)"
    r"(?:/-)?[\s.\u3002\u0964*]*"
)
# a letter of any other script than the Latin; one of a Greek word, for a Greek letter alone is a variable; a unit of one sign
_IS_FOREIGN = re.compile(
    rf"[^\W\d_\x00-\x7f\u0370-\u03ff{_SMALL}]|[\u0370-\u03ff]{{3}}|[\u00b0\u2103\u2109\u3380-\u33df]"
)
_LISTED = re.compile(  # 2和3; 5 und 7; x=2 或 x=3
    rf"(?<=[\d)}}\]$])(?:\s*{AND_OR_SIGNS}\s*|\s+{AND_OR}\s+)(?=[-\d(\\$]|[a-z]\s?=)"
)
_OPERATOR = re.compile(r"[\\{}^=+*<>_&|(\[]")
_SQUARE_UNIT = re.compile(r"(-?\d[\d.,]{0,40})\s?([^\W\d_\x00-\x7f]{1,3})\^\{?[23]\}?")
_THIN_SPACE = re.compile(r"\\[,;: ]|~")
_JOINED = re.compile(r"(?<=\d),\\!\s*(?=\d{3})")  # 10,\!080, of thousands in any language
_HALF = re.compile("半|половин|반|ครึ่ง")  # three and a half
_FRACTION = re.compile(r"(\d+)\s*(?:分之|分の|분의)\s*(\d+)")  # of three parts two
_COINS = re.compile(
    r"[\s$*]*(\d[\d,]*)\s*(?:dollars?|euros?|pounds?|rupees?|francs?)\s*(?:and|,)?\s*(\d{1,2})\s*(?:cents?|pence"
    r"|paise|centimes?)[\s.*]*",
    re.IGNORECASE,
)


def _grouped(parts: list[str], *, is_indian: bool = False) -> bool:
    """Whether parts of digits are those of one number: three digits a group, or two, in India, before the last three."""
    head, *middle, last = parts
    if is_indian:
        return len(parts) > 2 and len(head) <= 2 and all(len(part) == 2 for part in middle) and len(last) == 3
    return 1 <= len(head) <= 3 and head != "0" and all(len(part) == 3 for part in (*middle, last))


def decimal_of(numeral: str, *, has_comma: bool = False, may_be_list: bool = False) -> str | None:
    """Digits with separators as digits with a decimal point, by the rules at the top of this module.

    Args:
        numeral (`str`): Digits, with points, commas, apostrophes or spaces among them.
        has_comma (`bool`, *optional*, defaults to `False`): Whether the language has a decimal comma.
        may_be_list (`bool`, *optional*, defaults to `False`): Whether a comma may stand between two numbers.

    Returns:
        `str` or `None`: ASCII digits with at most one point; None if that is no number.

    Example:

    >>> [decimal_of(number) for number in ("1,234", "3,14", "1.234,56", "12,34,567", "1'234", "5.3.2024")]
    ['1234', '3.14', '1234.56', '1234567', '1234', None]
    >>> decimal_of("1.234", has_comma=True), decimal_of("3,5", may_be_list=True)
    ('1234', None)
    """
    whole, mark, decimals = numeral, "", ""
    marks = [char for char in numeral if char in ".,"]
    if len(set(marks)) == 2:
        if marks.count(marks[-1]) > 1:
            return None
        mark = marks[-1]
    elif len(marks) == 1:
        head, _, tail = numeral.partition(marks[0])
        is_group = len(tail) == 3 and 1 <= len(re.sub(r"\D", "", head)) <= 3 and not head.startswith("0")
        is_plain = head.isdigit() or not head
        if marks[0] == ",":
            if is_plain and may_be_list and not (is_group and not has_comma) and not has_comma:
                return None
            mark = "," if has_comma or not (is_plain and is_group) else ""
        else:
            mark = "" if has_comma and is_plain and is_group else "."
    if mark:
        whole, _, decimals = numeral.rpartition(mark)
    parts = re.split(r"\D", whole)
    if len(parts) > 1:
        separators = set(re.findall(r"\D", whole))
        is_indian = separators == {","} and _grouped(parts, is_indian=True)
        are_different = len({" " if re.fullmatch(_SPACE, one) else one for one in separators}) > 1
        if are_different or not (is_indian or _grouped(parts)):
            return None
    return "".join(parts) + (f".{decimals}" if mark else "")


def plain_number(answer: str, *, has_comma: bool = False, may_be_list: bool = True) -> str:
    r"""An answer that is a number, in its plainest spelling; anything else as it is.

    Args:
        answer (`str`): A final answer.
        has_comma (`bool`, *optional*, defaults to `False`): Whether the language around it has a decimal comma.
        may_be_list (`bool`, *optional*, defaults to `True`): Whether `3,5` may be two numbers.

    Returns:
        `str`: ASCII digits, a sign before them, and behind them a unit if that is in Latin letters: it may be algebra. A
        currency, and a unit in another script, carry nothing and are dropped.

    Example:

    >>> [plain_number(answer) for answer in ("3,5 kg", "12元", "minus 3", "US$ 40", "$3.5k", "1.5万", "3,5")]
    ['3.5 kg', '12', '-3', '40', '3500', '15000', '3,5']
    """
    if len(answer) > MAX_NUMERAL_CHARS or answer.isdigit():
        return answer
    if not answer.isascii():
        answer = answer.translate(ASCII_DIGITS | ASCII_MARKS)
        answer = _FRACTION.sub(r"\\frac{\2}{\1}", answer)
    answer = _SPACED_SIGN.sub("-", _MINUS_WORD.sub("-", _JOINED.sub("", answer)))
    if coins := _COINS.fullmatch(answer):
        return str(Decimal(coins[1].replace(",", "")) + Decimal(coins[2]) / 100)
    numeral = answer
    if "\\" in answer or "{" in answer:  # 1\,234{,}5
        numeral = _THIN_SPACE.sub(" ", answer.replace("{,}", ",").replace("\\!", ""))
    if numeral.count("$") > 1:
        numeral = numeral.strip().strip("$*")
    match = _WHOLE.fullmatch(numeral.strip())
    spelled = _spelled(match, has_comma, may_be_list) if match else None
    return spelled or (answer if answer.isascii() else _without_unit(answer))


def listed(answer: str) -> str:
    """An answer with a comma for each "and" or "or", in other languages than English, between two values.

    Example:

    >>> listed("5 und 7"), listed("x = 2 ou x = 3")
    ('5, 7', 'x = 2, x = 3')
    """
    return _LISTED.sub(", ", answer)


def _without_unit(answer: str) -> str:
    """A value without the unit behind it, if that is in another script and nothing before it is."""
    end = len(answer)
    while end and not (answer[end - 1].isdigit() or answer[end - 1] in ")]}$"):
        end -= 1
    value, unit = answer[:end], answer[end:]
    if square := _SQUARE_UNIT.fullmatch(answer):  # 12 \u0441\u043c^2
        value, unit = square.groups()
    is_unit = _IS_FOREIGN.search(unit) and not _HALF.search(unit) and not _OPERATOR.search(unit)
    return value if is_unit and value and not _IS_FOREIGN.search(value) else answer


def _spelled(match: re.Match[str], has_comma: bool, may_be_list: bool) -> str | None:
    """A match of `_WHOLE` in plain digits; None if it is not to be touched."""
    before, unit, money = match["before"], match["unit"].strip(" .*"), (match["money"] or "").strip()
    if _HALF.search(unit) or (match["sign"] and match["sign2"]) or (before.strip() and not _IS_FOREIGN.search(before)):
        return None
    is_foreign = bool(_IS_FOREIGN.search(unit))
    if not unit.isascii() and not is_foreign and not re.fullmatch(r"[\u00a2-\u00a5\u20a0-\u20bf]", unit):
        return None  # 12 and a Greek letter, which is algebra
    is_list = may_be_list and not (money or unit or match["scale"])
    number = decimal_of(match["number"], has_comma=has_comma, may_be_list=is_list)
    if number is None or (match["letter"] and not money):
        return None
    power = _SCALES.get(match["scale"] or "", 0) or _LETTER_SCALES.get(match["letter"] or "", 0)
    if power:
        number = format(Decimal(number).scaleb(power), "f")
        number = number.rstrip("0").rstrip(".") if "." in number else number
    sign = "-" if match["sign"] or match["sign2"] else ""
    is_dropped = is_foreign or not unit.isascii() or _MONEY.fullmatch(unit)
    return f"{sign}{number}" + ("" if is_dropped else match["unit"])
