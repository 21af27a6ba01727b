"""Run by test_distributed.py in two processes: a guard that sees a collapse, ends the run and goes back."""

import json
import sys
from pathlib import Path

import torch

from guarded_runs import guarded


def main(output_dir: Path) -> None:
    torch.set_num_threads(1)
    run, guard = guarded(output_dir, action="restore", gradient_accumulation_steps=1)
    run.train()
    looks = [row for row in run.state.log_history if "serl/probe/frac_top_answer" in row]
    record = {
        "step": run.state.global_step,
        "alarms": guard.alarms,
        "looks": [{k: v for k, v in row.items() if k == "step" or k.startswith("serl/probe/")} for row in looks],
        "given": guard.probes.state_dict(),
        "weights": [parameter.double().sum().item() for parameter in run.model.parameters()],
    }
    (output_dir / f"rank{run.accelerator.process_index}.json").write_text(json.dumps(record))
    run.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
