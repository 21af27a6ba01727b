r"""Groups with answers in the manner of MATH: intervals, tuples, sets, matrices, radicals, polynomials, equations, words.

Each answer is made of a few integers, so that its identity is known, and written in several ways: `\dfrac` for `\frac`,
`\left(`, spaces, terms in another order, factored or expanded, a decimal for a fraction, with or without a unit. The other
answers of a group are of the same kind, as the mistakes of a model are.
"""

import random
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple


class Answer(NamedTuple):
    """What an answer is, and ways to write it."""

    key: object
    spellings: list[str]


def _nonzero(rng: random.Random, size: int) -> int:
    return rng.choice((-1, 1)) * rng.randint(1, size)


def _fraction(value: Fraction, command: str = "frac") -> str:
    sign = "-" if value < 0 else ""
    return (
        str(value) if value.denominator == 1 else rf"{sign}\{command}{{{abs(value.numerator)}}}{{{value.denominator}}}"
    )


def _sum(*terms: tuple[int, str]) -> str:
    """3, x^2 and -1, x make 3x^2 - x."""
    text = ""
    for coefficient, symbol in terms:
        if coefficient == 0:
            continue
        size = str(abs(coefficient)) if abs(coefficient) != 1 or not symbol else ""
        sign = ("-" if coefficient < 0 else "") if not text else (" - " if coefficient < 0 else " + ")
        text += sign + size + symbol
    return text or "0"


def fraction(rng: random.Random) -> Answer:
    value = Fraction(_nonzero(rng, 40), rng.choice((3, 7, 8, 9, 20, 25, 27)))
    spellings = [
        _fraction(value),
        _fraction(value, "dfrac"),
        _fraction(value, "tfrac"),
        str(value),
        rf"x = {_fraction(value)}",
    ]
    if set(str(value.denominator)) <= set("80") or value.denominator in (4, 20, 25):
        spellings.append(str(float(value)))
    return Answer(value, spellings)


def radical(rng: random.Random) -> Answer:
    a, b, n = rng.randint(2, 12), rng.randint(1, 9), rng.choice((2, 3, 5, 6, 7))
    root = rf"{a}\sqrt{{{n}}}"
    return Answer(
        (a, b, n),
        [
            rf"{b}+{root}", rf"{root} + {b}", rf"{b} + \sqrt{{{a * a * n}}}", rf"{b}+{a}\cdot\sqrt{{{n}}}",
            rf"\left({b}+{root}\right)", rf"{b}+{root} \text{{ cm}}", rf"\frac{{{2 * b} + {2 * a}\sqrt{{{n}}}}}{{2}}",
        ],
    )  # fmt: skip


