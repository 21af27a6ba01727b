# ruff: noqa: RUF001
"""Faults that users and reviewers have reported, run one by one through the public API; skipped without the file."""

import json
import os
from pathlib import Path

import pytest

from serl_trl import extract_answer, is_equivalent, majority_vote
from serl_trl.instructions.filters import LengthFilter
from serl_trl.instructions.reply_parser import parse_reply
from serl_trl.types import Reply


SHARED = Path(os.environ.get("SERL_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
FAULTS = SHARED / "faults.jsonl"

# what the abbreviated inputs of the file stand for
PROBLEM = "A train has 8 cars. How many wheels has it?"
WRITTEN = {"A train has ...": PROBLEM, "小明有...": "小明有8个苹果，又买了5个。他现在一共有几个苹果？"}
IN_LANGUAGE = {
    "Chinese": "小明有8个苹果，又买了5个。他现在一共有几个苹果？",
    "Japanese": "太郎さんはりんごを8個持っています。さらに5個買いました。全部で何個ありますか？",
}


def faults():
    if not FAULTS.exists():
        return []
    rows = [json.loads(line) for line in FAULTS.read_text(encoding="utf-8").splitlines()]
    return [pytest.param(row, id=f"{number} {row['kind']}") for number, row in enumerate(rows)]


def check_equality(row, _):
    a, b = row["input"]
    assert (is_equivalent(a, b), is_equivalent(b, a)) == (row["expected"], row["expected"])


def check_extraction(row, answer_type):
    got = extract_answer(row["input"], answer_type)
    assert (got is None) is (row["expected"] is None), got
    assert got is None or is_equivalent(got, row["expected"], answer_type), got


def check_vote(row, answer_type):
    # several numbers are no answer of type number, and so in no class: apart from all others
    assert len(set(majority_vote(row["input"], answer_type).labels)) == int(row["expected"].split()[0])


def check_instructions(row, _):
    text = row["input"]
    for short, written in WRITTEN.items():
        text = text.replace(short, written)
    assert parse_reply(Reply(text)) == [written for written in WRITTEN.values() if written in text]


def check_length(row, _):
    problem = next(problem for language, problem in IN_LANGUAGE.items() if language in row["input"])
    assert LengthFilter()(problem).kept


CHECKS = {
    "equality": check_equality,
    "extraction": check_extraction,
    "vote": check_vote,
    "instructions": check_instructions,
    "length filter": check_length,
}


@pytest.mark.skipif(not FAULTS.exists(), reason="faults.jsonl is not here")
@pytest.mark.parametrize("row", faults())
def test_fault(row):
    name = row["kind"].partition(":")[0]  # such as "extraction (math)"
    kind, _, answer_type = name.partition(" (")
    CHECKS[kind](row, answer_type.removesuffix(")"))
