"""The built-in laboratory: a tiny language model and a domain of word problems with an oracle."""

import random
from pathlib import Path

from datasets import Dataset

from .word_problems import Problem, random_problem, solve


__all__ = ["CHECKPOINT", "Problem", "random_problem", "solve", "word_problems"]

CHECKPOINT = Path(__file__).parent / "checkpoint"


def word_problems(num_problems: int, split: str) -> Dataset:
    """
    Random word problems, in columns `prompt` and `answer`.

    Args:
        num_problems (`int`): How many.
        split (`str`): Names the random stream they come from, for example `"seeds"` or `"held_out"`.

    Example:

    ```python
    >>> word_problems(2, "held_out").column_names
    ['prompt', 'answer']

    ```
    """
    rng = random.Random(f"tiny/{split}")
    problems = [random_problem(rng) for _ in range(num_problems)]
    return Dataset.from_dict({"prompt": [p.text for p in problems], "answer": [str(p.answer) for p in problems]})
