r"""Values by construction: each has a key (its mathematical identity) and many spellings that mean the same.

`latex` spellings may stand in a box or between dollars, `plain` ones in a sentence. The shortest spelling is one of
`latex`, so that a box with it settles the length of a class's representative.
"""

import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple


class Value(NamedTuple):
    key: object
    latex: list[str]
    plain: list[str]

    @property
    def shortest(self) -> str:
        return min(self.latex, key=len)

    @property
    def is_settled(self) -> bool:
        """Whether no spelling is shorter than `shortest`."""
        return all(len(form) >= len(self.shortest) for form in self.plain)


UNITS = ["cm", "km", "kg", "apples", "hours", "marbles", "meters", "students", "square feet", "miles per hour"]


def signed(rng: random.Random, low: int, high: int) -> int:
    return rng.choice([1, 1, 1, -1]) * rng.randint(low, high)


def frac(value: Fraction, command: str = "frac") -> str:
    sign = "-" if value < 0 else ""
    return rf"{sign}\{command}{{{abs(value.numerator)}}}{{{value.denominator}}}"


def term(coefficient: int, symbol: str) -> str:
    return {1: symbol, -1: f"-{symbol}"}.get(coefficient, f"{coefficient}{symbol}")


def joined(*terms: str) -> str:
    """Terms as a sum: a term with a minus sign is subtracted."""
    return " + ".join(terms).replace("+ -", "- ")


def integer(rng: random.Random, n: int | None = None) -> Value:
    n = signed(rng, 2, 400) if n is None else n
    unit, k = rng.choice(UNITS), rng.randint(2, 6)
    latex = [f"{n}", f"{n}.0", f"{n}.00", f"{n}.", rf"\mathbf{{{n}}}", rf"\text{{{n}}}", rf"x = {n}", rf"{n} \text{{ {unit}}}", rf"{n}~\text{{{unit}}}", rf"\frac{{{n * k}}}{{{k}}}", rf"\mathrm{{{n}}}", f" {n} ", rf"x={n}", rf"\textbf{{{n}}}", f"{n}\\ \\text{{{unit}}}", f"+{n}" if n > 0 else f"\u2212{-n}"]  # fmt: skip
    plain = [f"{n}", f"{n}.0", f"{n} {unit}", f"**{n}**", f"x = {n}", f"**{n} {unit}**", f"{n * k}/{k}"]
    plain += [f"\u2212{-n}"] if n < 0 else []
    return Value(Fraction(n), latex, plain)


def thousands(rng: random.Random) -> Value:
    n = rng.choice([rng.randint(1000, 99999), rng.randint(10**6, 10**8)])
    latex = [f"{n}", f"{n:,}", f"{n:,}".replace(",", "{,}"), f"{n:,}".replace(",", r"\,"), f"{n:,}".replace(",", r",\!"), f"{n:,}".replace(",", r"\ "), f"{n}.0", f"{n:,}.00", rf"\${n:,}", rf"{n:,} \text{{ people}}", rf"N = {n:,}"]  # fmt: skip
    plain = [f"{n}", f"{n:,}", f"${n:,}", f"{n:,} people", f"**{n:,}**", f"{n:,}.00", f"{n:,}".replace(",", "\u202f")]
    return Value(Fraction(n), latex, plain)


def terminating(rng: random.Random) -> Value:
    while True:
        value = Fraction(signed(rng, 1, 60), rng.choice([2, 4, 5, 8, 10, 16, 20, 25]))
        if value.denominator > 1:
            return rational(value, rng, f"{float(value)}")


def repeating(rng: random.Random) -> Value:
    while True:
        value = Fraction(signed(rng, 1, 60), rng.choice([3, 6, 7, 9, 11, 12, 13]))
        if value.denominator in {3, 6, 7, 9, 11, 12, 13}:
            return rational(value, rng, f"{float(value):.{rng.choice([6, 8, 10])}f}")


