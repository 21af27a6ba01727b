"""Tables of responses and of pairs, and groups whose partition is known by construction; all expectations by hand."""

import json
from collections import Counter
from pathlib import Path

import pytest
from groups import vote_groups

from serl_trl.answers import extract_answer, is_equivalent
from serl_trl.voting import majority_vote


CASES = Path(__file__).parent / "cases"


def table(name):
    rows = [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]
    assert rows, f"{name} is empty"
    return rows


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


@pytest.mark.parametrize("seed", range(5))
def test_vote_groups(seed):
    failures = list(group_failures(seed))
    num_lost = sum(not is_won for *_, is_won in failures)
    print(group_report(failures))
    assert len(failures) <= 0.03 * 80, f"{len(failures)} of 80 partitions differ:\n{group_report(failures)}"
    assert num_lost <= 0.01 * 80, f"{num_lost} of 80 winning sets differ:\n{group_report(failures)}"
