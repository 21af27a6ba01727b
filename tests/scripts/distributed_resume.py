"""Run by test_distributed.py in two processes: a whole run, one from the middle of a rollout, one that cannot save."""

import shutil
import sys
from pathlib import Path

import torch

from runs import trainer


# One group of four spans both processes in every rollout of twelve: six rows on each.
LAYOUT = {
    "per_device_train_batch_size": 2,
    "generation_batch_size": 12,
    "gradient_accumulation_steps": 1,
    "num_instructions": 6,
}
STEP, NUM_STEPS = 4, 12


def main(folder: Path) -> None:
    whole = trainer(folder / "whole", **LAYOUT)
    whole.train()
    if whole.is_world_process_zero():
        for name in ("completions", "instructions", f"checkpoint-{STEP}"):
            shutil.copytree(folder / "whole" / name, folder / "again" / name)
    whole.accelerator.wait_for_everyone()
    again = trainer(folder / "again", **LAYOUT)
    again.train(resume_from_checkpoint=True)
    first, second = ([p.detach() for p in run.model.parameters()] for run in (whole, again))
    is_same = all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    rank = again.accelerator.process_index
    (folder / f"rank{rank}.txt").write_text(f"{again.state.global_step} {is_same}")
    if rank == 1:
        again._write_state = out_of_room
    again.state.global_step += 1
    try:
        again._save_checkpoint(again.model, None)
    except RuntimeError as error:
        (folder / f"error{rank}.txt").write_text(str(error))
    again.end()


def out_of_room(folder: Path) -> None:
    raise OSError(28, "No space left on device")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
