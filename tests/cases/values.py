r"""Values by construction: each has a key (its mathematical identity) and many spellings that mean the same.

`latex` spellings may stand in a box or between dollars, `plain` ones in a sentence. Ties are settled by the shortest
spelling in `latex`, which is boxed once in each class.
"""

import math
import random
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
    if value.denominator == 1:
        return str(value)
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


def percent(rng: random.Random) -> Value:
    n = Fraction(rng.choice([rng.randint(1, 99), rng.randint(101, 300)])) + rng.choice(
        [Fraction(0), Fraction(0), Fraction(1, 2)]
    )
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