def rational(value: Fraction, rng: random.Random, decimal: str) -> Value:
    k, a, b = rng.randint(2, 5), abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    latex = [frac(value), frac(value, "dfrac"), frac(value, "tfrac"), f"{value}", decimal, rf"{sign}\frac{{{k * a}}}{{{k * b}}}", rf"x = {frac(value)}", rf"\displaystyle {frac(value)}", rf"\frac{{{value.numerator}}}{{{b}}}", rf"\left({frac(value)}\right)", rf"{sign}{{{a} \over {b}}}", rf"{frac(value)} \text{{ cups}}"]  # fmt: skip
    plain = [f"{value}", decimal, f"{sign}{k * a}/{k * b}", f"**{value}**", f"x = {value}", f"{sign}{a} / {b}"]
    if a > b:
        latex += [rf"{sign}{a // b}\frac{{{a % b}}}{{{b}}}", rf"{sign}{a // b} \dfrac{{{a % b}}}{{{b}}}"]
        plain += [f"{sign}{a // b} {a % b}/{b}"]
    if a < 10 and b < 10:
        latex += [rf"{sign}\frac{a}{b}", rf"{sign}\frac {a} {b}"]
    if decimal.lstrip("-").startswith("0."):
        latex += [decimal.replace("0.", ".", 1)]
    return Value(value, latex, plain)


def radical(rng: random.Random) -> Value:
    a, b = signed(rng, 2, 9), rng.choice([2, 3, 5, 6, 7, 10, 11])
    sign, decimal = "-" if a < 0 else "", f"{a * math.sqrt(b):.8f}"
    latex = [rf"{a}\sqrt{{{b}}}", rf"{a} \sqrt{{{b}}}", rf"{sign}\sqrt{{{a * a * b}}}", rf"x = {a}\sqrt{{{b}}}", rf"{a} \cdot \sqrt{{{b}}}", rf"{sign}\frac{{{abs(a) * b}}}{{\sqrt{{{b}}}}}", rf"{a}\sqrt{{{b}}} \text{{ cm}}", rf"\sqrt{{{b}}} \cdot {a}" if a > 0 else rf"-\sqrt{{{b}}} \cdot {-a}", decimal, f"{a}√{b}"]  # fmt: skip
    return Value(
        ("sqrt", a, b), latex, [f"{a}√{b}", f"{a}*sqrt({b})", f"{a}sqrt({b})", f"{sign}√{a * a * b}", decimal]
    )


def multiple_of_pi(rng: random.Random) -> Value:
    value = Fraction(signed(rng, 2, 40), rng.choice([1, 1, 1, 2, 3, 4, 6]))
    a, b = value.numerator, value.denominator
    if b == 1:
        latex = [
            rf"{a}\pi",
            rf"{a} \pi",
            rf"\pi \cdot {a}" if a > 0 else rf"-{-a} \cdot \pi",
            rf"{a}\pi \text{{ cm}}^2",
            rf"A = {a}\pi",
            f"{a}π",
            rf"{a}\cdot\pi",
        ]
        plain = [f"{a}π", f"{a}pi", f"{a} π", f"{a}*pi", f"{a * math.pi:.8f}"]
    else:
        latex = [rf"\frac{{{a}\pi}}{{{b}}}" if a > 0 else rf"-\frac{{{-a}\pi}}{{{b}}}", rf"{frac(value)}\pi", rf"\dfrac{{{a}}}{{{b}}} \pi", rf"\theta = {frac(value)}\pi", rf"\frac{{{a} \pi}}{{{b}}} \text{{ radians}}", rf"{a}\pi/{b}"]  # fmt: skip
        plain = [f"{a}π/{b}", f"{a}*pi/{b}", f"{a}pi/{b}"]
    return Value(("pi", value), latex, plain)


