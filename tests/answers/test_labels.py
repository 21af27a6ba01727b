"""The labels of real test sets survive a response around them; skipped where the sets are not."""

import json
import os
import random
from pathlib import Path

import pytest

from serl_trl.answers.answer_types import answer_classes, extract_answer, is_equivalent


SHARED = Path(os.environ.get("SERL_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def rows(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", ["math_500.jsonl", "math_seed_500.jsonl"])
def test_boxed_labels_survive(name):
    labels = [row["answer"] for row in rows(name)]
    lost = [a for a in labels if not is_equivalent(extract_answer(rf"Hence $x$ is $\boxed{{{a}}}$."), a)]
    assert len(labels) == 500
    assert not lost


@pytest.mark.parametrize("name", ["gsm8k_test.jsonl", "svamp_test.jsonl"])
@pytest.mark.parametrize("answer_type", ["math", "number"])
def test_stated_labels_survive(name, answer_type):
    labels = [row["answer"] for row in rows(name)]
    lost = [a for a in labels if not is_equivalent(extract_answer(f"So 3 more.\nThe answer is {a}.", answer_type), a)]
    assert len(labels) >= 1000
    assert not lost


def test_different_labels_stay_apart():
    labels = sorted({row["answer"] for row in rows("math_500.jsonl")})
    sample = random.Random(0).sample(labels, 60)
    numbers = [a for a in sample if a.lstrip("-").isdigit()]
    assert len(numbers) > 10
    assert len(set(answer_classes(numbers))) == len({int(a) for a in numbers})
