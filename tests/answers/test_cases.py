"""Tables of responses and of pairs, and groups whose partition is known by construction; all expectations by hand."""

import json
import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from groups import vote_groups
from serl_trl.answers.answer_types import extract_answer, is_equivalent
from serl_trl.answers.blanks import says_nothing
from serl_trl.voting.majority_vote import majority_vote
from templates import BOXED, IN_MATH


CASES = Path(__file__).parents[1] / "cases"
SHARED = Path(os.environ.get("SERL_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def table(name):
    rows = [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]
    assert rows, f"{name} is empty"
    return rows


def shared_rows(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def extraction_failures():
    for row in table("extraction.jsonl"):
        got = extract_answer(row["text"], row["type"])
        is_right = got is None if row["answer"] is None else is_equivalent(got, row["answer"], row["type"])
        if not is_right:
            yield row["type"], row["note"], f"{row['text']!r}: expected {row['answer']!r}, got {got!r}"


def equality_failures():
    for row in table("equality.jsonl"):
        a, b = row["a"], row["b"]
        verdicts = is_equivalent(a, b, row["type"]), is_equivalent(b, a, row["type"])
        if verdicts != (row["equal"], row["equal"]):
            yield row["type"], row["note"], f"{a!r} and {b!r}: expected {row['equal']}, got {verdicts}"


def readable(failures):
    counts = Counter(failure[:2] for failure in failures)
    lines = []
    for (answer_type, note), count in counts.most_common():
        lines.append(f"\n{count} x {answer_type}: {note}")
        lines += [f"  {text}" for *key, text in failures if tuple(key) == (answer_type, note)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "failures", "at_least"),
    [("extraction.jsonl", extraction_failures, 250), ("equality.jsonl", equality_failures, 350)],
)
def test_table(name, failures, at_least):
    assert len(table(name)) >= at_least
    failed = list(failures())
    assert not failed, f"{len(failed)} of {len(table(name))} in {name}:\n{readable(failed)}"


def group_failures(seed, num_groups=80):
    """Groups that are not partitioned exactly, and whether at least the winning set is right."""
    for number, group in enumerate(vote_groups(seed, num_groups)):
        vote = majority_vote(group.completions, group.answer_type)
        winners = {i for i, label in enumerate(vote.labels) if vote.winner is not None and label == vote.winner}
        if vote.labels != group.labels or winners != group.winners:
            yield number, group, vote.labels, winners == group.winners


def misplaced(group, labels):
    """Completions outside of the class that most of their own kind are in, with what was read from them."""
    for label in dict.fromkeys(group.labels):
        members = [i for i, own in enumerate(group.labels) if own == label]
        homes = (
            Counter(labels[i] for i in members if labels[i] is not None).most_common(1) if label is not None else []
        )
        home = homes[0][0] if homes else None if label is None else "nowhere"
        for i in members:
            if labels[i] != home:
                read = extract_answer(group.completions[i], group.answer_type)
                yield f"    {group.completions[i]!r}\n      belongs to {label}, is in {labels[i]}, read as {read!r}"
    yield f"    expected {group.labels}\n    got      {labels}"


def group_report(failures):
    lines = []
    for number, group, labels, is_won in failures:
        lines.append(f"  group {number}: {group.answer_type}, {group.kind}, winners {'right' if is_won else 'WRONG'}")
        lines += misplaced(group, labels)
    return "\n".join(lines)


SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 12))]


@pytest.mark.parametrize("seed", SEEDS)
def test_vote_groups(seed):
    failures = list(group_failures(seed))
    num_lost = sum(not is_won for *_, is_won in failures)
    print(group_report(failures))
    assert len(failures) <= 0.03 * 80, f"{len(failures)} of 80 partitions differ:\n{group_report(failures)}"
    assert num_lost <= 0.01 * 80, f"{num_lost} of 80 winning sets differ:\n{group_report(failures)}"


def test_table_is_reflexive():
    strings = {(row[side], row["type"]) for row in table("equality.jsonl") for side in "ab"}
    strings = {(text, kind) for text, kind in strings if not says_nothing(text)}
    assert not [(text, kind) for text, kind in sorted(strings) if not is_equivalent(text, text, kind)]


def classes(labels):
    """Sets of indices that share a label, without None."""
    return {frozenset(i for i, other in enumerate(labels) if other == label) for label in labels if label is not None}


@pytest.mark.parametrize("seed", range(100, 102))
def test_order_does_not_matter(seed):
    rng = random.Random(seed)
    for group in vote_groups(seed, 20):
        order = rng.sample(range(len(group.completions)), len(group.completions))
        before = majority_vote(group.completions, group.answer_type)
        after = majority_vote([group.completions[i] for i in order], group.answer_type)
        moved = {frozenset(order[i] for i in members) for members in classes(after.labels)}
        assert moved == classes(before.labels)
        assert before.is_tie or sum(after.rewards) == sum(before.rewards)


@pytest.mark.parametrize("name", ["math_500.jsonl", "gsm8k_test.jsonl", "svamp_test.jsonl"])
@pytest.mark.parametrize("answer_type", ["math", "number", "choice"])
def test_an_echoed_question_is_no_answer(name, answer_type):
    problems = [row["problem"] for row in shared_rows(name)]
    read = [(text[-200:], answer) for text in problems if (answer := extract_answer(text, answer_type)) is not None]
    assert len(read) <= 0.01 * len(problems), read


@pytest.mark.parametrize("name", ["math_500.jsonl", "math_seed_500.jsonl"])
def test_shared_labels_in_any_template(name):
    rng = random.Random(0)
    lost = []
    for row in shared_rows(name):
        for template in rng.sample(BOXED, 2) + rng.sample(IN_MATH, 2):
            text = "First, 3 + 4 = 7. " + template.replace("@", row["answer"])
            got = extract_answer(text)
            if not is_equivalent(got, row["answer"]):
                lost.append((text, got))
    assert not lost, "\n".join(map(str, lost[:40]))


REWRITES = [
    lambda a: a.replace(r"\frac", r"\dfrac"),
    lambda a: a.replace(r"\left", "").replace(r"\right", ""),
    lambda a: rf"\displaystyle {a}",
    lambda a: f"${a}$",
    lambda a: rf"\boxed{{{a}}}",
    lambda a: f"{a}.",
    lambda a: a.replace(",", ", ") if re.match(r"[(\[]", a) else a,
    lambda a: a.replace("-", "\u2212"),
    lambda a: a.replace("+", " + "),
    lambda a: f"x = {a}" if re.fullmatch(r"-?\d+|\\frac\{\d+\}\{\d+\}", a) else a,
    lambda a: rf"\text{{{a}}}" if a.isdigit() else a,
    lambda a: f"{a}.0" if a.isdigit() else a,
]


@pytest.mark.parametrize("name", ["math_500.jsonl", "math_seed_500.jsonl"])
def test_rewritten_labels_are_equal(name):
    labels = sorted({row["answer"] for row in shared_rows(name)})
    pairs = [(a, b) for a in labels for rewrite in REWRITES if (b := rewrite(a)) != a]
    lost = [(a, b) for a, b in pairs if not (is_equivalent(a, b) and is_equivalent(b, a))]
    assert len(pairs) > 1000
    assert not lost, "\n".join(map(str, lost[:40]))


def test_labels_with_another_first_digit_are_unequal():
    labels = sorted({row["answer"] for row in shared_rows("math_500.jsonl")})
    pairs = [(a, re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), a, count=1)) for a in labels]
    joined = [(a, b) for a, b in pairs if a != b and is_equivalent(a, b)]
    assert not joined, "\n".join(map(str, joined))