def interval(rng: random.Random) -> Value:
    low, high = rng.randint(-9, 3), rng.randint(4, 15)
    left, right = rng.choice("(["), rng.choice(")]")
    less = {"(": "<", "[": rng.choice([r"\le", r"\leq"])}[left], {")": "<", "]": rng.choice([r"\le", r"\leq"])}[right]
    latex = [f"{left}{low},{high}{right}", f"{left}{low}, {high}{right}", rf"\left{left}{low}, {high}\right{right}", rf"x \in {left}{low}, {high}{right}", rf"{low} {less[0]} x {less[1]} {high}", rf"{left}{low}.0, {high}{right}", rf"\left{left} {low}, \, {high} \right{right}"]  # fmt: skip
    signs = {"(": "<", "[": "≤", ")": "<", "]": "≤"}
    plain = [
        f"{left}{low}, {high}{right}",
        f"{left}{low},{high}{right}",
        f"{low} {signs[left]} x {signs[right]} {high}",
    ]
    return Value(("interval", left, low, high, right), latex, plain)


def ray(rng: random.Random) -> Value:
    a, bracket = rng.randint(-9, 15), rng.choice("([")
    greater = {"(": ">", "[": rng.choice([r"\ge", r"\geq"])}[bracket]
    less = {"(": "<", "[": r"\le"}[bracket]
    latex = [rf"{bracket}{a},\infty)", rf"{bracket}{a}, \infty)", rf"\left{bracket}{a}, \infty\right)", rf"x {greater} {a}", rf"{a} {less} x", rf"x \in {bracket}{a}, \infty)", rf"{bracket}{a}, +\infty)"]  # fmt: skip
    plain = [
        f"{bracket}{a}, ∞)",
        f"x {'>' if bracket == '(' else '>='} {a}",
        f"x {'>' if bracket == '(' else '≥'} {a}",
    ]
    return Value(("ray", a, bracket), latex, plain)


def union(rng: random.Random) -> Value:
    a, b = rng.randint(-9, 0), rng.randint(1, 9)
    latex = [rf"(-\infty,{a})\cup({b},\infty)", rf"({b}, \infty) \cup (-\infty, {a})", rf"\left(-\infty, {a}\right) \cup \left({b}, \infty\right)", rf"x \in (-\infty, {a}) \cup ({b}, \infty)"]  # fmt: skip
    return Value(("union", a, b), latex, [f"(-∞, {a}) \u222a ({b}, ∞)"])


def roots(rng: random.Random) -> Value:
    numbers = rng.sample(range(-12, 20), rng.choice([2, 2, 3]))
    other = rng.sample(numbers, len(numbers))
    compact, spaced = ",".join(map(str, numbers)), ", ".join(map(str, other))
    ending = f"{', '.join(map(str, other[:-1]))} and {other[-1]}"
    latex = [compact, spaced, rf"\{{{compact}\}}", rf"\{{{spaced}\}}", rf"\left\{{ {spaced} \right\}}", rf"x = {spaced}", " \\text{ and } ".join(map(str, numbers)), " \\text{ or } ".join(f"x = {n}" for n in other), rf"x \in \{{{compact}\}}", ", ".join(f"{n}.0" for n in numbers)]  # fmt: skip
    plain = [spaced, ending, " and ".join(f"x = {n}" for n in other) if len(other) == 2 else spaced, f"{{{spaced}}}", " or ".join(f"x = {n}" for n in numbers) if len(other) == 2 else ending]  # fmt: skip
    return Value(("set", frozenset(numbers)), latex, plain)


def plus_minus(rng: random.Random) -> Value:
    n = rng.randint(1, 30)
    latex = [
        rf"\pm{n}",
        rf"\pm {n}",
        f"{n},-{n}",
        f"-{n}, {n}",
        rf"x = \pm {n}",
        rf"x = {n} \text{{ or }} x = -{n}",
        rf"\{{-{n}, {n}\}}",
    ]
    return Value(("set", frozenset({n, -n})), latex, [f"±{n}", f"{n} and -{n}", f"x = -{n} or x = {n}"])


