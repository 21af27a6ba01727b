"""Labelled test sets by name: where each is, in which fields, and what kind of answers it has."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import load_dataset

from ..answers import extract_answer
from ..prompts import PROMPT_FIELDS, prompts_of_rows
from ..runtime import read_rows
from ..types import Prompt


Row = Mapping[str, Any]


@dataclass(frozen=True)
class Problems:
    """
    A test set as it is put to a model.

    Args:
        name (`str`): What its results are filed under.
        prompts (`list[Prompt]` of length P): The problems, texts or messages.
        answers (`list[str]` of length P): Their answers.
        answer_type (`str`): How answers are extracted and compared.
        groups (`list[str]` of length P, *optional*): Parts that are reported apart; empty without any.
    """

    name: str
    prompts: list[Prompt]
    answers: list[str]
    answer_type: str
    groups: list[str]


@dataclass(frozen=True)
class Benchmark:
    """
    A test set of the Hub.

    Args:
        dataset, config, split (`str`): Where it is.
        answer_type (`str`): How answers are extracted and compared.
        prompt (`Callable[[Row], str]`): The problem of a row.
        answer (`Callable[[Row], str]`): Its answer.
        group (`Callable[[Row], str]`, *optional*): The part that it belongs to.
    """

    dataset: str
    answer_type: str
    prompt: Callable[[Row], str]
    answer: Callable[[Row], str]
    config: str | None = None
    split: str = "test"
    group: Callable[[Row], str] | None = None


def _field(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


def _last_boxed(row: Row) -> str:
    answer = extract_answer(row["solution"])
    if answer is None:
        raise ValueError(f"the solution {row['solution'][-80:]!r} has no answer")
    return answer


def _asdiv_answer(row: Row) -> str:
    """The number without its unit, which is in brackets: `9 (apples)`."""
    return re.sub(r"\s*\([^()]*\)\s*$", "", row["answer"])


def _tabmwp_prompt(row: Row) -> str:
    """The table as text, the question, and where there are choices or a unit, these."""
    title = f"{row['table_title']}\n" if row.get("table_title") else ""
    unit = f" (Unit: {row['unit']})" if row.get("unit") else ""
    choices = row.get("choices")
    listed = f"\nChoose from: {', '.join(choices)}." if choices is not None and len(choices) else ""
    return f"{title}{row['table']}\n\n{row['question']}{unit}{listed}"


def _lettered(row: Row) -> str:
    options = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCDEFGHIJ", row["options"], strict=False))
    return f"{row['question']}\n\n{options}\n\nAnswer with the letter of the right option."


# As MMLU groups its subjects (Hendrycks et al., arXiv 2009.03300); what is not listed is "other".
MMLU_PRO_GROUPS = {
    **dict.fromkeys(["biology", "chemistry", "computer science", "engineering", "math", "physics"], "STEM"),
    **dict.fromkeys(["history", "law", "philosophy"], "humanities"),
    **dict.fromkeys(["economics", "psychology"], "social"),
}

BENCHMARKS = {
    "math_500": Benchmark("HuggingFaceH4/MATH-500", "math", _field("problem"), _field("answer")),
    "math_hard": Benchmark("lighteval/MATH-Hard", "math", _field("problem"), _last_boxed),
    "asdiv": Benchmark(
        "EleutherAI/asdiv",
        "math",
        lambda row: f"{row['body']} {row['question']}",
        _asdiv_answer,
        split="validation",
    ),
    "college_math": Benchmark("qq8933/College_Math_Test", "math", _field("question"), _field("answer"), split="train"),
    "tabmwp": Benchmark("zyhang1998/tabmwp", "math", _tabmwp_prompt, _field("answer")),
    "gsm8k": Benchmark(
        "openai/gsm8k",
        "number",
        _field("question"),
        lambda row: row["answer"].split("####")[-1].strip(),
        config="main",
    ),
    "svamp": Benchmark("ChilleD/SVAMP", "number", lambda row: f"{row['Body']} {row['Question']}", _field("Answer")),
    "mmlu_pro": Benchmark(
        "TIGER-Lab/MMLU-Pro",
        "choice",
        _lettered,
        _field("answer"),
        group=lambda row: MMLU_PRO_GROUPS.get(row["category"], "other"),
    ),
}


def load_problems(source: str, num_problems: int | None = None, answer_type: str = "math") -> Problems:
    """
    The first problems of a test set.

    Args:
        source (`str`):
            The name of one of `BENCHMARKS`, from the Hub; `NAME=FILE`, the same from a JSON Lines or Parquet file with its
            fields; or a file with a field `prompt`, `problem` or `question` and a field `answer`. Rows of such a file
            without an answer are left out.
        num_problems (`int`, *optional*): How many; all by default.
        answer_type (`str`, *optional*, defaults to `"math"`): Of a file that is no benchmark's.

    Raises:
        ValueError: If there is no such set, or it lacks a field.
    """
    name, _, file = source.partition("=")
    if name not in BENCHMARKS:
        if file or not Path(source).is_file():
            raise ValueError(
                f"There is no test set {source!r}: give a JSON Lines file, or one of {', '.join(BENCHMARKS)}, which may be "
                "read from a file, too, as NAME=FILE."
            )
        return _of_file(Path(source), num_problems, answer_type)
    benchmark = BENCHMARKS[name]
    rows = read_rows(file, PROMPT_FIELDS) if file else _from_hub(name, benchmark)
    rows = rows[:num_problems]
    try:
        return Problems(
            name,
            [benchmark.prompt(row) for row in rows],
            [benchmark.answer(row) for row in rows],
            benchmark.answer_type,
            [benchmark.group(row) for row in rows] if benchmark.group else [],
        )
    except KeyError as error:
        raise ValueError(
            f"{file or benchmark.dataset} has no field {error}, which {name} has; its fields are {sorted(rows[0])}."
        ) from None
    except ValueError as error:
        raise ValueError(f"{file or benchmark.dataset}: {error}.") from None


def _from_hub(name: str, benchmark: Benchmark) -> Sequence[Row]:
    try:
        return load_dataset(benchmark.dataset, benchmark.config, split=benchmark.split).to_list()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{name} ({benchmark.dataset}) cannot be loaded ({str(error).splitlines()[0]}). Give it from a file: {name}=FILE."
        ) from None


def _of_file(path: Path, num_problems: int | None, answer_type: str) -> Problems:
    rows = read_rows(path, PROMPT_FIELDS)
    rows = rows.chosen([i for i, row in enumerate(rows) if row.get("answer") is not None][:num_problems])
    if not rows:
        raise ValueError(f"No row of {path} has a field 'answer'.")
    return Problems(path.stem, prompts_of_rows(rows, str(path)), [str(row["answer"]) for row in rows], answer_type, [])
