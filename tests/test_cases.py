"""Tables of responses and of pairs, and groups whose partition is known by construction; all expectations by hand."""

import json
from collections import Counter
from pathlib import Path

import pytest

from serl_trl.answers import extract_answer, is_equivalent


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
