"""Run by test_trackers.py, for trackers read their settings from the environment as they are imported: two steps, all trackers."""

import json
import sys
from pathlib import Path

from tiny_runs import trainer


def main(output_dir: Path) -> None:
    run = trainer(
        output_dir,
        report_to=["tensorboard", "wandb", "trackio"],
        project="tracked",
        log_completions=True,
        num_completions_to_print=1,
    )
    run.train()
    (output_dir / "log_history.json").write_text(json.dumps(run.state.log_history))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
