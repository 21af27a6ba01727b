"""Run by test_distributed.py in two processes, of which one fails: in a reward, in a file, or in the middle of a step."""

import sys
from pathlib import Path

import torch
from accelerate import PartialState

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from tiny_runs import SETTINGS, seeds


def fail_on(process: int, error: Exception) -> None:
    if PartialState().process_index == process:
        raise error


def reward(completions, **kwargs):
    fail_on(1, ValueError("the reward cannot read this"))
    return [0.0] * len(completions)


def main(output_dir: Path, place: str) -> None:
    args = SeRLConfig(output_dir=str(output_dir), **SETTINGS | {"self_instruct": place == "file", "max_steps": 2})
    run = SeRLTrainer(str(CHECKPOINT), reward if place == "reward" else None, args, seeds())
    if place == "file":
        run.feed.dataset.save = lambda path: fail_on(0, OSError("No space left on device"))
    if place == "step":
        step = run.training_step

        def failing_step(*args):
            fail_on(1, MemoryError("the step does not fit"))
            return step(*args)

        run.training_step = failing_step
    try:
        run.train()
    except Exception as error:
        record = f"{type(error).__name__}: {error}", f"caused by {type(error.__cause__).__name__}"
        (output_dir / f"error{run.accelerator.process_index}.txt").write_text("\n".join(record))
        raise


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2])
