"""Each named test set, read from small files of the same shape as on the Hub."""

import json
from typing import Any

import pytest
from datasets import Dataset

import serl_trl.evaluation.test_sets
from serl_trl import is_equivalent
from serl_trl.evaluation.test_sets import BENCHMARKS, load_problems


ROWS: dict[str, dict[str, Any]] = {
    "math_500": {
        "problem": "What is $1+1$?",
        "solution": "It is $\\boxed{2}$.",
        "answer": "\\frac{4}{2}",
        "subject": "Algebra",
        "level": 1,
        "unique_id": "test/algebra/1.json",
    },
    "math_hard": {
        "problem": "What is $1/4+1/4$?",
        "level": "Level 5",
        "type": "Algebra",
        "solution": "Adding, $\\frac14+\\frac14 = \\boxed{\\frac{1}{2}}$.",
    },
    "asdiv": {
        "body": "Seven red apples and two green apples are in the basket.",
        "question": "How many apples are in the basket?",
        "solution_type": "Addition",
        "answer": "9 (apples)",
        "formula": "7+2=9",
    },
    "college_math": {"question": "Solve $2x = 6$.", "answer": "$x=3$", "data_topic": "college_math.algebra"},
    "tabmwp": {
        "question": "How much for a pen and a book?",
        "choices": None,
        "answer": "1.75",
        "unit": "$",
        "table_title": "Prices",
        "table": "pen | $0.50\nbook | $1.25",
        "ques_type": "free_text",
    },
    "gsm8k": {"question": "How many miles?", "answer": "It is 2*1000+125 = <<2*1000+125=2125>>2,125.\n#### 2,125"},
    "svamp": {
        "ID": "chal-1",
        "Body": "Ann has 3 pens.",
        "Question": "How many has she?",
        "Answer": "3.0",
        "Type": "Add",
    },
    "mmlu_pro": {
        "question_id": 70,
        "question": "Which is a prime?",
        "options": ["4", "6", "7", "8", "9", "10", "12", "14", "15", "16"],
        "answer": "C",
        "answer_index": 2,
        "category": "math",
    },
}
EXPECTED = {
    "math_500": ("What is $1+1$?", "2"),
    "math_hard": ("What is $1/4+1/4$?", "\\frac{1}{2}"),
    "asdiv": (
        "Seven red apples and two green apples are in the basket. How many apples are in the basket?",
        "9",
    ),
    "college_math": ("Solve $2x = 6$.", "x=3"),
    "tabmwp": ("Prices\npen | $0.50\nbook | $1.25\n\nHow much for a pen and a book? (Unit: $)", "1.75"),
    "gsm8k": ("How many miles?", "2125"),
    "svamp": ("Ann has 3 pens. How many has she?", "3"),
    "mmlu_pro": (
        "Which is a prime?\n\nA. 4\nB. 6\nC. 7\nD. 8\nE. 9\nF. 10\nG. 12\nH. 14\nI. 15\nJ. 16\n\n"
        "Answer with the letter of the right option.",
        "C",
    ),
}


def filed(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_every_set_has_a_case():
    assert ROWS.keys() == EXPECTED.keys() == BENCHMARKS.keys()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_row_becomes_a_problem(tmp_path, name, monkeypatch):
    problems = load_problems(f"{name}={filed(tmp_path / 'rows.jsonl', ROWS[name], ROWS[name])}", num_problems=1)
    prompt, answer = EXPECTED[name]
    assert problems.name == name
    assert problems.prompts == [prompt]
    assert is_equivalent(problems.answers[0], answer, problems.answer_type)
    asked = []

    def load_dataset(*args, **kwargs):
        asked.append((*args, kwargs["split"]))
        return Dataset.from_list([ROWS[name]])

    monkeypatch.setattr(serl_trl.evaluation.test_sets, "load_dataset", load_dataset)
    assert load_problems(name) == problems
    benchmark = BENCHMARKS[name]
    assert asked == [(benchmark.dataset, benchmark.config, benchmark.split)]


def test_choices_and_words_as_answers(tmp_path):
    row = ROWS["tabmwp"] | {"choices": ["yes", "no"], "answer": "no", "unit": None, "table_title": None}
    problems = load_problems(f"tabmwp={filed(tmp_path / 'rows.jsonl', row)}")
    assert problems.prompts == ["pen | $0.50\nbook | $1.25\n\nHow much for a pen and a book?\nChoose from: yes, no."]
    assert is_equivalent("No", problems.answers[0], problems.answer_type)
    assert not is_equivalent("yes", problems.answers[0], problems.answer_type)


def test_mmlu_pro_is_grouped(tmp_path):
    categories = ["physics", "law", "economics", "health", "business"]
    rows = [ROWS["mmlu_pro"] | {"category": category} for category in categories]
    problems = load_problems(f"mmlu_pro={filed(tmp_path / 'rows.jsonl', *rows)}")
    assert problems.groups == ["STEM", "humanities", "social", "other", "other"]


def test_a_file_of_ones_own(tmp_path):
    rows = [{"problem": "1+1?", "answer": 2}, {"problem": "1+2?", "answer": None}, {"problem": "1+3?", "answer": "4"}]
    problems = load_problems(str(filed(tmp_path / "mine.jsonl", *rows)), answer_type="number")
    assert problems == serl_trl.evaluation.test_sets.Problems("mine", ["1+1?", "1+3?"], ["2", "4"], "number", [])


@pytest.mark.parametrize(
    ("source", "row", "message"),
    [
        ("nowhere.jsonl", None, "There is no test set 'nowhere.jsonl': give a JSON Lines file, or one of math_500"),
        ("other={}", {"problem": "?"}, "There is no test set 'other="),
        ("svamp={}", {"Body": "?", "Question": "?"}, r"rows.jsonl has no field 'Answer', which svamp has"),
        ("math_hard={}", {"problem": "?", "solution": "So there."}, r"the solution 'So there.' has no answer"),
        ("{}", {"problem": "?"}, r"No row of .*rows.jsonl has a field 'answer'"),
        ("gsm8k=nowhere.jsonl", None, r"There is no file nowhere.jsonl"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, source, row, message):
    file = filed(tmp_path / "rows.jsonl", row) if row else None
    with pytest.raises(ValueError, match=message):
        load_problems(source.format(file))


def test_without_the_hub_a_file_is_asked_for():
    with pytest.raises(ValueError, match=r"math_500 \(HuggingFaceH4/MATH-500\) cannot be loaded .*math_500=FILE"):
        load_problems("math_500")
