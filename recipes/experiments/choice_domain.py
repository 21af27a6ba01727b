"""A second domain for the laboratory: its word problems as multiple choice, with an oracle and a base model for them.

The answer is a letter; the wrong choices are what one gets who stops early or errs by a little. A guess is right a quarter of the time.
"""

import random
import re
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from serl_trl.prompts import few_shot_prompt
from serl_trl.tiny import CHECKPOINT
from serl_trl.tiny.build import FEW_SHOT_COUNTS, Phase, solution, warm_up
from serl_trl.tiny.word_problems import MAX_VALUE, Problem
from serl_trl.tiny.word_problems import random_problem as random_word_problem
from serl_trl.tiny.word_problems import solve as solve_word_problem


LETTERS = "ABCD"
CHOICES = re.compile(r"(.*[?.]) " + " ".join(rf"{letter}\) (\d+)" for letter in LETTERS))


@dataclass(frozen=True)
class ChoiceProblem:
    """
    A word problem with four numbers to choose from.

    Args:
        problem (`Problem`): The word problem.
        choices (`tuple[int, ...]`): Four different numbers, the answer among them.
    """

    problem: Problem
    choices: tuple[int, ...]

    @property
    def text(self) -> str:
        """As it is shown to a model."""
        listed = (f"{letter}) {choice}" for letter, choice in zip(LETTERS, self.choices, strict=True))
        return " ".join([self.problem.text, *listed])

    @property
    def answer(self) -> str:
        """The letter of the right choice."""
        return LETTERS[self.choices.index(self.problem.answer)]


def solve(text: str) -> ChoiceProblem | None:
    """
    Reads a problem; `None` if it is not well formed: a well-formed word problem and four different choices, its answer among them.

    Example:

    ```python
    >>> text = "Anna has 17 marbles. Ben gives Anna 5 more. How many marbles does Anna have now?"
    >>> solve(f"{text} A) 12 B) 22 C) 21 D) 17").answer
    'B'
    >>> solve(f"{text} A) 12 B) 23 C) 21 D) 17") is None
    True

    ```
    """
    match = CHOICES.fullmatch(text.strip())
    problem = solve_word_problem(match[1]) if match else None
    if match is None or problem is None:
        return None
    choices = tuple(map(int, match.groups()[1:]))
    return ChoiceProblem(problem, choices) if len(set(choices)) == 4 and problem.answer in choices else None


def random_problem(rng: random.Random) -> ChoiceProblem:
    """A random problem."""
    problem = random_word_problem(rng)
    wrong = {int(number) for number in re.findall(r"\d+", " ".join([problem.text, *problem.equations[:-1]]))}
    near = {problem.answer + d for d in range(-5, 6)}
    wrong, near = ({n for n in numbers if 0 < n <= MAX_VALUE} - {problem.answer} for numbers in (wrong, near))
    choices = rng.sample(sorted(wrong), min(2, len(wrong)))
    choices += rng.sample(sorted(near - set(choices)), 3 - len(choices))
    choices.append(problem.answer)
    rng.shuffle(choices)
    return ChoiceProblem(problem, tuple(choices))


def rows(num_problems: int, split: str) -> list[dict[str, str]]:
    """Random problems with their answers; `split` names the random stream that they come from."""
    rng = random.Random(f"choices/{split}")
    problems = [random_problem(rng) for _ in range(num_problems)]
    return [{"prompt": problem.text, "answer": problem.answer} for problem in problems]


# The base ----------------------------------------------------------------------------------------------------------


def solving(rng: random.Random, terse_share: float) -> list[dict[str, str]]:
    """A problem and a solution, the bare letter or by steps; who errs in a step takes the nearest choice."""
    problem = random_problem(rng)
    if rng.random() < terse_share:
        reply = f"\\boxed{{{problem.answer}}}"
    else:
        steps, _, value = solution(problem.problem, rng, terse_share=0).rpartition("\n")
        result = int(re.sub(r"\D", "", value))
        nearest = min(problem.choices, key=lambda choice: abs(choice - result))
        reply = f"{steps}\n\\boxed{{{LETTERS[problem.choices.index(nearest)]}}}"
    return [{"role": "user", "content": problem.text}, {"role": "assistant", "content": reply}]


def solving_tersely(rng: random.Random) -> list[dict[str, str]]:
    """More terse than not: the habits of the base."""
    return solving(rng, terse_share=0.56)


def solving_by_steps(rng: random.Random) -> list[dict[str, str]]:
    """Mostly by steps: the quickest way to learn how."""
    return solving(rng, terse_share=0.1)


def writing(rng: random.Random) -> list[dict[str, str]]:
    """A list of problems and a further one."""
    *shown, new = [random_problem(rng).text for _ in range(rng.choice(FEW_SHOT_COUNTS) + 1)]
    reply = f"{len(shown) + 1}. {new}"
    return [{"role": "user", "content": few_shot_prompt(shown)}, {"role": "assistant", "content": reply}]


PHASES = (
    Phase("reasoning", {solving_by_steps: 64, writing: 8}, 8.0, num_steps=400, learning_rate=2e-3),
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