def point(rng: random.Random) -> Value:
    numbers = [rng.randint(-12, 12) for _ in range(rng.choice([2, 2, 3]))]
    compact, spaced = ",".join(map(str, numbers)), ", ".join(map(str, numbers))
    names, wide = {2: "(x, y)", 3: "(x, y, z)"}[len(numbers)], compact.replace(",", r",\ ")
    latex = [f"({compact})", f"({spaced})", rf"\left({spaced}\right)", f"{names} = ({spaced})", rf"\left( {spaced} \right)", f"({', '.join(f'{n}.0' for n in numbers)})", rf"P = ({spaced})", f"({wide})"]  # fmt: skip
    plain = [f"({spaced})", f"({compact})", f"{names} = ({spaced})", f"**({spaced})**"]
    plain += [f"({spaced.replace('-', chr(0x2212))})"]
    return Value(("point", tuple(numbers)), latex, plain)


def line(rng: random.Random) -> Value:
    m, b = signed(rng, 2, 9), signed(rng, 1, 12)
    mx = term(m, "x")
    latex = [f"y={joined(mx, str(b)).replace(' ', '')}", f"y = {joined(mx, str(b))}", f"y = {joined(str(b), mx)}", rf"f(x) = {joined(mx, str(b))}", joined(str(b), mx), joined(mx, str(b)).replace(" ", "")]  # fmt: skip
    return Value(("polynomial", (m, b)), latex, [f"y = {joined(mx, str(b))}", f"f(x) = {joined(mx, str(b))}"])


def quadratic(rng: random.Random) -> Value:
    r, s = signed(rng, 1, 9), signed(rng, 1, 9)
    b, c = r + s, r * s
    middle = [term(b, "x")] if b else []
    factors = [f"(x {'+' if n > 0 else '-'} {abs(n)})" for n in (r, s)]
    latex = [joined("x^2", *middle, str(c)), joined("x^2", *middle, str(c)).replace(" ", ""), "".join(factors), "".join(reversed(factors)), joined(str(c), *middle, "x^2"), joined("x^{2}", *middle, str(c)), rf"{factors[0]} \cdot {factors[1]}"]  # fmt: skip
    plain = [joined("x^2", *middle, str(c)), "".join(factors), joined("x²", *middle, str(c))]
    return Value(("polynomial", (1, b, c)), latex, plain)


def letters(rng: random.Random) -> Value:
    a, b, c = rng.randint(2, 9), rng.randint(2, 9), rng.randint(1, 12)
    p, q = rng.choice(["ab", "mn", "xy", "pq"])
    latex = [f"{a}{p}+{b}{q}-{c}", f"{a}{p} + {b}{q} - {c}", f"{b}{q} + {a}{p} - {c}", rf"{a} {p} - {c} + {b} {q}", rf"{a} \cdot {p} + {b} \cdot {q} - {c}", rf"-{c} + {a}{p} + {b}{q}"]  # fmt: skip
    return Value(("linear", p, a, b, c), latex, [f"{a}{p} + {b}{q} - {c}", f"{b}{q} + {a}{p} - {c}"])


def complex_number(rng: random.Random) -> Value:
    a, b = signed(rng, 1, 12), signed(rng, 2, 12)
    bi = term(b, "i")
    latex = [
        joined(str(a), bi).replace(" ", ""),
        joined(str(a), bi),
        joined(bi, str(a)),
        f"z = {joined(str(a), bi)}",
        rf"\left({joined(str(a), bi)}\right)",
    ]
    return Value(("complex", a, b), latex, [joined(str(a), bi), joined(bi, str(a))])


def percent(rng: random.Random) -> Value:
    n = Fraction(rng.choice([rng.randint(1, 99), rng.randint(101, 300)])) + rng.choice([0, 0, Fraction(1, 2)])
    s = str(n) if n.denominator == 1 else f"{float(n)}"
    latex = [s, rf"{s}\%", rf"{s} \%", rf"{s}\,\%", rf"{s}\text{{ percent}}", rf"{s}\text{{\%}}", rf"x = {s}\%"]
    return Value(n, latex, [f"{s}%", f"{s} %", f"{s} percent", f"**{s}%**", s])


