"""Run by test_distributed.py in two processes: a whole run, and one from a checkpoint in the middle of a rollout."""

import gc
import shutil
import sys
from pathlib import Path

import torch


sys.path.insert(0, str(Path(__file__).parent / "cases"))

from runs import trainer


# One group of four spans both processes in every rollout of twelve: six rows on each.
LAYOUT = {
    "per_device_train_batch_size": 2,
    "generation_batch_size": 12,
    "gradient_accumulation_steps": 1,
    "num_instructions": 6,
    "save_total_limit": None,
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
    (folder / f"rank{again.accelerator.process_index}.txt").write_text(f"{again.state.global_step} {is_same}")
    again.end()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
    gc.collect()  # a process group that is still held when the interpreter ends may abort it
