"""What a page shows of texts from a model: instructions with their votes, completions with the answer that is read."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from markupsafe import Markup

from ..answers import ANSWER_TYPES, find_answer
from ..prompts import instruction_text
from ..types import Completion, Prompt, completion_text
from ..voting import is_in_band
from .run_folder import RunFolder, evenly, is_number, rejection_of


MAX_INSTRUCTIONS = 300
MAX_PROBLEMS = 10  # on held-out problems
MAX_STEPS, MAX_GROUPS, MAX_COMPLETIONS = 3, 2, 4  # of the training: tables, prompts of each, completions of each
MAX_TEXT_CHARS, MAX_PARENT_CHARS, MAX_COMPLETION_CHARS = 600, 160, 3000


def instruction_rows(folder: RunFolder) -> dict[str, Any]:
    """The table of instructions: at most 300, spread evenly over all that was written."""
    total = sum(iteration.num_written for iteration in folder.iterations)
    if not total:
        return {"title": "There are no instructions to show", "missing": "No file in instructions/ has any."}
    chosen, rows = set(evenly(range(total), MAX_INSTRUCTIONS)), []
    for place, (iteration, row) in enumerate(folder.instructions()):
        if place not in chosen:
            continue
        rejection = rejection_of(row)
        share = row.get("vote_share")
        parents = row.get("parents")
        rows.append(
            {
                "number": place + 1,
                "iteration": iteration,
                "text": shortened(row["text"], MAX_TEXT_CHARS),
                "share": share if is_number(share) else None,
                "answer": None if row.get("vote_answer") is None else shortened(str(row["vote_answer"]), 80),
                "fate": _fate(rejection, share, folder.band),
                "reason": None if rejection is None else shortened(rejection[1].replace("_", " "), MAX_PARENT_CHARS),
                "seed": None if not row.get("seed_parent") else shortened(str(row["seed_parent"]), MAX_PARENT_CHARS),
                "parents": [shortened(str(text), MAX_PARENT_CHARS) for text in parents or []],
            }
        )
    return {
        "title": f"What was written: {total:,} instructions"
        if len(rows) == total
        else f"What was written: {len(rows)} of {total:,} instructions, spread evenly",
        "rows": rows,
        "iterations": sorted({row["iteration"] for row in rows}),
        "fates": sorted({row["fate"] for row in rows}),
        "missing": None,
    }


def _fate(rejection: tuple[str, str] | None, share: object, band: tuple[float, float] | None) -> str:
    if rejection is not None:
        return f"rejected: {shortened(rejection[0], MAX_PARENT_CHARS)}"
    if not is_number(share):
        return "kept, not used"
    if band is None:
        return "kept"
    if is_in_band(share, *band):
        return "trained on"
    return "too hard" if share < band[0] else "too easy"


def held_out_samples(folder: RunFolder) -> dict[str, Any]:
    """Problems with their greedy completions before and after."""
    columns, answer_type = {}, "math"
    for when in ("before", "after"):
        head, rows = folder.held_out(when)
        greedy = {row["index"]: row for row in rows if row.get("mode") == "greedy" and is_number(row.get("index"))}
        if greedy:
            columns[when], answer_type = greedy, _answer_type(head.get("answer_type"))
    problems = sorted({index for rows in columns.values() for index in rows})
    if not problems:
        missing = (
            "There is no held_out_before.jsonl or held_out_after.jsonl: the run measured nothing on labelled problems "
            "(--eval_file FILE), or is older than these files."
        )
        return {"title": "No completions on held-out problems were filed", "missing": missing}
    counts = [f"{sum(map(_is_right, rows.values()))} of {len(rows)} {when}" for when, rows in columns.items()]
    shown = []
    for index in evenly(problems, MAX_PROBLEMS):
        found = {when: rows[index] for when, rows in columns.items() if index in rows}
        first = next(iter(found.values()))
        answer = first.get("true_answer")
        shown.append(
            {
                "prompt": shortened(_prompt_text(first.get("prompt")), MAX_TEXT_CHARS),
                "note": "" if answer is None else f"True answer: {shortened(str(answer), 80)}",
                "completions": [
                    {
                        "label": when,
                        "verdict": "right" if _is_right(row) else "wrong",
                        **marked(_first(row.get("completions")), answer_type),
                    }
                    for when, row in found.items()
                ],
            }
        )
    return {
        "title": f"Held-out problems right by greedy decoding: {', '.join(counts)}",
        "problems": shown,
        "num_problems": len(problems),
        "missing": None,
    }


def trained_samples(folder: RunFolder) -> dict[str, Any]:
    """Completions of the training with their votes, from some of TRL's tables."""
    shown, answer_type = [], _answer_type(folder.setting("answer_type", "recipe"))
    for step in evenly(list(folder.completion_files), MAX_STEPS):
        rows = [row for row in folder.logged_completions(step) if "completion" in row]
        groups = [list(group) for _, group in groupby(rows, key=lambda row: _prompt_text(row.get("prompt")))]
        for group in evenly(groups, MAX_GROUPS):
            vote = group[0].get("vote_answer")
            notes = [f"step {step}"]
            if vote is not None:
                notes.append(f"vote: {shortened(str(vote), 80) or 'no answer'}")
            if is_number(group[0].get("vote_share")):
                notes.append(f"share {group[0]['vote_share']:.2f} of {len(group)} completions")
            shown.append(
                {
                    "prompt": shortened(_prompt_text(group[0].get("prompt")), MAX_TEXT_CHARS),
                    "note": ", ".join(notes),
                    "completions": [
                        {"label": _rewards(row), "verdict": None, **marked(row["completion"], answer_type)}
                        for row in group[:MAX_COMPLETIONS]
                    ],
                }
            )
    if not shown:
        missing = "The run logged no completions: --log_completions true has TRL write them, with votes and rewards."
        return {"title": "No completions of the training were logged", "missing": missing}
    return {
        "title": f"Completions of the training at {len(folder.completion_files)} logged steps, some of them",
        "problems": shown,
        "missing": None,
    }


