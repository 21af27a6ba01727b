"""Half an hour of hostile completions: crashes, slowest calls, reasons counted, memory, and what must hold for any text.

python benchmarks/fuzz_answers.py --minutes 30 --seed 0
"""

import argparse
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from serl_trl.answers import ANSWER_TYPES, extract_answer, is_equivalent, says_nothing
from serl_trl.voting import Vote, majority_vote


CASES = Path(__file__).resolve().parents[1] / "tests" / "cases"
GROUP_SIZE = 8
BOUND_S = 2.0  # for one completion, or one comparison, from the moment that the worker is up
START_S = 4.0  # allowance for a worker to start again after it was killed

ATOMS = ["1", "12", "-3", "0.5", "1,000", "x", "y", "n", r"\pi", "i", "e", "\u22124", "50\\%", "3 cm", "A", "(B)", "yes", "Paris", "3:2", "(3:2)", "1):2", ":"]  # fmt: skip
WRAPPERS = [r"\frac{@}{@}", r"\sqrt{@}", r"\sqrt[3]{@}", "@^{@}", "@^@", "@_{@}", "@+@", r"@\cdot @", "(@,@)", r"\left(@\right)", r"\{@,@\}", "@!", r"\binom{@}{@}", r"\text{@}", r"\mathbf{@}", "x = @", r"\log_{@}@", r"\sin(@)", r"\int_@^@ @ dx", r"\sum_{k=1}^{@} @", r"@ \pm @", r"\begin{pmatrix}@&@\\@&@\end{pmatrix}", "[@,@)", r"@ \le x < @", "@ and @", "@; @", "|@|", "**@**", "$@$", r"\boxed{@}", "{@ \\over @}", "@'", "@:@", r"\overline{@}"]  # fmt: skip
HOSTILE = [
    "9^{9^{9^{9}}}",
    "9**9**9**9",
    "99999!",
    "((9!)!)!",
    "(a+b+c+d+p+q+r)^{18}",
    "2^{9999}",
    "1" * 5000,
    "9" * 41,
    "(" * 5000,
    "{" * 5000,
    r"\sqrt{" * 5000 + "2" + "}" * 5000,
    r"\boxed{" * 5000 + "}" * 5000,
    "((1,2)," * 300 + ")" * 300,
    r"\begin{pmatrix}" + r"\\".join(["&".join(["1"] * 200)] * 200) + r"\end{pmatrix}",
    r"\det\begin{pmatrix}" + r"\\".join(["&".join("abcdefgh")] * 8) + r"\end{pmatrix}",
    "\x00",
    "\ud800",
    "a" + "\u0301\u0316" * 3000,
    "\ufdfa" * 200,
    "\u202e12",
    "__import__('os').system('touch fuzzed')",
    "().__class__.__bases__[0].__subclasses__()",
    "exec('1')",
    "lambda: 1",
    "{0.__class__.__mro__}",
    "%s%n%d",
    "${HOME}",
    r"\input{/etc/passwd}",
    r"\prod_{k=1}^{10^{9}} k",
    r"\int_0^\infty e^{-x^{x}} dx",
    r"\lim_{x\to 0} \frac{\sin^{30} x}{x^{29}}",
    "x^{2}" * 60,
    "1+" * 400 + "1",
    ",".join(["x+1"] * 25),
    "1\\pm" * 20 + "1",
    "<think>" * 50,
    "answer is " * 500,
    " " * 20_000,
    "\n" * 20_000,
]
# Mark-up without content, and what stands for an answer: alone, in boxes, and in each other
BLANKS = ["", " ", "$$", "**", "...", "?", "____", r"\_\_", r"\quad", r"\text{}", r"\text{ }", r"\ldots", r"\square", r"\phantom{5}", r"\frac{}{}", "[answer]", "<answer>", "[insert answer]", "{answer}", "your answer here", "<your final answer>", "TODO", r"\hspace{1cm}", "\u2026", "\u3002"]  # fmt: skip
HOLDERS = [r"\boxed{@}", r"\boxed{\text{@}}", r"\fbox{@}", r"\boxed{\boxed{@}}", r"\boxed{\mathbf{@}}", r"\boxed{\underline{@}}", r"\boxed{$@$}", r"\boxed{\left(@\right)}", "$@$", "**@**", r"\(@\)", "(@)", "[@]", "@"]  # fmt: skip
BLANK_PHRASES = ["The answer is @.", "The final answer is $@$.", "So @.", "#### @", "Answer: @", "**Answer:** @", "@", "**Final Answer**\n\n@", "<think>It is 5.</think> It is @.", "<answer>@</answer>", "\\[ @ \\]", "$$\n@\n$$", "Therefore, @.", "So the total is @.", "@ is the answer.", "\u7b54\u6848\u662f@\u3002", "Respuesta: @", "Thus, $x = @$."]  # fmt: skip
PHRASES = ["The answer is @.", r"So \boxed{@}.", "#### @", "Answer: @", "Therefore, she has @ apples.", "@", "**Final Answer**\n\n$@$", "I thought the answer is @. Wait, no.", "<think>@</think> It is @.", "<answer>@</answer>", "Option (@) is correct.", "The answer is $@", r"\boxed{@", "@ is the answer.", "\\[ @ \\]", "$$\n@\n$$", "First, @ + @ = @.\n\n"]  # fmt: skip


