"""Scripts of tests/scripts, started as accelerate starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path


ROOT = Path(__file__).parents[2]


LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", "accelerate_configs/cpu.yaml"]


def launched(script, *arguments, launch=LAUNCH):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [*launch, f"tests/scripts/{script}", *map(str, arguments)], cwd=ROOT, env=environment, timeout=600, check=False
    )


def records(script, folder, launch=LAUNCH):
    """What each process of a run saw."""
    launched(script, folder, launch=launch).check_returncode()
    return [json.loads(path.read_text()) for path in sorted(folder.glob("rank*.json"))]
