"""Commands run as a user of a Hub on the loopback would run them."""

import os
import subprocess
import sys

from hub_server import TOKEN


def hub_environment(server, folder, token=TOKEN):
    """What huggingface_hub reads as it is imported: it then knows no other Hub than the server."""
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment.pop("HF_TOKEN", None)
    environment |= {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "home")} | (
        {"HF_TOKEN": token} if token else {}
    )
    environment |= {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def run_with_hub(server, folder, *command, token=TOKEN, **settings):
    """`python COMMAND` in a process of its own, from a folder."""
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env=hub_environment(server, folder, token) | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