def filled(template: str, parts: list[str]) -> str:
    """`template` with its places taken by `parts`, over and over; `str.replace` and no formatting."""
    pieces = template.split("@")
    return "".join(piece + (parts[i % len(parts)] if i < len(pieces) - 1 else "") for i, piece in enumerate(pieces))


def wrapped(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(filled, st.sampled_from(WRAPPERS), st.lists(children, min_size=1, max_size=3))


def known_texts() -> list[str]:
    rows = [
        json.loads(line) for path in sorted(CASES.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()
    ]
    return [row[key] for row in rows for key in ("text", "a", "b") if row.get(key)]


def mutated(text: str, rng: random.Random) -> str:
    """`text` with a slice cut out, doubled, reversed or replaced."""
    i, j = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
    piece = text[i:j]
    return text[:i] + rng.choice(["", piece * 2, piece[::-1], rng.choice(HOSTILE)[:300], rng.choice(ATOMS)]) + text[j:]


EXPRESSIONS = st.recursive(st.sampled_from(ATOMS), wrapped, max_leaves=8)
ANSWERS = st.one_of(
    EXPRESSIONS,
    EXPRESSIONS,
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.text(alphabet=st.characters(blacklist_categories=()), max_size=20),
)
WRITTEN = st.builds(filled, st.sampled_from(PHRASES), st.lists(ANSWERS, min_size=1, max_size=3))
BLANK = st.builds(
    filled,
    st.sampled_from(HOLDERS),
    st.lists(st.one_of(st.sampled_from(BLANKS), st.builds(filled, st.sampled_from(HOLDERS), st.lists(st.sampled_from(BLANKS), min_size=1, max_size=1))), min_size=1, max_size=1),
)  # fmt: skip
UNANSWERED = st.builds(filled, st.sampled_from(BLANK_PHRASES), st.lists(BLANK, min_size=1, max_size=1))
MUTATED = st.builds(mutated, st.sampled_from(known_texts()), st.randoms(use_true_random=False))
LONG = st.builds(lambda text, n: text * n, st.one_of(WRITTEN, ANSWERS), st.sampled_from([1, 2, 50, 400])).map(
    lambda text: text[:2_000_000]
)
COMPLETIONS = st.one_of(
    WRITTEN, WRITTEN, UNANSWERED, MUTATED, st.lists(st.one_of(WRITTEN, MUTATED), max_size=4).map("\n".join), LONG
)


class Record:
    """What was seen: counts, slowest calls, failures, memory."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest: dict[str, list[tuple[float, str]]] = {"vote": [], "comparison": []}
        self.failures: list[str] = []
        self.worker_mb = 0.0

    def timed(self, kind: str, seconds: float, text: str) -> None:
        self.counts[kind] += 1
        self.slowest[kind] = sorted([*self.slowest[kind], (seconds, text[:200])], reverse=True)[:5]

    def fail(self, what: str, text: object) -> None:
        self.counts[f"failure: {what}"] += 1
        if len(self.failures) < 100:
            self.failures.append(f"{what}: {ascii(text)[:1500]}")

    def look_at_worker(self) -> None:
        for child in psutil.Process().children(recursive=True):
            try:
                self.worker_mb = max(self.worker_mb, child.memory_info().rss / 2**20)
            except psutil.Error:
                continue

    def report(self, minutes: float) -> str:
        own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        lines = [f"{minutes:.1f} minutes; peak memory {own_mb:.0f} MB, worker {self.worker_mb:.0f} MB"]
        lines += [f"{count:9d} {name}" for name, count in sorted(self.counts.items())]
        for kind, calls in self.slowest.items():
            lines += [f"slowest {kind}: {seconds:.2f} s {text!a}" for seconds, text in calls]
        return "\n".join([*lines, f"{len(self.failures)} failures kept", *self.failures])


def partition(vote: Vote, order: list[int]) -> set[frozenset[int]]:
    return {
        frozenset(order[i] for i, other in enumerate(vote.labels) if other == label)
        for label in vote.labels
        if label is not None
    }


def check_group(record: Record, completions: list[str], answer_type: str, rng: random.Random) -> None:
    """A vote is a function of the set of completions, is bounded, and counts what it could not decide."""
    start = time.perf_counter()
    vote = majority_vote(completions, answer_type)
    seconds = time.perf_counter() - start
    record.timed("vote", seconds, repr(completions))
    record.counts.update(f"form: {form}" for form in vote.forms)
    record.counts.update({f"undecided: {reason}": count for reason, count in vote.undecided.items()})
    if seconds > (BOUND_S + START_S) * len(completions):
        record.fail("vote over its bound", completions)
    order = rng.sample(range(len(completions)), len(completions))
    again = majority_vote([completions[i] for i in order], answer_type)
    is_timing = {"out_of_time", "crashed"} & (set(vote.undecided) | set(again.undecided))
    if partition(again, order) != partition(vote, list(range(len(completions)))) and not is_timing:
        record.fail("partition depends on the order", (answer_type, completions))


def check_pair(record: Record, a: str, b: str, answer_type: str) -> None:
    """Equality is reflexive and symmetric, and bounded."""
    start = time.perf_counter()
    verdict = is_equivalent(a, b, answer_type)
    seconds = time.perf_counter() - start
    record.timed("comparison", seconds, f"{a!r} {b!r}")
    if seconds > BOUND_S + START_S:
        record.fail("comparison over its bound", (a, b))
    if verdict is not is_equivalent(b, a, answer_type):
        record.fail("not symmetric", (answer_type, a, b))
    if is_equivalent(a, a, answer_type) is says_nothing(a):
        record.fail("not reflexive, or nothing equals itself", (answer_type, a))


def check_blank(record: Record, text: str, blank: str, answer_type: str) -> None:
    """What says nothing is no answer, whatever stands around it, and is equal to nothing."""
    record.counts["blank"] += 1
    if (answer := extract_answer(text, answer_type)) is not None:
        record.fail("a blank is an answer", (answer_type, text, answer))
    if is_equivalent(blank, blank, answer_type):
        record.fail("a blank equals itself", (answer_type, blank))


def fuzz(minutes: float, first_seed: int, record: Record) -> None:
    end, round_seed = time.monotonic() + 60 * minutes, first_seed

    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(COMPLETIONS, min_size=1, max_size=GROUP_SIZE),
        st.lists(st.one_of(ANSWERS, MUTATED), min_size=2, max_size=2),
        st.tuples(UNANSWERED, BLANK),
        st.sampled_from([*ANSWER_TYPES, "math", "math"]),
        st.randoms(use_true_random=False),
    )
    def one(
        completions: list[str], pair: list[str], blanks: tuple[str, str], answer_type: str, rng: random.Random
    ) -> None:
        if time.monotonic() > end:
            return
        checks = (
            (check_group, (completions, answer_type, rng)),
            (check_pair, (*pair, answer_type)),
            (check_blank, (*blanks, answer_type)),
        )
        for check, arguments in checks:
            try:
                check(record, *arguments)
            except Exception as error:
                record.fail(f"{type(error).__name__} in {check.__name__}", arguments[:3])

    while time.monotonic() < end:
        seed(round_seed)(one)()
        record.look_at_worker()
        round_seed += 1
        left = end - time.monotonic()
        print(f"seed {round_seed}, {left:.0f} s left, {len(record.failures)} failures", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    record, before, start = Record(), set(os.listdir()), time.monotonic()
    fuzz(options.minutes, options.seed, record)
    if files := set(os.listdir()) - before - {".hypothesis"}:
        record.fail("files were created", sorted(files))
    print(record.report((time.monotonic() - start) / 60))
    sys.exit(bool(record.failures))


if __name__ == "__main__":
    main()