def money(rng: random.Random) -> Value:
    cents = rng.choice([rng.randint(2, 90) * 100, rng.randint(200, 9000)])
    s = f"{cents / 100:.2f}"
    latex = [s, rf"\${s}", rf"\$ {s}", rf"{s} \text{{ dollars}}", rf"\text{{\$}}{s}"] + (
        [f"{cents // 100}", rf"\${cents // 100}"] if cents % 100 == 0 else []
    )
    plain = [f"${s}", f"{s} dollars", f"**${s}**", f"${s}"] + (
        [f"${cents // 100}", f"{cents // 100} dollars"] if cents % 100 == 0 else []
    )
    return Value(Fraction(cents, 100), latex, plain)


def degrees(rng: random.Random) -> Value:
    n = rng.randint(2, 179)
    latex = [
        f"{n}",
        rf"{n}^\circ",
        rf"{n}^{{\circ}}",
        rf"{n} ^ \circ",
        f"{n}°",
        rf"{n}\text{{ degrees}}",
        rf"x = {n}^\circ",
        rf"\angle ABC = {n}^\circ",
        rf"\theta = {n}^\circ",
    ]
    return Value(Fraction(n), latex, [f"{n}°", f"{n} degrees", f"**{n}°**", f"{n}"])


def scientific(rng: random.Random) -> Value:
    digits, exponent = rng.randint(11, 98), rng.randint(4, 7)
    value = Fraction(digits, 10) * 10**exponent
    mantissa = f"{digits / 10}"
    latex = [
        f"{value}",
        rf"{mantissa} \times 10^{exponent}",
        rf"{mantissa}\times10^{{{exponent}}}",
        rf"{mantissa} \cdot 10^{exponent}",
        f"{int(value):,}",
        rf"{int(value):,}".replace(",", "{,}"),
    ]
    latex += [rf"{digits} \times 10^{exponent - 1}", f"{mantissa}e{exponent}"]
    return Value(
        value, latex, [f"{int(value):,}", f"{mantissa}e{exponent}", f"{mantissa} \u00d7 10^{exponent}", f"{value}"]
    )


def matrix(rng: random.Random) -> Value:
    rows = [[rng.randint(-9, 9) for _ in range(2)] for _ in range(2)]
    body, loose = (
        r"\\".join("&".join(map(str, row)) for row in rows),
        r" \\ ".join(" & ".join(map(str, row)) for row in rows),
    )
    latex = [rf"\begin{{{kind}}}{body}\end{{{kind}}}" for kind in ("pmatrix", "bmatrix")]
    latex += [rf"\begin{{{kind}}} {loose} \end{{{kind}}}" for kind in ("pmatrix", "bmatrix")]
    return Value(
        ("matrix", str(rows)),
        [*latex, rf"A = \begin{{pmatrix}} {loose} \end{{pmatrix}}"],
        [rf"$\begin{{pmatrix}} {loose} \end{{pmatrix}}$"],
    )


def column(rng: random.Random) -> Value:
    numbers = [rng.randint(-9, 9) for _ in range(3)]
    latex = [
        rf"\begin{{{kind}}}{body}\end{{{kind}}}"
        for kind in ("pmatrix", "bmatrix")
        for body in (r"\\".join(map(str, numbers)), r" \\ ".join(f" {n}" for n in numbers))
    ]
    return Value(("column", tuple(numbers)), latex, [f"${latex[0]}$"])


def power(rng: random.Random) -> Value:
    base, exponent = rng.choice([2, 3, 5, 7]), rng.randint(3, 6)
    n = base**exponent
    latex = [
        f"{n}",
        f"{base}^{exponent}",
        rf"{base}^{{{exponent}}}",
        f"{n}.0",
        rf"{base} \cdot {base}^{{{exponent - 1}}}",
        rf"{base}^{exponent} = {n}",
    ]
    return Value(Fraction(n), latex, [f"{n}", f"{base}^{exponent}", f"{base}^{exponent} = {n}", f"**{n}**"])