def marked(completion: Completion, answer_type: str = "math") -> dict[str, Any]:
    """
    A completion as HTML with the answer that is read from it marked.

    Args:
        completion (`str` or `list[dict]`): A completion as TRL has it.
        answer_type (`str`, *optional*, defaults to `"math"`): How answers are found.

    Returns:
        `dict[str, Any]`: `text`, escaped, its last occurrence of the answer in `<mark>`; `behind`, the answer where it does
        not occur to the letter; `reason` why there is none.

    Example:

    ```python
    >>> marked("2 < 3, so \\\\boxed{3}")["text"]
    Markup('2 &lt; 3, so \\\\boxed{<mark>3</mark>}')

    ```
    """
    try:
        text = completion_text(completion)
    except TypeError:
        text = str(completion)
    answer, form = find_answer(text, answer_type)
    place = text.rfind(answer) if answer else -1
    cut = max(0, len(text) - MAX_COMPLETION_CHARS)  # the answer is at the end, as a rule
    start = "\u2026 " if cut else ""
    if place < cut:
        whole = Markup("{}{}").format(start, text[cut:])
    else:
        end = place + len(answer or "")
        whole = Markup("{}{}<mark>{}</mark>{}").format(start, text[cut:place], text[place:end], text[end:])
    return {
        "text": whole,
        "behind": shortened(answer, MAX_PARENT_CHARS) if answer is not None and place < cut else None,
        "reason": form.replace("_", " ") if answer is None else None,
    }


def shortened(text: str, max_chars: int) -> str:
    """
    The beginning of a text that is too long.

    Example:

    ```python
    >>> shortened("one two", 3)
    'one \u2026'

    ```
    """
    return text if len(text) <= max_chars else text[:max_chars] + " \u2026"


def _answer_type(name: object) -> str:
    return name if isinstance(name, str) and name in ANSWER_TYPES else "math"


def _rewards(row: Mapping[str, Any]) -> str:
    """The rewards in a row of TRL's table: its other columns of numbers."""
    known = ("step", "advantage", "vote_share")
    rewards = {name: value for name, value in row.items() if name not in known and is_number(value)}
    return ", ".join(f"{shortened(name, 60)} {value:.2f}" for name, value in rewards.items()) or "no reward"


def _is_right(row: Mapping[str, Any]) -> bool:
    return _first(row.get("is_right")) is True


def _first(values: object) -> Any:
    return values[0] if isinstance(values, list) and values else ""


def _prompt_text(prompt: Prompt | None) -> str:
    """What the user was asked, of a prompt as text or as messages; empty where it was not filed."""
    try:
        return str(instruction_text(prompt)) if prompt else ""
    except (TypeError, KeyError, IndexError):
        return str(prompt)
