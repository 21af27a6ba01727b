"""Answers that a response comes to without calling them so: "Therefore, she has 12 apples.", or a last line set apart."""

import re

from .clean_response import Response
from .numerals import plain_number
from .phrases import language_of_conclusion
from .stated_answer import DIGITS, MATH, NUMBER, formula_in, is_complete, is_unfinished, num_words, statement


MAX_LONE_CHARS = 100

# The last sentence -------------------------------------------------------------------------------------------------

_DISPLAY_BLOCK = re.compile(  # a formula in lines of its own
    r"\s*\$\$\s*((?:(?!\$\$).)+?)\s*\$\$|\s*\\\[\s*((?:(?!\\\[).)+?)\s*\\\]", re.DOTALL
)
_SENTENCE_START = re.compile(  # ... = 12. So she has; ... 12 Therefore, she has
    r"(?:[.!?]\s+(?=[A-Z$(*\u00c0-\U0001ffff]|\\[^\])])|[\u3002\u0964!?](?=[^\W\d_\x00-\x7f])|[\u3002\u0964]\s*(?=\S)"
    r"|\s(?=(?:Therefore|Thus|Hence|So|Finally),?\s))"
)


def last_sentence(response: Response) -> str:
    """The last sentence of a response, a formula in a block of its own included.

    Example:

    >>> last_sentence(Response.of("We add 3 and 4. Hence it is\\n$$7.$$"))
    'Hence it is $7.$'
    """
    text = _DISPLAY_BLOCK.sub(lambda block: " $" + " ".join((block[1] or block[2]).split()) + "$", response.tail)
    line = text.rpartition("\n")[2]
    starts = [match.end() for match in _SENTENCE_START.finditer(line)]
    return line[starts[-1] :] if starts else line


_CONCLUDES = re.compile(  # Thus; The sum is 12 apples.; They have 12 in total.
    r"[\W\d]{0,20}?(?:\u2234|=>"
    r"|(?:The|Her|His|Their|Its|My)\b[^.=]*\b(?:is|are|equals|comes\sto|amounts\sto)\s+"
    r"(?:\S+(?:\s+[a-z]+){0,2}|[-+*/\u00d7\d.,()$\s]{1,60}=\s*\S+(?:\s+[a-z]+){0,2})[.!]$"
    r"|.*\b(?:in total|altogether|in all)[.!]$"
    r"|(?:Therefore|Thus|Hence|So|Finally|Altogether|Consequently|Overall|As a result|In (?:conclusion|total|the end|all)"
    r"|(?:This|That|It) (?:means|gives|leaves)|We (?:find|get|obtain|have|conclude)|It follows|Final)\b)",
    re.IGNORECASE,
)
_REASONS = re.compile(  # First, there are 12.
    r"\W{0,20}(?:First|Second|Next|Then|Now|Let|Step|Suppose|Assume|Consider|If|Since|Given|To|When we|We need)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(  # Find the value of $x$
    r"(?:^|[.!?:,$]\s+)(?:What|Which|Who|How|Find|Compute|Evaluate|Calculate|Determine|Simplify|Solve|Express|Write|Enter"
    r"|Convert|Factor|Round|Give|Prove|Show that)\b",
    re.MULTILINE,
)
_GIVES_UP = re.compile(  # I am not sure; could you say more?
    r"\b(?:not sure|unsure|not (?:enough|certain|possible|clear)|cannot|can't|can ?not|could(?:n't| not)|unable"
    r"|do(?:n't| not) know|unclear|no idea|give up|stuck|need more|tried|impossible to|sorry)\b|\?\W{0,20}$",
    re.IGNORECASE,
)
# It ends with a point, a formula or bold print, or begins with a sign of its own.
_IS_WHOLE = re.compile(r"^(?:\u2234|=>)|(?:[.!]|\$|\\\]|\\\)|\*\*|[\u3002\u0964])\s*$")
_VERB = re.compile(  # what a value follows: is equal to 12, = 12
    r"(?:\b(?:is|are|equals|be|becomes|was|were|totals|get|obtain|gives|makes|(?:comes|amounts)(?:\sout)?\sto)\b"
    r"(?:\s+equal\s+to\b)?|=|:(?=\s))\s*"
)
# 10 campers spent all their time together
_COUNT_OF_MANY_WORDS = re.compile(rf"({DIGITS})(?:\s[a-z]+){{3}}")
# 12 in total
_IN_ALL = re.compile(r"(?<=[^a-z])\s+(?:in total|in all|altogether|left|remaining|in the end)$")
# $x = 3$ or $x = 1$.
_SEVERAL_FORMULAS = re.compile(r"\$([^$]+)\$(?:,\s+\$([^$]+)\$)?,?\s+(?:or|and)\s+\$([^$]+)\$[.!]?\s*$")
# **13 pages**.
_BOLD_AT_END = re.compile(r"(?<!\*)\*\*([^*]{1,80})\*\*[.!]?\s*$|(?<!\*)\*\*([^*]{1,80})[.!]\*\*\s*$")
# 6 * 7 = 42
_LAST_RESULT = re.compile(rf"=\s*({DIGITS})(?![\w/])")
# It is 17 km. She has 42 left.
_UNIT_AT_END = r"(?:\s*(?:\\?[%$\u20ac\u00a3\u00b0]|o'clock|[A-Za-z\u00b2\u00b3/]{1,5}(?![A-Za-z]))){0,2}[\s.!*]*$"
_SAYS = re.compile(rf"(?:\bis|\bare|\b[Ii]t's|\b[Mm]ust be|\bgives|:)\s+({DIGITS}){_UNIT_AT_END}")
_COUNTED = re.compile(rf"[^\d?]*?({DIGITS})\s(?:[a-z]+\s)?(?:left|remaining|of them)[.!]")
_ONE_FORMULA = re.compile(r"[\s.!]*|\s+is (?:the|our) (?:solution|answer)\.?")


