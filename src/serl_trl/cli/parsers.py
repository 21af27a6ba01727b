"""Parsers of flags whose errors are one line."""

import argparse
import sys
from typing import Any, NoReturn


class LineParser(argparse.ArgumentParser):
    """
    A parser whose errors are one line, as those of all commands: what is wrong, and where the flags are listed.

    Args:
        command (`str`): The command, such as `"vote"`.
        description (`str`, *optional*): What it does; line breaks are kept.
    """

    def __init__(self, command: str, description: str | None) -> None:
        super().__init__(
            prog=f"serl-trl {command}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Ends with one line instead of the usage and a line."""
        print(error_line(message, self.prog), file=sys.stderr)
        sys.exit(2)


def parsed(parser: Any, flags: list[str]) -> tuple[Any, ...]:
    """
    What TRL's parser makes of flags and of the file of `--config`; its errors name the flag or the file in one line.

    Args:
        parser (`TrlParser`): The parser.
        flags (`list[str]`): The flags, with the path of the configuration.

    Raises:
        ValueError: If a flag or a setting is unknown, or the configuration is no YAML.
        SystemExit: If a flag has a wrong value; what is wrong has then been printed in one line.
    """
    parser.error = lambda message: LineParser.error(parser, message)
    import yaml  # late: not every command reads YAML

    file = flags[flags.index("--config") + 1] if "--config" in flags else ""
    try:
        *values, in_file, in_flags = parser.parse_args_and_config(
            flags, return_remaining_strings=True, separate_remaining_strings=True
        )
    except UnicodeDecodeError:
        raise ValueError(f"--config {file} is no text; give a YAML file.") from None
    except yaml.YAMLError as error:
        raise ValueError(f"--config {file} is not YAML: {' '.join(str(error).split())}") from None
    if in_file:
        raise ValueError(f"--config {file} has unknown settings: {' '.join(map(str, in_file))}; take them out.")
    if in_flags:
        raise ValueError(f"unrecognized arguments: {' '.join(in_flags)}; `{parser.prog} --help` lists the flags.")
    return tuple(values)


def error_line(message: str, prog: str) -> str:
    """
    What is printed for a mistake in the flags.

    Example:

    ```python
    >>> error_line("unrecognized arguments: --fil", "serl-trl vote")
    'error: unrecognized arguments: --fil; `serl-trl vote --help` lists the flags.'

    ```
    """
    return f"error: {' '.join(message.split())}; `{prog} --help` lists the flags."
