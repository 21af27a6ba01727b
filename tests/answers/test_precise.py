"""Exact and long values are those of Fractions, of mpmath's constants, and of arithmetic by hand; all are bounded."""

import time
from fractions import Fraction

import mpmath
import pytest

from serl_trl.answers.precise import Pair, agree, as_fraction, pairs, values


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ("2^{10}-1", 1023),
        (r"\frac{1}{3}+\frac{1}{6}", Fraction(1, 2)),
        ("20!", 2432902008176640000),
        (r"\binom{60}{30}", 118264581564861424),
        ("1-2^{-50}", 1 - Fraction(1, 2**50)),
        (r"\lfloor\sqrt{10^{40}+1}\rfloor", 10**20),
        (r"\lceil\sqrt{10^{40}+1}\rceil", 10**20 + 1),
        (r"\frac{2^{100000}+1}{2^{99999}}-2-2^{-99999}", 0),
    ],
)
def test_exact(form, number):
    assert values(form, "plain").numbers[0] == number


def test_digits():
    with mpmath.workdps(100):
        found = values(r"\sqrt{2}+\pi", "plain").numbers[0]
        assert abs(found - (mpmath.sqrt(2) + mpmath.pi)) < mpmath.mpf(10) ** -95
        assert abs(as_fraction(found) - Fraction(found.man) * Fraction(2) ** found.exp) == 0


@pytest.mark.parametrize(
    "form", ["9^{9^{9^9}}", "99999!", r"\binom{99999999}{4999999}", "2^{2000000}+1", "(9^{9999})^{99}+1"]
)
def test_too_large(form):
    assert pairs(form, f"{form}+1", "plain") is None


@pytest.mark.parametrize(
    "form", ["1/0", "0^0", r"\ln(0)", r"\ln(-1)", "(1/2)!", "(-3)!", r"\tan(\frac{\pi}{2})", r"\arcsin(2)"]
)
def test_no_value(form):
    found = values(form, "plain")
    assert found is None or set(found.numbers) == {None}


@pytest.mark.parametrize(
    "form",
    [
        "+".join(["9^{9999}"] * 30),
        "+".join([r"\frac{1}{7^{9999}+1}"] * 15),
        r"\cdot".join(["8000!"] * 12),
        "+".join([r"\sqrt{2^{9999}+1}"] * 15),
        "+".join([r"\ln(2^{9999}+x)"] * 15),
        r"\lfloor" * 20 + "n^{900}" + r"\rfloor" * 20,
        "(" * 50 + "x" + "+1)^{30}" * 50,
        "+".join([r"\sin(10^{18}x)"] * 15),
    ],
)
def test_time_is_bounded(form):
    start = time.process_time()
    for kind in ("plain", "signed", "integer", "grid"):
        values(form, kind, 6400)
    assert time.process_time() - start < 10  # a fraction of a second each


def test_agree():
    root = values(r"\sqrt{2}", "plain").numbers[0]
    assert agree(Pair(Fraction(1, 3), Fraction(2, 6), 150))
    assert not agree(Pair(Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**99), 150))
    assert agree(Pair(root, mpmath.sqrt(mpmath.mpf(2)), 50))
    assert not agree(Pair(root, Fraction(14142135623730950488, 10**19), 150))