def interval(rng: random.Random) -> Answer:
    low, size, kind = Fraction(_nonzero(rng, 20), rng.choice((1, 1, 2))), rng.randint(1, 9), rng.randrange(4)
    opening, closing = ("(", ")"), ("[", "]")
    left, right = (opening, closing)[kind % 2][0], (opening, closing)[kind // 2][1]
    signs = (("<", r"\le")[kind % 2], ("<", r"\le")[kind // 2])
    high = low + size
    a, b = _fraction(low), _fraction(high)
    return Answer(
        (low, size, kind),
        [
            f"{left}{a},{b}{right}", rf"\left{left}{a}, {b}\right{right}", rf"x \in {left}{a}, {b}{right}",
            f"{a} {signs[0]} x {signs[1]} {b}", f"{left}{low},{high}{right}",
        ],
    )  # fmt: skip


def union(rng: random.Random) -> Answer:
    a, size = _nonzero(rng, 15), rng.randint(1, 20)
    b = a + size
    return Answer(
        (a, size),
        [
            rf"(-\infty,{a})\cup({b},\infty)", rf"(-\infty, {a}) \cup ({b}, \infty)", rf"({b},\infty)\cup(-\infty,{a})",
            rf"\left(-\infty,{a}\right) \cup \left({b},+\infty\right)", rf"x < {a} \text{{ or }} x > {b}",
        ],
    )  # fmt: skip


def point(rng: random.Random) -> Answer:
    r, n = rng.randint(2, 9), rng.choice((2, 3, 4, 6))
    return Answer(
        (r, n),
        [
            rf"\left({r},\frac{{\pi}}{{{n}}}\right)", rf"({r}, \frac{{\pi}}{{{n}}})", rf"\left( {r}, \dfrac{{\pi}}{{{n}}} \right)",
            rf"({r},\pi/{n})", rf"\left({r}, \frac{{1}}{{{n}}}\pi\right)",
        ],
    )  # fmt: skip


def complex_number(rng: random.Random) -> Answer:
    a, b = _nonzero(rng, 20), _nonzero(rng, 20)
    return Answer(
        (a, b),
        [
            _sum((a, ""), (b, "i")), _sum((b, "i"), (a, "")), _sum((a, ""), (b, "i")).replace(" ", ""),
            f"z = {_sum((a, ''), (b, 'i'))}", rf"\frac{{{_sum((2 * a, ''), (2 * b, 'i'))}}}{{2}}",
        ],
    )  # fmt: skip


def roots(rng: random.Random) -> Answer:
    a, n = _nonzero(rng, 9), rng.choice((2, 3, 5, 7, 19))
    return Answer(
        (a, n),
        [
            rf"{a} \pm \sqrt{{{n}}}", rf"{a}+\sqrt{{{n}}}, {a}-\sqrt{{{n}}}", rf"{a}-\sqrt{{{n}}},{a}+\sqrt{{{n}}}",
            rf"x = {a} \pm \sqrt{{{n}}}", rf"\{{{a}-\sqrt{{{n}}}, {a}+\sqrt{{{n}}}\}}",
        ],
    )  # fmt: skip


def solutions(rng: random.Random) -> Answer:
    numbers = sorted(rng.sample(range(-15, 16), rng.randint(2, 4)))
    mixed = rng.sample(numbers, len(numbers))
    listed = ", ".join(map(str, mixed))
    return Answer(
        tuple(numbers), [",".join(map(str, numbers)), listed, rf"\{{{listed}\}}", " and ".join(map(str, mixed))]
    )


def matrix(rng: random.Random) -> Answer:
    a, b, c, d = (rng.randint(-9, 9) for _ in range(4))
    return Answer(
        (a, b, c, d),
        [
            rf"\begin{{pmatrix}} {a} & {b} \\ {c} & {d} \end{{pmatrix}}",
            rf"\begin{{pmatrix}}{a}&{b}\\{c}&{d}\end{{pmatrix}}",
            rf"\begin{{bmatrix}} {a} & {b} \\ {c} & {d} \end{{bmatrix}}",
        ],
    )


def vector(rng: random.Random) -> Answer:
    a, b, c = (Fraction(_nonzero(rng, 9), rng.choice((1, 3, 7))) for _ in range(3))
    x, y, z = _fraction(a), _fraction(b), _fraction(c)
    return Answer(
        (a, b, c),
        [
            rf"\begin{{pmatrix}} {x} \\ {y} \\ {z} \end{{pmatrix}}", rf"\begin{{pmatrix}} {a} \\ {b} \\ {c} \end{{pmatrix}}",
            rf"({x},{y},{z})", rf"\left( {x}, {y}, {z} \right)",
        ],
    )  # fmt: skip


def quadratic(rng: random.Random) -> Answer:
    a, r, s = rng.randint(1, 4), _nonzero(rng, 9), _nonzero(rng, 9)
    expanded = [(a, "x^2"), (-a * (r + s), "x"), (a * r * s, "")]
    factors = [f"({_sum((1, 'x'), (-r, ''))})", f"({_sum((1, 'x'), (-s, ''))})"]
    head = "" if a == 1 else str(a)
    return Answer(
        (a, *sorted((r, s))),
        [_sum(*expanded), _sum(*expanded).replace(" ", ""), _sum(*reversed(expanded)), head + "".join(factors), head + factors[1] + factors[0]],
    )  # fmt: skip


def polynomial(rng: random.Random) -> Answer:
    coefficients = [_nonzero(rng, 9) for _ in range(rng.randint(3, 6))]
    terms = [(c, "" if k == 0 else "x" if k == 1 else f"x^{{{k}}}") for k, c in enumerate(coefficients)]
    plain = _sum(*reversed(terms))
    return Answer(
        tuple(coefficients), [plain, plain.replace("{", "").replace("}", ""), _sum(*terms), plain.replace(" ", "")]
    )


def line(rng: random.Random) -> Answer:
    m, b = _nonzero(rng, 9), _nonzero(rng, 30)
    right = _sum((m, "x"), (b, ""))
    return Answer(
        (m, b),
        [f"y = {right}", f"y={right}".replace(" ", ""), _sum((m, "x"), (-1, "y"), (b, "")) + " = 0", f"{right} = y"],
    )


def angle(rng: random.Random) -> Answer:
    a, b = rng.randint(1, 11), rng.choice((2, 3, 4, 5, 6, 8))
    value = Fraction(a, b)
    top = "" if value.numerator == 1 else str(value.numerator)
    bottom = value.denominator
    whole = rf"{top}\pi" if bottom == 1 else rf"\frac{{{top}\pi}}{{{bottom}}}"
    return Answer(
        value,
        [whole, whole.replace("frac", "dfrac"), rf"{_fraction(value)}\pi", rf"\frac{{{a}\pi}}{{{b}}}", f"{whole} cm"],
    )


def function(rng: random.Random) -> Answer:
    name, a = rng.choice(("sin", "cos", "tan", "ln", "cot")), rng.randint(2, 9)
    return Answer((name, a), [rf"{a}\{name} x", rf"{a} \{name}(x)", rf"\{name}(x) \cdot {a}", rf"{a}\{name}{{x}}"])


def power(rng: random.Random) -> Answer:
    base, exponent = rng.choice((2, 3, 5, 7)), rng.randint(20, 300)
    return Answer(
        (base, exponent),
        [f"{base}^{{{exponent}}} - 1", f"-1+{base}^{{{exponent}}}", rf"{base}\cdot {base}^{{{exponent - 1}}}-1"],
    )


def ratio(rng: random.Random) -> Answer:
    a, b = rng.choice(((3, 5), (9, 24), (1, 7), (5, 8), (2, 9)))
    return Answer((a, b), [f"{a}:{b}", f"{a} : {b}", rf"{a} \text{{ to }} {b}"])


def numeral(rng: random.Random) -> Answer:
    digits, base = "".join(rng.choices("1234", k=4)), rng.choice((5, 6, 7))
    return Answer((digits, base), [f"{digits}_{base}", f"{digits}_{{{base}}}", rf"{digits}_{{{base}}}"])


def word(rng: random.Random) -> Answer:
    name = rng.choice(("Evelyn", "east", "ellipse", "Tuesday", "odd", "no solution", "parabola"))
    return Answer(name, [rf"\text{{{name}}}", name, rf"\textbf{{{name}}}", name.capitalize()])


KINDS: list[Callable[[random.Random], Answer]] = [
    fraction, radical, interval, union, point, complex_number, roots, solutions, matrix, vector, quadratic, polynomial, line, angle,
    function, power, ratio, numeral, word,
]  # fmt: skip


def answers(rng: random.Random, number: int, num_answers: int) -> list[Answer]:
    """Different answers of one kind; the kinds take turns."""
    kind = KINDS[number % len(KINDS)]
    found: dict[object, Answer] = {}
    while len(found) < num_answers:
        answer = kind(rng)
        found.setdefault(answer.key, answer)
    return list(found.values())
