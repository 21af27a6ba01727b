"""A second domain for the laboratory: its word problems as multiple choice, with an oracle and a base model for them.

The answer is a letter, that of the range in which the number lies; ranges are as probable as one another. A guess is right a quarter of the time.
"""

import random
import re
from bisect import bisect
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from serl_trl.laboratory import CHECKPOINT, Problem
from serl_trl.laboratory import random_problem as random_word_problem
from serl_trl.laboratory import solve as solve_word_problem
from serl_trl.laboratory.build import Phase, solution, warm_up
from serl_trl.laboratory.build import writing as writing_more


LETTERS = "ABCD"
STARTS = (9, 15, 23)  # of the ranges B, C and D: the quartiles of the answers
CHOICES = " A) under 9 B) 9 to 14 C) 15 to 22 D) 23 or more"


@dataclass(frozen=True)
class ChoiceProblem:
    """
    A word problem with four ranges to choose from.

    Args:
        problem (`Problem`): The word problem.
    """

    problem: Problem

    @property
    def text(self) -> str:
        """As it is shown to a model."""
        return self.problem.text + CHOICES

    @property
    def answer(self) -> str:
        """The letter of the right choice."""
        return letter_of(self.problem.answer)


def letter_of(number: int) -> str:
    """
    The letter of the range in which a number lies.

    Example:

    ```python
    >>> [letter_of(number) for number in (8, 9, 22, 40)]
    ['A', 'B', 'C', 'D']

    ```
    """
    return LETTERS[bisect(STARTS, number)]


def solve(text: str) -> ChoiceProblem | None:
    """
    Reads a problem; `None` if it is not well formed: a well-formed word problem and the four choices.

    Example:

    ```python
    >>> solve("Anna has 17 marbles. Ben gives Anna 5 more. How many marbles does Anna have now?" + CHOICES).answer
    'C'

    ```
    """
    text = text.strip()
    problem = solve_word_problem(text.removesuffix(CHOICES)) if text.endswith(CHOICES) else None
    return ChoiceProblem(problem) if problem else None


def random_problem(rng: random.Random) -> ChoiceProblem:
    """A random problem."""
    return ChoiceProblem(random_word_problem(rng))


def rows(num_problems: int, split: str) -> list[dict[str, str]]:
    """Random problems with their answers; `split` names the random stream that they come from."""
    rng = random.Random(f"choices/{split}")
    problems = [random_problem(rng) for _ in range(num_problems)]
    return [{"prompt": problem.text, "answer": problem.answer} for problem in problems]


# The base ----------------------------------------------------------------------------------------------------------


def solving(rng: random.Random, terse_share: float) -> list[dict[str, str]]:
    """A problem and a solution, the bare letter or by steps, some of them wrong."""
    problem = random_problem(rng)
    reply = solution(problem.problem, rng, terse_share)
    reply = re.sub(r"(?<=boxed\{)\d+", lambda number: letter_of(int(number[0])), reply)
    return [{"role": "user", "content": problem.text}, {"role": "assistant", "content": reply}]


def solving_tersely(rng: random.Random) -> list[dict[str, str]]:
    """More terse than not: the habits of the base."""
    return solving(rng, terse_share=0.56)


def solving_by_steps(rng: random.Random) -> list[dict[str, str]]:
    """Mostly by steps: the quickest way to learn how."""
    return solving(rng, terse_share=0.1)


def writing(rng: random.Random) -> list[dict[str, str]]:
    """A list of problems and a further one."""
    return writing_more(rng, random_problem)


PHASES = (
    Phase("reasoning", {solving_by_steps: 64, writing: 8}, 8.0, num_steps=200, learning_rate=2e-3),
    Phase("habits", {solving_tersely: 64, writing: 8}, 8.0, num_steps=60, learning_rate=5e-4),
)


def build_base(parent: Path, quick: bool = False) -> Path:
    """Teaches the laboratory's base this domain, if it is not there yet; a tenth of it if it is to be quick."""
    folder = parent / ("choice_base_quick" if quick else "choice_base")
    if not (folder / "config.json").is_file():
        set_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
        model = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
        for phase in PHASES:
            num_steps = phase.num_steps // 10 if quick else phase.num_steps
            warm_up(model, tokenizer, random.Random(f"choices/{phase.name}"), replace(phase, num_steps=num_steps))
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)  # the configuration, by which it is known to be there, comes with the weights
    return folder
