"""Run by test_group_votes.py in two processes: trains two steps with further votes, and writes down what each saw."""

import json
import sys
from pathlib import Path

import torch

from serl_trl import MajorityVoteReward, SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from tiny_runs import SETTINGS, seeds


def train(output_dir: Path, name: str, *, self_instruct: bool) -> SeRLTrainer:
    # Three groups of four over two processes of six rows: the second group straddles them. Three more votes for each of
    # three prompts are nine samples, which two processes cannot share evenly.
    layout = {"per_device_train_batch_size": 2, "generation_batch_size": 12, "gradient_accumulation_steps": 3}
    args = SeRLConfig(
        output_dir=str(output_dir),
        **SETTINGS | layout | {"self_instruct": self_instruct, "num_instructions": 6, "max_steps": 2},
    )
    reward = MajorityVoteReward(num_votes=7, soft=True)
    groups, vote = [], reward.vote

    def noted_vote(completions, prompt=None):
        groups.append((prompt, completions))
        return vote(completions, prompt)

    reward.vote = noted_vote
    trainer = SeRLTrainer(str(CHECKPOINT), reward, args, seeds(6))
    num_generated, complete = [], trainer.complete
    shares: list[float] = []

    def noted_completions(prompt_ids, num_generations, uniforms=None):
        num_generated.append(len(prompt_ids))
        return complete(prompt_ids, num_generations, uniforms)

    trainer.complete = noted_completions
    if trainer.feed is not None:
        next_batch = trainer.feed.next_batch

        def noted_batch(num_groups):
            batch = next_batch(num_groups)
            shares[:] = [group.vote.share for group in batch.groups]
            return batch

        trainer.feed.next_batch = noted_batch
    rollouts, original = [], trainer._generate_and_score_completions

    def recorded(inputs):
        groups.clear()
        output = original(inputs)
        rollouts.append(
            {
                "prompts": [row.get("prompt") for row in inputs],
                "answers": [row.get("answer") for row in inputs],
                "completions": trainer.processing_class.batch_decode(
                    output["completion_ids"], skip_special_tokens=True
                ),
                "groups": list(groups),
                "rewards": trainer._rewards.per_func[:, 0].tolist(),
                "shares": trainer._group_shares() or list(shares),
                "metrics": {name: values[-1] for name, values in trainer._metrics["train"].items()},
            }
        )
        return output

    trainer._generate_and_score_completions = recorded
    trainer.train()
    rank = trainer.accelerator.process_index
    record = {
        "num_processes": trainer.accelerator.num_processes,
        "num_generated": num_generated,
        "rollouts": rollouts,
        "state": trainer._group_votes.state_dict(),
        "checksum": [parameter.detach().double().sum().item() for parameter in trainer.model.parameters()],
    }
    (output_dir / f"{name}_rank{rank}.json").write_text(json.dumps(record))
    return trainer


def main(output_dir: Path) -> None:
    train(output_dir, "prompts", self_instruct=False)
    train(output_dir, "instructions", self_instruct=True).end()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
