"""Run by test_share_prompts.py in two processes: two steps with and without share_prompts, and the gradients of each."""

import json
import sys
from pathlib import Path

import torch
from trl import GRPOTrainer

from serl_trl import SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT
from tiny_runs import SETTINGS, Alternating, seeds


def train(folder: Path, **settings) -> tuple[SeRLTrainer, dict[str, torch.Tensor], list[float]]:
    """A run in double precision, by how much its parameters moved, and the norms of its gradients."""
    args = SeRLConfig(
        output_dir=str(folder),
        **SETTINGS
        | {
            "self_instruct": False,
            "min_vote_share": 0,
            "max_vote_share": 1,
            "max_steps": 2,
            "generation_batch_size": 32,
        }
        | {"optim": "sgd", "learning_rate": 0.02, "beta": 0.1, "max_grad_norm": 0.0}
        | settings,
    )
    trainer = SeRLTrainer(str(CHECKPOINT), Alternating(), args, seeds(16))
    trainer.model.double()
    start = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trainer.train()
    moved = {name: p.detach() - start[name] for name, p in trainer.model.named_parameters()}
    return trainer, moved, [row["grad_norm"] for row in trainer.state.log_history if "grad_norm" in row]


def main() -> None:
    folder = Path(sys.argv[1])
    plain, record, with_gradient = GRPOTrainer._get_per_token_logps_and_entropies, {}, []

    def counted(*args, **kwargs):
        with_gradient.append(torch.is_grad_enabled())
        return plain(*args, **kwargs)

    GRPOTrainer._get_per_token_logps_and_entropies = counted
    moves = {}
    for name, settings in {
        "plain": {"share_prompts": False},
        "shared": {"share_prompts": True},
        "unused": {"share_prompts": True, "ddp_find_unused_parameters": True},
        "static": {"share_prompts": True, "ddp_find_unused_parameters": False},
    }.items():
        with_gradient.clear()
        trainer, moves[name], norms = train(folder / name, **settings)
        record[name] = {"norms": norms, "num_by_trl_with_gradient": sum(with_gradient)}
        rank = trainer.accelerator.process_index
        del trainer
    record["apart"] = {
        name: max(((moved[n] - value).norm() / value.norm()).item() for n, value in moves["plain"].items())
        for name, moved in moves.items()
    }
    (folder / f"rank{rank}.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main()
