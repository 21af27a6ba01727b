"""Equality is bounded, counted and symmetric; which answers are equal is in tests/answers/test_answer_types.py and tests/cases."""

import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serl_trl.answers import answer_types as answers
from serl_trl.answers import compare as equality
from serl_trl.answers import sympy_check as symbolic
from serl_trl.answers.answer_types import answer_classes, extract_answer, is_equivalent
from serl_trl.answers.blanks import says_nothing
from serl_trl.answers.compare import Deadline, compare_forms
from serl_trl.answers.normalize import canonical_form
from serl_trl.voting.rewards import GroundTruthReward, MajorityVoteReward


HOSTILE = [
    "9^{9^{9}}",
    "9^{9^9}",
    "9^9^9^9",
    "9**9**9**9",
    "9^{" + r"9\cdot " * 20 + "9}",
    r"9^{\frac{99999999999}{1}}",
    r"9^\frac{99999999999}{1}",
    "9^{9^{9^{9",
    "10^{10^{10}}",
    "((9^{99})^{99})^{99}",
    "9999999^{9999999}",
    "2^{99999}",
    "99999!",
    "((9!)!)!",
    "9!!!",
    "(a+b+c+d+e+f)^{99}",
    "(a+b)(c+d)" * 12,
    r"\sqrt{" * 90 + "2" + "}" * 90,
    r"\frac{1}{" * 80 + "2" + "}" * 80,
    "(" * 290,
    "1+" * 140 + "1",
    "9" * 5000,
    "x" * 290,
    r"\sum_{k=1}^{10^9} k",
    r"\int_0^1 x^{x} dx",
    r"\binom{99999999}{4999999}",
    r"1\pm" * 30 + "1",
    "\x00\ud800\\",
    "{0.__class__.__mro__}",
    "%s%n",
    "(" * 5000 + "1" + ")" * 5000,
    "((1,2)," * 120 + ")" * 120,
    r"\begin{pmatrix}" + r"\\".join(["&".join(["1"] * 200)] * 200) + r"\end{pmatrix}",
    "a" + "\u0301\u0316" * 40_000,
    "\ufdfa" * 900,
    "9" * 1_000_000,
]


@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_is_bounded(answer):
    """In processor time, which other work on the machine does not change; that of the worker is bounded by itself."""
    equality._ALGEBRA.call(abs, 0, time_limit_s=5)  # the start of the worker does not count
    start = time.process_time()
    assert not is_equivalent(answer, "3x+17")
    assert is_equivalent(answer, answer) is not says_nothing(answer)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("text", [r"\boxed{" * 30_000, "{" * 100_000, "answer is " * 10_000, " " * 200_000, "answer" + "*" * 100_000 + "x", "Thus " * 20_000, "1," * 50_000, r"\boxed{" + " 1 abc" * 30_000 + "}"], ids=range(8))  # fmt: skip
def test_long_text_is_bounded(text):
    start = time.process_time()
    answer = extract_answer(text)
    assert answer is None or len(answer) < len(text)
    assert time.process_time() - start < 2


def without_worker(monkeypatch):
    """Nobody answers any more; the calls are listed."""
    asked = []
    monkeypatch.setattr(equality._ALGEBRA, "call", lambda *args, **kwargs: asked.append(args))
    return asked


PAYLOADS = [
    "__import__('os').system('touch @')",
    "open('@','w')",
    r"\operatorname{__import__}('os').system('touch @')",
    r"\text{__import__('os').system('touch @')}+1",
    "exec(\"open('@','w')\")",
    "().__class__.__base__.__subclasses__()",
    "x.__class__(open('@','w'))",
    r"\input{@}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_is_never_evaluated(payload, tmp_path, monkeypatch):
    """Neither on the way through, nor when it is handed to the parser as it is, here where nothing refuses files."""
    monkeypatch.chdir(tmp_path)
    payload = payload.replace("@", "made")
    is_equivalent(payload, "x+1")
    compare_forms(payload, "x+1")
    symbolic.number(payload)
    symbolic.is_equal(payload, "x+1")
    assert not list(tmp_path.iterdir())


SLOW = ("1/2x+(a+b+c+d+p+q+r)^{18}<y", "1/2x+(a+b+c+d+p+q+s)^{18}+1<y")  # minutes to expand; 1/2x only SymPy reads


@pytest.fixture
def short_limit(monkeypatch):
    equality._KNOWN.clear()
    monkeypatch.setattr(equality, "TIME_LIMIT_S", 0.2)
    monkeypatch.setattr(answers, "TIME_LIMIT_S", 0.2)
    yield
    equality._KNOWN.clear()


def test_out_of_time_is_counted_and_remembered(monkeypatch, short_limit):
    equality._ALGEBRA.call(abs, 0, time_limit_s=5)  # the worker is running from here on
    start = time.perf_counter()
    assert compare_forms(*SLOW, Deadline(600)) == (False, "out_of_time")
    assert time.perf_counter() - start < 60  # two of 0.2 s, and not the deadline
    asked = without_worker(monkeypatch)
    assert compare_forms(SLOW[1], SLOW[0]) == (False, "out_of_time")
    assert asked == []


def test_the_bound_holds_in_a_thread(short_limit):
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(compare_forms(*SLOW)), daemon=True)
    thread.start()
    thread.join(60)
    assert verdicts == [(False, "out_of_time")]


