"""Run by test_distributed.py in two processes: trains two steps and writes down what each process saw."""

import json
import sys
import weakref
from pathlib import Path

import torch

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from tiny_runs import SETTINGS, seeds


def main(output_dir: Path) -> None:
    # Three groups of four over two processes of six rows: the second group straddles them.
    layout = {"per_device_train_batch_size": 2, "generation_batch_size": 12, "gradient_accumulation_steps": 3}
    settings = SETTINGS | layout | {"num_instructions": 6, "max_steps": 2}
    args = SeRLConfig(output_dir=str(output_dir), **settings)
    trainer = SeRLTrainer(str(CHECKPOINT), args=args, train_dataset=seeds())
    rollouts = []
    original = trainer._generate_and_score_completions

    def recorded(inputs):
        output = original(inputs)
        rollouts.append(
            {
                "completions": trainer.processing_class.batch_decode(
                    output["completion_ids"], skip_special_tokens=True
                ),
                "rewards": trainer._rewards.per_func[:, 0].tolist(),
                "advantages": output["advantages"].tolist(),
                "mask": (output["completion_mask"] * output.get("tool_mask", 1)).tolist(),
                "num_items_in_batch": output["num_items_in_batch"].item(),
            }
        )
        return output

    trainer._generate_and_score_completions = recorded
    trainer.train()
    rank = trainer.accelerator.process_index
    record = {
        "num_processes": trainer.accelerator.num_processes,
        "instructions": [instruction.text for instruction in trainer.train_dataset.queue],
        "rollouts": rollouts,
        "checksum": [parameter.detach().double().sum().item() for parameter in trainer.model.parameters()],
    }
    wrapped = weakref.ref(trainer.model_wrapped)
    trainer.end()
    record["is_wrapped"] = wrapped() is not None
    (output_dir / f"rank{rank}.json").write_text(json.dumps(record))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
