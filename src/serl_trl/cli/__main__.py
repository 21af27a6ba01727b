"""`serl-trl COMMAND ...`: one entry to all commands. A command's module is imported only when it is asked for."""

import sys
from importlib import import_module


COMMANDS = {
    "train": ("train", "train a model on prompts without labels"),
    "evaluate": ("evaluate", "measure models on test sets"),
    "write": ("write_instructions", "write new prompts, with pseudo-labels, without training"),
    "report": ("report", "draw the page of a run folder"),
    "check": ("check_extraction", "see which answers are found in completions"),
    "compare": ("compare_rewards", "compare the vote, a judge and the truth on completions"),
}


def main(flags: list[str] | None = None) -> None:
    """Runs the command that the first flag names with the rest of the flags."""
    flags = sys.argv[1:] if flags is None else flags
    if not flags or flags[0] not in COMMANDS:
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
        sys.exit("\n".join(["usage: serl-trl COMMAND ...", "", *lines]))
    import_module(f".{COMMANDS[flags[0]][0]}", __package__).main(flags[1:])


if __name__ == "__main__":
    main()