def test_a_group_has_a_deadline(short_limit, monkeypatch):
    """Eight different answers of which no two compare within the bound: the group takes 8 bounds, not 28."""
    forms = [canonical_form(f"1/2x+(a+b+c+d+p+q+{letter})^{{18}}<y") for letter in "efghjklm"]
    num_asked, call = [0], equality._ALGEBRA.call

    def counted(function, *forms, time_limit_s):
        num_asked[0] += function is not abs  # which only has the worker started
        return call(function, *forms, time_limit_s=time_limit_s)

    monkeypatch.setattr(equality._ALGEBRA, "call", counted)
    undecided: Counter[str] = Counter()
    assert len(set(answer_classes(forms, "math", undecided))) == 8
    assert undecided["out_of_time"] == 8 * 7 / 2
    # counted, since a busy machine takes its time for each: about 8 bounds are enough to pass the deadline
    assert 1 <= num_asked[0] < 28


def test_a_thread_agrees_with_the_main_thread():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(is_equivalent("(x+2)^2", "x^2+4x+4")))
    thread.start()
    thread.join()
    assert verdicts == [True]


def test_what_is_simple_never_leaves_the_process(monkeypatch):
    asked = without_worker(monkeypatch)
    pairs = [
        ("1/2", "0.5"),
        ("3", "4"),
        ("(1,2)", "(2,1)"),
        ("1,2", "2,1"),
        ("east", "west"),
        ("9^{9^9}", "x"),
        ("3x+1", "3x+1"),
        ("(x+1)^2", "x^2+2x+1"),
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"\sin x", r"\cot x"),
        ("y=2x+3", "4x-2y+6=0"),
        ("y=2x+3", "x^2+y^2=1"),
        (r"[\frac{\pi}{2},3)", "5"),
        (r"1+\sqrt{5},2", "x+1"),
        (r"(-\infty,2)\cup(3,\infty)", "2"),
        (r"\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\sqrt{3}"),
        (r"-\infty", "7"),
        ("204_5", "2k"),
        (r"(-\infty,2)\cup(3,\infty)", r"(3,\infty)\cup(-\infty,2)"),
        (r"x\le3,x>-1", "(-1,3]"),
        ("(3,4]", "[3,4)"),
        (r"\begin{pmatrix}1&0\\0&1\end{pmatrix}", r"\begin{bmatrix}1&0\\0&2-1\end{bmatrix}"),
        ("3+4i", "4i+3"),
        ("|x|", "|y|"),
        ("3:5", r"\frac{x}{5}"),
        ("2^{100}-1", "2^{100}"),
        (r"\sqrt{xy}", r"\sqrt{x}\sqrt{y}"),
        (r"\{1+\sqrt{5},1-\sqrt{5}\}", r"1+\sqrt{5},1-\sqrt{5}"),
        ("2024-03-05", "x+1"),
    ]
    for a, b in pairs:
        is_equivalent(a, b)
    assert asked == []


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ("9^{9^{9^9}}", "x", "untame"),
        ("9^{9^9}", "9^{9^9}+1", "untame"),
        ("x" + "+1" * 200, "x", "too_long"),
        ("\\frac{", "x", "unparsable"),
        (",".join("abcdefghijklmnopqrstuvw"), "1,2", "too_long"),
    ],
)
def test_every_verdict_that_is_missing_has_a_reason(a, b, reason):
    assert compare_forms(a, b) == (False, reason)


