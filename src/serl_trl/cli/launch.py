"""`--accelerate_config`: starts a command in several processes, as `accelerate launch` would."""

import os
import sys
from argparse import ArgumentParser
from typing import NoReturn

from .named_files import accelerate_config_file, taken


def launch(command: str, config: str, flags: list[str], parser: ArgumentParser) -> None:
    """
    Starts `serl-trl COMMAND FLAGS` by accelerate, and waits for it.

    Flags that the command's parser does not know go to accelerate, as with TRL's own commands: `--num_processes 4`.

    Args:
        command (`str`): The command.
        config (`str`): A configuration of accelerate, a file or a name.
        flags (`list[str]`): Flags of the command and of accelerate.
        parser (`ArgumentParser`): That of the command.

    Raises:
        ValueError: If there is no such configuration, accelerate has started this process already, or neither the
            command nor accelerate knows a flag.
        SystemExit: With the exit code of the processes, if it is not 0; they have said why.
    """
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    path = accelerate_config_file(config)
    if "LOCAL_RANK" in os.environ:
        raise ValueError(
            f"--accelerate_config {config} starts processes, and accelerate has started this one; leave it out."
        )
    ours, others = shared_out(flags, parser)
    launcher = launch_command_parser()
    launcher.error = _unknown_flag
    settings = launcher.parse_args(["--config_file", path, *others, "--quiet", "-m", "serl_trl.cli", command, *ours])
    try:
        launch_command(settings)
    except ChildFailedError as error:  # its traceback would only repeat the exit code
        sys.exit(max(failure.exitcode for failure in error.failures.values()) or 1)


def shared_out(flags: list[str], parser: ArgumentParser) -> tuple[list[str], list[str]]:
    """
    Flags that a parser knows, each with its values, and the others, both in their order.

    Example:

    ```python
    >>> parser = ArgumentParser()
    >>> _ = parser.add_argument("--seed", type=int)
    >>> shared_out(["--seed", "2", "--num_processes", "2"], parser)
    (['--seed', '2'], ['--num_processes', '2'])

    ```
    """
    config, rest = taken("--config", flags)  # which the parser takes out before it looks at flags
    _, others = parser.parse_known_args(rest)
    left, ours = list(others), []
    for flag in rest:
        if left and flag == left[0]:
            left.pop(0)
        else:
            ours.append(flag)
    return ([] if config is None else ["--config", config]) + ours, others


def _unknown_flag(message: str) -> NoReturn:
    raise ValueError(f"Neither the command nor accelerate takes these flags: {message}.")
