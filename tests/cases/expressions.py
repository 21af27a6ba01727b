"""More values by construction: expressions, lists, intervals, words, and sets of answers that look alike."""

import random
from collections.abc import Callable
from fractions import Fraction

from values import (
    Value,
    degrees,
    frac,
    integer,
    joined,
    money,
    multiple_of_pi,
    numeral,
    percent,
    power,
    radical,
    repeating,
    scientific,
    signed,
    term,
    terminating,
    thousands,
)


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
    p, q = rng.choice([("a", "b"), ("m", "n"), ("x", "y"), ("p", "q")])
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


def surd_sum(rng: random.Random) -> Value:
    a, b, c = signed(rng, 1, 20), signed(rng, 2, 9), rng.choice([2, 3, 5, 6, 7, 10])
    root = rf"{b}\sqrt{{{c}}}"
    latex = [joined(str(a), root).replace(" ", ""), joined(str(a), root), joined(root, str(a)), f"x = {joined(str(a), root)}", joined(str(a), rf"{'-' if b < 0 else ''}\sqrt{{{b * b * c}}}"), rf"\left({joined(str(a), root)}\right)", rf"{joined(str(a), root)} \text{{ cm}}"]  # fmt: skip
    return Value(("surd", a, b, c), latex, [joined(str(a), f"{b}√{c}"), joined(str(a), f"{b}*sqrt({c})")])


def surd_fraction(rng: random.Random) -> Value:
    a, c, d = rng.choice([1, 3, 5, 7, 9]), rng.choice([2, 3, 5, 7, 11]), rng.choice([2, 4])
    sign = rng.choice("+-")
    latex = [rf"\frac{{{a}{sign}\sqrt{{{c}}}}}{{{d}}}", rf"\frac{{{a} {sign} \sqrt{{{c}}}}}{{{d}}}", rf"\dfrac{{{a} {sign} \sqrt{c}}}{{{d}}}", rf"\frac{{{a}}}{{{d}}} {sign} \frac{{\sqrt{{{c}}}}}{{{d}}}", rf"x = \frac{{{a} {sign} \sqrt{{{c}}}}}{{{d}}}", rf"\frac{{1}}{{{d}}}({a} {sign} \sqrt{{{c}}})"]  # fmt: skip
    latex = [form.replace(rf"\sqrt{c}", rf"\sqrt{{{c}}}") if c > 9 else form for form in latex]
    return Value(("surd fraction", a, sign, c, d), latex, [f"({a} {sign} √{c})/{d}", f"({a} {sign} sqrt({c}))/{d}"])


def conjugates(rng: random.Random) -> Value:
    a, c = signed(rng, 1, 12), rng.choice([2, 3, 5, 6, 7, 10, 11])
    latex = [rf"{a}\pm\sqrt{{{c}}}", rf"{a} \pm \sqrt{{{c}}}", rf"{a}+\sqrt{{{c}}}, {a}-\sqrt{{{c}}}", rf"{a} - \sqrt{{{c}}}, {a} + \sqrt{{{c}}}", rf"x = {a} \pm \sqrt{{{c}}}", rf"\{{{a} - \sqrt{{{c}}}, {a} + \sqrt{{{c}}}\}}"]  # fmt: skip
    return Value(("conjugates", a, c), latex, [f"{a} ± √{c}", f"{a} + √{c} and {a} - √{c}"])


def fraction_point(rng: random.Random) -> Value:
    x, y = Fraction(signed(rng, 1, 30), rng.choice([2, 4, 5])), rng.randint(-9, 9)
    latex = [f"({x},{y})", f"({frac(x)},{y})", rf"\left({frac(x)}, {y}\right)", f"({float(x)}, {y})", rf"\left( {frac(x, 'dfrac')}, {y}.0 \right)", f"(x, y) = ({frac(x)}, {y})"]  # fmt: skip
    return Value(("point", (x, y)), latex, [f"({x}, {y})", f"({float(x)}, {y})"])


def fraction_interval(rng: random.Random) -> Value:
    low, high = -Fraction(rng.randint(1, 30), 4), Fraction(rng.randint(1, 30), 4)
    left, right = rng.choice("(["), rng.choice(")]")
    latex = [f"{left}{low},{high}{right}", rf"\left{left}{frac(low)}, {frac(high)}\right{right}", f"{left}{float(low)}, {float(high)}{right}", rf"x \in {left}{low}, {high}{right}"]  # fmt: skip
    return Value(("interval", left, low, high, right), latex, [f"{left}{low}, {high}{right}"])


