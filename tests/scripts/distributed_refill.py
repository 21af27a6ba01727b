"""Run by test_distributed.py in one process and in two: refilled batches, scripted and real, and what came of them."""

import json
import sys
from pathlib import Path

import pytest
import torch

from scripted_rollouts import SCRIPTED, script
from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from tiny_runs import SETTINGS, parameters, seeds


# Three groups of four a batch, five problems for each batch: in two processes the second group straddles them.
FILLED = ["easy", "even", "easy", "three", "even"]  # in the second round
UNEVEN = ["easy", "hard", "even", "hard", "easy"]  # one group kept, which the second process has no row of
EMPTY = ["easy", "easy", "hard", "hard", "easy"]  # nothing kept
BATCHES = [FILLED, UNEVEN, EMPTY, FILLED, FILLED, UNEVEN, FILLED, EMPTY, UNEVEN, FILLED]
SCRIPT = list(enumerate(kind for batch in BATCHES for kind in batch))


def trainer(output_dir, num_micro_batches=1, **settings):
    layout = {"generation_batch_size": 12, "gradient_accumulation_steps": num_micro_batches}
    num_rows = 6 if torch.distributed.is_torchelastic_launched() else 12
    layout["per_device_train_batch_size"] = num_rows // num_micro_batches
    args = SeRLConfig(output_dir=str(output_dir), **(SETTINGS | layout | settings))
    return SeRLTrainer(str(CHECKPOINT), args=args, train_dataset=seeds())


def recorded(run, batches):
    """Has a trainer note its batches."""
    next_batch, score = run.feed.next_batch, run._generate_and_score_completions

    def noted(num_groups):
        batch = next_batch(num_groups)
        groups = [[group.index, [rollout.completion_ids for rollout in group.rollouts]] for group in batch.groups]
        batches.append({"groups": groups, "is_kept": batch.is_kept, "num_rollouts": batch.num_rollouts})
        batches[-1] |= {"num_candidates": len(batch.candidates), "num_rounds": batch.num_rounds}
        return batch

    def scored(inputs):
        output = score(inputs)
        mask = output["completion_mask"] * output.get("tool_mask", 1)
        batches[-1] |= {
            "num_tokens": mask.sum().item(),
            "num_items_in_batch": output["num_items_in_batch"].item(),
            "rows": [
                ids[keep.bool()].tolist()
                for ids, keep in zip(output["completion_ids"], output["completion_mask"], strict=True)
            ],
        }
        return output

    run.feed.next_batch, run._generate_and_score_completions = noted, scored
    return run


def scripted(output_dir: Path, name: str, num_batches: int, **settings) -> dict:
    """What came of as many steps on known batches; the parameters before and after are filed beside."""
    batches: list = []
    settings = SCRIPTED | {"num_instructions": 3 * num_batches, "reserve_fraction": 0.65, "beta": 0.02} | settings
    settings["learning_rate"] = 1e-4  # the laboratory's
    with pytest.MonkeyPatch.context() as monkeypatch:
        run = recorded(trainer(output_dir, **settings), batches)
        start = parameters(run.model)
        rounds = script(monkeypatch, run, SCRIPT[: 5 * num_batches])
        run.train()
    torch.save([start, parameters(run.model)], output_dir / f"{name}{run.accelerator.process_index}.pt")
    is_empty = [row["serl/gate/frac_empty_steps"] for row in run.state.log_history if "reward" in row]
    return {"batches": batches, "rounds": rounds, "is_empty": is_empty}


def main(output_dir: Path) -> None:
    record: dict = {"scripted": scripted(output_dir, "rank", 10), "real": []}
    # means over tokens, each process in three micro-batches of two or four rows, which TRL shuffles
    means = {"loss_type": "bnpo", "kl_placement": "loss", "entropy_coef": 0.01, "num_micro_batches": 3}
    scripted(output_dir, "means", 3, **means)
    # groups of three: a round of one group does not divide among two processes
    run = recorded(
        trainer(output_dir, num_generations=3, num_instructions=8, min_vote_share=0.5, max_vote_share=0.7),
        record["real"],
    )
    run.train()
    record["checksum"] = [parameter.detach().double().sum().item() for parameter in run.model.parameters()]
    (output_dir / f"rank{run.accelerator.process_index}.json").write_text(json.dumps(record))
    run.end()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
