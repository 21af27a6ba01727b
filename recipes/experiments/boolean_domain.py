"""A second domain for the laboratory: who says yes, who says no? Problems, an oracle, and a base model built for them in minutes.

The answer is one of two words, so a vote of any model has a share of at least a half, and a guess is right half of the time.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transformers import set_seed

from serl_trl.prompts import few_shot_prompt
from serl_trl.tiny.build import FEW_SHOT_COUNTS, Phase, build_model, build_tokenizer, warm_up
from serl_trl.tiny.grammar import NAMES


STEP_COUNTS = (1, 2, 2, 3, 3, 4)  # statements about others, drawn from uniformly
NOISY_STEP_SHARE = 0.12  # of the steps of a solution, that say the opposite (which is carried on)
WORDS = {True: "yes", False: "no"}
QUESTION = re.compile(r"What does (\w+) say\?")
STATEMENTS: dict[
    re.Pattern[str], Callable[..., bool] | None
] = {  # how one is told, and what follows from what the others say
    re.compile(r"(\w+) says (yes|no)\."): None,
    re.compile(r"(\w+) repeats what (\w+) says\."): lambda a: a,
    re.compile(r"(\w+) says the opposite of (\w+)\."): lambda a: not a,
    re.compile(r"(\w+) says yes only if (\w+) and (\w+) do\."): lambda a, b: a and b,
    re.compile(r"(\w+) says yes if (\w+) or (\w+) does\."): lambda a, b: a or b,
    re.compile(r"(\w+) says yes if (\w+) and (\w+) disagree\."): lambda a, b: a != b,
}


@dataclass(frozen=True)
class Problem:
    """
    A problem, what each person says in the order of the text, and whom the question is about.

    Args:
        text (`str`): As it is shown to a model.
        said (`dict[str, bool]`): Whether each person says yes.
        asked (`str`): The person asked about.
    """

    text: str
    said: dict[str, bool]
    asked: str

    @property
    def answer(self) -> str:
        """`"yes"` or `"no"`."""
        return WORDS[self.said[self.asked]]


def solve(text: str) -> Problem | None:
    """
    Reads a problem; `None` if it is not well formed: someone speaks twice or of somebody unknown, or the last sentence is no question.

    Example:

    ```python
    >>> solve("Anna says yes. Ben says the opposite of Anna. What does Ben say?").answer
    'no'
    >>> solve("Ben says the opposite of Anna. What does Ben say?") is None
    True

    ```
    """
    *sentences, question = re.split(r"(?<=[.?]) ", text.strip())
    asked, said = QUESTION.fullmatch(question), dict[str, bool]()
    for sentence in sentences:
        told = [(match, follows) for pattern, follows in STATEMENTS.items() if (match := pattern.fullmatch(sentence))]
        if not told:
            return None
        ((match, follows),) = told
        speaker, *others = match.groups()
        known = follows is None or (all(other in said for other in others) and len(set(others)) == len(others))
        if speaker in said or not known:
            return None
        said[speaker] = others[0] == "yes" if follows is None else follows(*(said[other] for other in others))
    return Problem(text, said, asked[1]) if asked and asked[1] in said else None


def random_problem(rng: random.Random) -> Problem:
    """A random problem whose question is about the last person."""
    names = rng.sample(NAMES, len(NAMES))
    told = [f"{names.pop()} says {rng.choice(('yes', 'no'))}." for _ in range(2)]
    spoken = [sentence.split()[0] for sentence in told]
    for _ in range(rng.choice(STEP_COUNTS)):
        speaker, a, b = names.pop(), spoken[-1], rng.choice(spoken[:-1])
        first, second = rng.sample((a, b), 2)
        told.append(
            rng.choice(
                (
                    f"{speaker} repeats what {a} says.",
                    f"{speaker} says the opposite of {a}.",
                    f"{speaker} says yes only if {first} and {second} do.",
                    f"{speaker} says yes if {first} or {second} does.",
                    f"{speaker} says yes if {first} and {second} disagree.",
                )
            )
        )
        spoken.append(speaker)
    problem = solve(" ".join([*told, f"What does {spoken[-1]} say?"]))
    assert problem is not None
    return problem


def rows(num_problems: int, split: str) -> list[dict[str, str]]:
    """Random problems with their answers; `split` names the random stream that they come from."""
    rng = random.Random(f"boolean/{split}")
    problems = [random_problem(rng) for _ in range(num_problems)]
    return [{"prompt": problem.text, "answer": problem.answer} for problem in problems]


# The base ----------------------------------------------------------------------------------------------------------


def solving(rng: random.Random, terse_share: float) -> list[dict[str, str]]:
    """A problem and a solution, the bare answer or person by person, with wrong steps."""
    problem = random_problem(rng)
    if rng.random() < terse_share:
        reply = f"\\boxed{{{problem.answer}}}"
    else:
        lines, said = [], dict[str, bool]()
        for sentence in problem.text.split(". ")[:-1]:
            speaker = sentence.split()[0]
            so_far = [f"{name} says {WORDS[value]}." for name, value in said.items()]
            told = solve(" ".join([*so_far, f"{sentence}.", f"What does {speaker} say?"]))
            assert told is not None
            is_step = f"{sentence}." != f"{speaker} says {told.answer}."
            said[speaker] = told.said[speaker] != (is_step and rng.random() < NOISY_STEP_SHARE)
            lines.append(f"{speaker}={WORDS[said[speaker]]}")
        reply = "\n".join([*lines, f"\\boxed{{{WORDS[said[problem.asked]]}}}"])
    return [{"role": "user", "content": problem.text}, {"role": "assistant", "content": reply}]


def solving_tersely(rng: random.Random) -> list[dict[str, str]]:
    """More terse than not: the habits of the base."""
    return solving(rng, terse_share=0.6)


def solving_by_steps(rng: random.Random) -> list[dict[str, str]]:
    """Mostly person by person: the quickest way to learn how."""
    return solving(rng, terse_share=0.1)


def writing(rng: random.Random) -> list[dict[str, str]]:
    """A list of problems and a further one."""
    *shown, new = [random_problem(rng).text for _ in range(rng.choice(FEW_SHOT_COUNTS) + 1)]
    reply = f"{len(shown) + 1}. {new}"
    return [{"role": "user", "content": few_shot_prompt(shown)}, {"role": "assistant", "content": reply}]


PHASES = (
    Phase("language", {solving_by_steps: 64, writing: 8}, 1.0, num_steps=150, learning_rate=3e-3),
    Phase("reasoning", {solving_by_steps: 64, writing: 8}, 8.0, num_steps=250, learning_rate=2e-3),
    Phase("habits", {solving_tersely: 64, writing: 12}, 8.0, num_steps=60, learning_rate=5e-4),
)


def build_base(folder: Path) -> Path:
    """Builds the base, if it is not there yet."""
    if not (folder / "config.json").is_file():
        set_seed(0)
        tokenizer = build_tokenizer(random.Random(0), (solving_by_steps, writing))
        model = build_model(tokenizer)
        for phase in PHASES:
            warm_up(model, tokenizer, random.Random(f"boolean/{phase.name}"), phase)
        model.generation_config.update(
            do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
        )
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)  # the configuration, by which it is known to be there, comes with the weights
    return folder
