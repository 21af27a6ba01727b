"""Word problems with an oracle: the laboratory's domain, generated from `grammar.py` and solved by reading the text."""

import functools
import random
import re
from dataclasses import dataclass

from .grammar import ASIDES, NAMES, PLACES, STORIES, Story, Template


MAX_VALUE = 40  # of every total in a generated problem; a table of sums that a tiny model can learn
ASIDE_SHARE = 0.3  # of the generated problems, that contain a sentence without a number
STEP_COUNTS = (1, 2, 2, 3, 3, 4)  # drawn from uniformly


@dataclass(frozen=True)
class Problem:
    """A word problem with the equations that solve it.

    Args:
        text (`str`): The problem as it is shown to a model.
        equations (`tuple[str, ...]`): One equation a step, for example `"17+5=22"`.
        answer (`int`): The result of the last equation.
    """

    text: str
    equations: tuple[str, ...]
    answer: int


class _Ledger:
    """The running total of a story, and the equations that led to it."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.first: int | None = None  # the first person's total, once a second person was compared with the first
        self.equations: list[str] = []

    def apply(self, operation: str, n: int = 0, m: int = 0) -> None:
        """Carries out the operation of one sentence; raises ValueError where it makes no sense at this point."""
        is_opening, is_question = operation in ("n", "n*m"), operation in ("=", "sum")
        if is_opening != (self.total is None) or (self.first is not None and not is_question):
            raise ValueError(f"{operation} does not fit here")
        if is_opening:
            self.total = n if operation == "n" else self._calculated(n, "*", m)
            return
        if operation == "sum":
            self.total = self._calculated(self.first, "+", self.total)
        elif operation != "=":
            if operation.startswith("?"):
                self.first = self.total
            self.total = self._calculated(self.total, operation.lstrip("?")[0], n)

    def _calculated(self, left: int | None, sign: str, right: int | None) -> int:
        if (
            left is None
            or right is None
            or (sign == "-" and right > left)
            or (sign == "/" and (not right or left % right))
        ):
            raise ValueError(f"{left}{sign}{right} is not a natural number")
        result = {"+": left + right, "-": left - right, "*": left * right, "/": left // (right or 1)}[sign]
        self.equations.append(f"{left}{sign}{right}={result}")
        return result


# Generation --------------------------------------------------------------------------------------------------------


def random_problem(rng: random.Random, num_steps: int | None = None) -> Problem:
    """A random well-formed problem that takes `num_steps` equations (1 to 4; drawn if `None`).

    Example:

    ```python
    >>> len(random_problem(random.Random(0), num_steps=2).equations)
    2

    ```
    """
    num_steps = num_steps or rng.choice(STEP_COUNTS)
    while True:
        try:
            problem = _attempt(rng, num_steps)
        except ValueError:  # the numbers drawn do not work out
            continue
        if len(problem.equations) == num_steps:
            return problem


def _attempt(rng: random.Random, num_steps: int) -> Problem:
    story = rng.choice(list(STORIES.values()))
    slots = dict(zip("AB", rng.sample(NAMES, 2), strict=True), obj=rng.choice(story.objects))
    opening, question = rng.choice(story.openings), rng.choice(story.questions)
    num_changes = num_steps - (opening.operation == "n*m") - (question.operation == "sum")
    comparisons = [change for change in story.changes if change.operation.startswith("?")]
    changes = [change for change in story.changes if change not in comparisons]
    num_comparisons = int(bool(comparisons))
    if num_changes < num_comparisons:
        raise ValueError(f"no room for {num_comparisons} comparison in {num_steps} steps")
    told = [opening, *rng.sample(changes, num_changes - num_comparisons)]
    told += rng.sample(comparisons, num_comparisons)
    ledger, sentences = _Ledger(), []
    for template in [*told, question]:
        numbers = _random_numbers(template.operation, ledger.total or 0, rng)
        ledger.apply(template.operation, **numbers)
        if not 1 <= (ledger.total or 0) <= MAX_VALUE:
            raise ValueError(f"{ledger.total} is out of range")
        sentences.append(template.text.format(**slots, **numbers, place=rng.choice(PLACES)))
    if rng.random() < ASIDE_SHARE:
        sentences.insert(rng.randrange(len(sentences)), rng.choice(ASIDES).format(**slots, place=rng.choice(PLACES)))
    return Problem(" ".join(sentences), tuple(ledger.equations), ledger.total or 0)


def _random_numbers(operation: str, total: int, rng: random.Random) -> dict[str, int]:
    match operation.lstrip("?"):
        case "n":
            return {"n": rng.randint(4, 25)}
        case "n*m":
            return {"n": rng.randint(2, 6), "m": rng.randint(2, 6)}
        case "*n":
            return {"n": rng.randint(2, 4)}
        case "/n":
            return {"n": rng.choice([d for d in range(2, 6) if total % d == 0] or [0])}
        case "+n" | "-n":
            return {"n": rng.randint(2, 9)}
    return {}


# The oracle --------------------------------------------------------------------------------------------------------

_SLOTS = {"n": r"\d{1,4}", "m": r"\d{1,4}", "A": "|".join(NAMES), "B": "|".join(NAMES), "place": "|".join(PLACES)}


def solve(text: str) -> Problem | None:
    """Solves a problem text, or returns `None` if it is not well formed.

    Well formed is a text that one story shape explains sentence by sentence: an opening, changes, one question at the
    end; the same main person and the same counted thing throughout; at least one step; every total a natural number.

    Example:

    ```python
    >>> solve("Anna has 17 marbles. Ben gives Anna 5 more. How many marbles does Anna have now?").equations
    ('17+5=22',)
    >>> solve("Anna has 17 marbles. How many stamps does Anna have now?") is None
    True

    ```
    """
    sentences = re.split(r"(?<=[.?]) ", text.strip())
    sentences = [s for s in sentences if not any(_pattern(aside, ()).fullmatch(s) for aside in ASIDES)]
    for story in STORIES.values():
        equations = _equations(sentences, story)
        if equations:
            return Problem(text, tuple(equations), int(equations[-1].rpartition("=")[2]))
    return None


def _equations(sentences: list[str], story: Story) -> list[str]:
    """The equations of a text told in this story shape; empty where it is not one."""
    ledger, slots = _Ledger(), dict[str, str]()
    for i, sentence in enumerate(sentences):
        parts = story.questions if i == len(sentences) - 1 else story.changes if i else story.openings
        try:
            if not any(_is_told(sentence, template, story, slots, ledger) for template in parts):
                return []
        except ValueError:
            return []
    return ledger.equations


def _is_told(sentence: str, template: Template, story: Story, slots: dict[str, str], ledger: _Ledger) -> bool:
    match = _pattern(template.text, story.objects).fullmatch(sentence)
    if match is None:
        return False
    found = match.groupdict()
    people = {**{k: v for k, v in slots.items() if k in "AB"}, **{k: v for k, v in found.items() if k in "AB"}}
    fixed = {k: v for k, v in found.items() if k in ("A", "obj") or (k == "B" and template.operation[0] in "?=s")}
    if len(set(people.values())) < len(people) or any(slots.get(k, v) != v for k, v in fixed.items()):
        return False
    ledger.apply(template.operation, **{k: int(v) for k, v in found.items() if k in ("n", "m")})
    slots.update(fixed)
    return True


@functools.cache
def _pattern(template: str, objects: tuple[str, ...]) -> re.Pattern[str]:
    """The regular expression of a template; a slot that comes twice must be filled twice with the same word."""
    alternatives = _SLOTS | {"obj": "|".join(objects)}
    pattern, seen = "", set()
    for i, part in enumerate(re.split(r"\{(\w+)\}", template)):
        if i % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            pattern += f"(?P<{part}>{alternatives[part]})"
            seen.add(part)
    return re.compile(pattern)