def fraction_roots(rng: random.Random) -> Value:
    x, y = Fraction(rng.choice([1, 3, 5, 7, 9]), rng.choice([2, 4])), rng.randint(-9, 9)
    latex = [f"{x},{y}", f"{y}, {frac(x)}", f"{y}, {float(x)}", rf"\left\{{{frac(x)}, {y}\right\}}", rf"x = {y} \text{{ or }} x = {frac(x)}", rf"\{{{y}, {x}\}}", rf"{frac(x, 'dfrac')} \text{{ and }} {y}"]  # fmt: skip
    both = f"{x} and {y}" if x < 1 else f"{y} and {x}"  # 5 and 1/2 is a mixed number
    return Value(("set", frozenset({x, y})), latex, [both, f"{x}, {y}", f"x = {y} or x = {x}"])


def circle(rng: random.Random) -> Value:
    a, b, r = rng.randint(1, 9), rng.randint(1, 9), rng.randint(2, 9)
    x, y = f"(x-{a})^2", f"(y+{b})^2"
    latex = [
        f"{x}+{y}={r * r}",
        f"{x} + {y} = {r * r}",
        f"{y} + {x} = {r * r}",
        f"(x - {a})^{{2}} + (y + {b})^{{2}} = {r * r}",
        f"{x}+{y}-{r * r}=0",
        f"{r * r} = {x} + {y}",
    ]
    return Value(("circle", a, b, r), latex, [f"{x} + {y} = {r * r}", f"(x \u2212 {a})² + (y + {b})² = {r * r}"])


def logarithm(rng: random.Random) -> Value:
    base, n = rng.choice([2, 3, 5]), rng.choice([7, 11, 13, 17])
    latex = [
        rf"\log_{base} {n}",
        rf"\log_{{{base}}} {n}",
        rf"\log_{base}({n})",
        rf"\log_{{{base}}}{{{n}}}",
        rf"\frac{{\ln {n}}}{{\ln {base}}}",
        rf"\frac{{\log {n}}}{{\log {base}}}",
        rf"x = \log_{base} {n}",
    ]
    return Value(("log", base, n), latex, [rf"$\log_{base} {n}$", f"log_{base}({n})"])


def ratio(rng: random.Random) -> Value:
    a, b = rng.sample([2, 3, 5, 7, 11, 13], 2)
    return Value(
        ("ratio", a, b), [f"{a}:{b}", f"{a} : {b}", rf"\text{{{a}:{b}}}"], [f"{a}:{b}", f"{a} : {b}", f"**{a}:{b}**"]
    )


def monomials(rng: random.Random) -> Value:
    a, m, n = rng.randint(2, 9), *rng.sample([2, 3, 4, 5], 2)
    latex = [
        f"{a}x^{m}y^{n}",
        f"{a}x^{{{m}}}y^{{{n}}}",
        f"{a} x^{m} y^{n}",
        f"{a}y^{n}x^{m}",
        rf"{a} \cdot x^{m} \cdot y^{n}",
        rf"{a}x^{m} \cdot y^{n}",
    ]
    return Value(("monomial", a, m, n), latex, [f"{a}x^{m}y^{n}", f"{a}*x^{m}*y^{n}"])


