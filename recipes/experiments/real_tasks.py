"""The tasks that pre-trained models are measured and trained on: prompts without answers, held-out problems, and how they are asked.

SVAMP, GSM8K and MATH are read from a folder (`--data_dir`) with `svamp_test.jsonl`, `gsm8k_test.jsonl`, `math_seed_500.jsonl` and
`math_500.jsonl`, each line with `problem` and `answer`. Sums, products and odd words are made here.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from serl_trl.prompts import PROMPT_FIELDS, PromptTemplate
from serl_trl.runtime import read_rows


Rows = list[dict[str, str]]
NUM_SEEDS, NUM_HELD_OUT = 200, 256
BOXED = "Put the answer in \\boxed{}."

# What belongs together; the words of two groups differ, so that one alone does not belong.
GROUPS = {
    "animals": "dog cat horse cow sheep goat rabbit lion tiger bear wolf fox monkey elephant mouse pig",
    "fruits": "apple pear plum banana grape cherry peach mango lemon melon fig apricot",
    "colours": "red blue green yellow purple brown black white pink grey",
    "tools": "hammer saw drill wrench screwdriver chisel pliers axe shovel rake",
    "countries": "France Spain Italy Germany Japan China Brazil Egypt India Canada Mexico Norway",
    "furniture": "chair table sofa bed desk shelf bench wardrobe stool cupboard",
    "vehicles": "car bus train truck bicycle plane boat tram van motorcycle",
    "clothes": "shirt coat hat sock glove scarf skirt jacket shoe sweater",
    "instruments": "piano violin guitar flute drum trumpet cello harp clarinet trombone",
    "body": "arm leg hand foot knee nose ear mouth finger elbow shoulder",
    "months": "January March April May June July August October November December",
    "metals": "iron gold silver copper zinc tin lead nickel aluminium",
}
PRODUCT_FORMS = ("What is {}?", "Multiply {}.", "How much is {}?", "Compute {}.", "Find the product {}.")
SUM_FORMS = ("What is {}?", "Add {}.", "How much is {}?", "Compute {}.", "Find the sum {}.")


@dataclass(frozen=True)
class Task:
    """
    A kind of problem.

    Args:
        name (`str`): What tables call it.
        seeds (`list`): Problems with answers, of which training sees the problems alone.
        held_out (`list`): Others, which training never sees.
        template ([`PromptTemplate`]): How they are asked.
        answer_type (`str`): How answers are compared.
        max_new_tokens (`int`): Longest completion.
    """

    name: str
    seeds: Rows
    held_out: Rows
    template: PromptTemplate
    answer_type: str
    max_new_tokens: int


def worked(*pairs: tuple[str, str], system: str = BOXED) -> PromptTemplate:
    """A template of a system text and worked examples."""
    return PromptTemplate(
        system=system, examples=[{"instruction": asked, "response": reply} for asked, reply in pairs]
    )


def halves(rows: Rows) -> tuple[Rows, Rows]:
    """Seeds and held-out problems, in an order that depends on nothing."""
    rows = random.Random(0).sample(rows, len(rows))
    return rows[:NUM_SEEDS], rows[NUM_SEEDS : NUM_SEEDS + NUM_HELD_OUT]


def from_file(path: Path) -> Rows:
    """Problems with answers. SVAMP writes whole numbers as floats, which models do not."""
    rows = read_rows(path, PROMPT_FIELDS)
    return [{"problem": row["problem"], "answer": row["answer"].removesuffix(".0")} for row in rows]


def sums(num_terms: int) -> Rows:
    """Sums of numbers from 5 to 49, no two of the same terms."""
    rng = random.Random(num_terms)
    found: dict[tuple[int, ...], dict[str, str]] = {}
    while len(found) < NUM_SEEDS + NUM_HELD_OUT:
        terms = [rng.randrange(5, 50) for _ in range(num_terms)]
        asked = SUM_FORMS[len(found) % len(SUM_FORMS)].format(" + ".join(map(str, terms)))
        found.setdefault(tuple(sorted(terms)), {"problem": asked, "answer": str(sum(terms))})
    return list(found.values())


def products() -> Rows:
    """Products of two numbers from 11 to 99, no two of the same factors."""
    rng = random.Random(0)
    found: dict[tuple[int, int], dict[str, str]] = {}
    while len(found) < NUM_SEEDS + NUM_HELD_OUT:
        first, second = (rng.randrange(11, 100) for _ in range(2))
        asked = PRODUCT_FORMS[len(found) % len(PRODUCT_FORMS)].format(f"{first} * {second}")
        kind = (min(first, second), max(first, second))
        found.setdefault(kind, {"problem": asked, "answer": str(first * second)})
    return list(found.values())


def odd_words() -> Rows:
    """Four words of which one is of another kind."""
    rng = random.Random(0)
    found: dict[str, dict[str, str]] = {}
    while len(found) < NUM_SEEDS + NUM_HELD_OUT:
        group, other = rng.sample(sorted(GROUPS), 2)
        odd = rng.choice(GROUPS[other].split())
        words = [*rng.sample(GROUPS[group].split(), 3), odd]
        rng.shuffle(words)
        asked = f"Which word does not belong: {', '.join(words)}?"
        found.setdefault(asked, {"problem": asked, "answer": odd})
    return list(found.values())


ARITHMETIC = worked(("What is 14 + 9?", "14 + 9 = 23. \\boxed{23}"), ("Add 31 + 46.", "31 + 46 = 77. \\boxed{77}"))
THREE_TERMS = worked(
    ("What is 14 + 9 + 20?", "14 + 9 = 23, 23 + 20 = 43. \\boxed{43}"),
    ("Add 31 + 46 + 8.", "31 + 46 = 77, 77 + 8 = 85. \\boxed{85}"),
)
PRODUCT = worked(system="Answer in one line, like this: 12 * 23 = 276. \\boxed{276}")
PRODUCT_IN_A_CHAT = worked(("What is 12 * 23?", "12 * 23 = 276. \\boxed{276}"))
ONE_STEP = worked(
    ("Tom has 14 pens. He buys 9 more. How many pens has he now?", "14 + 9 = 23. \\boxed{23}"),
    ("A box holds 6 eggs. How many eggs are in 7 boxes?", "6 * 7 = 42. \\boxed{42}"),
    system="Solve in short equations. " + BOXED,
)
STEPS = worked(
    (
        "Tom has 14 pens and buys 2 packs of 6. He gives away 5. How many pens has he now?",
        "2 * 6 = 12. 14 + 12 = 26. 26 - 5 = 21. \\boxed{21}",
    ),
    (
        "A book costs $8 and a pen half of it. What do 3 of each cost?",
        "8 / 2 = 4. 8 + 4 = 12. 3 * 12 = 36. \\boxed{36}",
    ),
    system="Solve in short equations. " + BOXED,
)
MATH = worked(
    ("Solve $3x + 5 = 20$ for $x$.", "$3x = 15$, so $x = 5$. \\boxed{5}"),
    ("What is the area of a square with diagonal $6$?", "The area is $6^2 / 2 = 18$. \\boxed{18}"),
    system="Solve briefly. " + BOXED,
)
ODD = worked(
    ("Which word does not belong: oak, rose, pine, birch?", "oak, pine and birch are trees. \\boxed{rose}"),
    ("Which word does not belong: cup, milk, tea, juice?", "milk, tea and juice are drinks. \\boxed{cup}"),
)


def _of_files(
    name: str, seeds: str, held_out: str, template: PromptTemplate, max_new_tokens: int, data_dir: Path
) -> Task:
    first, second = from_file(data_dir / seeds), from_file(data_dir / held_out)
    split = halves(first) if seeds == held_out else (halves(first)[0], random.Random(0).sample(second, NUM_HELD_OUT))
    return Task(name, *split, template, "math", max_new_tokens)


def _made(name: str, rows: Callable[[], Rows], template: PromptTemplate, answer_type: str, data_dir: Path) -> Task:
    return Task(name, *halves(rows()), template, answer_type, 32)


TASKS: dict[str, Callable[[Path], Task]] = {
    "sums of two": partial(_made, "sums of two", partial(sums, 2), ARITHMETIC, "math"),
    "sums of three": partial(_made, "sums of three", partial(sums, 3), THREE_TERMS, "math"),
    "products": partial(_made, "products", products, PRODUCT, "math"),
    "products, worked example": partial(_made, "products, worked example", products, PRODUCT_IN_A_CHAT, "math"),
    "odd word": partial(_made, "odd word", odd_words, ODD, "text"),
    "svamp": partial(_of_files, "svamp", "svamp_test.jsonl", "svamp_test.jsonl", ONE_STEP, 48),
    "gsm8k": partial(_of_files, "gsm8k", "gsm8k_test.jsonl", "gsm8k_test.jsonl", STEPS, 80),
    "math": partial(_of_files, "math", "math_seed_500.jsonl", "math_500.jsonl", MATH, 80),
}


def write_task(task: Task, folder: Path) -> dict[str, Path]:
    """Writes a task's seeds (without answers), labelled seeds, held-out problems and template; their paths by name."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "seeds": [{"problem": row["problem"]} for row in task.seeds],
        "labelled": task.seeds,
        "held_out": task.held_out,
    }
    paths = {}
    for name, rows in files.items():
        paths[name] = folder / f"{name}.jsonl"
        paths[name].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    template = {"system": task.template.system, "user": task.template.user, "examples": task.template.examples}
    paths["template"] = folder / "template.yaml"
    paths["template"].write_text(
        json.dumps(template | {"continues_list": True}, indent=1), encoding="utf-8"
    )  # JSON is YAML
    return paths
