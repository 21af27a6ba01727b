"""What refilling costs and brings: the built-in model, trained for a few steps with it and without.

    python benchmarks/bench_refill.py [--steps 6] [--seed 0] [--min_vote_share 0.4] [--max_vote_share 0.8]

Prints, for each way, candidate groups rolled out, groups accepted by the gate, completions generated and trained on, and
seconds for each group trained on. Completions generated per completion trained on must stay below 1.1 times candidates per
accepted group, or it exits with 1. Seconds are processor time, which other jobs on the machine disturb less, of the training
steps; what it takes to write the instructions, and the reserve, is printed beside them; with "ahead" that is where the votes
are. The band is narrower than the paper's, which lets nearly all of this model's first groups pass.
"""

import argparse
import sys
import tempfile
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from serl_trl import SelfInstructDataset, SeRLConfig, SeRLTrainer
from serl_trl.laboratory import CHECKPOINT, word_problems
from serl_trl.prompts import PromptTemplate


BOUND = 1.1  # times candidates per accepted group: completions generated per completion trained on

SETTINGS: dict[str, Any] = {  # those of recipes/configs/tiny_cpu.yaml, but for the length of the run
    "num_few_shot": 4,
    "max_instruction_length": 96,
    "instruction_temperature": 0.4,
    "instruction_presence_penalty": 0.0,
    "generation_batch_size": 256,
    "per_device_train_batch_size": 64,
    "gradient_accumulation_steps": 4,
    "max_completion_length": 40,
    "learning_rate": 1e-4,
    "beta": 0.02,
    "num_train_epochs": 1,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
}

WAYS: dict[str, dict[str, Any]] = {
    "masked": {"max_refill_rounds": 0},
    "refilled": {},
    "ahead": {"difficulty_filter": "ahead"},
}


def measured(steps: int, seed: int, **settings: Any) -> dict[str, float]:
    """Totals over the steps of a run from the base."""
    with tempfile.TemporaryDirectory() as folder:
        args = SeRLConfig(output_dir=folder, seed=seed, num_instructions=16 * steps, **(SETTINGS | settings))
        seeds = SelfInstructDataset.from_config(word_problems(128, "seeds"), args, PromptTemplate())
        trainer = SeRLTrainer(str(CHECKPOINT), args=args, train_dataset=seeds)
        regenerate, writing_s, start_s = trainer.regenerate_instructions, 0.0, time.process_time()

        def timed(iteration: int) -> None:
            nonlocal writing_s
            writing_s -= time.process_time()
            regenerate(iteration)
            writing_s += time.process_time()

        trainer.regenerate_instructions = timed  # type: ignore[method-assign]
        trainer.train()
        training_s = time.process_time() - start_s - writing_s
    rows = [row for row in trainer.state.log_history if "reward" in row]
    names = ["num_candidates", "num_accepted", "num_rollouts_generated", "num_rollouts_trained", "num_refill_rounds"]
    totals = {name: sum(row[f"serl/gate/{name}"] for row in rows) for name in names}
    totals |= {"frac_filled": sum(row["serl/gate/frac_filled"] for row in rows) / len(rows)}
    totals |= {"training_s": training_s, "writing_s": writing_s}
    return totals | {"num_written": rows[0]["serl/instructions/num_written"], "num_steps": len(rows)}


def cells(total: dict[str, float]) -> list[str]:
    """A row of the table."""
    candidates, accepted = total["num_candidates"], total["num_accepted"]
    generated, trained = total["num_rollouts_generated"], total["num_rollouts_trained"]
    return [
        f"{candidates:.0f}",
        f"{accepted:.0f}",
        f"{total['num_refill_rounds'] / total['num_steps']:.1f}",
        f"{accepted / total['num_steps']:.1f}",
        f"{total['frac_filled']:.0%}",
        f"{generated:.0f}",
        f"{trained:.0f}",
        f"{generated / trained:.3f}",
        f"{BOUND * candidates / accepted:.3f}",
        f"{total['training_s'] / accepted:.2f}",
        f"{total['num_written']:.0f}",
        f"{total['writing_s']:.1f}",
        f"{(total['training_s'] + total['writing_s']) / accepted:.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6, help="training steps of 16 groups of 16, each way")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min_vote_share", type=float, default=0.4)
    parser.add_argument("--max_vote_share", type=float, default=0.8)
    flags = parser.parse_args()
    band = {"min_vote_share": flags.min_vote_share, "max_vote_share": flags.max_vote_share}
    totals = {name: measured(flags.steps, flags.seed, **band, **settings) for name, settings in WAYS.items()}
    table = Table(
        title=f"{flags.steps} steps of 16 groups of 16, band {flags.min_vote_share} to {flags.max_vote_share}"
    )
    headings = ["", "candidates", "accepted", "rounds a step", "accepted a step", "filled", "generated", "trained"]
    for heading in [*headings, "ratio", "bound", "s per accepted", "written", "writing s", "in all s per accepted"]:
        table.add_column(heading, justify="right")
    for name, total in totals.items():
        table.add_row(name, *cells(total))
    Console(width=160).print(table)
    worst = max(
        total["num_rollouts_generated"]
        / total["num_rollouts_trained"]
        / (total["num_candidates"] / total["num_accepted"])
        for total in totals.values()
    )
    print(f"generated per trained, in units of candidates per accepted: at most {worst:.3f} (bound {BOUND})")
    if worst > BOUND:
        sys.exit(1)


if __name__ == "__main__":
    main()
