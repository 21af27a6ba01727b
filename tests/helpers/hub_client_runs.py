"""Commands run as a user of a Hub on the loopback would run them."""

import os
import subprocess
import sys

from hub_server import TOKEN


def run_with_hub(server, folder, *command, token=TOKEN, **environment):
    """`python COMMAND` in a process of its own, for huggingface_hub reads its endpoint as it is imported."""
    inherited = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    settings = {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    inherited.pop("HF_TOKEN", None)
    settings |= ({} if token is None else {"HF_TOKEN": token}) | environment
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env=inherited | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
