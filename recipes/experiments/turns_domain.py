"""A second domain for the laboratory: which way does one face after some turns? Problems, an oracle, and a base model for them.

The answer is one of four words, as in multiple choice: a guess is right a quarter of the time.
"""

import random
import re
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from serl_trl.prompts import few_shot_prompt
from serl_trl.tiny import CHECKPOINT
from serl_trl.tiny.build import FEW_SHOT_COUNTS, Phase, warm_up
from serl_trl.tiny.grammar import NAMES, PLACES


WAYS = ("north", "east", "south", "west")
TURNS = {"right": 1, "around": 2, "left": 3}  # quarters of a turn
NUM_TURNS = (2, 3, 3, 4, 4, 5)  # drawn from uniformly
NOISY_STEP_SHARE = 0.1  # of the steps of a solution, that end another way (which is carried on)
QUESTION = "Does {name} face north, east, south or west?"
OPENINGS = ("{name} faces {way}.", "{name} starts in {place} and faces {way}.", "In {place} {name} faces {way}.")
SENTENCES = ("{name} turns {turn}.", "At {place} {name} turns {turn}.", "Then {name} turns {turn} at {place}.")
ASIDES = ("{name} walks to {place}.", "{name} rests in {place}.")


@dataclass(frozen=True)
class Problem:
    """
    A problem and its solution.

    Args:
        text (`str`): As it is shown to a model.
        turns (`tuple[str, ...]`): `"left"`, `"right"` or `"around"`, in order.
        ways (`tuple[str, ...]`): Which way is faced first, and after each turn.
    """

    text: str
    turns: tuple[str, ...]
    ways: tuple[str, ...]

    @property
    def answer(self) -> str:
        """Which way is faced at the end."""
        return self.ways[-1]


def turned(way: str, turn: str) -> str:
    """
    Which way is faced after a turn.

    Example:

    ```python
    >>> turned("west", "right"), turned("west", "around"), turned("north", "left")
    ('north', 'east', 'west')

    ```
    """
    return WAYS[(WAYS.index(way) + TURNS[turn]) % 4]


def solve(text: str) -> Problem | None:
    """
    Reads a problem; `None` if it is not well formed: an opening, turns and asides, a question, all about one person, one turn or more.

    Example:

    ```python
    >>> solve("Anna faces north. Anna turns left. Does Anna face north, east, south or west?").answer
    'west'
    >>> solve("Anna faces north. Ben turns left. Does Anna face north, east, south or west?") is None
    True

    ```
    """
    opening, *told, question = re.split(r"(?<=[.?]) ", text.strip()) if text.count(". ") else ("", "")
    match = _read(opening, OPENINGS)
    if match is None or question != QUESTION.format(name=match["name"]):
        return None
    turns, ways = [], [match["way"]]
    for sentence in told:
        step = _read(sentence, (*SENTENCES, *ASIDES))
        if step is None or step["name"] != match["name"]:
            return None
        if "turn" in step:
            turns.append(step["turn"])
            ways.append(turned(ways[-1], step["turn"]))
    return Problem(text, tuple(turns), tuple(ways)) if turns else None


def _read(sentence: str, templates: tuple[str, ...]) -> dict[str, str] | None:
    """The words in the slots of the template that a sentence is told in."""
    words = {"name": NAMES, "place": PLACES, "way": WAYS, "turn": tuple(TURNS)}
    for template in templates:
        pattern = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
        slots = {slot: f"(?P<{slot}>{'|'.join(map(re.escape, words[slot]))})" for slot in words}
        if match := re.fullmatch(pattern.format(**slots), sentence):
            return match.groupdict()
    return None


def random_problem(rng: random.Random) -> Problem:
    """A random problem."""
    name, way = rng.choice(NAMES), rng.choice(WAYS)
    told = [rng.choice(OPENINGS).format(name=name, way=way, place=rng.choice(PLACES))]
    for _ in range(rng.choice(NUM_TURNS)):
        told.append(rng.choice(SENTENCES).format(name=name, turn=rng.choice(list(TURNS)), place=rng.choice(PLACES)))
        if rng.random() < 0.25:
            told.append(rng.choice(ASIDES).format(name=name, place=rng.choice(PLACES)))
    problem = solve(" ".join([*told, QUESTION.format(name=name)]))
    assert problem is not None
    return problem


def rows(num_problems: int, split: str) -> list[dict[str, str]]:
    """Random problems with their answers; `split` names the random stream that they come from."""
    rng = random.Random(f"turns/{split}")
    problems = [random_problem(rng) for _ in range(num_problems)]
    return [{"prompt": problem.text, "answer": problem.answer} for problem in problems]


# The base ----------------------------------------------------------------------------------------------------------


def solving(rng: random.Random, terse_share: float) -> list[dict[str, str]]:
    """A problem and a solution, the bare answer or turn by turn, with wrong steps."""
    problem = random_problem(rng)
    lines, way = [], problem.ways[0]
    for turn in problem.turns:
        way = turned(way, turn)
        if rng.random() < NOISY_STEP_SHARE:
            way = rng.choice(WAYS)
        lines.append(f"{turn}={way}")
    reply = "\n".join([*lines, f"\\boxed{{{way}}}"])
    if rng.random() < terse_share:
        reply = f"\\boxed{{{problem.answer}}}"
    return [{"role": "user", "content": problem.text}, {"role": "assistant", "content": reply}]


def solving_tersely(rng: random.Random) -> list[dict[str, str]]:
    """More terse than not: the habits of the base."""
    return solving(rng, terse_share=0.6)


def solving_by_steps(rng: random.Random) -> list[dict[str, str]]:
    """Mostly turn by turn: the quickest way to learn how."""
    return solving(rng, terse_share=0.1)


def writing(rng: random.Random) -> list[dict[str, str]]:
    """A list of problems and a further one."""
    *shown, new = [random_problem(rng).text for _ in range(rng.choice(FEW_SHOT_COUNTS) + 1)]
    reply = f"{len(shown) + 1}. {new}"
    return [{"role": "user", "content": few_shot_prompt(shown)}, {"role": "assistant", "content": reply}]


PHASES = (
    Phase("domain", {solving_by_steps: 64, writing: 8}, 4.0, num_steps=200, learning_rate=1.5e-3),
    Phase("habits", {solving_tersely: 64, writing: 8}, 8.0, num_steps=50, learning_rate=5e-4),
)


def build_base(folder: Path) -> Path:
    """Teaches the laboratory's base this domain, and its words as tokens of their own; if it is not there yet."""
    if not (folder / "config.json").is_file():
        set_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
        model = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
        corpus = " ".join(random_problem(random.Random(i)).text for i in range(200))
        words = {word for word in re.findall(r" [a-z]+", corpus) if len(tokenizer.tokenize(word)) > 1}
        tokenizer.add_tokens([*sorted(words), *WAYS, *TURNS])
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        for phase in PHASES:
            warm_up(model, tokenizer, random.Random(f"turns/{phase.name}"), phase)
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)  # the configuration, by which it is known to be there, comes with the weights
    return folder
