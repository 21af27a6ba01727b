"""Runs the laboratory: a tiny model learns word problems from its own votes on a CPU, then a table and a page show it.

    serl-trl demo                            30 steps; about 15 minutes on one busy core
    serl-trl demo --max_steps 2              the same flow in less than a minute; it learns next to nothing
    serl-trl demo --seed 1 --output_dir runs/seed1

It is `serl-trl train --config tiny_cpu`, and takes the same flags but `--config`. Nothing is downloaded.
"""

import sys

from .named_files import taken


def main(flags: list[str]) -> None:
    """Trains with the configuration tiny_cpu; ends with one line if something is wrong with what the user gave."""
    try:
        config, _ = taken("--config", flags)
    except ValueError as error:
        sys.exit(f"error: {error}")
    if config is not None:
        sys.exit(f"error: The demo has its own configuration; write `serl-trl train --config {config}`.")
    from .train import main as train

    train(["--config", "tiny_cpu", *flags])


if __name__ == "__main__":
    main(sys.argv[1:])
