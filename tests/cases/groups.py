r"""Groups of completions whose partition into equal answers is known by construction, as many models would write them.

A completion is reasoning (with other numbers, boxes and letters in it), a conclusion that gives one spelling of its
value, and perhaps a closing remark; or it is one of the many ways not to answer.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from values import CATEGORIES, MATH, NUMBER, Value, integer, text_value


class Group(NamedTuple):
    answer_type: str
    completions: list[str]
    labels: list[int | None]  # class per completion, None for no answer
    winners: frozenset[int]  # indices of the completions in the winning class; empty if there is none
    kind: str


BOXED = [r"\boxed{@}", r"$\boxed{@}$", r"$$\boxed{@}$$", "\\[\n\\boxed{@}\n\\]", r"The answer is $\boxed{@}$.", r"Therefore, the final answer is \boxed{@}.", r"So the answer is \(\boxed{@}\).", r"**Final Answer:** $\boxed{@}$", "### Final Answer\n\n$$\n\\boxed{@}\n$$", r"The final answer is: $\boxed{@}$", r"Thus we get $\boxed{@}$", r"Hence, $\boxed{@}$ is what we need.", r"Final Answer: The final answer is $\boxed{@}$. I hope it is correct.", r"\fbox{@}", r"\boxed{ @ }", r"#### $\boxed{@}$", "Putting it together:\n\\begin{align*}\n&= \\boxed{@}\n\\end{align*}", r"\[ \boxed{@} \]", r"<answer>\boxed{@}</answer>", r"\boxed{\boxed{@}}", "$\\boxed{@}.$"]  # fmt: skip
IN_MATH = [r"The answer is $@$.", r"The answer is \(@\).", "The answer is\n$$@$$", "The answer is:\n\\[\n@\n\\]", r"**Answer:** $@$", r"Final answer: $@$", r"#### $@$", r"Therefore, the answer is $@$.", "**Final Answer**\n\n$@$", r"So the final answer is $@$.", "The answer is $\n@\n$."]  # fmt: skip
PLAIN = ["The answer is @.", "The answer is @", "The answer is: @", "Answer: @", "**Answer:** @", "**Answer: @**", "#### @", "Final answer: @", "Final Answer: @", "So the answer is @.", "Therefore, the answer is @.", "Thus the final answer is @.", "The correct answer is @.", "FINAL ANSWER: @", "### Answer\n@", "**Final Answer**\n\n@", "The final answer is: @", "Hence the answer is @.", "<answer>@</answer>", "The answer is\n\n@", "My answer is @.", "The answer would be @.", "Answer: @."]  # fmt: skip
CHOICE = ["The answer is (@).", "The answer is @.", "Answer: @", "**Answer: (@)**", "**Answer:** @", "Answer - @", "Answer: (@)", "Answer: @)", "The correct option is (@)", "Hence the correct option is (@).", "The correct choice is @.", "The correct answer is option @.", "So the correct answer is **@**.", "Option @ is correct.", "(@) is the correct answer.", "@ is the correct answer.", "Final answer: @", "Final Answer: (@)", "#### @", "#### (@)", r"\boxed{@}", r"$\boxed{\text{@}}$", r"\boxed{\textbf{(@)}}", r"$\boxed{\text{(@)}}$", r"The final answer is $\boxed{@}$.", r"\boxed{(@)}", r"\boxed{@. 42}", r"\boxed{\mathrm{@}}", r"\boxed{\text{@) 17}}", "**@**", "**@) 42**", "(@)", "@", "@.", "The answer is **@**.", "Therefore, the answer is (@) 42.", "So I would choose option @.", "The best answer is @.", "The correct answer is @: the second one.", "<answer>@</answer>", "The answer is $@$.", r"The answer is $\text{@}$.", "Therefore, option @.", "ANSWER: @", "I'll go with @.", "The correct choice is therefore (@).", "The answer is @, because the others fail.", "The answer is:\n\n**@**", "Correct answer: @"]  # fmt: skip
LOWER_CHOICE = ["the correct choice is @", "The answer is (@).", "Answer: @", "The correct option is @)", r"\boxed{@}"]

MATH_REASONING = ["Let us call the unknown $x$. From the first condition, $2x + {a} = {b}$, and from the second $x^2 = {c}$.", "First, {a} + {b} = {s}. Then we multiply by {c} and compare.", "**Step 1:** There are {a} boxes with {b} pens each.\n**Step 2:** Some {c} of them are lost.", "1. Note that ${a} < {b}$.\n2. Divide both sides by ${c}$.\n3. Simplify.", "By the formula, the numerator is {a} and the denominator is {b}; {c} more is added later.", "We try ${a}$: too small. We try ${b}$: too large.", "Given: {a}, {b} and {c}. We are asked for one value.", "\\begin{align*}\nA &= {a} + {b} \\\\\n  &= {s}\n\\end{align*}\nThis is only the first part.", "The question mentions {a} days, of which {b} are not needed.", "| day | sold |\n|---|---|\n| 1 | {a} |\n| 2 | {b} |\n\nWe continue from this table.", "He buys {a} * {b} = <<{a}*{b}={p}>>{p} tiles and breaks {c}.", "Let me think about this. With {a} and {b}, the ratio is ${a}:{b}$.", "```python\na = {a}\nb = {b}\n```\nRunning this helps us.", "Recall that $\\sqrt{{{a}}}$ is positive, and that ${b} = {c} + {d}$."]  # fmt: skip
CHOICE_REASONING = ["Let us look at the options. (A) is too small, (B) is too large, and (C) has the wrong sign; we compare all of them.", "Option A says that it grows. Option B says that it shrinks. One of them fails.", "A. This is about plants.\nB. This is about rocks.\nC. This is about stars.\nD. This is about fish.", "I considered A and D first, since both mention water.", "If it were (E), the sum would be {a}, which is impossible.", "A lot of heat is lost here. I compute {a} + {b} = {s}.", "Statement I is true, statement II is false.", "We can rule out B at once. A and C need some care."]  # fmt: skip
TEXT_REASONING = ["Let us recall what is known. This was settled in {a} years.", "Many people think of something else at first, but the facts say otherwise.", "There are {a} candidates. We compare them one by one.", "**Step 1:** Read the question.\n**Step 2:** Recall the facts.", "It is a well-known fact from school."]  # fmt: skip
WRONG_MATH = ["At first I thought the answer is {a}. Wait, that is not right.", r"One might say $\boxed{{{a}}}$, but that forgets a case. Let me redo this.", "The answer is {a}? No, I mixed up the signs.", "My first guess was {a}, which is wrong.", r"We get \boxed{{{a}}} for the first part. Now the second part."]  # fmt: skip
WRONG_CHOICE = [
    "At first I thought the answer is {L}. Wait, that is not right.",
    r"One might say $\boxed{{{L}}}$, but let me check again.",
    "The answer is not {L}.",
]
WRONG_TEXT = ["At first I thought of something else. Wait, that is not right.", "My first guess was wrong."]
CLOSING = ["", "", "", "", "", "", "", "\n", "\n\nLet me know if you need more!", "\n\nI hope this helps.", "\n\nI hope it is correct.", "<|im_end|>", "\n\nThis is the final answer."]  # fmt: skip
SAID_CLOSING = [*CLOSING[:9], "\n\nLet me know if you have any other question.", "\n\nTo check, we go back to the first line. It fits, as"]  # fmt: skip
NO_ANSWER = ["", " ", "\n", "I do not know.", "I'm sorry, but I cannot solve this problem.", "I am not sure how to solve this, I tried {a} ways.", "As an AI, I cannot see the figure.", "The answer is", "Answer:", r"The answer is \boxed{{", r"\boxed{{}}", "...", "Let me think step by step.", "The problem cannot be understood as it is written.", "I cannot answer this.", "<think>\nLet us see. {a} and {b} make {s}, but then the", "Sorry, I ran out of ideas after {a} attempts."]  # fmt: skip
CUT = ["Then we take {a} and", "Next, {a} + {b} =", "So we have to find the", "Now, since {a} is smaller than {b}, the", "Step 4:", "Therefore, the", "Thus, we need to compute {a} *", r"Hence $x = \frac{{{a}}}{{", r"which gives \boxed{{{a}", r"The final answer is $\boxed{{\text{{", "Finally, the", "This means that", "and so the value of"]  # fmt: skip


def filled(rng: random.Random, template: str) -> str:
    a, b, c, d = (rng.randint(2, 60) for _ in range(4))
    names = {"a": a, "b": b, "c": c, "d": d, "s": a + b, "p": a * b, "L": rng.choice("ABCDE")}
    return re.sub(r"\{([abcdspL])\}", lambda name: str(names[name[1]]), template).replace("{{", "{").replace("}}", "}")


def reasoning(rng: random.Random, answer_type: str, wrong: list[str]) -> str:
    """A few steps; `wrong` are first guesses that are then taken back."""
    pool = {"choice": CHOICE_REASONING, "text": TEXT_REASONING}.get(answer_type, MATH_REASONING)
    parts = rng.sample(pool, rng.choice([0, 1, 1, 2, 2, 3]) or (not wrong))
    if wrong and rng.random() < 0.15:
        parts.append(rng.choice(wrong))
    text = "\n\n".join(filled(rng, part) for part in parts)
    return f"<think>\n{text}\n</think>" if text and wrong and rng.random() < 0.1 else text


def conclusion(rng: random.Random, answer_type: str, value: Value, is_bare: bool) -> str:
    if answer_type == "choice":
        is_lower = rng.random() < 0.1
        letter = value.key.lower() if is_lower else value.key
        return rng.choice(LOWER_CHOICE if is_lower else CHOICE).replace("@", letter)
    if is_bare:
        return r"\boxed{@}".replace("@", value.shortest)
    kind = rng.random()
    if kind < 0.55:
        return rng.choice(BOXED).replace("@", rng.choice(value.latex))
    if kind < 0.7 and answer_type != "text":
        return rng.choice(IN_MATH).replace("@", rng.choice(value.latex).rstrip("."))
    form = rng.choice(value.plain)
    return rng.choice([t for t in PLAIN if "**" not in t or "*" not in form]).replace("@", form)


def completion(rng: random.Random, answer_type: str, value: Value | None, is_bare: bool = False) -> str:
    if value is not None:
        end = conclusion(rng, answer_type, value, is_bare)
        is_said = r"\boxed" in end or "nswer is" in end
        closing = rng.choice(SAID_CLOSING if is_said else CLOSING)
        wrong = {"choice": WRONG_CHOICE, "text": WRONG_TEXT}.get(answer_type, WRONG_MATH)
        # The last box wins, so a box that is taken back needs another after it.
        start = reasoning(rng, answer_type, wrong if "box" in end else [text for text in wrong if "box" not in text])
        return f"{start}{rng.choice([chr(10), chr(10) * 2]) if start else ''}{end}{closing}"
    if rng.random() < 0.5:
        return filled(rng, rng.choice(NO_ANSWER))
    start = reasoning(rng, answer_type, wrong=[])
    return f"{start}{rng.choice([' ', chr(10), chr(10) * 2])}{filled(rng, rng.choice(CUT))}"


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
    family = rng.choice(MATH if answer_type == "math" else NUMBER)
    found: dict[object, Value] = {}
    while len(found) < num_classes:
        value = (integer if rng.random() < 0.15 else family)(rng)
        found.setdefault(value.key, value)
    return list(found.values())


# Sizes of the classes, of 16; the rest give no answer.
SHAPES = {
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
    kind = rng.choices(list(WEIGHTS), WEIGHTS.values())[0]
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
        completions.append(completion(rng, answer_type, None if slot is None else chosen[slot], is_bare))
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
        yield vote_group(rng, rng.choices(list(TYPES), TYPES.values())[0], size)