def gives_up(sentence: str) -> bool:
    """Whether a sentence asks something or says that there is no answer."""
    return bool(_GIVES_UP.search(sentence))


def asks(text: str) -> bool:
    """Whether `text` puts a problem, as an echoed question does: "Find the value of"."""
    return bool(_ASKS.search(text))


def is_concluding(sentence: str) -> bool:
    """Whether a sentence begins as conclusions do: "Therefore", "In total", "The sum is"."""
    return bool(_CONCLUDES.match(sentence))


def value_in(sentence: str) -> str | None:
    """What a concluding sentence comes to: what follows its last verb, else its last formula, else its only number.

    Example:

    >>> value_in("So the total is 12 apples."), value_in("So she has 5 left."), value_in("So 3 of 4 are red.")
    ('12 apples', '5', None)
    """
    if several := _SEVERAL_FORMULAS.search(sentence):
        return ", ".join(formula for formula in several.groups() if formula)
    for verb in reversed([*_VERB.finditer(MATH.sub(lambda match: "$" * len(match[0]), sentence))]):
        value = _IN_ALL.sub("", statement(sentence[verb.end() :]) or "")
        if value and num_words(re.sub(r"\\[a-z]+", "", value)) <= 4 and re.search(r"[\d$\\]|^[A-Za-z]$", value):
            return value
        if value and (counted := _COUNT_OF_MANY_WORDS.match(value)):
            return counted[1]
    if formulas := [*MATH.finditer(sentence)]:
        return formula_in(formulas[-1])
    numbers = NUMBER.findall(sentence)
    return numbers[0] if len(set(numbers)) == 1 else None


def concluded(response: Response) -> str | None:
    """The value that the last sentence comes to, if it is complete and drawn as a conclusion.

    Example:

    >>> [concluded(Response.of(f"3 + 9 = 12. So she has 12{end}")) for end in (" apples.", "")]
    ['12', None]
    """
    text, sentence = response.text, last_sentence(response)
    if gives_up(sentence) or asks(sentence) or not is_complete(sentence):
        return None
    if _IS_WHOLE.search(sentence):
        if is_concluding(sentence):
            return value_in(sentence)
        if language := language_of_conclusion(sentence):
            value = value_in(sentence)
            return value and plain_number(value, has_comma=language.has_comma)
        if bold := _BOLD_AT_END.search(sentence):
            numbers = NUMBER.findall(bold[1] or bold[2])
            return numbers[0] if len(set(numbers)) == 1 else None
        if (result := _result_repeated(response, sentence)) is not None:
            return result
    return _only_sentence(text) if sentence == text and not _REASONS.match(text) else None


def _result_repeated(response: Response, sentence: str) -> str | None:
    """The only number of the last sentence, if the calculation before it ends in the same: 6 * 7 = 42. She has 42."""
    numbers = set(NUMBER.findall(sentence))
    results = _LAST_RESULT.findall(response.tail.removesuffix(sentence))
    return results[-1] if results and numbers == {results[-1]} and not _REASONS.match(sentence) else None


def _only_sentence(text: str) -> str | None:
    """The value of a response that is one sentence and no more."""
    formulas = [*MATH.finditer(text)]
    if formulas and _ONE_FORMULA.fullmatch(text[formulas[-1].end() :]):
        return formula_in(formulas[-1])
    said = (_SAYS.search(text) or _COUNTED.fullmatch(text)) if len(text) <= MAX_LONE_CHARS else None
    return said[1].strip() if said else None


# Lines of their own ------------------------------------------------------------------------------------------------

_EXPLANATION = re.compile(r"\n\s*\*{0,2}(?:Explanation|Reasoning|Justification|Solution)\b\*{0,2}:")
# **12**; 12 apples
_MARKED_LINE = re.compile(r"\*\*[^*]{1,80}\*\*|\$[^$]{1,200}\$|\\\([^\n]{1,200}\\\)")
_NUMBER_LINE = re.compile(DIGITS + r"(?:\s[A-Za-z]+)?")


def lone_line(response: Response) -> str | None:
    """The whole response, or all before its "Explanation:", if it is a single short line: a terse model's answer."""
    text = response.text
    explained = _EXPLANATION.search(text, 0, 2 * MAX_LONE_CHARS)
    line = (text[: explained.start()] if explained else text[: 2 * MAX_LONE_CHARS]).strip()
    is_short = 0 < len(line) <= MAX_LONE_CHARS and "\n" not in line and not is_unfinished(line)
    return line if is_short and is_complete(line) else None


def line_set_apart(response: Response) -> str | None:
    """A last line that is nothing but a value in bold or in dollars, or a number below a blank line.

    Example:

    >>> [line_set_apart(Response.of(f"We add.{end}")) for end in ("\\n\\n42", "\\n42", "\\n**42**")]
    ['42', None, '**42**']
    """
    before, newline, line = _DISPLAY_BLOCK.sub(r"\n$\1\2$", response.tail).rpartition("\n")
    line = line.strip().rstrip(".")
    is_apart = _MARKED_LINE.fullmatch(line) or (before.endswith("\n") and _NUMBER_LINE.fullmatch(line))
    is_led_up_to = before.strip() and not asks(before.strip().rpartition("\n")[2])
    return line if newline and is_led_up_to and is_apart and is_complete(line) else None
