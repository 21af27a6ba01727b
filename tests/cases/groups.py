r"""Groups of completions whose partition into equal answers is known by construction, as many models would write them.

A completion is reasoning (with other numbers, boxes and letters in it), a conclusion that gives one spelling of its
value, and perhaps a closing remark; or it is one of the many ways not to answer.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from types import ModuleType
from typing import NamedTuple

import more_templates
import templates
from expressions import CATEGORIES, MATH, NUMBER, hostile, text_value
from values import Value, integer


class Group(NamedTuple):
    answer_type: str
    completions: list[str]
    labels: list[int | None]  # class per completion, None for no answer
    winners: frozenset[int]  # indices of the completions in the winning class; empty if there is none
    kind: str


def filled(rng: random.Random, template: str) -> str:
    a, b, c, d = (rng.randint(2, 60) for _ in range(4))
    names = {"a": a, "b": b, "c": c, "d": d, "s": a + b, "p": a * b, "L": rng.choice("ABCDE")}
    return re.sub(r"\{([abcdspL])\}", lambda name: str(names[name[1]]), template).replace("{{", "{").replace("}}", "}")


def reasoning(rng: random.Random, style: ModuleType, answer_type: str, wrong: list[str]) -> str:
    """A few steps; `wrong` are first guesses that are then taken back."""
    pool = {"choice": style.CHOICE_REASONING, "text": style.TEXT_REASONING}.get(answer_type, style.MATH_REASONING)
    parts = rng.sample(pool, rng.choice([0, 1, 1, 2, 2, 3]) or (not wrong))
    if wrong and rng.random() < 0.15:
        parts.append(rng.choice(wrong))
    text = "\n\n".join(filled(rng, part) for part in parts)
    return f"<think>\n{text}\n</think>" if text and wrong and rng.random() < 0.1 else text


def conclusion(rng: random.Random, style: ModuleType, answer_type: str, value: Value, is_bare: bool) -> str:
    if answer_type == "choice":
        is_lower = rng.random() < 0.1
        letter = str(value.key).lower() if is_lower else str(value.key)
        return rng.choice(style.LOWER_CHOICE if is_lower else style.CHOICE).replace("@", letter)
    if is_bare:
        return r"\boxed{@}".replace("@", value.shortest)
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(style.BOXED).replace("@", rng.choice(value.latex))
    if kind < 0.65 and answer_type != "text":
        return rng.choice(style.IN_MATH).replace("@", rng.choice(value.latex).rstrip("."))
    if kind < 0.72 and answer_type != "text":
        return sentence(rng, style, value)
    form = rng.choice(value.plain)
    # in these languages 96,000 is 96
    has_thousands = re.search(r"\d,\d{3}", form) is not None
    sentences = style.LANGUAGES if kind > 0.96 and not has_thousands else style.PLAIN
    return rng.choice([t for t in sentences if "**" not in t or "*" not in form]).replace("@", form).replace("..", ".")


def sentence(rng: random.Random, style: ModuleType, value: Value) -> str:
    """A conclusion that gives the value without calling it the answer, or a list of boxes."""
    if isinstance(value.key, Fraction) and rng.random() < 0.5:
        return rng.choice(style.SENTENCES).replace("@", rng.choice([form for form in value.plain if "=" not in form]))
    if isinstance(value.key, tuple) and value.key[0] == "set" and len(value.key[1]) == 2:
        a, b = map(str, sorted(value.key[1]))
        return rng.choice(style.BOX_LISTS).replace("A", a).replace("B", b)
    forms = [
        form.rstrip(".") for form in value.latex if not re.search(r"=|[<>]|\\in|\\[lg]e|text|[A-Za-z]{3,} ", form)
    ]
    return rng.choice(style.MATH_SENTENCES).replace("@", rng.choice(forms or [value.shortest]))


def cut_box(rng: random.Random, style: ModuleType) -> str:
    """A conclusion that ends before its box does."""
    answer = rng.choice(["12", r"\frac{1}{2}", r"\text{Paris}", r"2\sqrt{3}", "(1, 2)", r"\text{(B)}", "B", "x = 5"])
    start = rng.choice([text for text in style.BOXED if text.count("box") == 1]).partition("@")[0]
    return (start + answer)[: rng.randint(start.index("box") + 3, len(start + answer))]


def completion(
    rng: random.Random, style: ModuleType, answer_type: str, value: Value | None, is_bare: bool = False
) -> str:
    if value is not None:
        end = conclusion(rng, style, answer_type, value, is_bare)
        is_said = r"\boxed" in end or "nswer is" in end
        closing = rng.choice(style.SAID_CLOSING if is_said else style.CLOSING)
        wrong = {"choice": style.WRONG_CHOICE, "text": style.WRONG_TEXT}.get(answer_type, style.WRONG_MATH)
        # The last box wins, so a box that is taken back needs another after it.
        start = reasoning(
            rng, style, answer_type, wrong if "box" in end else [text for text in wrong if "box" not in text]
        )
        return f"{start}{rng.choice([chr(10), chr(10) * 2]) if start else ''}{end}{closing}"
    kind = rng.random()
    if kind < 0.4:
        return filled(rng, rng.choice(style.NO_ANSWER))
    start = reasoning(rng, style, answer_type, wrong=[])
    if kind < 0.6:
        return f"{start}\n\n{cut_box(rng, style)}"
    return f"{start}{rng.choice([' ', chr(10), chr(10) * 2])}{filled(rng, rng.choice(style.CUT))}"


def values(rng: random.Random, answer_type: str, num_classes: int) -> list[Value]:
    """Different values, most of one family, as wrong answers to one problem look alike."""
    if answer_type == "choice":
        return [
            Value(letter, [letter], [letter])
            for letter in rng.sample(rng.choice(["ABCD", "ABCDE", "ABCDEFGHIJ"]), min(num_classes, 4))
        ]
    if answer_type == "text":
        category = rng.choice(CATEGORIES)
        return [text_value(rng, phrase) for phrase in rng.sample(category, min(num_classes, len(category)))]
    if answer_type == "math" and num_classes and rng.random() < 0.2:
        return hostile(rng, num_classes)
    family = rng.choice(MATH if answer_type == "math" else NUMBER)
    found: dict[object, Value] = {}
    while len(found) < num_classes:
        value = (integer if rng.random() < 0.15 else family)(rng)
        found.setdefault(value.key, value)
    return list(found.values())


# Sizes of the classes, of 16; the rest give no answer.
SHAPES: dict[str, list[list[int]]] = {
    "clear": [[9, 3, 2], [10, 2, 1, 1], [8, 4, 2], [12, 2], [7, 3, 2, 1, 1], [11, 3, 1, 1]],
    "close": [[6, 5, 4], [7, 6, 3], [5, 4, 3, 2, 1], [8, 7], [6, 5, 3, 2]],
    "scattered": [[3, 2, 2, 1, 1, 1, 1, 1], [4, 2, 1, 1, 1, 1], [2, 1, 1, 1, 1]],
    "unanimous": [[16], [16], [15], [13]],
    "tie": [[8, 8], [5, 5, 3], [4, 4, 4], [6, 6, 2], [7, 7], [5, 5]],
    "lonely": [[1], [2], [1, 1], [3]],
    "none": [[]],
}
WEIGHTS = {"clear": 30, "close": 22, "scattered": 10, "unanimous": 10, "tie": 16, "lonely": 6, "none": 6}


def is_decidable(sizes: list[int], chosen: list[Value], answer_type: str) -> bool:
    """Whether a tie is settled whatever mark-up an extractor keeps: lengths differ clearly, or are surely the same."""
    tied = [value for size, value in zip(sizes, chosen, strict=True) if size == max(sizes)]
    lengths = sorted(len(value.shortest) for value in tied)
    is_plain = answer_type in {"choice", "text"} or all(value.shortest.isdigit() for value in tied)
    is_settled = all(value.is_settled for value in tied)
    return len(tied) < 2 or is_plain or (is_settled and lengths[1] - lengths[0] >= 3)


def vote_group(rng: random.Random, answer_type: str, size: int) -> Group:
    kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    style = rng.choice([templates, more_templates])
    while True:
        sizes = [max(1, n * size // 16) for n in rng.choice(SHAPES[kind])]
        chosen = values(rng, answer_type, len(sizes))
        sizes = sizes[: len(chosen)]
        if not sizes or is_decidable(sizes, chosen, answer_type):
            break
    slots: list[int | None] = [i for i, n in enumerate(sizes) for _ in range(n)]
    slots += [None] * (size - len(slots))
    rng.shuffle(slots)
    seen: Counter[int] = Counter()
    completions = []
    for slot in slots:
        # Once in each class the shortest spelling is boxed, so that the length of its representative is known.
        is_bare = slot is not None and seen[slot] == 0
        seen.update([] if slot is None else [slot])
        completions.append(completion(rng, style, answer_type, None if slot is None else chosen[slot], is_bare))
    ids: dict[int, int] = {}
    labels = [None if slot is None else ids.setdefault(slot, len(ids)) for slot in slots]
    winner = min(ids, key=lambda slot: (-sizes[slot], len(chosen[slot].shortest), ids[slot])) if ids else None
    winners = frozenset(i for i, slot in enumerate(slots) if slot is not None and slot == winner)
    return Group(answer_type, completions, labels, winners, kind)


TYPES = {"math": 45, "choice": 25, "text": 18, "number": 12}


def vote_groups(seed: int, num_groups: int = 80, size: int = 16) -> Iterator[Group]:
    """Groups in the proportions of TYPES and WEIGHTS; the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(num_groups):
        yield vote_group(rng, rng.choices(list(TYPES), list(TYPES.values()))[0], size)