HOSTILE = [
    [["12", "12.0", r"\frac{24}{2}", "12."], ["1,2", "2, 1", r"\{1,2\}"], ["1.2", r"\frac65", "6/5", "1.20"]],
    [["50", r"50\%", r"50\text{ percent}", r"\frac{100}{2}"], ["0.5", r"\frac12", "1/2", ".5", r"\dfrac{1}{2}"], ["5", "5.0", r"5\%"]],
    [["1/3", r"\frac13", "0.333333", "0.33333333", r"\dfrac{1}{3}"], ["0.33", r"\frac{33}{100}"], ["0.3", "3/10", ".3"], ["0.333", r"\frac{333}{1000}"]],
    [["1234", "1,234", "1{,}234", r"1\,234"], ["(1,234)", "(1, 234)"], ["1.234", r"\frac{1234}{1000}"], ["1243", "1,243"]],
    [["101_2", "101_{2}"], ["101_3", "101_{3}"], ["110_2", "110_{2}"]],
    [["north east", r"\text{north east}", r"\text{North East}"], ["north west", r"\text{north west}"], ["east", r"\text{east}"]],
    [[r"\sqrt2", r"\sqrt{2}", "1.41421356", r"\frac{2}{\sqrt2}"], ["1.41", r"\frac{141}{100}"], ["1.414"], [r"\sqrt3", r"\sqrt{3}", "1.7320508"]],
    [[r"(2,\infty)", "x > 2", r"x\in(2,\infty)", "2 < x"], [r"[2,\infty)", r"x \ge 2", r"x \geq 2"], [r"(-\infty,2)", "x < 2"], ["2", "x = 2"]],
    [[r"\pi", "3.14159265", r"\frac{2\pi}{2}"], ["3.14", r"\frac{157}{50}"], [r"22/7", r"\frac{22}{7}", "3.142857"], ["3", "3.0"]],
    [["x^2+1", "1 + x^2"], ["(x+1)^2", "x^2+2x+1", "(1+x)^2"], ["x^2+x", "x(x+1)"], ["x^2-1", "(x-1)(x+1)"]],
    [["1000", "1,000", "10^3", "1e3", r"1 \times 10^3"], ["100", "10^2", "100.0"], ["10000", "10,000", "10^4", "1e4"], ["103", "103.0"]],
    [["3:30 pm", r"3:30 \text{ pm}", r"3:30\text{ PM}"], ["3:30 am", r"3:30 \text{ am}"], ["3:45 pm", r"3:45 \text{ pm}"]],
    [["2000000", "2 million", "2,000,000", r"2\times10^6", r"2 \text{ million}"], ["2", "2.0"], ["2000", "2,000", "2 thousand"]],
    [["-5", "\u22125", r"\frac{-10}{2}", "-5.0"], ["5", "+5", r"\frac{10}{2}"], [r"\pm5", "5,-5", r"-5 \text{ and } 5"]],
    [["x=2,y=3", "y = 3, x = 2", r"x=2 \text{ and } y=3"], ["x=3,y=2", "y = 2, x = 3"]],
    [["2/3", r"\frac23", r"\frac{4}{6}", "0.666667"], ["3/2", r"1\frac12", "1.5"], ["0.67", r"\frac{67}{100}"], ["0.6", r"\frac35"]],
    [[r"\emptyset", r"\varnothing"], ["0", "0.0", "x = 0"]],
    [["(1,2),(3,4)", "(3, 4), (1, 2)", r"(1,2) \text{ and } (3,4)"], ["(2,1),(4,3)", "(4, 3), (2, 1)"], ["(1,2)", "(1, 2)"]],
    [["3+4i", "4i+3", "3 + 4i"], ["3-4i", "-4i + 3"], ["4+3i", "3i + 4"], ["7i", r"7 \cdot i"]],
    [["2^n", "2^{n}"], ["n^2", r"n \cdot n"], ["2n", "n + n", r"2 \cdot n"], ["n+2", "2 + n"]],
    [["a/b", r"\frac{a}{b}", r"\frac ab"], ["b/a", r"\frac{b}{a}"], ["ab", "ba", r"a \cdot b"], ["a-b", "-b + a"], ["b-a", "-a + b"]],
    [["(0,1)", "0 < x < 1", r"x \in (0,1)"], ["[0,1]", r"0 \le x \le 1"], ["[0,1)", r"0 \le x < 1"], ["(0,1]", r"0 < x \leq 1"]],
    [["March 3", r"\text{March 3}"], ["March 4", r"\text{March 4}"], ["April 3", r"\text{April 3}"]],
    [["3:4", "3 : 4"], ["4:3", "4 : 3"], ["3:5", "3 : 5"]],
    [["7", r"\text{7}", r"7 \text{ hours}"], ["7.5", r"7\frac12", r"\frac{15}{2}"], ["75", "75.0"]],
]  # fmt: skip


def hostile(rng: random.Random, num_classes: int) -> list[Value]:
    """Answers that look alike and are not equal."""
    family = rng.choice(HOSTILE)
    chosen = rng.sample(family, min(num_classes, len(family)))
    return [
        Value(("hostile", forms[0]), forms, [form if "\\" not in form else f"${form}$" for form in forms])
        for forms in chosen
    ]


Family = Callable[[random.Random], Value]
MATH: list[Family] = [integer, integer, integer, thousands, terminating, terminating, repeating, radical, multiple_of_pi, interval, ray, union, roots, roots, plus_minus, point, point, line, quadratic, letters, complex_number, percent, money, degrees, scientific, matrix, column, power, numeral, clock, word, surd_sum, surd_fraction, conjugates, fraction_point, fraction_interval, fraction_roots, circle, logarithm, ratio, monomials]  # fmt: skip
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