def test_a_crash_is_not_remembered(monkeypatch):
    monkeypatch.setattr(equality._ALGEBRA, "call", lambda *args, **kwargs: equality.Outcome(reason="crashed"))
    assert compare_forms("1/2x+41", "41+1/2x") == (False, "crashed")
    monkeypatch.undo()
    assert compare_forms("1/2x+41", "41+1/2x") == (True, None)


@given(
    st.sampled_from(
        ["x+1", "1/3", "333333/1000000", "\\sqrt{2}", "1,2", "(1,2)", "2,1", "x=2,y=1", "\\{1,2\\}", "1,5"]
    ),
    st.sampled_from(
        ["1+x", "3333333/10000000", "\\frac{2}{\\sqrt{2}}", "(2,1)", "2,1", "3/2", "y=2x+3", "2x+3", "x>2"]
    ),
)
@settings(deadline=None, max_examples=100)
def test_symmetric(a, b):
    assert compare_forms(a, b) == compare_forms(b, a)


def test_a_question_costs_one_call(monkeypatch):
    compare_forms("1/2x", "1/2y")  # the worker is running from here on
    asked, call = [], equality._ALGEBRA.call

    def noted(*args, **kwargs):
        asked.append(args[1:])
        return call(*args, **kwargs)

    monkeypatch.setattr(equality._ALGEBRA, "call", noted)
    compare_forms("1/7x", "1/8x")
    assert asked == [("1/7x",), ("1/8x",), ("1/7x", "1/8x")]


def test_the_worker_starts_before_it_is_needed(monkeypatch):
    """With a reward for mathematical answers, without waiting; not for other answers, nor in a child of this process."""
    started = []
    monkeypatch.setattr(equality._ALGEBRA, "start", lambda: started.append(True))
    MajorityVoteReward("choice"), MajorityVoteReward("number")
    assert not started
    MajorityVoteReward(), GroundTruthReward()
    assert len(started) == 2
    monkeypatch.setattr(equality.multiprocessing, "parent_process", lambda: object())
    MajorityVoteReward()
    assert len(started) == 2


def test_numbers_that_only_sympy_reads_are_compared_to_forty_digits():
    """The integral is 1/2: what is added is far below what a float holds."""
    assert compare_forms(r"\int_0^1xdx", "1/2").is_equal
    assert not compare_forms(r"\int_0^1xdx+10^{-20}", "1/2").is_equal
    assert not compare_forms(r"\int_0^1xdx", r"\int_0^1xdx+10^{-30}").is_equal


@pytest.mark.parametrize(
    ("a", "b", "is_equal"),
    [
        ("1,1,2", "1,2,2", False),
        (r"\sqrt{2},\sqrt{8},1", r"1,2\sqrt{2},\sqrt{2}", True),
        (r"\sqrt{2},\sqrt{2},1", r"1,1,\sqrt{2}", False),
        ("(1,2),(1,2),(3,4)", "(1,2),(3,4)", True),  # solutions are a set
        ("192.168.0.1", "192.168.1.0", False),
        ("1.2.3", "1.2.4", False),
        ("15:30", "3:30 PM", True),
        ("3:30", "3:30 PM", False),
        (r"0.333\ldots", r"\frac{1}{3}", True),
        ("0.333", "0.333...", False),
        ("N/A", "N/A", False),
        ("N/2", "N/2", True),
    ],
)
def test_what_bug_reports_found(a, b, is_equal):
    assert (is_equivalent(a, b), is_equivalent(b, a)) == (is_equal, is_equal)


@pytest.mark.parametrize("form", ["(3:2)", "1):2", r"b\right):", "{x:1", "f(1:2)", ":"])
def test_a_colon_that_divides_nothing_is_no_ratio(form):
    """Comparing its one part would be to compare the form again, for ever."""
    assert not compare_forms(form, "x+1").is_equal
    assert not compare_forms("(y:1]", form).is_equal


def test_ratios_are_compared_part_by_part():
    assert compare_forms("3:2", "3:2.0").is_equal
    assert not compare_forms("3:2", "6:4").is_equal
    assert not compare_forms("3:2", "3:2:1").is_equal
    assert not compare_forms("3:2", "3").is_equal
