"""Run by test_kill.py, in processes of its own: trains, from the last complete checkpoint if told so."""

import json
import sys

import torch

from runs import trainer


def main(output_dir: str, resume: str, settings: str) -> None:
    run = trainer(output_dir, **json.loads(settings))
    run.train(resume_from_checkpoint=resume == "resume")
    run.end()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
