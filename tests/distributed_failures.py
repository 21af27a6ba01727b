"""Run by test_distributed.py in two processes: the second fails, in a reward or in the middle of a step."""

import sys
from pathlib import Path

import torch

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.tiny import CHECKPOINT
from test_serl_trainer import SETTINGS, seeds


RANK = 0


def failing_reward(completions, **kwargs):
    if RANK == 1:
        raise ValueError("the reward cannot read this")
    return [float(len(completion[0]["content"])) for completion in completions]


def failing_loss(*args, **kwargs):
    if RANK == 1:
        raise MemoryError("the step does not fit")
    return SeRLTrainer._compute_loss(*args, **kwargs)


def main(output_dir: Path, place: str) -> None:
    global RANK
    args = SeRLConfig(output_dir=str(output_dir), **SETTINGS | {"self_instruct": False, "max_steps": 2})
    reward = failing_reward if place == "reward" else None
    run = SeRLTrainer(str(CHECKPOINT), reward, args, seeds())
    RANK = run.accelerator.process_index
    if place == "step":
        run._compute_loss = lambda *args, **kwargs: failing_loss(run, *args, **kwargs)
    try:
        run.train()
    except Exception as error:
        (output_dir / f"error{RANK}.txt").write_text(f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2])