def numeral(rng: random.Random) -> Value:
    base = rng.randint(3, 8)
    digits = str(rng.randint(1, base - 1)) + "".join(str(rng.randint(0, base - 1)) for _ in range(3))
    latex = [
        f"{digits}_{base}",
        f"{digits}_{{{base}}}",
        rf"{digits}_{{\text{{{base}}}}}",
        rf"\text{{{digits}}}_{base}",
    ]
    return Value(Fraction(int(digits, base)), latex, [f"{digits}_{base}", f"${digits}_{base}$"])


def clock(rng: random.Random) -> Value:
    hour, minute, half = rng.randint(1, 12), rng.randint(10, 59), rng.choice("ap")
    time = f"{hour}:{minute}"
    latex = [
        rf"{time} {half}m",
        rf"{time} \text{{ {half}m}}",
        rf"{time}\text{{ {half}.m.}}",
        rf"\text{{{time} {half.upper()}M}}",
    ]
    return Value(("clock", time, half), latex, [f"{time} {half}m", f"{time} {half.upper()}M", f"{time} {half}.m."])


WORDS = ["east", "west", "north", "even", "odd", "ellipse", "hyperbola", "parabola", "Evelyn", "Monday", "Tuesday", "yes", "no", "isosceles", "no solution", "undefined", "infinitely many"]  # fmt: skip


def word(rng: random.Random) -> Value:
    w = rng.choice(WORDS)
    latex = [
        w,
        rf"\text{{{w}}}",
        rf"\text{{ {w} }}",
        rf"\textbf{{{w}}}",
        rf"\text{{{w.capitalize()}}}",
        rf"\mathrm{{{w}}}" if " " not in w else rf"\mbox{{{w}}}",
    ]
    return Value(("word", w), latex, [w, w.capitalize(), f"**{w}**", f'"{w}"'])


Family = Callable[[random.Random], Value]
MATH: list[Family] = [integer, integer, integer, thousands, terminating, terminating, repeating, radical, multiple_of_pi, interval, ray, union, roots, roots, plus_minus, point, point, line, quadratic, letters, complex_number, percent, money, degrees, scientific, matrix, column, power, numeral, clock, word]  # fmt: skip
NUMBER: list[Family] = [integer, integer, thousands, terminating, money, percent, scientific]

CATEGORIES = [
    ["Paris", "London", "Rome", "Berlin", "New York", "Buenos Aires", "Rio de Janeiro"],
    ["Marie Curie", "Albert Einstein", "Isaac Newton", "Darwin", "Ada Lovelace"],
    ["the Nile", "the Amazon", "the Danube", "the Mississippi River", "the Rhine"],
    ["a dog", "a cat", "an elephant", "a horse", "an ant", "a blue whale"],
    ["yes", "no"],
    ["true", "false"],
    ["red", "blue", "light green", "yellow"],
    ["Mount Everest", "K2", "Mont Blanc"],
    ["hydrogen", "oxygen", "carbon dioxide", "helium"],
    ["the United States", "the Netherlands", "France", "South Korea", "North Korea"],
]


def text_value(rng: random.Random, phrase: str) -> Value:
    """A phrase of one of CATEGORIES: case, white space, articles and final punctuation carry nothing."""
    core = phrase.split(" ", 1)[1] if phrase.split()[0] in {"a", "an", "the"} else phrase
    latex = [
        core,
        core.lower(),
        core.upper(),
        rf"\text{{{core}}}",
        rf"\textbf{{{core}}}",
        rf"\text{{ {core} }}",
        f"{core}.",
        rf"\mathrm{{{core}}}" if " " not in core else rf"\mbox{{{core}}}",
    ]
    plain = [core, core.lower(), core.upper(), f"**{core}**", f'"{core}"', core.capitalize(), f"*{core}*"]
    if core != phrase:
        latex += [phrase, rf"\text{{{phrase}}}", rf"\text{{{phrase.capitalize()}}}"]
        plain += [phrase, phrase.capitalize(), phrase.upper(), f"**{phrase}**"]
    if " " in core:
        latex += [core.replace(" ", "  "), core.replace(" ", r"\ ")]
    return Value(core.casefold(), latex, plain)
