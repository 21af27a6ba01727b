"""What to say, and to whom to turn, when the policy cannot write enough instructions."""

from collections.abc import Mapping, Sequence

from ..voting import DifficultyGate


PARSE_FILTER = "parse"  # the name under which a reply without an instruction is counted
SEED_CAP = "seed_cap"  # the name under which max_instructions_per_seed rejects

REMEDIES = {  # by the name of the filter
    PARSE_FILTER: "look at the replies; raise max_instruction_length if they are cut off",
    "length": "widen min_instruction_words and max_instruction_words",
    "keyword": "shorten banned_words",
    "novelty": "give more seeds, or raise novelty_threshold or instruction_temperature",
    "semantic": "raise semantic_novelty_threshold",
    SEED_CAP: "raise max_instructions_per_seed, or give more seeds",
    DifficultyGate.name: "widen min_vote_share and max_vote_share, or choose difficulty_filter='rollout'",
}


class TooFewInstructionsError(RuntimeError):
    """The policy wrote fewer usable instructions than the stated minimum."""


def rejections(counts: Mapping[str, int], filter_names: Sequence[str]) -> dict[str, int]:
    """Instructions that each filter rejected, those that rejected most first, without those that rejected none."""
    eaten = {name: counts[name] for name in [*filter_names, DifficultyGate.name] if counts.get(name)}
    return dict(sorted(eaten.items(), key=lambda item: -item[1]))


def shortage(counts: Mapping[str, int], filter_names: Sequence[str], num_left: int, num_needed: int) -> str:
    """
    Says that too few instructions could be had, which filter ate what, and what to change.

    Args:
        counts (`Mapping[str, int]`): Replies asked for, instructions written, and rejections by the name of each filter.
        filter_names (`Sequence[str]`): Names of the filters, in order.
        num_left (`int`): Usable instructions.
        num_needed (`int`): The stated minimum.

    Example:

    ```python
    >>> print(shortage({"replies": 16, "written": 18, "length": 2, "novelty": 15}, ["length", "novelty"], 1, 4))
    The policy wrote 1 usable instructions, fewer than the minimum of 4: its 16 replies held 18, of which filters rejected
    novelty: 15, length: 2. To change what 'novelty' rejects, give more seeds, or raise novelty_threshold or
    instruction_temperature; or start from a policy that writes better, or lower min_instruction_fraction.

    ```
    """
    eaten = rejections(counts, filter_names)
    listed = ", ".join(f"{name}: {count}" for name, count in eaten.items()) or "none"
    worst = next(iter(eaten), PARSE_FILTER)
    return (
        f"The policy wrote {num_left} usable instructions, fewer than the minimum of {num_needed}: its "
        f"{counts['replies']} replies held {counts['written']}, of which filters rejected {listed}. To change what "
        f"{worst!r} rejects, {REMEDIES.get(worst, 'loosen it')}; or start from a policy that writes better, or lower "
        "min_instruction_fraction."
    )
